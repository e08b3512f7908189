// Distributions are checked by their moments over fixed seeds, so that a case holds always or
// never.

#include "bench/sizes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "bench/random.h"

namespace torc::bench {
namespace {

constexpr int kDraws = 400'000;
constexpr Sizes::Limits kValueLimits{0, 1'000'000};
constexpr Sizes::Limits kKeyLimits{8, 250};

struct Drawn {
  double mean = 0;
  double deviation = 0;
  std::map<size_t, double> shares;
  double at_most(size_t size) const {
    double sum = 0;
    for (const auto& [each, share] : shares) sum += each <= size ? share : 0;
    return sum;
  }
};

Drawn Draw(const Sizes& sizes) {
  Drawn drawn;
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const size_t size = sizes.Of(Mix(i));
    REQUIRE(size == sizes.Of(Mix(i)));
    REQUIRE(size >= sizes.min());
    REQUIRE(size <= sizes.max());
    const auto real = static_cast<double>(size);
    sum += real;
    squares += real * real;
    drawn.shares[size] += 1.0 / kDraws;
  }
  drawn.mean = sum / kDraws;
  drawn.deviation = std::sqrt(squares / kDraws - drawn.mean * drawn.mean);
  return drawn;
}

Drawn DrawValues(const std::string& text) {
  return Draw(Sizes(text, Sizes::Role::kValue, kValueLimits));
}

Drawn DrawKeys(const std::string& text) { return Draw(Sizes(text, Sizes::Role::kKey, kKeyLimits)); }

TEST_CASE("sizes: one, and a range") {
  const Sizes one("100", Sizes::Role::kValue, kValueLimits);
  CHECK(one.is_fixed());
  CHECK(DrawValues("100").shares.size() == 1);
  const Drawn range = DrawValues("10-19");
  CHECK(range.shares.size() == 10);
  for (const auto& [size, share] : range.shares) CHECK(share == doctest::Approx(0.1).epsilon(0.02));
  CHECK(DrawValues("0-0").mean == 0);
}

TEST_CASE("sizes: lognormal by mean and standard deviation") {
  const Drawn drawn = DrawValues("lognormal:230,300");
  CHECK(drawn.mean == doctest::Approx(230).epsilon(0.02));
  CHECK(drawn.deviation == doctest::Approx(300).epsilon(0.05));
}

TEST_CASE("sizes: generalized Pareto") {
  // Mean scale / (1 - shape), standard deviation scale / ((1 - shape) sqrt(1 - 2 shape)).
  const Drawn drawn = DrawValues("pareto:0,1000,0.2");
  CHECK(drawn.mean == doctest::Approx(1250).epsilon(0.02));
  CHECK(drawn.deviation == doctest::Approx(1000 / (0.8 * std::sqrt(0.6))).epsilon(0.05));
  // A shape of 0 is the exponential distribution.
  CHECK(DrawValues("pareto:0,1000,0").deviation == doctest::Approx(1000).epsilon(0.05));
}

TEST_CASE("sizes: generalized extreme value") {
  // Mean location + scale (gamma(1 - shape) - 1) / shape.
  const Drawn drawn = DrawValues("gev:1000,100,0.1");
  CHECK(drawn.mean == doctest::Approx(1000 + 100 * (std::tgamma(0.9) - 1) / 0.1).epsilon(0.01));
  // A shape of 0 is Gumbel's distribution.
  const Drawn gumbel = DrawValues("gev:1000,100,0");
  CHECK(gumbel.mean == doctest::Approx(1000 + 57.7).epsilon(0.01));
  CHECK(gumbel.deviation == doctest::Approx(128.3).epsilon(0.05));
}

TEST_CASE("sizes: ETC as its model has it") {
  const Drawn keys = DrawKeys("etc");
  CHECK(keys.mean == doctest::Approx(30.7984 + 8.20449 * (std::tgamma(1 - 0.078688) - 1) / 0.078688)
                         .epsilon(0.02));
  CHECK(keys.shares.begin()->first >= 8);
  const Drawn values = DrawValues("etc");
  CHECK(values.shares.at(2) == doctest::Approx(0.17820).epsilon(0.02));
  CHECK(values.shares.at(3) == doctest::Approx(0.09239).epsilon(0.02));
  CHECK(values.shares.at(11) == doctest::Approx(0.08989).epsilon(0.02));
  CHECK(values.at_most(14) == doctest::Approx(0.44155).epsilon(0.01));
  // Half of the others are below the Pareto distribution's median.
  const double median = 15 + 214.476 * (std::pow(2, 0.348238) - 1) / 0.348238;
  CHECK(values.at_most(static_cast<size_t>(median)) ==
        doctest::Approx(0.44155 + 0.55845 / 2).epsilon(0.01));
  CHECK(values.mean ==
        doctest::Approx(0.55845 * (15 + 214.476 / (1 - 0.348238)) + 2.2).epsilon(0.03));
  // The tail is longer than a table of equally likely sizes would have it.
  CHECK(values.shares.rbegin()->first > 15'000);
}

TEST_CASE("sizes: what is known of the other pools") {
  const Drawn usr = DrawKeys("usr");
  CHECK(usr.shares.size() == 2);
  CHECK(usr.shares.contains(16));
  CHECK(usr.shares.contains(21));
  CHECK(DrawValues("usr").shares.size() == 1);
  CHECK(DrawValues("usr").mean == 2);
  CHECK(DrawKeys("var").shares.at(31) == doctest::Approx(0.9).epsilon(0.01));
  CHECK(DrawValues("app").shares.at(270) >= 0.3);
  for (const char* pool : {"var", "app", "sys"}) {
    CHECK(DrawKeys(pool).mean < 50);
    CHECK(DrawValues(pool).mean > 10);
  }
}

TEST_CASE("sizes: from a file") {
  const std::string path =
      std::string(std::getenv("TEST_TMPDIR") ? std::getenv("TEST_TMPDIR") : "/tmp") +
      "/torc_bench_sizes_test";
  std::ofstream(path) << "1000 1\n10 2\n500 1\n";
  const Drawn drawn = DrawValues("file:" + path);
  std::remove(path.c_str());
  CHECK(drawn.shares.size() == 3);
  CHECK(drawn.shares.at(10) == doctest::Approx(0.5).epsilon(0.01));
  CHECK(drawn.shares.at(500) == doctest::Approx(0.25).epsilon(0.02));
  CHECK(drawn.shares.at(1000) == doctest::Approx(0.25).epsilon(0.02));
}

}  // namespace
}  // namespace torc::bench
