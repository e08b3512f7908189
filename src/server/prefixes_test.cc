#include "src/server/prefixes.h"

#include <string>

#include "third_party/doctest/doctest.h"

namespace torc::server {
namespace {

TEST_CASE("what stands before the first delimiter is the prefix, be it nothing") {
  Prefixes prefixes;
  prefixes.Count("user:17", ':', {.gets = 1, .hits = 1});
  prefixes.Count("user:18:x", ':', {.gets = 1});
  prefixes.Count(":19", ':', {.sets = 1});
  prefixes.Count("user", ':', {.sets = 1});
  prefixes.Count("a/b:c", '/', {.deletes = 1});
  CHECK(prefixes.map().size() == 3);
  CHECK(prefixes.map().at("user") == PrefixCounts{.gets = 2, .hits = 1});
  CHECK(prefixes.map().at("") == PrefixCounts{.sets = 1});
  CHECK(prefixes.map().at("a") == PrefixCounts{.deletes = 1});
}

TEST_CASE("prefixes are bounded: those that were there first go on") {
  Prefixes prefixes;
  for (size_t i = 0; i < 2 * kPrefixesMax; ++i) {
    prefixes.Count(std::to_string(i) + ":", ':', {.gets = 1});
  }
  CHECK(prefixes.map().size() == kPrefixesMax);
  prefixes.Count("0:", ':', {.gets = 1});
  CHECK(prefixes.map().at("0").gets == 2);
  prefixes.Clear();
  prefixes.Count("9999:", ':', {.gets = 1});
  CHECK(prefixes.map().size() == 1);
}

}  // namespace
}  // namespace torc::server
