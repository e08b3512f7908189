#include "bench/arrivals.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace torc::bench {
namespace {

struct Gaps {
  double mean_ns;
  double deviation_ns;
};

Gaps GapsOf(ArrivalKind kind, double rate, int count) {
  constexpr uint64_t kBegin = 1'000'000'000'000;
  Arrivals arrivals(kind, rate, kBegin, 5);
  double sum = 0, squares = 0;
  uint64_t before = kBegin;
  for (int i = 0; i < count; ++i) {
    REQUIRE(arrivals.due_ns() >= before);
    const auto gap = static_cast<double>(arrivals.due_ns() - before);
    sum += gap;
    squares += gap * gap;
    before = arrivals.due_ns();
    arrivals.Advance();
  }
  const double mean = sum / count;
  return {mean, std::sqrt(std::max(0.0, squares / count - mean * mean))};
}

TEST_CASE("arrivals: even ones are even, and do not drift") {
  Arrivals arrivals(ArrivalKind::kEven, 3'000'000, 500, 1);  // a gap of 333.33 ns
  for (int i = 0; i < 2'999'999; ++i) arrivals.Advance();
  CHECK(arrivals.due_ns() == doctest::Approx(1'000'000'500).epsilon(1e-8));
  const Gaps gaps = GapsOf(ArrivalKind::kEven, 1000, 1000);
  CHECK(gaps.mean_ns == doctest::Approx(1e6).epsilon(1e-6));
  CHECK(gaps.deviation_ns < 10);
}

TEST_CASE("arrivals: gaps of a Poisson process are exponential") {
  const Gaps gaps = GapsOf(ArrivalKind::kPoisson, 50'000, 200'000);
  CHECK(gaps.mean_ns == doctest::Approx(20'000).epsilon(0.01));
  CHECK(gaps.deviation_ns == doctest::Approx(20'000).epsilon(0.01));
}

TEST_CASE("arrivals: counts of a Poisson process vary as much as their mean") {
  Arrivals arrivals(ArrivalKind::kPoisson, 100'000, 0, 9);
  constexpr int kWindows = 5000;
  double sum = 0, squares = 0;
  for (int window = 1; window <= kWindows; ++window) {
    int count = 0;
    for (; arrivals.due_ns() < static_cast<uint64_t>(window) * 1'000'000; arrivals.Advance())
      ++count;
    sum += count;
    squares += count * count;
  }
  const double mean = sum / kWindows;
  CHECK(mean == doctest::Approx(100).epsilon(0.01));
  CHECK(squares / kWindows - mean * mean == doctest::Approx(100).epsilon(0.1));
}

TEST_CASE("arrivals: the same from the same seed, others from another") {
  Arrivals one(ArrivalKind::kPoisson, 1000, 0, 1);
  Arrivals same(ArrivalKind::kPoisson, 1000, 0, 1);
  Arrivals other(ArrivalKind::kPoisson, 1000, 0, 2);
  CHECK(one.due_ns() == same.due_ns());
  CHECK(one.due_ns() != other.due_ns());
}

}  // namespace
}  // namespace torc::bench
