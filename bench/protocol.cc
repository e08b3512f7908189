#include "bench/protocol.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "bench/die.h"
#include "proto/binary/encoder.h"
#include "proto/binary/reply.h"

namespace torc::bench {
namespace {

using std::string_view_literals::operator""sv;

char* Append(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// What a reader finds at the front of some bytes.
enum class Match { kYes, kNo, kNeedsMore };

Match StartsWith(std::string_view bytes, std::string_view literal) {
  if (bytes.size() >= literal.size()) return bytes.starts_with(literal) ? Match::kYes : Match::kNo;
  return literal.starts_with(bytes) ? Match::kNeedsMore : Match::kNo;
}

// Cuts the word before the next blank, or all that is left, off the front of `line`.
std::string_view NextWord(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<size_t> ParseSize(std::string_view digits) {
  size_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return size;
}

// Longest header line of a value: a key, flags, a size and a CAS number, with room to spare.
constexpr size_t kHeaderSizeMax = 512;

// One value of a reply: its header line's end and where its bytes are.
struct Value {
  std::string_view key;
  std::string_view flags;
  std::string_view bytes;
  size_t size_bytes = 0;  // header, bytes and line end together
};

// Reads the bytes of a value of `value_size` bytes behind a header of `header_size`, and their
// line end.
Match ReadBody(std::string_view in, size_t header_size, size_t value_size, Value& value) {
  const size_t body_end = header_size + value_size;
  if (in.size() < body_end + 2) return Match::kNeedsMore;
  if (in[body_end] != '\r' || in[body_end + 1] != '\n') return Match::kNo;
  value.bytes = in.substr(header_size, value_size);
  value.size_bytes = body_end + 2;
  return Match::kYes;
}

// The header line at the front of `in`, without its line end.
Match ReadHeader(std::string_view in, std::string_view& line) {
  const size_t size = std::min(in.size(), kHeaderSizeMax);
  const auto* const end = static_cast<const char*>(std::memchr(in.data(), '\n', size));
  if (end == nullptr) return size == kHeaderSizeMax ? Match::kNo : Match::kNeedsMore;
  if (end == in.data() || end[-1] != '\r') return Match::kNo;
  line = in.substr(0, static_cast<size_t>(end - 1 - in.data()));
  return Match::kYes;
}

// get KEY [KEY...]   ->  VALUE KEY FLAGS SIZE, the bytes, ... , END
// set KEY 0 0 SIZE, the bytes  ->  STORED
class TextProtocol : public Protocol {
 public:
  TextProtocol(const Keyspace& keyspace, bool verify)
      : Protocol(keyspace, verify),
        set_tail_(" 0 0 " + std::to_string(keyspace.value_size()) + "\r\n"),
        value_tail_(" 0 " + std::to_string(keyspace.value_size()) + "\r\n") {}

  size_t GetSizeMax(size_t key_count) const override {
    return 3 + key_count * (1 + keyspace_.key_size()) + 2;
  }

  size_t SetSizeMax() const override {
    return 4 + keyspace_.key_size() + set_tail_.size() + keyspace_.value_size() + 2;
  }

  char* EncodeGet(const uint64_t* ids, size_t count, char* out) const override {
    out = Append("get"sv, out);
    for (size_t i = 0; i < count; ++i) {
      *out++ = ' ';
      out = keyspace_.WriteKey(ids[i], out);
    }
    return Append("\r\n"sv, out);
  }

  char* EncodeSet(uint64_t id, char* out) const override {
    out = Append("set "sv, out);
    out = keyspace_.WriteKey(id, out);
    out = Append(set_tail_, out);
    out = keyspace_.WriteValue(id, out);
    return Append("\r\n"sv, out);
  }

  size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                 std::string& error) const override {
    size_t used = 0;
    while (!batch.Done() && used < bytes.size()) {
      const std::string_view rest = bytes.substr(used);
      if (batch.requests[batch.answered].kind == RequestKind::kSet) {
        const Match stored = StartsWith(rest, "STORED\r\n"sv);
        if (stored == Match::kNeedsMore) return used;
        if (stored == Match::kNo) {
          error = "expected STORED";
          return used;
        }
        used += "STORED\r\n"sv.size();
        Finish(batch, tally);
        continue;
      }
      Value value;
      const Match found = ReadValue(rest, value);
      if (found == Match::kYes) {
        error = CheckValue(value.key, value.flags, value.bytes, batch);
        if (!error.empty()) return used;
        ++batch.hits;
        used += value.size_bytes;
        continue;
      }
      const Match end = StartsWith(rest, "END\r\n"sv);
      if (end == Match::kYes) {
        used += "END\r\n"sv.size();
        Finish(batch, tally);
        continue;
      }
      if (found == Match::kNeedsMore || end == Match::kNeedsMore) return used;
      error = "expected VALUE or END";
      return used;
    }
    return used;
  }

 private:
  Match ReadValue(std::string_view in, Value& value) const {
    constexpr std::string_view kWord = "VALUE ";
    const Match word = StartsWith(in, kWord);
    if (word != Match::kYes) return word;
    // What a right answer looks like, compared in one go; any other shape is read field by field.
    const size_t key_end = kWord.size() + keyspace_.key_size();
    const size_t header_size = key_end + value_tail_.size();
    if (in.size() >= header_size &&
        std::memcmp(in.data() + key_end, value_tail_.data(), value_tail_.size()) == 0) {
      value.key = in.substr(kWord.size(), keyspace_.key_size());
      value.flags = "0";
      return ReadBody(in, header_size, keyspace_.value_size(), value);
    }
    std::string_view line;
    const Match header = ReadHeader(in, line);
    if (header != Match::kYes) return header;
    const size_t line_size = line.size() + 2;
    line.remove_prefix(kWord.size());
    value.key = NextWord(line);
    value.flags = NextWord(line);
    const std::optional<size_t> value_size = ParseSize(NextWord(line));
    if (value.key.empty() || value.flags.empty() || !value_size || !line.empty()) return Match::kNo;
    return ReadBody(in, line_size, *value_size, value);
  }

  const std::string set_tail_;
  const std::string value_tail_;
};

// mg KEY v   ->  VA SIZE, the bytes; or EN
// ms KEY SIZE, the bytes  ->  HD
class MetaProtocol : public Protocol {
 public:
  MetaProtocol(const Keyspace& keyspace, bool verify)
      : Protocol(keyspace, verify),
        set_tail_(" " + std::to_string(keyspace.value_size()) + "\r\n") {}

  size_t GetSizeMax(size_t) const override { return 3 + keyspace_.key_size() + 4; }

  size_t SetSizeMax() const override {
    return 3 + keyspace_.key_size() + set_tail_.size() + keyspace_.value_size() + 2;
  }

  char* EncodeGet(const uint64_t* ids, size_t, char* out) const override {
    out = Append("mg "sv, out);
    out = keyspace_.WriteKey(ids[0], out);
    return Append(" v\r\n"sv, out);
  }

  char* EncodeSet(uint64_t id, char* out) const override {
    out = Append("ms "sv, out);
    out = keyspace_.WriteKey(id, out);
    out = Append(set_tail_, out);
    out = keyspace_.WriteValue(id, out);
    return Append("\r\n"sv, out);
  }

  size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                 std::string& error) const override {
    size_t used = 0;
    while (!batch.Done() && used < bytes.size()) {
      const std::string_view rest = bytes.substr(used);
      const bool is_set = batch.requests[batch.answered].kind == RequestKind::kSet;
      const std::string_view bare = is_set ? "HD\r\n"sv : "EN\r\n"sv;
      const Match without_value = StartsWith(rest, bare);
      if (without_value == Match::kYes) {
        used += bare.size();
        Finish(batch, tally);
        continue;
      }
      Value value;
      const Match with_value = is_set ? Match::kNo : ReadValue(rest, value);
      if (with_value == Match::kYes) {
        // The reply has no key of its own, so it can only be that of the request.
        char key[256];
        keyspace_.WriteKey(batch.keys[batch.key_next], key);
        error = CheckValue({key, keyspace_.key_size()}, "0", value.bytes, batch);
        if (!error.empty()) return used;
        ++batch.hits;
        used += value.size_bytes;
        Finish(batch, tally);
        continue;
      }
      if (with_value == Match::kNeedsMore || without_value == Match::kNeedsMore) return used;
      error = is_set ? "expected HD" : "expected VA or EN";
      return used;
    }
    return used;
  }

 private:
  static Match ReadValue(std::string_view in, Value& value) {
    constexpr std::string_view kWord = "VA ";
    const Match word = StartsWith(in, kWord);
    if (word != Match::kYes) return word;
    std::string_view line;
    const Match header = ReadHeader(in, line);
    if (header != Match::kYes) return header;
    const std::optional<size_t> value_size = ParseSize(line.substr(kWord.size()));
    if (!value_size) return Match::kNo;
    return ReadBody(in, line.size() + 2, *value_size, value);
  }

  const std::string set_tail_;
};

// get             ->  flags and value, or not found
// getkq ... noop  ->  of each that is found: flags, key and value; then the noop's
// set             ->  stored
class BinaryProtocol : public Protocol {
 public:
  using Protocol::Protocol;

