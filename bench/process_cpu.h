// The processor time that a process has used, all its threads (and its io_uring workers) together.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace torc::bench {

struct ProcessCpu {
  // From the scheduler's own clock, exact to nanoseconds. Time of threads that have ended is not in
  // it; neither server here ends threads while it is measured.
  uint64_t total_ns = 0;
  // Time that the busiest of its threads was ready to run and another task had its core.
  uint64_t delayed_ns = 0;
  // How that time divides. The kernel keeps it in ticks of about 10 ms, so only the proportion is
  // used, and only over a second or more.
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
};

// What was used between two readings.
ProcessCpu operator-(const ProcessCpu& end, const ProcessCpu& begin);

// Ends the program if there is no such process. Needs the rights to read /proc/PID.
ProcessCpu ReadProcessCpu(pid_t pid);

}  // namespace torc::bench
