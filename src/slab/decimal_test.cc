#include "src/slab/decimal.h"

#include <optional>
#include <string_view>

#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using namespace std::string_view_literals;

std::optional<uint64_t> Read(std::string_view text) {
  DecimalReader reader;
  for (const char byte : text) reader.Feed(byte);
  uint64_t number;
  return reader.Finish(&number) ? std::optional(number) : std::nullopt;
}

// Each case was tried on memcached 1.6.45.
TEST_CASE("what memcached takes for a number") {
  CHECK(Read("5") == 5);
  CHECK(Read(" 5") == 5);
  CHECK(Read("\t5") == 5);
  CHECK(Read("\v5") == 5);
  CHECK(Read("+5") == 5);
  CHECK(Read("5 ") == 5);
  CHECK(Read("12 abc") == 12);
  CHECK(Read("5\0"sv) == 5);
  CHECK(Read("5\r\n") == 5);
  CHECK(Read("007") == 7);
  CHECK(Read("5 -3") == 5);
  CHECK(Read("00000000000000000000000000005") == 5);
  CHECK(Read("18446744073709551615") == UINT64_MAX);
  CHECK(Read("-18446744073709551615") == 1);
}

TEST_CASE("what memcached does not take for a number") {
  for (const auto text :
       {""sv, " "sv, "+"sv, "-5"sv, " -5"sv, "- 5"sv, "12abc"sv, "0x10"sv, "5-3"sv,
        "18446744073709551616"sv, "99999999999999999999"sv, "18446744073709551615 -"sv}) {
    CAPTURE(text);
    CHECK(Read(text) == std::nullopt);
  }
}

}  // namespace
}  // namespace torc::slab
