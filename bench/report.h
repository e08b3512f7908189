// What a run of the load generator yielded, and how it is written down.
//
// Owner: main. Affinity: one thread. Lifetime: the program. Invariant: none.
#pragma once

#include <cstdint>

#include "bench/histogram.h"
#include "bench/options.h"
#include "bench/process_usage.h"
#include "bench/protocol.h"

namespace torc::bench {

// The counted part of a run.
struct Result {
  Options options;
  double seconds = 0;
  Tally tally;
  uint64_t connects = 0;  // connections made meanwhile
  Histogram latency_ns;
  ProcessUsage own;
  bool server_is_measured = false;
  ProcessUsage server;

  // Of an open loop: requests that were due; those of them that were not sent when the time was
  // over, and not answered for a while after it; and how long each waited to be sent.
  uint64_t offered = 0;
  uint64_t waiting_at_end = 0;
  uint64_t given_up = 0;
  Histogram wait_ns;
};

// A summary for people on standard error, one line of JSON on standard output.
void Print(const Result& result);

// How a run is getting on.
struct Progress {
  double seconds;  // since it began
  const char* phase;
  const Tally& before;  // a second ago
  const Tally& tally;
  const Histogram& latency_ns;  // of what was counted so far
};

// One line on standard error.
void PrintProgressLine(const Progress& progress);

}  // namespace torc::bench
