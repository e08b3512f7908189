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

char* AppendNumber(uint64_t number, char* out) { return std::to_chars(out, out + 20, number).ptr; }

// Values above this size are not kept until they are complete, unless they are verified.
constexpr size_t kKeptSizeMax = 32768;

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
  size_t size_bytes = 0;  // header, bytes and line end together; or what there is of them
  size_t missing = 0;     // bytes of a large value that are still to come
};

// Reads the bytes of a value of `value_size` bytes behind a header of `header_size`, and their
// line end.
Match ReadBody(std::string_view in, size_t header_size, size_t value_size, bool must_be_whole,
               Value& value) {
  const size_t body_end = header_size + value_size;
  if (in.size() < body_end + 2) {
    if (must_be_whole || value_size <= kKeptSizeMax || in.size() >= body_end) {
      return Match::kNeedsMore;
    }
    value.missing = body_end - in.size();
    value.size_bytes = in.size();
    return Match::kYes;
  }
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
// set KEY 0 TTL SIZE, the bytes  ->  STORED
// delete KEY   ->  DELETED or NOT_FOUND
class TextProtocol final : public Protocol {
 public:
  TextProtocol(const Keyspace& keyspace, const ProtocolOptions& options)
      : Protocol(keyspace, options, "\r\n"),
        set_middle_(" 0 " + std::to_string(options.ttl_seconds) + " "),
        set_middle_fixed_(set_middle_ + std::to_string(keyspace.value_sizes().max()) + "\r\n"),
        value_tail_(" 0 " + std::to_string(keyspace.value_sizes().max()) + "\r\n"),
        sizes_are_fixed_(keyspace.key_sizes().is_fixed() && keyspace.value_sizes().is_fixed()) {}

  size_t GetSizeMax(size_t key_count) const override {
    return 3 + key_count * (1 + keyspace_.key_sizes().max()) + 2;
  }

  size_t DeleteSizeMax() const override { return 7 + keyspace_.key_sizes().max() + 2; }

  size_t SetFrameSizeMax() const override {
    return 4 + keyspace_.key_sizes().max() + set_middle_.size() + 20 + 2 + 2;
  }

  char* EncodeGet(const uint64_t* ids, size_t count, char* out) const override {
    out = Append("get"sv, out);
    for (size_t i = 0; i < count; ++i) {
      *out++ = ' ';
      out = keyspace_.WriteKey(ids[i], out);
    }
    return Append("\r\n"sv, out);
  }

  char* EncodeDelete(uint64_t id, char* out) const override {
    out = Append("delete "sv, out);
    out = keyspace_.WriteKey(id, out);
    return Append("\r\n"sv, out);
  }

  char* EncodeSetHead(uint64_t id, char* out) const override {
    out = Append("set "sv, out);
    out = keyspace_.WriteKey(id, out);
    if (keyspace_.value_sizes().is_fixed()) return Append(set_middle_fixed_, out);
    out = Append(set_middle_, out);
    out = AppendNumber(keyspace_.ValueSize(id), out);
    return Append("\r\n"sv, out);
  }

  size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                 std::string& error) const override {
    size_t used = 0;
    if (!SkipRest(bytes, used, batch, tally, error)) return used;
    while (!batch.Done() && used < bytes.size()) {
      const std::string_view rest = bytes.substr(used);
      const RequestKind kind = batch.requests[batch.answered].kind;
      if (kind == RequestKind::kGet) {
        Value value;
        const Match found = ReadValue(rest, value);
        if (found == Match::kYes) {
          error = CheckValue(value.key, value.flags, value.bytes, batch);
          if (!error.empty()) return used;
          ++batch.hits;
          used += value.size_bytes;
          if (value.missing != 0) batch.rest = {value.missing, true, false};
          continue;
        }
        const Match end = StartsWith(rest, "END\r\n"sv);
        if (end == Match::kYes) {
          used += "END\r\n"sv.size();
          Finish(batch, tally);
          continue;
        }
        if (found == Match::kNo && end == Match::kNo) error = "expected VALUE or END";
        return used;
      }
      const bool is_set = kind == RequestKind::kSet;
      const std::string_view done = is_set ? "STORED\r\n"sv : "DELETED\r\n"sv;
      const std::string_view missed =
          is_set ? "SERVER_ERROR out of memory storing object\r\n"sv : "NOT_FOUND\r\n"sv;
      const Match was_done = StartsWith(rest, done);
      const Match was_missed =
          is_set && !options_.may_refuse ? Match::kNo : StartsWith(rest, missed);
      if (was_done == Match::kYes || was_missed == Match::kYes) {
        used += (was_done == Match::kYes ? done : missed).size();
        if (!is_set && was_done == Match::kYes) ++batch.hits;
        if (is_set && was_missed == Match::kYes) ++tally.refused;
        Finish(batch, tally);
        continue;
      }
      if (was_done == Match::kNo && was_missed == Match::kNo) {
        error = is_set ? "expected STORED" : "expected DELETED or NOT_FOUND";
      }
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
    if (sizes_are_fixed_) {
      const size_t key_size = keyspace_.key_sizes().max();
      const size_t key_end = kWord.size() + key_size;
      const size_t header_size = key_end + value_tail_.size();
      if (in.size() >= header_size &&
          std::memcmp(in.data() + key_end, value_tail_.data(), value_tail_.size()) == 0) {
        value.key = in.substr(kWord.size(), key_size);
        value.flags = "0";
        return ReadBody(in, header_size, keyspace_.value_sizes().max(), options_.verify, value);
      }
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
    return ReadBody(in, line_size, *value_size, options_.verify, value);
  }

  const std::string set_middle_;        // between a key and a value's size
  const std::string set_middle_fixed_;  // between a key and a value, where all have one size
  const std::string value_tail_;
  const bool sizes_are_fixed_;
};

// mg KEY v               ->  VA SIZE, the bytes; or EN
// mg KEY k q v ... mn    ->  of each that is found: VA SIZE kKEY, the bytes; then MN
// ms KEY SIZE [TTL], the bytes  ->  HD
// md KEY   ->  HD or NF
class MetaProtocol final : public Protocol {
 public:
  MetaProtocol(const Keyspace& keyspace, const ProtocolOptions& options)
      : Protocol(keyspace, options, "\r\n"),
        set_flags_(options.ttl_seconds == 0 ? "\r\n"
                                            : " T" + std::to_string(options.ttl_seconds) + "\r\n") {
  }

  size_t GetSizeMax(size_t key_count) const override {
    return key_count * (3 + keyspace_.key_sizes().max() + 8) + 4;
  }
  size_t DeleteSizeMax() const override { return 3 + keyspace_.key_sizes().max() + 2; }

  size_t SetFrameSizeMax() const override {
    return 3 + keyspace_.key_sizes().max() + 1 + 20 + set_flags_.size() + 2;
  }

  char* EncodeGet(const uint64_t* ids, size_t count, char* out) const override {
    for (size_t i = 0; i < count; ++i) {
      out = Append("mg "sv, out);
      out = keyspace_.WriteKey(ids[i], out);
      out = Append(count == 1 ? " v\r\n"sv : " k q v\r\n"sv, out);
    }
    return count == 1 ? out : Append("mn\r\n"sv, out);
  }

  char* EncodeDelete(uint64_t id, char* out) const override {
    out = Append("md "sv, out);
    out = keyspace_.WriteKey(id, out);
    return Append("\r\n"sv, out);
  }

  char* EncodeSetHead(uint64_t id, char* out) const override {
    out = Append("ms "sv, out);
    out = keyspace_.WriteKey(id, out);
    *out++ = ' ';
    out = AppendNumber(keyspace_.ValueSize(id), out);
    return Append(set_flags_, out);
  }

  size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                 std::string& error) const override {
    size_t used = 0;
    if (!SkipRest(bytes, used, batch, tally, error)) return used;
    while (!batch.Done() && used < bytes.size()) {
      const std::string_view rest = bytes.substr(used);
      const RequestKind kind = batch.requests[batch.answered].kind;
      const bool is_get = kind == RequestKind::kGet;
      const bool is_batch = is_get && HasManyKeys(batch);
      // Every reply but a value's is a line of two letters.
      const Match done = is_get ? Match::kNo : StartsWith(rest, "HD\r\n"sv);
      // What ends a get: of one key its miss, of many the answer to the no-op.
      const Match missed = kind == RequestKind::kSet ? Match::kNo
                                                     : StartsWith(rest, is_batch ? "MN\r\n"sv
                                                                        : is_get ? "EN\r\n"sv
                                                                                 : "NF\r\n"sv);
      if (done == Match::kYes || missed == Match::kYes) {
        used += "HD\r\n"sv.size();
        if (done == Match::kYes && kind == RequestKind::kDelete) ++batch.hits;
        Finish(batch, tally);
        continue;
      }
      Value value;
      const Match with_value = is_get ? ReadValue(rest, value) : Match::kNo;
      if (with_value == Match::kYes) {
        error = is_batch ? CheckValue(value.key, "0", value.bytes, batch)
                         : CheckOwnValue("0", value.bytes, batch);
        if (!error.empty()) return used;
        ++batch.hits;
        used += value.size_bytes;
        if (value.missing != 0) {
          batch.rest = {value.missing, true, !is_batch};
        } else if (!is_batch) {
          Finish(batch, tally);
        }
        continue;
      }
      if (with_value == Match::kNo && done == Match::kNo && missed == Match::kNo) {
        error = is_batch                    ? "expected VA or MN"
                : is_get                    ? "expected VA or EN"
                : kind == RequestKind::kSet ? "expected HD"
                                            : "expected HD or NF";
      }
      return used;
    }
    return used;
  }

 private:
  // Whether the request under way asks for more than one key.
  static bool HasManyKeys(const Batch& batch) {
    const size_t begin = batch.answered == 0 ? 0 : batch.requests[batch.answered - 1].key_end;
    return batch.requests[batch.answered].key_end - begin > 1;
  }

  // VA SIZE, and of a get of many keys kKEY.
  Match ReadValue(std::string_view in, Value& value) const {
    constexpr std::string_view kWord = "VA ";
    const Match word = StartsWith(in, kWord);
    if (word != Match::kYes) return word;
    std::string_view line;
    const Match header = ReadHeader(in, line);
    if (header != Match::kYes) return header;
    const std::string_view said = line.substr(kWord.size());
    const size_t size_end = std::min(said.find(' '), said.size());
    const std::optional<size_t> value_size = ParseSize(said.substr(0, size_end));
    if (!value_size) return Match::kNo;
    if (size_end < said.size()) {
      if (said.size() < size_end + 2 || said[size_end + 1] != 'k') return Match::kNo;
      value.key = said.substr(size_end + 2);
    }
    return ReadBody(in, line.size() + 2, *value_size, options_.verify, value);
  }

  const std::string set_flags_;
};

// get             ->  flags and value, or not found
// getkq ... noop  ->  of each that is found: flags, key and value; then the noop's
// set             ->  stored
// delete          ->  deleted, or not found
class BinaryProtocol final : public Protocol {
 public:
  BinaryProtocol(const Keyspace& keyspace, const ProtocolOptions& options)
      : Protocol(keyspace, options, "") {}

  size_t GetSizeMax(size_t key_count) const override {
    return key_count * (proto::kBinaryHeaderBytes + keyspace_.key_sizes().max()) +
           proto::kBinaryHeaderBytes;
  }

  size_t DeleteSizeMax() const override {
    return proto::kBinaryHeaderBytes + keyspace_.key_sizes().max();
  }

  size_t SetFrameSizeMax() const override {
    return proto::kBinaryHeaderBytes + 8 + keyspace_.key_sizes().max();
  }

  char* EncodeGet(const uint64_t* ids, size_t count, char* out) const override {
    if (count == 1) return EncodeKey(proto::Opcode::kGet, ids[0], 0, out);
    for (size_t i = 0; i < count; ++i) out = EncodeKey(proto::Opcode::kGetKQ, ids[i], 0, out);
    proto::BinaryRequest noop;
    noop.opcode = proto::Opcode::kNoop;
    return proto::EncodeBinaryRequest(out, noop);
  }

  char* EncodeDelete(uint64_t id, char* out) const override {
    return EncodeKey(proto::Opcode::kDelete, id, 0, out);
  }

  char* EncodeSetHead(uint64_t id, char* out) const override {
    return EncodeKey(proto::Opcode::kSet, id, static_cast<uint32_t>(keyspace_.ValueSize(id)), out);
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
    char key[Keyspace::kKeySizeMax];
    proto::BinaryRequest request;
    request.opcode = opcode;
    request.key = {key, static_cast<size_t>(keyspace_.WriteKey(id, key) - key)};
    request.value_size = value_size;
    if (opcode == proto::Opcode::kSet) request.exptime = options_.ttl_seconds;
    return proto::EncodeBinaryRequest(out, request);
  }

  std::string Take(const proto::BinaryReply& reply, Batch& batch, Tally& tally) const {
    const RequestKind kind = batch.requests[batch.answered].kind;
    const bool is_ok = reply.status == static_cast<uint16_t>(proto::BinaryStatus::kOk);
    const bool is_miss = reply.status == static_cast<uint16_t>(proto::BinaryStatus::kNotFound);
    if (kind != RequestKind::kGet || reply.opcode == proto::Opcode::kNoop) {
      const proto::Opcode expected = kind == RequestKind::kSet      ? proto::Opcode::kSet
                                     : kind == RequestKind::kDelete ? proto::Opcode::kDelete
                                                                    : proto::Opcode::kNoop;
      if (reply.opcode != expected) return "a reply to something else";
      if (!is_ok && !(is_miss && kind == RequestKind::kDelete)) {
        return "a status that is not success";
      }
      if (is_ok && kind == RequestKind::kDelete) ++batch.hits;
      Finish(batch, tally);
      return {};
    }
    const bool is_quiet = reply.opcode == proto::Opcode::kGetKQ;
    if (!is_quiet && reply.opcode != proto::Opcode::kGet) return "a reply to something else";
    if (is_ok) {
      if (reply.extras.size() != 4) return "a value without flags";
      const std::string_view flags = reply.client_flags() == 0 ? "0" : "other";
      std::string wrong = is_quiet ? CheckValue(reply.key, flags, reply.value, batch)
                                   : CheckOwnValue(flags, reply.value, batch);
      if (!wrong.empty()) return wrong;
      ++batch.hits;
    } else if (is_quiet || !is_miss) {
      return "a status that is neither success nor a miss";
    }
    if (!is_quiet) Finish(batch, tally);
    return {};
  }
};

}  // namespace

