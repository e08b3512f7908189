#include "bench/histogram.h"

#include <doctest/doctest.h>

namespace torc::bench {
namespace {

TEST_CASE("histogram: nothing recorded") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.Percentile(99) == 0);
}

TEST_CASE("histogram: small values are exact") {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Record(value, 1);
  CHECK(histogram.Percentile(50) == 50);
  CHECK(histogram.Percentile(99) == 99);
  CHECK(histogram.Percentile(100) == 100);
}

TEST_CASE("histogram: any value comes back within 1.6 %") {
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const uint64_t below_top :
         {uint64_t{0}, (uint64_t{1} << bit) / 3, (uint64_t{1} << bit) - 1}) {
      const uint64_t value = (uint64_t{1} << bit) | below_top;
      Histogram histogram;
      histogram.Record(value, 1);
      histogram.Record(UINT64_MAX, 1);  // so that the maximum does not hide the bucket's end
      CHECK(histogram.Percentile(50) >= value);
      CHECK(histogram.Percentile(50) - value <= value / 64);
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
}

}  // namespace
}  // namespace torc::bench
