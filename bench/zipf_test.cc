#include "bench/zipf.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace torc::bench {
namespace {

TEST_CASE("zipf: each rank comes as often as the law says") {
  for (const double theta : {0.5, 0.9, 0.99, 1.0, 1.2}) {
    constexpr uint64_t kRanks = 50;
    constexpr int kDraws = 200'000;
    const Zipf zipf(kRanks, theta);
    Random random(7);
    std::vector<double> seen(kRanks);
    for (int i = 0; i < kDraws; ++i) {
      const uint64_t rank = zipf.Next(random);
      REQUIRE(rank < kRanks);
      seen[rank] += 1;
    }
    double sum = 0;
    for (uint64_t k = 0; k < kRanks; ++k) sum += std::pow(k + 1, -theta);
    for (uint64_t k = 0; k < kRanks; ++k) {
      const double expected = kDraws * std::pow(k + 1, -theta) / sum;
      // Five standard deviations; the seed is fixed, so that this holds always or never.
      CHECK(std::abs(seen[k] - expected) < 5 * std::sqrt(expected));
    }
  }
}

TEST_CASE("zipf: a single rank, and more ranks than a table could hold") {
  Random random(1);
  const Zipf one(1, 0.9);
  const Zipf many(uint64_t{1} << 40, 0.9);
  uint64_t highest = 0;
  for (int i = 0; i < 1000; ++i) {
    CHECK(one.Next(random) == 0);
    highest = std::max(highest, many.Next(random));
  }
  CHECK(highest > uint64_t{1} << 38);
}

}  // namespace
}  // namespace torc::bench
