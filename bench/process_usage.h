// What a process has used, all its threads (and its io_uring workers) together.
//
// Owner: whoever measures. Affinity: one thread. Lifetime: any. Invariant: none.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace torc::bench {

struct ProcessUsage {
  // From the scheduler's own clock, exact to nanoseconds. Time of threads that have ended is not in
  // it; neither server here ends threads while it is measured.
  uint64_t total_ns = 0;
  // Time that the busiest of its threads was ready to run and another task had its core.
  uint64_t delayed_ns = 0;
  // Time that others of its threads ran which are tied to the core that the busiest is tied to: of
  // delayed_ns, what the process did to itself. 0 where the busiest may go elsewhere.
  uint64_t siblings_ns = 0;
  // How that time divides. The kernel keeps it in ticks of about 10 ms, so only the proportion is
  // used, and only over a second or more.
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
  // Times that its threads gave up their core to wait, and that it was taken from them.
  uint64_t voluntary_switches = 0;
  uint64_t involuntary_switches = 0;
  // What it has of the machine's memory now.
  uint64_t resident_bytes = 0;
};

// What was used between two readings; of memory, what `end` found.
ProcessUsage operator-(const ProcessUsage& end, const ProcessUsage& begin);

// Of delayed_ns what other processes took, at least.
uint64_t DelayedByOthers(const ProcessUsage& usage);

// Ends the program if there is no such process. Needs the rights to read /proc/PID.
ProcessUsage ReadProcessUsage(pid_t pid);

}  // namespace torc::bench
