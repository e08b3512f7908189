// Packets, as memcached 1.6.45 was seen to read them: README.md has what it answered.
#include "proto/binary/parser.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace torc::proto {
namespace {

using internal::StoreBig;
using Command = BinaryCommand;

// A packet whose header may say anything about its sizes.
struct Packet {
  Opcode opcode = Opcode::kGet;
  std::string extras = {};
  std::string key = {};
  std::string value = {};
  uint64_t cas = 0;
  uint8_t magic = kBinaryRequestMagic;
  int64_t body_size = -1;  // -1: what it is
  int key_size = -1;

  std::string Bytes() const {
    std::string out(kBinaryHeaderBytes, '\0');
    char* p = out.data();
    p[0] = static_cast<char>(magic);
    p[1] = static_cast<char>(opcode);
    StoreBig(p + 2,
             static_cast<uint16_t>(key_size < 0 ? key.size() : static_cast<size_t>(key_size)));
    p[4] = static_cast<char>(extras.size());
    StoreBig(p + 8, static_cast<uint32_t>(body_size < 0 ? extras.size() + key.size() + value.size()
                                                        : static_cast<uint64_t>(body_size)));
    std::memcpy(p + 12, "opaq", 4);
    StoreBig(p + 16, cas);
    return out + extras + key + value;
  }
};

const std::string kKey = "key";
const std::string kStoreExtras("\0\0\0\7\0\0\1\0", 8);  // flags 7, expiry 256
const std::string kCountExtras("\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\5\xff\xff\xff\xff", 20);
const std::string kExpiry("\0\0\0\x1e", 4);  // 30

BinaryRequest Parse(const Packet& packet) {
  // Requests point into their bytes, and a case looks at one request at a time.
  static std::string kept;
  kept = packet.Bytes();
  const BinaryRequest request = ParseBinary(kept);
  if (request.step == BinaryStep::kRequest) {
    // The head alone says as much, and a byte less does not.
    const std::string head = kept.substr(0, request.head_size);
    CHECK(ParseBinary(head).step == BinaryStep::kRequest);
    const BinaryRequest less = ParseBinary(std::string_view(head).substr(0, head.size() - 1));
    CHECK(less.step == BinaryStep::kNeedMore);
    CHECK(less.head_size <= request.head_size);
  }
  return request;
}

BinaryError ErrorOf(const Packet& packet) {
  const BinaryRequest request = Parse(packet);
  CHECK(request.step == BinaryStep::kRequest);
  return request.error;
}

struct Form {
  Opcode opcode;
  Command command;
  bool quiet;
  bool with_key;
  std::string extras = {};
  bool key;
  bool value;
};

// A well-formed packet of each command.
const std::vector<Form>& Forms() {
  static const std::vector<Form> forms = {
      {Opcode::kGet, Command::kGet, false, false, "", true, false},
      {Opcode::kGetQ, Command::kGet, true, false, "", true, false},
      {Opcode::kGetK, Command::kGet, false, true, "", true, false},
      {Opcode::kGetKQ, Command::kGet, true, true, "", true, false},
      {Opcode::kTouch, Command::kTouch, false, false, kExpiry, true, false},
      {Opcode::kGat, Command::kGat, false, false, kExpiry, true, false},
      {Opcode::kGatQ, Command::kGat, true, false, kExpiry, true, false},
      {Opcode::kGatK, Command::kGat, false, true, kExpiry, true, false},
      {Opcode::kGatKQ, Command::kGat, true, true, kExpiry, true, false},
      {Opcode::kSet, Command::kSet, false, false, kStoreExtras, true, true},
      {Opcode::kSetQ, Command::kSet, true, false, kStoreExtras, true, true},
      {Opcode::kAdd, Command::kAdd, false, false, kStoreExtras, true, true},
      {Opcode::kAddQ, Command::kAdd, true, false, kStoreExtras, true, true},
      {Opcode::kReplace, Command::kReplace, false, false, kStoreExtras, true, true},
      {Opcode::kReplaceQ, Command::kReplace, true, false, kStoreExtras, true, true},
      {Opcode::kAppend, Command::kAppend, false, false, "", true, true},
      {Opcode::kAppendQ, Command::kAppend, true, false, "", true, true},
      {Opcode::kPrepend, Command::kPrepend, false, false, "", true, true},
      {Opcode::kPrependQ, Command::kPrepend, true, false, "", true, true},
      {Opcode::kDelete, Command::kDelete, false, false, "", true, false},
      {Opcode::kDeleteQ, Command::kDelete, true, false, "", true, false},
      {Opcode::kIncrement, Command::kIncrement, false, false, kCountExtras, true, false},
      {Opcode::kIncrementQ, Command::kIncrement, true, false, kCountExtras, true, false},
      {Opcode::kDecrement, Command::kDecrement, false, false, kCountExtras, true, false},
      {Opcode::kDecrementQ, Command::kDecrement, true, false, kCountExtras, true, false},
      {Opcode::kFlush, Command::kFlush, false, false, "", false, false},
      {Opcode::kFlushQ, Command::kFlush, true, false, "", false, false},
      {Opcode::kNoop, Command::kNoop, false, false, "", false, false},
      {Opcode::kVersion, Command::kVersion, false, false, "", false, false},
      {Opcode::kQuit, Command::kQuit, false, false, "", false, false},
      {Opcode::kQuitQ, Command::kQuit, true, false, "", false, false},
      {Opcode::kStat, Command::kStat, false, false, "", false, false},
      {Opcode::kSaslList, Command::kSaslList, false, false, "", false, false},
      {Opcode::kSaslAuth, Command::kSaslAuth, false, false, "", true, true},
      {Opcode::kSaslStep, Command::kSaslStep, false, false, "", true, true},
  };
  return forms;
}

Packet PacketOf(const Form& form) {
  return {.opcode = form.opcode, .extras = form.extras, .key = form.key ? kKey : "", .cas = 42};
}

TEST_CASE("every opcode, well-formed") {
  for (const Form& form : Forms()) {
    CAPTURE(static_cast<int>(form.opcode));
    for (const char* value : {"", "value"}) {
      if (*value != 0 && !form.value) continue;
      Packet packet = PacketOf(form);
      packet.value = value;
      const BinaryRequest r = Parse(packet);
      CHECK(r.step == BinaryStep::kRequest);
      CHECK(r.error == BinaryError::kNone);
      CHECK(r.opcode == form.opcode);
      CHECK(r.command == form.command);
      CHECK(r.quiet == form.quiet);
      CHECK(r.with_key == form.with_key);
      CHECK(r.key == packet.key);
      CHECK(r.cas == 42);
      CHECK(std::memcmp(&r.opaque, "opaq", 4) == 0);
      CHECK(r.value_size == packet.value.size());
      CHECK(r.head_size == kBinaryHeaderBytes + packet.extras.size() + packet.key.size());
    }
  }
}

TEST_CASE("extras") {
  BinaryRequest r = Parse({.opcode = Opcode::kSet, .extras = kStoreExtras, .key = kKey});
  CHECK(r.client_flags == 7);
  CHECK(r.exptime == 256);
  r = Parse({.opcode = Opcode::kIncrement, .extras = kCountExtras, .key = kKey});
  CHECK(r.delta == 2);
  CHECK(r.initial == 5);
  CHECK(r.exptime == kDoNotCreate);
  r = Parse({.opcode = Opcode::kGat, .extras = kExpiry, .key = kKey});
  CHECK(r.exptime == 30);
  r = Parse({.opcode = Opcode::kFlush, .extras = kExpiry});
  CHECK(r.error == BinaryError::kNone);
  CHECK(r.exptime == 30);
  CHECK(Parse({.opcode = Opcode::kFlush}).exptime == 0);
}

TEST_CASE("a head that is not all there says how much it needs") {
  const std::string bytes =
      Packet{.opcode = Opcode::kSet, .extras = kStoreExtras, .key = kKey, .value = "v"}.Bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    const BinaryRequest r = ParseBinary(std::string_view(bytes).substr(0, size));
    CHECK((r.step == BinaryStep::kRequest) == (size >= 24 + 8 + 3));
    CHECK(r.head_size == (size < 24 ? 24 : 24 + 8 + 3));
  }
}