char* Protocol::EncodeSet(uint64_t id, uint32_t version, char* out) const {
  out = EncodeSetHead(id, out);
  out = keyspace_.WriteValue(id, version, out);
  return Append(set_tail_, out);
}

void Protocol::Finish(Batch& batch, Tally& tally) const {
  const Batch::Request& request = batch.requests[batch.answered];
  const size_t key_begin = batch.answered == 0 ? 0 : batch.requests[batch.answered - 1].key_end;
  const size_t key_count = request.key_end - key_begin;
  ++tally.requests;
  tally.keys += key_count;
  // Hits only now: a request is counted whole on one side of a measurement's edge.
  switch (request.kind) {
    case RequestKind::kGet:
      tally.gets += key_count;
      tally.hits += batch.hits;
      if (options_.track_misses && batch.hits != key_count) {
        batch.missed.insert(batch.missed.end(), batch.keys.begin() + batch.key_next,
                            batch.keys.begin() + request.key_end);
      }
      break;
    case RequestKind::kSet:
      ++tally.sets;
      break;
    case RequestKind::kDelete:
      ++tally.deletes;
      tally.deleted += batch.hits;
      break;
  }
  batch.hits = 0;
  batch.key_next = request.key_end;
  ++batch.answered;
}

std::string Protocol::CheckValue(std::string_view key, std::string_view flags,
                                 std::string_view value, Batch& batch) const {
  const size_t key_end = batch.requests[batch.answered].key_end;
  if (batch.key_next == key_end) return "more values than keys were asked for";
  if (!resolves_keys_) {
    ++batch.key_next;
    return {};
  }
  // Values come in the order of the keys; keys that were not found are skipped.
  const std::optional<uint64_t> id = keyspace_.IdOf(key);
  while (batch.key_next < key_end && batch.keys[batch.key_next] != id) {
    if (options_.track_misses) batch.missed.push_back(batch.keys[batch.key_next]);
    ++batch.key_next;
  }
  if (batch.key_next == key_end) {
    return "a value for " + Printable(key) + ", which was not asked for (here, in this order)";
  }
  return CheckOwnValue(flags, value, batch);
}

