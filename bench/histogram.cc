#include "bench/histogram.h"

#include <algorithm>
#include <boost/histogram/axis/regular.hpp>
#include <boost/histogram/histogram.hpp>
#include <boost/histogram/make_histogram.hpp>
#include <boost/histogram/storage_adaptor.hpp>
#include <boost/histogram/weight.hpp>
#include <cmath>
#include <limits>

namespace torc::bench {
namespace {

namespace histogram = boost::histogram;

using Axis = histogram::axis::regular<double, histogram::axis::transform::log>;
using Counts = std::vector<uint64_t>;

constexpr double kLow = 1;
constexpr double kHigh = 1e12;
constexpr double kStep = 1.001;

auto MakeBuckets() {
  static const auto kCount = static_cast<unsigned>(std::log(kHigh / kLow) / std::log(kStep));
  return histogram::make_histogram_with(Counts(), Axis(kCount, kLow, kHigh));
}

}  // namespace

struct Histogram::Buckets {
  decltype(MakeBuckets()) values = MakeBuckets();
};

Histogram::Histogram() : buckets_(std::make_unique<Buckets>()) {}
Histogram::~Histogram() = default;

Histogram::Histogram(const Histogram& other)
    : buckets_(std::make_unique<Buckets>(*other.buckets_)),
      count_(other.count_),
      max_(other.max_),
      sum_(other.sum_) {}

Histogram& Histogram::operator=(const Histogram& other) {
  *buckets_ = *other.buckets_;
  count_ = other.count_;
  max_ = other.max_;
  sum_ = other.sum_;
  return *this;
}

void Histogram::Record(uint64_t value, uint64_t count) {
  if (count == 0) return;
  buckets_->values(static_cast<double>(value), histogram::weight(count));
  count_ += count;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(count);
}

double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::vector<Histogram::Step> Histogram::Distribution() const {
  std::vector<Step> steps;
  uint64_t seen = 0;
  const auto& axis = buckets_->values.axis();
  // From the bucket of what lies below the axis (0) to that of what lies above it.
  for (int i = -1; i <= axis.size(); ++i) {
    const uint64_t count = buckets_->values.at(i);
    if (count == 0) continue;
    seen += count;
    const double end = i < 0              ? 0
                       : i == axis.size() ? std::numeric_limits<double>::infinity()
                                          : axis.value(i + 1);
    steps.push_back({end >= static_cast<double>(max_) ? max_ : static_cast<uint64_t>(end), seen});
  }
  return steps;
}

uint64_t Histogram::Percentile(double percentile) const {
  const double wanted = static_cast<double>(count_) * percentile / 100;
  for (const Step& step : Distribution()) {
    if (static_cast<double>(step.count) >= wanted) return step.value;
  }
  return max_;
}

}  // namespace torc::bench
