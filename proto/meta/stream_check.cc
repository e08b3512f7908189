#include "proto/meta/stream_check.h"

#include <algorithm>
#include <string>

#include "proto/meta/base64.h"
#include "proto/meta/encoder.h"
#include "proto/meta/parser.h"
#include "proto/meta/reply.h"
#include "proto/text/encoder.h"
#include "proto/text/parser.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

bool Inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// The letters among `letters` that the echo has, in its order.
std::string Shown(const MetaEcho& echo, std::string_view letters) {
  std::string shown;
  for (char c : echo.letters_view()) {
    if (letters.find(c) != std::string_view::npos) shown += c;
  }
  return shown;
}

// Reads a reply back: its flags must be `letters`, k and O with what the request said. Keys with
// blanks or line ends make lines that nobody can read, unless they are in base64.
void CheckReply(std::string_view line, const MetaEcho& echo, MetaKey key, std::string letters,
                const MetaItem* item) {
  CHECK_LE(line.size(), kMetaReplyBytesMax);
  const bool shows_key = letters.find('k') != std::string::npos;
  if (shows_key && !key.as_base64 && key.bytes.find_first_of(" \n\r") != std::string_view::npos) {
    return;
  }
  line = line.substr(0, line.find('\n') + 1);  // Of ma, the number follows.
  MetaReply reply;
  CHECK(ParseMetaReply(line, &reply));
  if (const size_t k = letters.find('k'); k != std::string::npos && key.as_base64) {
    letters.insert(k + 1, "b");
  }
  if (item != nullptr) {
    CHECK(reply.has_value == item->with_value);
    CHECK(!reply.has_value || reply.value_size == item->value_size);
    if (item->token_sent) letters += 'Z';
    if (item->stale) letters += 'X';
    if (item->won) letters += 'W';
  }
  std::string_view flags = reply.flags;
  std::string seen;
  char letter;
  std::string_view token;
  while (NextMetaFlag(&flags, &letter, &token)) {
    seen += letter;
    if (letter == 'O') CHECK(token == echo.opaque_view());
    if (letter == 'k' && !key.as_base64) CHECK(token == key.bytes);
    if (letter == 'k' && key.as_base64) {
      char decoded[kKeyBytesMax];
      CHECK_EQ(Base64DecodedSize(token), key.bytes.size());
      CHECK(std::string_view(
                decoded, static_cast<size_t>(DecodeBase64(decoded, token) - decoded)) == key.bytes);
    }
    if (item != nullptr && letter == 'c') CHECK(token == std::to_string(item->cas));
  }
  CHECK(seen == letters);
}

void CheckReplies(const MetaRequest& request, std::string_view key_bytes) {
  char buffer[kMetaReplyBytesMax];
  const auto text = [&](const char* end) {
    return std::string_view(buffer, static_cast<size_t>(end - buffer));
  };
  const MetaEcho& echo = request.echo;
  const MetaKey key = {key_bytes, request.key_is_base64};
  MetaItem item;
  item.cas = request.cas_new;
  item.value_size = UINT32_MAX;
  item.client_flags = UINT32_MAX;
  item.idle_seconds = UINT32_MAX;
  item.ttl = {.before = INT64_MAX, .touched = 1, .vivified = 2, .created = request.vivifies};
  item.stale = request.Has('I');
  item.token_sent = request.Has('u');
  item.won = item.fetched = request.Has('x');
  item.with_value = request.with_value;
  CheckReply(text(EncodeMetaHit(buffer, echo, key, item)), echo, key, Shown(echo, "stcflhkO"),
             &item);
  CheckReply(text(EncodeMetaMiss(buffer, echo, key)), echo, key, Shown(echo, "kO"), nullptr);
  CheckReply(text(EncodeMetaDone(buffer, echo, key, MetaStatus::kNotFound)), echo, key,
             Shown(echo, "kO"), nullptr);
  CheckReply(text(EncodeMetaStored(buffer, echo, key, MetaStatus::kExists, UINT64_MAX, UINT32_MAX)),
             echo, key, Shown(echo, "cskO"), nullptr);
  CheckReply(text(EncodeMetaNumber(buffer, echo, key, UINT64_MAX, request.with_value, UINT64_MAX,
                                   item.ttl)),
             echo, key, Shown(echo, "ctkO"), nullptr);
  const MetaDebugItem debug = {.cas = UINT64_MAX,
                               .ttl = INT64_MAX,
                               .idle_seconds = UINT32_MAX,
                               .size_class = UINT32_MAX,
                               .size_bytes = UINT64_MAX,
                               .fetched = true};
  CHECK_LE(text(EncodeMetaDebug(buffer, key, debug)).size(), kMetaReplyBytesMax);
}

