// Now, for programs that measure.
//
// Owner: nobody. Affinity: any. Lifetime: any. Invariant: none.
#pragma once

#include <chrono>
#include <cstdint>

namespace torc::bench {

inline uint64_t MonotonicNs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace torc::bench
