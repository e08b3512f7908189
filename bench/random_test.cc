#include "bench/random.h"

#include <doctest/doctest.h>

namespace torc::bench {
namespace {

TEST_CASE("random: uniform, and the same from the same seed") {
  Random random(1);
  Random again(1);
  int counts[10] = {};
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t number = random.Below(10);
    CHECK(number == again.Below(10));
    ++counts[number];
  }
  for (const int count : counts) CHECK(count == doctest::Approx(10'000).epsilon(0.05));
}

}  // namespace
}  // namespace torc::bench