void CheckRequest(const MetaRequest& request, std::string_view line) {
  if (request.error != MetaError::kNone) {
    CHECK(MetaErrorText(request.command, request.error).ends_with("\r\n"));
    CHECK(!request.swallow_value || request.command == MetaCommand::kSet);
    return;
  }
  CHECK(MetaErrorText(request.command, request.error).empty());
  CHECK(!request.key.empty() && Inside(request.key, line));
  CHECK_LE(request.key.size(), kKeyBytesMax);
  CHECK(!request.swallow_value);
  CHECK_LE(request.value_size, kValueBytesMax);
  CHECK_LE(request.echo.letter_count, MetaEcho::kLettersMax);
  CHECK_LE(request.echo.opaque_size, kOpaqueBytesMax);
  char decoded[kKeyBytesMax];
  std::string_view key = request.key;
  if (request.key_is_base64) {
    key = {decoded, static_cast<size_t>(DecodeBase64(decoded, request.key) - decoded)};
    // In place it is the same.
    std::string place(request.key);
    place.resize(static_cast<size_t>(DecodeBase64(place.data(), place) - place.data()));
    CHECK(place == key);
  }
  CHECK_EQ(key.size(), request.decoded_key_size);
  CHECK(!key.empty());
  CheckReplies(request, key);
}

// All that a request says, as text: equal texts, equal requests.
std::string Describe(const MetaRequest& r) {
  std::string text = "meta";
  const auto add = [&](uint64_t number) { text += ' ' + std::to_string(number); };
  for (uint64_t number : {static_cast<uint64_t>(r.command),
                          static_cast<uint64_t>(r.mode),
                          static_cast<uint64_t>(r.error),
                          r.cas_compare,
                          r.cas_new,
                          r.delta,
                          r.initial,
                          r.flag_set,
                          static_cast<uint64_t>(r.exptime),
                          static_cast<uint64_t>(r.vivify_exptime),
                          static_cast<uint64_t>(r.recache_exptime),
                          uint64_t{r.client_flags},
                          uint64_t{r.value_size},
                          uint64_t{r.compares_cas},
                          uint64_t{r.sets_cas},
                          uint64_t{r.invalidates},
                          uint64_t{r.vivifies},
                          uint64_t{r.key_is_base64},
                          uint64_t{r.quiet},
                          uint64_t{r.with_value},
                          uint64_t{r.swallow_value}}) {
    add(number);
  }
  text += " [" + std::string(r.key) + "] " + std::string(r.echo.letters_view()) + " [" +
          std::string(r.echo.opaque_view()) + "]\n";
  return text;
}

std::string Describe(const Request& r) {
  return "text " + std::to_string(static_cast<int>(r.command)) + ' ' +
         std::to_string(static_cast<int>(r.error)) + " [" + std::string(r.key) + "] [" +
         std::string(r.rest) + "]\n";
}

// The server's side of a connection, without the server.
class StreamReader {
 public:
  void Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      if (skip_ > 0) {
        const size_t size = std::min<size_t>(skip_, bytes.size());
        skip_ -= size;
        bytes.remove_prefix(size);
        continue;
      }
      const size_t newline = bytes.find('\n');
      const size_t size = newline == std::string_view::npos ? bytes.size() : newline + 1;
      line_ += bytes.substr(0, size);
      bytes.remove_prefix(size);
      if (newline == std::string_view::npos) return;
      skip_ = HandleLine();
      line_.clear();
    }
  }
  const std::string& requests() const { return requests_; }

 private:
  // Returns how many bytes of value follow.
  uint64_t HandleLine() {
    if (IsMetaLine(line_)) {
      const MetaRequest request = ParseMetaLine(line_);
      CheckRequest(request, line_);
      requests_ += Describe(request);
      const bool has_value = request.swallow_value || (request.error == MetaError::kNone &&
                                                       request.command == MetaCommand::kSet);
      return has_value ? uint64_t{request.value_size} + 2 : 0;
    }
    const Request request = ParseLine(line_);
    requests_ += Describe(request);
    const bool has_value =
        request.swallow_value || (request.error == Request{}.error && IsStore(request.command));
    return has_value ? uint64_t{request.value_size} + 2 : 0;
  }

  std::string line_;
  std::string requests_;
  uint64_t skip_ = 0;
};

std::string Requests(std::string_view first, std::string_view second) {
  StreamReader reader;
  reader.Feed(first);
  reader.Feed(second);
  return reader.requests();
}

}  // namespace

void CheckStream(std::string_view stream, Cuts cuts) {
  const std::string whole = Requests(stream, {});
  StreamReader bytewise;
  for (size_t i = 0; i < stream.size(); ++i) bytewise.Feed(stream.substr(i, 1));
  CHECK(bytewise.requests() == whole);
  const size_t step = cuts == Cuts::kEvery ? 1 : stream.size() / 4 + 1;
  for (size_t at = step; at < stream.size(); at += step) {
    CHECK(Requests(stream.substr(0, at), stream.substr(at)) == whole);
  }
}

}  // namespace torc::proto
