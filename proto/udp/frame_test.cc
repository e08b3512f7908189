#include "proto/udp/frame.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace torc::proto {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

TEST_CASE("a header is four big-endian numbers") {
  const std::string_view bytes("\x12\x34\x00\x07\x01\x02\xff\xfe", 8);
  const UdpHeader header = DecodeUdpHeader(bytes.data());
  CHECK(header == UdpHeader{0x1234, 7, 0x0102, 0xfffe});
  char again[kUdpHeaderBytes];
  EncodeUdpHeader(header, again);
  CHECK(std::string_view(again, sizeof(again)) == bytes);
}

TEST_CASE("a request is one datagram with a payload") {
  const auto request = ParseUdpRequest("\x12\x34\x00\x00\x00\x01\x00\x00get a\r\n"sv);
  REQUIRE(request.has_value());
  CHECK(request->id == 0x1234);
  CHECK(request->payload == "get a\r\n");
  SUBCASE("its sequence number and the reserved field do not matter") {
    CHECK(ParseUdpRequest("\0\1\0\7\0\1\0\11x"sv).has_value());
  }
  SUBCASE("otherwise nothing") {
    CHECK(!ParseUdpRequest(""sv).has_value());
    CHECK(!ParseUdpRequest("\0\1\0\0"sv).has_value());
    CHECK(!ParseUdpRequest("\0\1\0\0\0\1\0\0"sv).has_value());
    CHECK(!ParseUdpRequest("\0\1\0\0\0\0\0\0x"sv).has_value());
    CHECK(!ParseUdpRequest("\0\1\0\0\0\2\0\0x"sv).has_value());
    CHECK(!ParseUdpRequest("\0\1\0\1\0\2\0\0x"sv).has_value());
    CHECK(!ParseUdpRequest("\0\1\0\0\1\1\0\0x"sv).has_value());
  }
}

TEST_CASE("a reply is cut into datagrams of at most 1,400 bytes") {
  CHECK(UdpDatagramsOf(1) == 1);
  CHECK(UdpDatagramsOf(1392) == 1);
  CHECK(UdpDatagramsOf(1393) == 2);
  CHECK(UdpDatagramsOf(kUdpReplyBytesMax) == UINT16_MAX);
}

// The size of the first reply, however the stream is cut in two.
uint64_t FirstReply(std::string_view stream) {
  UdpReplyScanner whole;
  whole.Take(stream);
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    UdpReplyScanner scanner;
    if (scanner.Take(stream.substr(0, cut))) scanner.Take(stream.substr(cut));
    CAPTURE(cut);
    CHECK(scanner.size() == whole.size());
  }
  return whole.size();
}

std::string Packet(uint8_t opcode, std::string_view key, std::string_view rest,
                   uint16_t status = 0) {
  std::string packet(24, '\0');
  packet[0] = '\x81';
  packet[1] = static_cast<char>(opcode);
  packet[3] = static_cast<char>(key.size());
  packet[7] = static_cast<char>(status);
  packet[10] = static_cast<char>((key.size() + rest.size()) >> 8);
  packet[11] = static_cast<char>(key.size() + rest.size());
  return packet.append(key).append(rest);
}

TEST_CASE("where a reply ends") {
  const auto check = [](std::string_view reply, std::string_view behind) {
    CAPTURE(reply);
    CHECK(FirstReply(std::string(reply).append(behind)) == reply.size());
  };
  SUBCASE("lines") {
    check("STORED\r\n", "");
    check("STORED\r\n", "STORED\r\n");
    check("END\r\n", "END\r\n");
    check("17\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    check("HD k17 O1\r\n", "EN\r\n");
    check("VERSION 1.6.45\r\n", "STAT pid 1\r\n");
  }
  SUBCASE("values of get") {
    check("VALUE a 0 1\r\nx\r\nEND\r\n", "");
    check("VALUE a 0 1\r\nx\r\nEND\r\n", "END\r\n");
    check("VALUE a 0 1\r\nx\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    check("VALUE a 0 1\r\nx\r\n", "END");
    check("VALUE a 0 1\r\nx\r\n", "ENDING\r\n");
    check("VALUE 99 88 5 77\r\nEND\r\n\r\nEND\r\n", "MN\r\n");
    check("VALUE " + std::string(250, '7') + " 4294967295 3 18446744073709551615\r\nxyz\r\nEND\r\n",
          "x");
    check("VALUE a 0 0\r\n\r\nEND\r\n", "OK\r\n");
  }
  SUBCASE("values of mg") {
    check("VA 3 k9 t-1\r\nx\r\n\r\n", "EN\r\n");
    check("VA 0\r\n\r\n", "END\r\n");
  }
  SUBCASE("lists") {
    check("STAT a 1\r\nSTAT b VALUE\r\nEND\r\n", "END\r\n");
    check("key=a exp=-1\r\nkey=b exp=-1\r\nEND\r\n", "");
    check("STAT a 1\r\nSTAT b 2\r\n", "");
  }
  SUBCASE("packets") {
    check(Packet(0, "", "\0\0\0\0x"sv), Packet(0x0a, "", ""));
    check(Packet(0x0a, "", ""), "");
    check(Packet(0x10, "pid", "1") + Packet(0x10, "uptime", "2") + Packet(0x10, "", ""),
          Packet(0x0a, "", ""));
    check(Packet(0x10, "", "Not found", 1), Packet(0x10, "a", "b"));
    check(Packet(0, "", std::string(5000, '\n')), "END\r\n");
  }
}

TEST_CASE("of a reply that is not all there, no more than is") {
  CHECK(FirstReply("") == 0);
  CHECK(FirstReply("STOR") == 0);
  CHECK(FirstReply("VALUE a 0 5\r\nxy") == 0);
  CHECK(FirstReply(Packet(0, "", "abc").substr(0, 25)) == 0);
}

}  // namespace
}  // namespace torc::proto
