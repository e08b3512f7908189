// One run of the simulation: everything in it follows from its seed.
//
// Owner: none, functions. Affinity: one thread. Lifetime: values. Invariant: the same seed gives
// the same run, step by step.
#ifndef TORC_TESTS_SIMULATION_RUN_H_
#define TORC_TESTS_SIMULATION_RUN_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "tests/simulation/cluster.h"

namespace torc::simulation {

// What the clients run against.
struct RunOptions {
  EngineKind engine = EngineKind::kSlab;
  bool delaying = false;  // the engine answers some operations turns later
};

struct RunResult {
  std::string mismatch;      // what went wrong; empty: nothing
  std::string summary;       // one line on what happened in it
  uint64_t fingerprint = 0;  // over all completions: equal runs have equal ones
};

// Runs the clients of `seed` against a server until all have ended, and stops it. Mishaps that the
// server must never see end the process: CHECK. With `trace`, every completion and command is
// written there.
RunResult Run(uint64_t seed, const RunOptions& options = {}, std::FILE* trace = nullptr);

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_RUN_H_
