// Torc's own policy: the slab engine, as a server of `shards` threads has it, driven without one.
#ifndef TORC_BENCH_SIMULATOR_TORC_H_
#define TORC_BENCH_SIMULATOR_TORC_H_

#include <cstdint>
#include <memory>

#include "bench/simulator/policies.h"

namespace bench::simulator {

// `capacity_bytes` is what -m would say.
std::unique_ptr<Policy> MakeTorc(const Trace& trace, uint64_t capacity_bytes, uint32_t shards);

}  // namespace bench::simulator

#endif  // TORC_BENCH_SIMULATOR_TORC_H_
