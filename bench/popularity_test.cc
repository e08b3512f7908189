#include "bench/popularity.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace torc::bench {
namespace {

constexpr uint64_t kKeys = 1000;
constexpr int kDraws = 200'000;

// How often each key was asked for, as a share.
std::vector<double> Draw(const PopularityConfig& config) {
  Popularity popularity(config, kKeys);
  Random random(3);
  std::vector<double> shares(kKeys);
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t id = popularity.Next(random);
    REQUIRE(id < kKeys);
    shares[id] += 1.0 / kDraws;
  }
  return shares;
}

double Sum(const std::vector<double>& shares, uint64_t from, uint64_t to) {
  double sum = 0;
  for (uint64_t id = from; id < to; ++id) sum += shares[id];
  return sum;
}

TEST_CASE("popularity: uniform") {
  const std::vector<double> shares = Draw({.kind = PopularityKind::kUniform});
  CHECK(Sum(shares, 0, 500) == doctest::Approx(0.5).epsilon(0.01));
  for (const double share : shares) CHECK(share == doctest::Approx(0.001).epsilon(0.4));
}

TEST_CASE("popularity: Zipf's law, the low ids first") {
  const std::vector<double> shares = Draw({.kind = PopularityKind::kZipf, .zipf_skew = 1});
  double harmonic = 0;
  for (uint64_t k = 1; k <= kKeys; ++k) harmonic += 1.0 / static_cast<double>(k);
  CHECK(shares[0] == doctest::Approx(1 / harmonic).epsilon(0.02));
  CHECK(shares[9] == doctest::Approx(0.1 / harmonic).epsilon(0.05));
}

TEST_CASE("popularity: a hot set") {
  const std::vector<double> shares =
      Draw({.kind = PopularityKind::kHotSet, .hot_keys = 10, .hot_share = 0.9});
  CHECK(Sum(shares, 0, 10) == doctest::Approx(0.9).epsilon(0.01));
  CHECK(shares[3] == doctest::Approx(0.09).epsilon(0.05));
  CHECK(Sum(shares, 500, 1000) == doctest::Approx(0.1 * 500 / 990).epsilon(0.03));
  // All keys hot: there are no others to ask for.
  CHECK(Sum(Draw({.kind = PopularityKind::kHotSet, .hot_keys = kKeys, .hot_share = 0.5}), 0,
            kKeys) == doctest::Approx(1));
}

TEST_CASE("popularity: one after another") {
  Popularity popularity({.kind = PopularityKind::kSequential}, 3);
  Random random(1);
  for (const uint64_t id : {0, 1, 2, 0, 1, 2, 0}) CHECK(popularity.Next(random) == id);
}

TEST_CASE("popularity: scans beside Zipf's law") {
  const PopularityConfig config = {
      .kind = PopularityKind::kScan, .zipf_skew = 1.5, .scan_share = 0.5};
  const std::vector<double> shares = Draw(config);
  // What Zipf's law hardly asks for, the scan asks for as often as for anything else.
  CHECK(Sum(shares, 900, 1000) == doctest::Approx(0.5 * 0.1).epsilon(0.1));
  CHECK(shares[0] > 0.15);
}

}  // namespace
}  // namespace torc::bench