  size_t GetSizeMax(size_t key_count) const override {
    return key_count * (proto::kBinaryHeaderBytes + keyspace_.key_size()) +
           proto::kBinaryHeaderBytes;
  }

  size_t SetSizeMax() const override {
    return proto::kBinaryHeaderBytes + 8 + keyspace_.key_size() + keyspace_.value_size();
  }

  char* EncodeGet(const uint64_t* ids, size_t count, char* out) const override {
    if (count == 1) return EncodeKey(proto::Opcode::kGet, ids[0], 0, out);
    for (size_t i = 0; i < count; ++i) out = EncodeKey(proto::Opcode::kGetKQ, ids[i], 0, out);
    proto::BinaryRequest noop;
    noop.opcode = proto::Opcode::kNoop;
    return proto::EncodeBinaryRequest(out, noop);
  }

  char* EncodeSet(uint64_t id, char* out) const override {
    out = EncodeKey(proto::Opcode::kSet, id, static_cast<uint32_t>(keyspace_.value_size()), out);
    return keyspace_.WriteValue(id, out);
  }

  size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                 std::string& error) const override {
    size_t used = 0;
    while (!batch.Done()) {
      const proto::BinaryReplyResult result = proto::ParseBinaryReply(bytes.substr(used));
      if (result.step == proto::BinaryReplyStep::kNeedMore) return used;
      if (result.step == proto::BinaryReplyStep::kBroken) {
        error = "expected a packet";
        return used;
      }
      error = Take(result.reply, batch, tally);
      if (!error.empty()) return used;
      used += result.packet_size;
    }
    return used;
  }

