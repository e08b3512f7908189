// The command line: memcached's options, read into one struct.
//
//   torc -m 1g -t 4 -l 127.0.0.1,[::1]:11212     argv
//     |  ParseOptions
//     v
//   Options{...}  or  the text to print and the status to exit with
//
// Parsing is pure: it opens nothing, prints nothing and ends nothing, so that tests can read what
// it says.
//
// Owner: main. Affinity: startup; immutable afterwards. Lifetime: the process. Invariant: after
// kServe, each field is within the bounds its comment gives.
#ifndef TORC_SRC_SERVER_OPTIONS_H_
#define TORC_SRC_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace torc {

// What a connection speaks. kUnknown: either, told apart by its first byte.
enum class Protocol : uint8_t { kUnknown, kText, kBinary };

// One TCP address to listen on, or UDP address to receive on.
struct ListenAddress {
  // A name or a numeric address, IPv6 without its brackets. Empty: every address of the machine.
  std::string host;
  uint16_t port = 0;                       // 0: any free port, the kernel's choice (-p -1).
  Protocol protocol = Protocol::kUnknown;  // proto[...] of -l, else -B's

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

struct Options {
  // -- Where to listen
  // -l and -p. Empty with -s; never empty without unix_socket or listen_udp.
  std::vector<ListenAddress> listen;
  std::vector<ListenAddress> listen_udp;  // -l and -U. Empty without -U, and with -s.
  // A path: -s, which takes the place of TCP as in memcached, or -l unix:.
  std::string unix_socket;
  uint32_t unix_mask = 0700;               // -a: the socket's access rights, up to 0777.
  uint32_t listen_backlog = 1024;          // -b
  Protocol protocol = Protocol::kUnknown;  // -B, or what -S and -Y leave. Of the UNIX socket, too.
  // -- Who may come in
  std::string auth_file;          // -Y: the user file, an absolute path after main. Empty: all may.
  bool sasl = false;              // -S
  bool shutdown_enabled = false;  // -A
  uint32_t idle_timeout_seconds = 0;  // -o idle_timeout. 0: no limit.
  // -- What to use
  uint32_t shards = 4;                  // -t: 1 to kShardsMax
  uint64_t memory_bytes = 64ULL << 20;  // -m: a multiple of 1 MiB, at least twice item_bytes_max
  bool evict = true;                    // false with -M
  uint32_t item_bytes_max = 1U << 20;   // -I: 1 KiB to 1 GiB, key, value and header together
  uint32_t connections_max = 0;  // -c. 0: as many as the limit of open files allows, at least 1024.
  uint32_t requests_per_turn = 20;  // -R: at least 1
  bool lock_memory = false;         // -k
  bool large_pages = false;         // -L
  std::string engine = "slab";      // --engine: a name, or the path of a shared object
  std::string engine_config;        // --engine-config: for the engine to read
  // -- How to run
  std::string user;               // -u: drop root's rights for this user's. Empty: not given.
  bool daemon = false;            // -d
  std::string pid_file;           // -P. Empty: none.
  bool core_dumps = false;        // -r
  uint32_t verbosity = 0;         // -v, -vv, -vvv: up to 3
  bool flush_all_enabled = true;  // false with -F
  bool dumps_enabled = true;      // false with -X
  bool detail_enabled = false;    // true with -D: stats detail is on from the start
  char prefix_delimiter = ':';    // -D
  // -- Kept for `stats settings` alone
  double slab_growth_factor = 1.25;    // -f: above 1
  uint32_t slab_chunk_bytes_min = 48;  // -n: at least 1
  // One line for each option that was accepted and does nothing here, for main to print to standard
  // error.
  std::vector<std::string> notices;
};

enum class ParseAction {
  kServe,        // Run with the options.
  kDoctor,       // --doctor: report on this machine and exit.
  kListEngines,  // --engine=help: print the engines there are and exit.
  kExit,         // Print `output` and `error`, exit with `exit_status`.
};

struct ParseResult {
  ParseAction action = ParseAction::kServe;
  int exit_status = 0;
  std::string output;  // For standard output: help, version, licence.
  std::string error;   // For standard error, lines with their '\n'.
};

// Reads the command line. `*options` must be fresh, and is whole after kServe alone. Exit statuses
// are memcached's: 0 for help and version, 64 (EX_USAGE) or 1 for what is wrong, by option. Not
// safe from two threads at once (getopt_long).
[[nodiscard]] ParseResult ParseOptions(int argc, char** argv, Options* options);

// What -h prints.
[[nodiscard]] std::string UsageText();

}  // namespace torc

#endif  // TORC_SRC_SERVER_OPTIONS_H_
