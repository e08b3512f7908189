// The policies that torc's is compared with, each over a number of bytes, and the best possible.
//
// All count an object as its key, its value and kOverheadBytes, with no loss to size classes: what
// they are worth as policies. Torc's own (torc.h) is the engine itself, with all its losses.
//
// Owner: main. Affinity: a thread. Lifetime: one replay. Invariant: what is resident fits the
// capacity.
#ifndef TORC_BENCH_SIMULATOR_POLICIES_H_
#define TORC_BENCH_SIMULATOR_POLICIES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "bench/simulator/trace.h"

namespace bench::simulator {

// Per object, besides key and value.
inline constexpr uint32_t kOverheadBytes = 32;

class Policy {
 public:
  virtual ~Policy() = default;
  // A look-aside request: true if the object is there; if not, it is stored.
  virtual bool Request(uint32_t object) = 0;
};

// The names that MakePolicy knows.
std::span<const std::string_view> PolicyNames();
// The trace outlives the policy.
std::unique_ptr<Policy> MakePolicy(std::string_view name, const Trace& trace,
                                   uint64_t capacity_bytes);

}  // namespace bench::simulator

#endif  // TORC_BENCH_SIMULATOR_POLICIES_H_
