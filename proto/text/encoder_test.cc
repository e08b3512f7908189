#include "proto/text/encoder.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace torc::proto {
namespace {

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

std::string Decimal(uint64_t number) {
  return Written([&](char* out) { return EncodeDecimal(out, number); });
}

TEST_CASE("decimal: every length, on both sides of each border") {
  CHECK(Decimal(0) == "0");
  for (uint64_t power = 1;; power *= 10) {
    for (uint64_t number : {power - 1, power, power + 1}) {
      CHECK(Decimal(number) == std::to_string(number));
    }
    if (power > std::numeric_limits<uint64_t>::max() / 10) break;
  }
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t power = uint64_t{1} << bit;
    CHECK(Decimal(power) == std::to_string(power));
    CHECK(Decimal(power - 1) == std::to_string(power - 1));
  }
  CHECK(Decimal(std::numeric_limits<uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("decimal: all small numbers") {
  for (uint64_t number = 0; number < 100'000; ++number) {
    REQUIRE(Decimal(number) == std::to_string(number));
  }
}

TEST_CASE("value header") {
  CHECK(Written([](char* out) { return EncodeValueHeader(out, "k", 0, 1); }) == "VALUE k 0 1\r\n");
  CHECK(Written([](char* out) { return EncodeValueHeader(out, "k", 7, 3, 42); }) ==
        "VALUE k 7 3 42\r\n");
}

TEST_CASE("value header: the largest fills kValueHeaderBytesMax exactly") {
  const std::string key(kKeyBytesMax, 'k');
  const uint32_t most32 = std::numeric_limits<uint32_t>::max();
  const uint64_t most64 = std::numeric_limits<uint64_t>::max();
  const std::string header =
      Written([&](char* out) { return EncodeValueHeader(out, key, most32, most32, most64); });
  CHECK(header.size() == kValueHeaderBytesMax);
  CHECK(header == "VALUE " + key + " 4294967295 4294967295 18446744073709551615\r\n");
}

TEST_CASE("lines of numbers and statistics") {
  CHECK(Written([](char* out) { return EncodeNumberLine(out, 10); }) == "10\r\n");
  CHECK(Written([](char* out) { return EncodeStat(out, "threads", 4); }) == "STAT threads 4\r\n");
  const std::string stat = Written([](char* out) { return EncodeStat(out, "version", "1.6.45"); });
  CHECK(stat == "STAT version 1.6.45\r\n");
  CHECK(stat.size() ==
        std::string_view("version").size() + std::string_view("1.6.45").size() + kStatBytesAround);
}

}  // namespace
}  // namespace torc::proto