 private:
  char* EncodeKey(proto::Opcode opcode, uint64_t id, uint32_t value_size, char* out) const {
    char key[256];
    proto::BinaryRequest request;
    request.opcode = opcode;
    request.key = {key, static_cast<size_t>(keyspace_.WriteKey(id, key) - key)};
    request.value_size = value_size;
    return proto::EncodeBinaryRequest(out, request);
  }

  std::string Take(const proto::BinaryReply& reply, Batch& batch, Tally& tally) const {
    const bool is_set = batch.requests[batch.answered].kind == RequestKind::kSet;
    const auto ok = static_cast<uint16_t>(proto::BinaryStatus::kOk);
    if (is_set || reply.opcode == proto::Opcode::kNoop) {
      if (reply.status != ok) return "a status that is not success";
      if (is_set != (reply.opcode == proto::Opcode::kSet)) return "a reply to something else";
      Finish(batch, tally);
      return {};
    }
    const bool is_quiet = reply.opcode == proto::Opcode::kGetKQ;
    if (!is_quiet && reply.opcode != proto::Opcode::kGet) return "a reply to something else";
    if (reply.status == ok) {
      if (reply.extras.size() != 4) return "a value without flags";
      // The reply to a get has no key of its own, so it can only be that of the request.
      char key[256];
      std::string_view shown = reply.key;
      if (!is_quiet) {
        keyspace_.WriteKey(batch.keys[batch.key_next], key);
        shown = {key, keyspace_.key_size()};
      }
      std::string wrong =
          CheckValue(shown, reply.client_flags() == 0 ? "0" : "other", reply.value, batch);
      if (!wrong.empty()) return wrong;
      ++batch.hits;
    } else if (is_quiet || reply.status != static_cast<uint16_t>(proto::BinaryStatus::kNotFound)) {
      return "a status that is neither success nor a miss";
    }
    if (!is_quiet) Finish(batch, tally);
    return {};
  }
};

}  // namespace

void Protocol::Finish(Batch& batch, Tally& tally) {
  const Batch::Request& request = batch.requests[batch.answered];
  const size_t key_begin = batch.answered == 0 ? 0 : batch.requests[batch.answered - 1].key_end;
  const size_t key_count = request.key_end - key_begin;
  ++tally.requests;
  tally.keys += key_count;
  if (request.kind == RequestKind::kGet) tally.gets += key_count;
  // Only now: a request is counted whole on one side of a measurement's edge.
  tally.hits += batch.hits;
  batch.hits = 0;
  batch.key_next = request.key_end;
  ++batch.answered;
}

std::string Protocol::CheckValue(std::string_view key, std::string_view flags,
                                 std::string_view value, Batch& batch) const {
  const size_t key_end = batch.requests[batch.answered].key_end;
  if (batch.key_next == key_end) return "more values than keys were asked for";
  if (!verify_) {
    ++batch.key_next;
    return {};
  }
  // Values come in the order of the keys; keys that were not found are skipped.
  const std::optional<uint64_t> id = keyspace_.IdOf(key);
  while (batch.key_next < key_end && batch.keys[batch.key_next] != id) ++batch.key_next;
  if (batch.key_next == key_end) {
    return "a value for " + Printable(key) + ", which was not asked for (here, in this order)";
  }
  ++batch.key_next;
  if (flags != "0") return "flags other than those stored with " + Printable(key);
  if (!keyspace_.IsValueOf(*id, value)) {
    return "bytes other than those stored with " + Printable(key);
  }
  return {};
}

std::unique_ptr<Protocol> MakeProtocol(const std::string& name, const Keyspace& keyspace,
                                       bool verify) {
  if (name == "text") return std::make_unique<TextProtocol>(keyspace, verify);
  if (name == "binary") return std::make_unique<BinaryProtocol>(keyspace, verify);
  if (name == "meta") return std::make_unique<MetaProtocol>(keyspace, verify);
  return nullptr;
}

}  // namespace torc::bench