std::string Protocol::CheckOwnValue(std::string_view flags, std::string_view value,
                                    Batch& batch) const {
  const uint64_t id = batch.keys[batch.key_next++];
  if (!options_.verify) return {};
  std::string key(keyspace_.KeySize(id), '\0');
  keyspace_.WriteKey(id, key.data());
  if (flags != "0") return "flags other than those stored with " + Printable(key);
  if (!keyspace_.IsValueOf(id, value))
    return "bytes other than those stored with " + Printable(key);
  return {};
}

bool Protocol::SkipRest(std::string_view bytes, size_t& used, Batch& batch, Tally& tally,
                        std::string& error) const {
  Batch::Rest& rest = batch.rest;
  if (rest.value_size == 0 && !rest.line_end) return true;
  const size_t skipped = std::min(rest.value_size, bytes.size());
  rest.value_size -= skipped;
  used += skipped;
  if (rest.value_size != 0) return false;
  const Match end = StartsWith(bytes.substr(used), "\r\n"sv);
  if (end == Match::kNo) error = "expected a line end behind a value";
  if (end != Match::kYes) return false;
  used += 2;
  rest.line_end = false;
  if (rest.finishes) Finish(batch, tally);
  return true;
}

std::unique_ptr<Protocol> MakeProtocol(const std::string& name, const Keyspace& keyspace,
                                       const ProtocolOptions& options) {
  if (name == "text") return std::make_unique<TextProtocol>(keyspace, options);
  if (name == "binary") return std::make_unique<BinaryProtocol>(keyspace, options);
  if (name == "meta") return std::make_unique<MetaProtocol>(keyspace, options);
  return nullptr;
}

}  // namespace torc::bench
