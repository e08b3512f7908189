// Which key is asked for next.
//
//   uniform     every key alike
//   zipf        key k as often as 1 / (k + 1)^skew says
//   hotset      a share of the requests for the first keys, the rest for the others, alike within
//   sequential  one after another, from the first to the last and again
//   scan        a share of the requests in sequence over all keys, the rest by Zipf's law: what a
//               backup or a crawler does to a working set
//
// The popular keys are those with low ids; a server hashes keys, so it cannot tell.
//
// Owner: the load. Affinity: one thread. Lifetime: the program. Invariant: ids are below the key
// count.
#pragma once

#include <cstdint>

#include "bench/random.h"
#include "bench/zipf.h"

namespace torc::bench {

enum class PopularityKind : uint8_t { kUniform, kZipf, kHotSet, kSequential, kScan };

struct PopularityConfig {
  PopularityKind kind = PopularityKind::kUniform;
  double zipf_skew = 0.99;
  uint64_t hot_keys = 1;
  double hot_share = 0.9;
  double scan_share = 0.1;
};

class Popularity {
 public:
  // Requires 0 < key_count and 0 < config.hot_keys <= key_count.
  Popularity(const PopularityConfig& config, uint64_t key_count)
      : config_(config), key_count_(key_count), zipf_(key_count, config.zipf_skew) {}

  // The id of the next key.
  uint64_t Next(Random& random) {
    switch (config_.kind) {
      case PopularityKind::kUniform:
        break;
      case PopularityKind::kZipf:
        return zipf_.Next(random);
      case PopularityKind::kHotSet: {
        const uint64_t cold_keys = key_count_ - config_.hot_keys;
        if (cold_keys == 0 || random.Fraction() < config_.hot_share) {
          return random.Below(config_.hot_keys);
        }
        return config_.hot_keys + random.Below(cold_keys);
      }
      case PopularityKind::kSequential:
        return NextInSequence();
      case PopularityKind::kScan:
        return random.Fraction() < config_.scan_share ? NextInSequence() : zipf_.Next(random);
    }
    return random.Below(key_count_);
  }

 private:
  uint64_t NextInSequence() {
    const uint64_t id = sequence_;
    sequence_ = id + 1 == key_count_ ? 0 : id + 1;
    return id;
  }

  PopularityConfig config_;
  uint64_t key_count_;
  uint64_t sequence_ = 0;
  Zipf zipf_;
};

}  // namespace torc::bench
