// `torc --doctor`: what this machine gives torc, what falls short, and the one line that cures it.
//
// Owner: main.
// Affinity: startup.
// Lifetime: values.
// Invariant: every line that is not "ok" names a cure or a fallback.
#ifndef TORC_SRC_RING_DOCTOR_H_
#define TORC_SRC_RING_DOCTOR_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "src/ring/probe.h"

namespace torc::ring {

// What the doctor looks at besides io_uring. Text that is empty, and numbers below 0, could not be
// read (containers hide some of it): not judged.
struct Machine {
  uint64_t open_files_max = 0;         // RLIMIT_NOFILE
  uint64_t memlock_bytes_max = 0;      // RLIMIT_MEMLOCK
  std::string transparent_huge_pages;  // always, madvise or never
  int64_t huge_pages = -1;             // reserved explicitly
  int64_t cores = -1;                  // this process may run on
  int64_t somaxconn = -1;
  int64_t tcp_max_syn_backlog = -1;
  std::string governor;  // of the processor's clock
};
Machine ReadMachine();

// Prints one line for each finding. True when torc can run.
bool Report(const Probe& probe, const Machine& machine, std::FILE* out);

// Looks at the machine and reports. The exit status of `torc --doctor`: 0 when torc can run here, 1
// when it cannot.
int RunDoctor(std::FILE* out);

}  // namespace torc::ring

#endif  // TORC_SRC_RING_DOCTOR_H_
