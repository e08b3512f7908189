// What a server does to its own process before it serves: limits, rights, background, pid file,
// signals.
//
// Owner: none, functions. Affinity: startup, on the main thread before others start. Lifetime:
// static. Invariant: each says in `error` what failed and what to do; none ends the process.
#ifndef TORC_SRC_SERVER_PROCESS_H_
#define TORC_SRC_SERVER_PROCESS_H_

#include <csignal>
#include <cstdint>
#include <string>

#include "src/server/options.h"

namespace torc::server {

// Raises the limit of open files for `connections_max` connections (0: as far as it goes) and
// returns how many connections it allows, at least memcached's default of 1,024 where none was
// asked for. 0: `error` says why it cannot be had.
[[nodiscard]] uint32_t RaiseFileLimit(uint32_t connections_max, uint32_t shards,
                                      std::string* error);

// -r.
[[nodiscard]] bool AllowCoreDumps(std::string* error);

// Becomes `user`. As root a user is required, as in memcached: a cache has no business with root's
// rights. Returns 0, or the status to exit with.
[[nodiscard]] int DropRights(const std::string& user, std::string* error);

// -d: goes on in the background, without a terminal.
[[nodiscard]] bool Daemonize(bool keep_directory, std::string* error);

// -k.
[[nodiscard]] bool LockMemory(std::string* error);

// -P; removed by RemovePidFile.
void WritePidFile(const std::string& path);
void RemovePidFile(const std::string& path);

// Blocks the signals that end or prod a server in this thread and those it starts, and ignores
// SIGPIPE.
void BlockSignals();
// Waits for SIGINT, SIGTERM, SIGUSR1 or SIGHUP and returns it.
int WaitForSignal();

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_PROCESS_H_
