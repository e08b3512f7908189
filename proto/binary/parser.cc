// What a command takes stands in one table, by opcode; the rest is the same for all.
#include "proto/binary/parser.h"

#include <array>

namespace torc::proto {
namespace {

using internal::LoadBig;

enum class Extras : uint8_t {
  kNone,         //  0 bytes
  kStore,        //  8: client flags, expiry
  kCount,        // 20: delta, initial value, expiry
  kExpiry,       //  4
  kMaybeExpiry,  //  0 or 4
};
enum class Key : uint8_t { kNone, kNeeded, kMaybe };
enum class Value : uint8_t {
  kNone,
  kFollows,
  // memcached does not look: bytes behind the key are the next packet.
  kUnchecked,
};

struct Rule {
  BinaryCommand command = BinaryCommand::kInvalid;
  Extras extras = Extras::kNone;
  Key key = Key::kNone;
  Value value = Value::kNone;
  bool quiet = false;
  bool with_key = false;
};

constexpr std::array<Rule, 256> kRules = [] {
  using Command = BinaryCommand;
  std::array<Rule, 256> rules{};
  const auto add = [&rules](Opcode opcode, Opcode quiet, Rule rule) {
    rules[static_cast<uint8_t>(opcode)] = rule;
    if (quiet == opcode) return;
    rule.quiet = true;
    rules[static_cast<uint8_t>(quiet)] = rule;
  };
  constexpr Rule kGet = {Command::kGet, Extras::kNone, Key::kNeeded, Value::kNone, false, false};
  constexpr Rule kGat = {Command::kGat,     Extras::kExpiry, Key::kNeeded,
                         Value::kUnchecked, false,           false};
  const auto with_key = [](Rule rule) {
    rule.with_key = true;
    return rule;
  };
  const auto store = [](Command command) {
    return Rule{command, Extras::kStore, Key::kNeeded, Value::kFollows, false, false};
  };
  const auto concatenate = [](Command command) {
    return Rule{command, Extras::kNone, Key::kNeeded, Value::kFollows, false, false};
  };
  const auto count = [](Command command) {
    return Rule{command, Extras::kCount, Key::kNeeded, Value::kNone, false, false};
  };
  const auto plain = [](Command command) {
    return Rule{command, Extras::kNone, Key::kNone, Value::kNone, false, false};
  };
  add(Opcode::kGet, Opcode::kGetQ, kGet);
  add(Opcode::kGetK, Opcode::kGetKQ, with_key(kGet));
  add(Opcode::kGat, Opcode::kGatQ, kGat);
  add(Opcode::kGatK, Opcode::kGatKQ, with_key(kGat));
  add(Opcode::kTouch, Opcode::kTouch,
      {Command::kTouch, Extras::kExpiry, Key::kNeeded, Value::kUnchecked, false, false});
  add(Opcode::kSet, Opcode::kSetQ, store(Command::kSet));
  add(Opcode::kAdd, Opcode::kAddQ, store(Command::kAdd));
  add(Opcode::kReplace, Opcode::kReplaceQ, store(Command::kReplace));
  add(Opcode::kAppend, Opcode::kAppendQ, concatenate(Command::kAppend));
  add(Opcode::kPrepend, Opcode::kPrependQ, concatenate(Command::kPrepend));
  add(Opcode::kDelete, Opcode::kDeleteQ,
      {Command::kDelete, Extras::kNone, Key::kNeeded, Value::kNone, false, false});
  add(Opcode::kIncrement, Opcode::kIncrementQ, count(Command::kIncrement));
  add(Opcode::kDecrement, Opcode::kDecrementQ, count(Command::kDecrement));
  add(Opcode::kFlush, Opcode::kFlushQ,
      {Command::kFlush, Extras::kMaybeExpiry, Key::kNone, Value::kNone, false, false});
  add(Opcode::kNoop, Opcode::kNoop, plain(Command::kNoop));
  add(Opcode::kVersion, Opcode::kVersion, plain(Command::kVersion));
  add(Opcode::kQuit, Opcode::kQuitQ, plain(Command::kQuit));
  add(Opcode::kStat, Opcode::kStat,
      {Command::kStat, Extras::kNone, Key::kMaybe, Value::kUnchecked, false, false});
  add(Opcode::kSaslList, Opcode::kSaslList, plain(Command::kSaslList));
  add(Opcode::kSaslAuth, Opcode::kSaslAuth, concatenate(Command::kSaslAuth));
  add(Opcode::kSaslStep, Opcode::kSaslStep, concatenate(Command::kSaslStep));
  return rules;
}();

struct Sizes {
  uint32_t body;
  uint16_t key;
  uint8_t extras;
};

bool Takes(const Rule& rule, const Sizes& sizes) {
  switch (rule.extras) {
    case Extras::kNone:
      if (sizes.extras != 0) return false;
      break;
    case Extras::kStore:
      if (sizes.extras != 8) return false;
      break;
    case Extras::kCount:
      if (sizes.extras != kBinaryExtrasBytesMax) return false;
      break;
    case Extras::kExpiry:
      if (sizes.extras != 4) return false;
      break;
    case Extras::kMaybeExpiry:
      if (sizes.extras != 0 && sizes.extras != 4) return false;
      break;
  }
  if (rule.key == Key::kNone && sizes.key != 0) return false;
  if (rule.key == Key::kNeeded && sizes.key == 0) return false;
  return rule.value != Value::kNone || sizes.body == uint32_t{sizes.key} + sizes.extras;
}

BinaryError FindError(const Rule& rule, const Sizes& sizes) {
  if (uint32_t{sizes.key} + sizes.extras > sizes.body) return BinaryError::kSizesDisagree;
  if (sizes.key > kKeyBytesMax) return BinaryError::kKeyTooLong;
  if (sizes.body > kBinaryBodyBytesMax) return BinaryError::kBodyTooLarge;
  if (rule.command == BinaryCommand::kInvalid) return BinaryError::kUnknownCommand;
  return Takes(rule, sizes) ? BinaryError::kNone : BinaryError::kBadArguments;
}

void ReadExtras(Extras extras, bool present, const char* from, BinaryRequest* request) {
  switch (extras) {
    case Extras::kNone:
      break;
    case Extras::kStore:
      request->client_flags = LoadBig<uint32_t>(from);
      request->exptime = LoadBig<uint32_t>(from + 4);
      break;
    case Extras::kCount:
      request->delta = LoadBig<uint64_t>(from);
      request->initial = LoadBig<uint64_t>(from + 8);
      request->exptime = LoadBig<uint32_t>(from + 16);
      break;
    case Extras::kExpiry:
    case Extras::kMaybeExpiry:
      if (present) request->exptime = LoadBig<uint32_t>(from);
      break;
  }
}

}  // namespace

BinaryRequest ParseBinary(std::string_view received) {
  BinaryRequest request;
  request.head_size = kBinaryHeaderBytes;
  if (received.size() < kBinaryHeaderBytes) return request;
  const char* const header = received.data();
  if (static_cast<uint8_t>(header[0]) != kBinaryRequestMagic) {
    request.step = BinaryStep::kClose;
    return request;
  }
  const Sizes sizes = {.body = LoadBig<uint32_t>(header + 8),
                       .key = LoadBig<uint16_t>(header + 2),
                       .extras = static_cast<uint8_t>(header[4])};
  const Rule& rule = kRules[static_cast<uint8_t>(header[1])];
  request.opcode = static_cast<Opcode>(header[1]);
  std::memcpy(&request.opaque, header + 12, sizeof(request.opaque));
  request.error = FindError(rule, sizes);
  if (request.error != BinaryError::kNone) [[unlikely]] {
    request.step = BinaryStep::kRequest;
    request.command = rule.command;
    if (!ClosesAfter(request.error)) request.value_size = sizes.body;
    return request;
  }
  request.head_size = static_cast<uint16_t>(kBinaryHeaderBytes + sizes.extras + sizes.key);
  if (received.size() < request.head_size) return request;

  request.step = BinaryStep::kRequest;
  request.command = rule.command;
  request.quiet = rule.quiet;
  request.with_key = rule.with_key;
  request.cas = LoadBig<uint64_t>(header + 16);
  const char* const extras = header + kBinaryHeaderBytes;
  ReadExtras(rule.extras, sizes.extras != 0, extras, &request);
  request.key = {extras + sizes.extras, sizes.key};
  if (rule.value == Value::kFollows) request.value_size = sizes.body - sizes.extras - sizes.key;
  return request;
}

}  // namespace torc::proto
