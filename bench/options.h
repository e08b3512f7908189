// The load generator's command line.
//
// Owner: main. Affinity: any (immutable once parsed). Lifetime: the program. Invariant: what
// ParseOptions returns makes sense as a whole.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "bench/arrivals.h"
#include "bench/popularity.h"

namespace torc::bench {

struct Options {
  // Where to.
  std::string host = "127.0.0.1";
  uint16_t port = 11211;
  std::string unix_path;  // when set, host and port are not used
  std::string protocol = "text";

  // Connections.
  uint32_t connections = 50;
  double active_share = 1;     // share of the connections that await replies at any moment
  bool churn = false;          // a connection lives for one batch
  uint32_t segment_bytes = 0;  // requests are sent in pieces of so many bytes; 0: as one

  // Requests. What is neither a set nor a delete is a get.
  double set_share = 0;
  double delete_share = 0;
  uint32_t pipeline = 1;
  uint32_t multiget = 1;
  bool set_on_miss = false;
  uint32_t ttl_seconds = 0;  // 0: items do not expire
  bool may_refuse = false;   // stores, for want of memory

  // Keys and values.
  uint64_t key_count = 10'000;
  std::string key_prefix = "k";
  std::string key_size = "12";     // as SizeDistribution::Parse takes it
  std::string value_size = "100";  // likewise
  PopularityConfig popularity;

  // Time.
  double rate = 0;  // requests due in a second; 0: closed loop
  ArrivalKind arrivals = ArrivalKind::kPoisson;
  double seconds = 3;
  double warmup_seconds = 0.5;
  uint64_t seed = 1;

  bool fill = false;
  bool verify = false;
  bool progress = false;
  pid_t server_pid = 0;  // 0: the server is not measured
};

// Ends the program on --help, and on an option that is unknown or senseless.
Options ParseOptions(int argc, char** argv);

}  // namespace torc::bench
