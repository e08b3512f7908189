// Numbers by Zipf's law: rank k of n has a probability in proportion to 1 / (k + 1)^theta.
//
// By rejection-inversion (W. Hoermann, G. Derflinger, "Rejection-inversion to generate variates
// from monotone discrete distributions", ACM TOMACS 6, 1996): no table, so that any n costs the
// same.
//
// Owner: main. Affinity: any (immutable). Lifetime: the program. Invariant: none.
#pragma once

#include <cmath>
#include <cstdint>

#include "bench/random.h"

namespace torc::bench {

class Zipf {
 public:
  // Requires n > 0, 0 < theta.
  Zipf(uint64_t n, double theta)
      : n_(static_cast<double>(n)),
        theta_(theta),
        area_begin_(Area(1.5) - 1),
        area_end_(Area(n_ + 0.5)),
        sure_(2 - AreaInverse(Area(2.5) - std::pow(2, -theta))) {}

  // A rank in [0, n), the most frequent one being 0.
  uint64_t Next(Random& random) const {
    for (;;) {
      const double u = area_end_ + random.Fraction() * (area_begin_ - area_end_);
      const double x = AreaInverse(u);
      const double k = std::fmin(std::fmax(std::floor(x + 0.5), 1), n_);
      if (k - x <= sure_ || u >= Area(k + 0.5) - std::pow(k, -theta_)) {
        return static_cast<uint64_t>(k) - 1;
      }
    }
  }

 private:
  // The integral of x^-theta from 1, (x^(1 - theta) - 1) / (1 - theta), and its inverse; written so
  // that theta may be 1, where the first is the logarithm.
  double Area(double x) const {
    const double log_x = std::log(x);
    const double t = (1 - theta_) * log_x;
    return std::fabs(t) < 1e-9 ? log_x : std::expm1(t) / t * log_x;
  }
  double AreaInverse(double a) const {
    const double t = std::fmax((1 - theta_) * a, -1);
    return std::exp(std::fabs(t) < 1e-9 ? a : std::log1p(t) / t * a);
  }

  double n_;
  double theta_;
  double area_begin_;
  double area_end_;
  double sure_;
};

}  // namespace torc::bench
