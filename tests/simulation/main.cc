// Long runs of the simulation, and one run again with everything that happens in it.
//
//   simulation --runs 10000 --quiet      seeds 1 to 10000; a line for those that fail
//   simulation --seed 4711               that one
//   simulation --seed 4711 --trace       with a line for each completion and command
//   simulation --engine map --delaying   against another engine, and one that answers turns later
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/simulation/run.h"

int main(int argc, char** argv) {
  uint64_t seed = 1;
  uint64_t runs = 1;
  bool trace = false;
  bool quiet = false;
  torc::simulation::RunOptions options;
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--seed") == 0 && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--runs") == 0 && has_value) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--trace") == 0) {
      trace = true;
    } else if (std::strcmp(argv[i], "--quiet") == 0) {
      quiet = true;
    } else if (std::strcmp(argv[i], "--delaying") == 0) {
      options.delaying = true;
    } else if (std::strcmp(argv[i], "--engine") == 0 && has_value &&
               std::strcmp(argv[i + 1], "map") == 0) {
      options.engine = torc::simulation::EngineKind::kMap;
      ++i;
    } else {
      std::fprintf(stderr,
                   "usage: %s [--seed N] [--runs M] [--trace] [--quiet] [--engine map] "
                   "[--delaying]\n",
                   argv[0]);
      return 64;
    }
  }
  uint64_t failed = 0;
  for (uint64_t end = seed + runs; seed != end; ++seed) {
    // First, so that it is known even if the run ends the process.
    std::printf("seed %llu: ", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    const torc::simulation::RunResult result =
        torc::simulation::Run(seed, options, trace ? stdout : nullptr);
    if (!result.mismatch.empty()) {
      ++failed;
      std::printf("FAILED: %s\n  %s\n", result.mismatch.c_str(), result.summary.c_str());
    } else {
      std::printf("%s%s", result.summary.c_str(), quiet ? "\r" : "\n");
    }
  }
  std::printf("%llu of %llu runs failed\n", static_cast<unsigned long long>(failed),
              static_cast<unsigned long long>(runs));
  return failed == 0 ? 0 : 1;
}
