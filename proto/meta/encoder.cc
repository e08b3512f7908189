#include "proto/meta/encoder.h"

#include <cstring>

#include "proto/text/encoder.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

std::string_view CodeOf(MetaStatus status) {
  switch (status) {
    case MetaStatus::kOk:
      return "HD";
    case MetaStatus::kMiss:
      return "EN";
    case MetaStatus::kNotFound:
      return "NF";
    case MetaStatus::kNotStored:
      return "NS";
    case MetaStatus::kExists:
      return "EX";
  }
  CHECK(!"a status without a code");
}

char* EncodeLetter(char* out, char letter) {
  *out++ = ' ';
  *out++ = letter;
  return out;
}

char* EncodeNumberFlag(char* out, char letter, uint64_t number) {
  return EncodeDecimal(EncodeLetter(out, letter), number);
}

char* EncodeTtl(char* out, int64_t ttl) {
  return ttl == kTtlUnlimited ? Encode(out, "-1")
                              : EncodeDecimal(out, static_cast<uint64_t>(ttl < 0 ? 0 : ttl));
}

char* EncodeKeyBytes(char* out, MetaKey key) {
  CHECK_LE(key.bytes.size(), kKeyBytesMax);
  return key.as_base64 ? EncodeBase64(out, key.bytes) : Encode(out, key.bytes);
}

// Writes k and O, which every reply repeats. False: `letter` is another flag.
bool EncodeEcho(char** out, char letter, const MetaEcho& echo, MetaKey key) {
  if (letter == 'k') {
    *out = EncodeKeyBytes(EncodeLetter(*out, 'k'), key);
    if (key.as_base64) *out = EncodeLetter(*out, 'b');
    return true;
  }
  if (letter == 'O') {
    *out = Encode(EncodeLetter(*out, 'O'), echo.opaque_view());
    return true;
  }
  return false;
}

// Which expiry holds at each place among the flags.
class TtlSteps {
 public:
  explicit TtlSteps(const MetaTtl& ttl)
      : ttl_(ttl), now_(ttl.created ? kTtlUnlimited : ttl.before) {}
  void Step(char letter) {
    if (letter == 'T') now_ = ttl_.touched;
    if (letter == 'N' && ttl_.created) now_ = ttl_.vivified;
  }
  int64_t now() const { return now_; }

 private:
  const MetaTtl& ttl_;
  int64_t now_;
};

}  // namespace

char* EncodeMetaHit(char* out, const MetaEcho& echo, MetaKey key, const MetaItem& item) {
  if (item.with_value) {
    out = EncodeDecimal(Encode(out, "VA "), item.value_size);
  } else {
    out = Encode(out, "HD");
  }
  TtlSteps ttl(item.ttl);
  for (char letter : echo.letters_view()) {
    if (EncodeEcho(&out, letter, echo, key)) continue;
    switch (letter) {
      case 's':
        out = EncodeNumberFlag(out, letter, item.value_size);
        break;
      case 't':
        out = EncodeTtl(EncodeLetter(out, letter), ttl.now());
        break;
      case 'c':
        out = EncodeNumberFlag(out, letter, item.cas);
        break;
      case 'f':
        out = EncodeNumberFlag(out, letter, item.client_flags);
        break;
      case 'l':
        out = EncodeNumberFlag(out, letter, item.idle_seconds);
        break;
      case 'h':
        out = EncodeNumberFlag(out, letter, item.fetched ? 1 : 0);
        break;
      default:
        ttl.Step(letter);
        break;
    }
  }
  if (item.token_sent) out = EncodeLetter(out, 'Z');
  if (item.stale) out = EncodeLetter(out, 'X');
  if (item.won) out = EncodeLetter(out, 'W');
  return Encode(out, kLineEnd);
}

char* EncodeMetaMiss(char* out, const MetaEcho& echo, MetaKey key) {
  return EncodeMetaDone(out, echo, key, MetaStatus::kMiss);
}

char* EncodeMetaStored(char* out, const MetaEcho& echo, MetaKey key, MetaStatus status,
                       uint64_t cas, uint32_t value_size) {
  out = Encode(out, CodeOf(status));
  for (char letter : echo.letters_view()) {
    if (EncodeEcho(&out, letter, echo, key)) continue;
    if (letter == 'c') out = EncodeNumberFlag(out, letter, cas);
    if (letter == 's') out = EncodeNumberFlag(out, letter, value_size);
  }
  return Encode(out, kLineEnd);
}

char* EncodeMetaDone(char* out, const MetaEcho& echo, MetaKey key, MetaStatus status) {
  out = Encode(out, CodeOf(status));
  for (char letter : echo.letters_view()) EncodeEcho(&out, letter, echo, key);
  return Encode(out, kLineEnd);
}

char* EncodeMetaNumber(char* out, const MetaEcho& echo, MetaKey key, uint64_t number,
                       bool with_value, uint64_t cas, const MetaTtl& ttl) {
  char digits[kDecimalBytesMax];
  const char* const digits_end = EncodeDecimal(digits, number);
  const std::string_view text(digits, static_cast<size_t>(digits_end - digits));
  if (with_value) {
    out = EncodeDecimal(Encode(out, "VA "), text.size());
  } else {
    out = Encode(out, "HD");
  }
  TtlSteps steps(ttl);
  for (char letter : echo.letters_view()) {
    if (EncodeEcho(&out, letter, echo, key)) continue;
    if (letter == 'c') out = EncodeNumberFlag(out, letter, cas);
    if (letter == 't') out = EncodeTtl(EncodeLetter(out, letter), steps.now());
    steps.Step(letter);
  }
  out = Encode(out, kLineEnd);
  if (with_value) out = Encode(Encode(out, text), kLineEnd);
  return out;
}

char* EncodeMetaDebug(char* out, MetaKey key, const MetaDebugItem& item) {
  out = EncodeKeyBytes(Encode(out, "ME "), key);
  out = EncodeTtl(Encode(out, " exp="), item.ttl);
  out = EncodeDecimal(Encode(out, " la="), item.idle_seconds);
  out = EncodeDecimal(Encode(out, " cas="), item.cas);
  out = Encode(out, item.fetched ? " fetch=yes" : " fetch=no");
  out = EncodeDecimal(Encode(out, " cls="), item.size_class);
  out = EncodeDecimal(Encode(out, " size="), item.size_bytes);
  return Encode(out, kLineEnd);
}

}  // namespace torc::proto