TEST_CASE("another magic is no packet, once a header is there") {
  for (int magic : {0x00, 0x0a, 0x67, 0x79, 0x81, 0xff}) {
    Packet packet;
    packet.magic = static_cast<uint8_t>(magic);
    CHECK(Parse(packet).step == BinaryStep::kClose);
    CHECK(ParseBinary(packet.Bytes().substr(0, 23)).step == BinaryStep::kNeedMore);
  }
}

TEST_CASE("what a command does not take closes the connection") {
  for (const Form& form : Forms()) {
    CAPTURE(static_cast<int>(form.opcode));
    const bool is_stat = form.command == Command::kStat;
    const bool is_flush = form.command == Command::kFlush;
    {
      Packet packet = PacketOf(form);  // with and without its key
      packet.key = form.key ? "" : kKey;
      CHECK((ErrorOf(packet) == BinaryError::kBadArguments) == !is_stat);
    }
    for (size_t extras : {0, 1, 4, 8, 12, 20, 24, 255}) {
      if (extras == form.extras.size()) continue;
      CAPTURE(extras);
      Packet packet = PacketOf(form);
      packet.extras = std::string(extras, 'x');
      CHECK((ErrorOf(packet) == BinaryError::kBadArguments) == !(is_flush && extras == 4));
    }
    if (!form.value) {
      Packet packet = PacketOf(form);
      packet.value = "v";
      // Not looked at: the byte is the next packet's.
      const bool unchecked =
          is_stat || form.command == Command::kTouch || form.command == Command::kGat;
      const BinaryRequest r = Parse(packet);
      CHECK((r.error == BinaryError::kBadArguments) == !unchecked);
      CHECK(r.value_size == 0);
    }
  }
  CHECK(ClosesAfter(BinaryError::kBadArguments));
  CHECK(StatusOf(BinaryError::kBadArguments) == BinaryStatus::kInvalidArguments);
}

