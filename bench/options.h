// The load generator's command line.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace torc::bench {

struct Options {
  std::string host = "127.0.0.1";
  uint16_t port = 11211;
  std::string unix_path;  // when set, host and port are not used
  uint32_t connections = 50;

  std::string protocol = "text";
  double set_share = 0;  // share of the requests that are sets: 0 for get, 1 for set
  uint32_t pipeline = 1;
  uint32_t multiget = 1;

  uint64_t key_count = 10'000;
  std::string key_prefix = "k";
  size_t key_size = 12;
  size_t value_size = 100;

  double seconds = 3;
  double warmup_seconds = 0.5;
  uint64_t seed = 1;
  bool fill = false;
  bool verify = false;
  pid_t server_pid = 0;  // 0: the server's processor time is not measured
};

// Ends the program on --help, and on an option that is unknown or senseless.
Options ParseOptions(int argc, char** argv);

}  // namespace torc::bench
