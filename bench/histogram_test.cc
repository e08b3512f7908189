#include "bench/histogram.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <vector>

namespace torc::bench {
namespace {

TEST_CASE("histogram: nothing recorded") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.Mean() == 0);
  CHECK(histogram.Percentile(99) == 0);
  CHECK(histogram.Distribution().empty());
}

TEST_CASE("histogram: small values are exact") {
  Histogram histogram;
  for (uint64_t value = 0; value < 100; ++value) histogram.Record(value, 1);
  CHECK(histogram.Percentile(1) == 0);
  CHECK(histogram.Percentile(50) == 49);
  CHECK(histogram.Percentile(99) == 98);
  CHECK(histogram.Percentile(100) == 99);
  CHECK(histogram.Mean() == doctest::Approx(49.5));
}

TEST_CASE("histogram: any value comes back within 0.1 %") {
  for (uint64_t power = 1; power < 900'000'000'000; power *= 3) {
    for (const uint64_t value : {power - 1, power, power + power / 7}) {
      Histogram histogram;
      histogram.Record(value, 1);
      histogram.Record(UINT64_MAX, 1);  // so that the maximum does not hide the bucket's end
      CHECK(histogram.Percentile(50) >= value);
      CHECK(histogram.Percentile(50) - value <= value / 999 + 1);
    }
  }
}

TEST_CASE("histogram: counts weigh") {
  Histogram histogram;
  histogram.Record(10, 999);
  histogram.Record(5'000'000, 1);
  histogram.Record(7'000'000, 0);  // nothing at all
  CHECK(histogram.count() == 1000);
  CHECK(histogram.Percentile(99.9) == 10);
  CHECK(histogram.Percentile(99.95) == 5'000'000);
  CHECK(histogram.max() == 5'000'000);
  CHECK(histogram.Mean() == doctest::Approx(5009.99));
}

TEST_CASE("histogram: the distribution adds up") {
  Histogram histogram;
  for (const uint64_t value : {300, 20, 20, 0, 4'000'000}) histogram.Record(value, 2);
  const std::vector<Histogram::Step> steps = histogram.Distribution();
  REQUIRE(steps.size() == 4);
  const uint64_t counts[] = {2, 6, 8, 10};
  const uint64_t values[] = {0, 20, 300, 4'000'000};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(steps[i].count == counts[i]);
    CHECK(steps[i].value == values[i]);
  }
}

TEST_CASE("histogram: a copy stands for itself") {
  Histogram one;
  one.Record(5, 1);
  Histogram other = one;
  other.Record(50, 3);
  CHECK(one.count() == 1);
  CHECK(one.Percentile(100) == 5);
  CHECK(other.Percentile(100) == 50);
  one = other;
  CHECK(one.Percentile(100) == 50);
}

}  // namespace
}  // namespace torc::bench
