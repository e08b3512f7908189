// How long keys and values are: a size for each hash of a key's id, so that a key keeps its sizes.
//
//   12                             every one alike
//   10-50                          each size between these alike
//   lognormal:MEAN,SD              mean and standard deviation of the sizes, not of their
//   logarithms gev:LOCATION,SCALE,SHAPE       generalized extreme value distribution
//   pareto:LOCATION,SCALE,SHAPE    generalized Pareto distribution
//   file:PATH                      lines of a size and its weight
//   etc usr app var sys            the pools of Facebook's memcached (sizes.cc names the source)
//
// All but the first two are kept as a table of kCells equally likely sizes, so that a draw costs
// the load generator one access to 16 KB and no logarithm. What lies beyond the last cell is
// computed when it is drawn, once in kCells times: that is where the large values of a heavy tail
// are.
//
// Owner: the key space. Affinity: any (immutable). Lifetime: the program.
// Invariant: every size is between min() and max().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace torc::bench {

// The size below which a share of all sizes lies: an inverse distribution function on [0, 1).
using Quantile = std::function<double(double share)>;

class Sizes {
 public:
  enum class Role { kKey, kValue };
  struct Limits {
    size_t min;
    size_t max;
  };

  // Reads `text`, one of the forms above; the named pools differ in role. Sizes of the forms that
  // are distributions are cut to the limits. Ends the program on any other text, and on a number or
  // range beyond the limits.
  Sizes(const std::string& text, Role role, Limits limits);

  // Whether `text` is a number or a range.
  static bool IsRange(const std::string& text);

  size_t min() const { return min_; }
  size_t max() const { return max_; }
  bool is_fixed() const { return min_ == max_; }

  // The size that belongs to a hash.
  size_t Of(uint64_t hash) const {
    if (cells_.empty()) {
      return min_ + static_cast<size_t>((static_cast<unsigned __int128>(hash) * span_) >> 64);
    }
    const size_t cell = hash >> (64 - kCellBits);
    return cell + 1 == kCells ? FarthestOf(hash) : cells_[cell];
  }

 private:
  static constexpr int kCellBits = 12;
  static constexpr size_t kCells = size_t{1} << kCellBits;

  size_t FarthestOf(uint64_t hash) const;
  size_t Cut(double size) const;

  size_t min_;
  size_t max_;
  size_t span_ = 1;  // sizes of a range
  Quantile quantile_;
  std::vector<uint32_t> cells_;  // empty for a range
};

}  // namespace torc::bench