TEST_CASE("sizes that disagree: the first error of all") {
  for (Opcode opcode :
       {Opcode::kGet, Opcode::kNoop, Opcode::kVerbosity, static_cast<Opcode>(0x50)}) {
    CHECK(ErrorOf({.opcode = opcode, .key = kKey, .body_size = 2}) == BinaryError::kSizesDisagree);
    CHECK(ErrorOf({.opcode = opcode, .extras = "x", .body_size = 0}) ==
          BinaryError::kSizesDisagree);
    CHECK(ErrorOf({.opcode = opcode, .key = std::string(300, 'k'), .body_size = 10}) ==
          BinaryError::kSizesDisagree);
  }
  CHECK(ErrorOf({.opcode = Opcode::kSet, .extras = kStoreExtras, .key = kKey, .body_size = 10}) ==
        BinaryError::kSizesDisagree);
  CHECK(ClosesAfter(BinaryError::kSizesDisagree));
  CHECK(StatusOf(BinaryError::kSizesDisagree) == BinaryStatus::kUnknownCommand);
}

TEST_CASE("keys have at most 250 bytes, of any kind") {
  CHECK(ErrorOf({.key = std::string(250, 'k')}) == BinaryError::kNone);
  CHECK(Parse({.key = std::string("a b\r\n\0c", 7)}).key == std::string_view("a b\r\n\0c", 7));
  for (size_t size : {251, 252, 1000, 65535}) {
    for (Opcode opcode :
         {Opcode::kGetKQ, Opcode::kStat, Opcode::kNoop, static_cast<Opcode>(0x50)}) {
      CHECK(ErrorOf({.opcode = opcode, .key = std::string(size, 'k')}) == BinaryError::kKeyTooLong);
    }
  }
  CHECK(ClosesAfter(BinaryError::kKeyTooLong));
  CHECK(StatusOf(BinaryError::kKeyTooLong) == BinaryStatus::kInvalidArguments);
}

TEST_CASE("bodies above a gigabyte are refused, of whatever command") {
  const auto with_body = [](Opcode opcode, uint32_t size) {
    return ErrorOf({.opcode = opcode, .extras = kStoreExtras, .key = kKey, .body_size = size});
  };
  CHECK(with_body(Opcode::kSet, 0x40000000) == BinaryError::kNone);
  CHECK(with_body(Opcode::kSet, 0x40000001) == BinaryError::kBodyTooLarge);
  CHECK(with_body(Opcode::kSet, 0xffffffff) == BinaryError::kBodyTooLarge);
  CHECK(with_body(static_cast<Opcode>(0x50), 0x40000001) == BinaryError::kBodyTooLarge);
  CHECK(ErrorOf({.opcode = Opcode::kNoop, .body_size = 0x7fffffff}) == BinaryError::kBodyTooLarge);
  CHECK(ClosesAfter(BinaryError::kBodyTooLarge));
  CHECK(StatusOf(BinaryError::kBodyTooLarge) == BinaryStatus::kInvalidArguments);
}

TEST_CASE("unknown opcodes: the body is dropped, the connection stays") {
  std::vector<bool> known(256);
  for (const Form& form : Forms()) known[static_cast<uint8_t>(form.opcode)] = true;
  CHECK_FALSE(known[static_cast<uint8_t>(Opcode::kVerbosity)]);
  for (int opcode = 0; opcode < 256; ++opcode) {
    if (known[static_cast<size_t>(opcode)]) continue;
    CAPTURE(opcode);
    const BinaryRequest r = Parse(
        {.opcode = static_cast<Opcode>(opcode), .extras = "1234", .key = kKey, .value = "value"});
    CHECK(r.error == BinaryError::kUnknownCommand);
    CHECK(r.head_size == kBinaryHeaderBytes);
    CHECK(r.value_size == 12);
    CHECK(r.opcode == static_cast<Opcode>(opcode));
    CHECK_FALSE(r.quiet);
  }
  CHECK_FALSE(ClosesAfter(BinaryError::kUnknownCommand));
  CHECK(StatusOf(BinaryError::kUnknownCommand) == BinaryStatus::kUnknownCommand);
}

TEST_CASE("what quiet commands keep quiet about") {
  for (const Form& form : Forms()) {
    CAPTURE(static_cast<int>(form.opcode));
    const BinaryRequest r = Parse(PacketOf(form));
    const bool retrieves = form.command == Command::kGet || form.command == Command::kGat;
    CHECK(IsSilent(r, BinaryStatus::kOk) == (form.quiet && !retrieves));
    CHECK(IsSilent(r, BinaryStatus::kNotFound) == (form.quiet && retrieves));
    for (BinaryStatus status :
         {BinaryStatus::kExists, BinaryStatus::kTooLarge, BinaryStatus::kNotStored,
          BinaryStatus::kNotANumber, BinaryStatus::kNoMemory, BinaryStatus::kAuthError}) {
      CHECK_FALSE(IsSilent(r, status));
    }
  }
}

}  // namespace
}  // namespace torc::proto
