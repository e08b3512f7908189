// Packets as memcached 1.6.45 was seen to write them.
#include "proto/binary/encoder.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <string_view>

#include "proto/binary/parser.h"
#include "proto/binary/reply.h"

namespace torc::proto {
namespace {

BinaryTo ReplyTo(Opcode opcode) {
  BinaryTo to;
  std::memcpy(&to.opaque, "\1\2\3\4", 4);
  to.opcode = opcode;
  return to;
}

// What `encode` writes into a buffer that is filled with another byte: it must not write past what
// it returns.
template <typename Encoder>
std::string Written(Encoder encode) {
  char buffer[512];
  std::memset(buffer, '#', sizeof(buffer));
  const char* end = encode(buffer);
  REQUIRE(end >= buffer);
  REQUIRE(end < buffer + sizeof(buffer));
  CHECK(*end == '#');
  return std::string(buffer, static_cast<size_t>(end - buffer));
}

template <size_t N>
std::string Bytes(const char (&text)[N]) {
  return std::string(text, N - 1);
}

TEST_CASE("a status alone, with a CAS") {
  CHECK(Written([](char* out) {
          return EncodeBinaryStatus(out, ReplyTo(Opcode::kSet), BinaryStatus::kOk, 0x1122);
        }) == Bytes("\x81\x01\0\0\0\0\0\0\0\0\0\0\1\2\3\4\0\0\0\0\0\0\x11\x22"));
}

TEST_CASE("an error: its text, and no CAS") {
  CHECK(Written([](char* out) {
          return EncodeBinaryStatus(out, ReplyTo(Opcode::kGet), BinaryStatus::kNotFound, 5);
        }) == Bytes("\x81\0\0\0\0\0\0\1\0\0\0\x09\1\2\3\4\0\0\0\0\0\0\0\0"
                    "Not found"));
}

TEST_CASE("the texts of all statuses") {
  struct Row {
    BinaryStatus status;
    uint16_t number;
    std::string_view text;
  };
  constexpr Row kRows[] = {
      {BinaryStatus::kNotFound, 0x01, "Not found"},
      {BinaryStatus::kExists, 0x02, "Data exists for key."},
      {BinaryStatus::kTooLarge, 0x03, "Too large."},
      {BinaryStatus::kInvalidArguments, 0x04, "Invalid arguments"},
      {BinaryStatus::kNotStored, 0x05, "Not stored."},
      {BinaryStatus::kNotANumber, 0x06, "Non-numeric server-side value for incr or decr"},
      {BinaryStatus::kAuthError, 0x20, "Auth failure."},
      {BinaryStatus::kUnknownCommand, 0x81, "Unknown command"},
      {BinaryStatus::kNoMemory, 0x82, "Out of memory"},
  };
  for (const Row& row : kRows) {
    const std::string packet = Written(
        [&](char* out) { return EncodeBinaryStatus(out, ReplyTo(Opcode::kAdd), row.status); });
    CHECK(packet.size() <= kBinaryStatusBytesMax);
    const BinaryReply reply = ParseBinaryReply(packet).reply;
    CHECK(reply.status == row.number);
    CHECK(reply.value == row.text);
    CHECK(reply.cas == 0);
  }
}

TEST_CASE("a hit, without and with its key") {
  CHECK(Written([](char* out) {
          return EncodeBinaryValue(out, ReplyTo(Opcode::kGet), {}, 5, 3, 0x0102030405060708);
        }) == Bytes("\x81\0\0\0\4\0\0\0\0\0\0\7\1\2\3\4\1\2\3\4\5\6\7\x08\0\0\0\5"));
  CHECK(Written([](char* out) {
          return EncodeBinaryValue(out, ReplyTo(Opcode::kGetK), "key", 5, 3, 9);
        }) == Bytes("\x81\x0c\0\3\4\0\0\0\0\0\0\x0a\1\2\3\4\0\0\0\0\0\0\0\x09\0\0\0\5key"));
  // Of touch: client flags and no value.
  CHECK(Written([](char* out) {
          return EncodeBinaryValue(out, ReplyTo(Opcode::kTouch), {}, 5, 0, 9);
        }) == Bytes("\x81\x1c\0\0\4\0\0\0\0\0\0\4\1\2\3\4\0\0\0\0\0\0\0\x09\0\0\0\5"));
  const std::string key(kKeyBytesMax, 'k');
  CHECK(Written([&](char* out) {
          return EncodeBinaryValue(out, ReplyTo(Opcode::kGetK), key, ~0U, 1U << 30, ~uint64_t{0});
        }).size() == kBinaryValueHeadBytesMax);
}

TEST_CASE("a miss of getk shows the key in place of a text") {
  CHECK(Written([](char* out) {
          return EncodeBinaryKeyMiss(out, ReplyTo(Opcode::kGetK), "nokey");
        }) == Bytes("\x81\x0c\0\5\0\0\0\1\0\0\0\5\1\2\3\4\0\0\0\0\0\0\0\0nokey"));
}

TEST_CASE("numbers, statistics, texts") {
  CHECK(Written([](char* out) {
          return EncodeBinaryNumber(out, ReplyTo(Opcode::kIncrement), 13, 2);
        }) == Bytes("\x81\5\0\0\0\0\0\0\0\0\0\x08\1\2\3\4\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\x0d"));
  CHECK(Written([](char* out) {
          return EncodeBinaryStat(out, ReplyTo(Opcode::kStat), "pid", "4652");
        }) == Bytes("\x81\x10\0\3\0\0\0\0\0\0\0\7\1\2\3\4\0\0\0\0\0\0\0\0pid4652"));
  CHECK(Written([](char* out) {
          return EncodeBinaryText(out, ReplyTo(Opcode::kVersion), BinaryStatus::kOk, "1.6.45");
        }) == Bytes("\x81\x0b\0\0\0\0\0\0\0\0\0\6\1\2\3\4\0\0\0\0\0\0\0\0"
                    "1.6.45"));
}

TEST_CASE("requests read back") {
  BinaryRequest request;
  request.opcode = Opcode::kSetQ;
  request.key = "key";
  request.client_flags = 7;
  request.exptime = 256;
  request.value_size = 5;
  request.cas = 42;
  std::memcpy(&request.opaque, "opaq", 4);
  const std::string head = Written([&](char* out) { return EncodeBinaryRequest(out, request); });
  CHECK(head == Bytes("\x80\x11\0\3\x08\0\0\0\0\0\0\x10opaq\0\0\0\0\0\0\0\x2a"
                      "\0\0\0\7\0\0\1\0key"));
  const BinaryRequest read = ParseBinary(head);
  CHECK(read.command == BinaryCommand::kSet);
  CHECK(read.quiet);
  CHECK(read.key == "key");
  CHECK(read.value_size == 5);
  CHECK(read.client_flags == 7);
  CHECK(read.exptime == 256);
  CHECK(read.cas == 42);
}

TEST_CASE("replies arrive in pieces, or broken") {
  const std::string packet = Written(
      [](char* out) { return EncodeBinaryStat(out, ReplyTo(Opcode::kStat), "pid", "4652"); });
  for (size_t size = 0; size < packet.size(); ++size) {
    const BinaryReplyResult result = ParseBinaryReply(std::string_view(packet).substr(0, size));
    CHECK(result.step == BinaryReplyStep::kNeedMore);
    CHECK(result.packet_size == (size < 24 ? 24 : packet.size()));
  }
  const std::string followed = packet + "next";
  const BinaryReplyResult result = ParseBinaryReply(followed);
  CHECK(result.step == BinaryReplyStep::kReply);
  CHECK(result.packet_size == packet.size());
  CHECK(result.reply.key == "pid");
  CHECK(result.reply.value == "4652");
  std::string broken = packet;
  broken[0] = '\x80';
  CHECK(ParseBinaryReply(broken).step == BinaryReplyStep::kBroken);
  broken = packet;
  broken[3] = 8;  // A key longer than the body.
  CHECK(ParseBinaryReply(broken).step == BinaryReplyStep::kBroken);
}

}  // namespace
}  // namespace torc::proto
