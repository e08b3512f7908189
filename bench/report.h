// What a run of the load generator yielded, and how it is written down.
#pragma once

#include "bench/histogram.h"
#include "bench/process_cpu.h"
#include "bench/protocol.h"

namespace torc::bench {

// The counted part of a run.
struct Result {
  double seconds = 0;
  Tally tally;
  Histogram latency_ns;
  ProcessCpu own;
  bool server_is_measured = false;
  ProcessCpu server;
};

// A summary for people on standard error, one line of JSON on standard output.
void Print(const Result& result);

}  // namespace torc::bench
