// torc: a cache server that takes memcached's place. This file reads from top to bottom as the life
// of the process.

#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "src/copy/copy.h"
#include "src/engine/loader.h"
#include "src/ring/doctor.h"
#include "src/server/engines.h"
#include "src/server/options.h"
#include "src/server/process.h"
#include "src/server/server.h"

namespace {

int Fail(const std::string& error, int status) {
  std::fprintf(stderr, "torc: %s\n", error.c_str());
  return status;
}

// `path` as it is after a change of folders.
std::string AbsolutePath(const std::string& path) {
  if (path.starts_with('/')) return path;
  char* const folder = getcwd(nullptr, 0);
  const std::string absolute = folder == nullptr ? path : std::string(folder) + "/" + path;
  std::free(folder);
  return absolute;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace torc;          // NOLINT(google-build-using-namespace): main only
  using namespace torc::server;  // NOLINT(google-build-using-namespace): main only

  if (copy::WantsCopy(argc, argv)) return copy::RunCopy(argc, argv);
  Options options;
  const ParseResult parsed = ParseOptions(argc, argv, &options);
  std::fputs(parsed.output.c_str(), stdout);
  std::fputs(parsed.error.c_str(), stderr);
  if (parsed.action == ParseAction::kExit) return parsed.exit_status;
  if (parsed.action == ParseAction::kDoctor) return ring::RunDoctor(stdout);
  if (parsed.action == ParseAction::kListEngines) {
    std::fputs(engine::DescribePlugins(BuiltInEngines()).c_str(), stdout);
    return EXIT_SUCCESS;
  }
  for (const std::string& notice : options.notices) {
    std::fprintf(stderr, "torc: %s\n", notice.c_str());
  }
  // An item lives in one shard's part of the memory.
  if (options.item_bytes_max > options.memory_bytes / options.shards / 2) {
    std::fprintf(
        stderr,
        "torc: items of -I %u bytes may find no room: with -t %u a shard has %llu bytes of "
        "-m; take fewer shards or more memory\n",
        options.item_bytes_max, options.shards,
        static_cast<unsigned long long>(options.memory_bytes / options.shards));
  }

  std::string error;
  UserFile users;
  if (!options.auth_file.empty()) {
    // As root, perhaps, and before the folder changes.
    options.auth_file = AbsolutePath(options.auth_file);
    if (!users.Load(options.auth_file, &error)) return Fail(error, EXIT_FAILURE);
  }
  Doors doors;
  if (!options.auth_file.empty()) doors.users = &users;
  if (options.core_dumps && !AllowCoreDumps(&error)) return Fail(error, EX_OSERR);
  const uint32_t connections_max = RaiseFileLimit(options.connections_max, options.shards, &error);
  if (connections_max == 0) return Fail(error, EX_OSERR);
  if (const int status = DropRights(options.user, &error); status != 0) return Fail(error, status);
  // Changing the user takes core dumps away again.
  if (options.core_dumps) (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  // Likewise with what its users could not read later.
  std::unique_ptr<sasl::Library> sasl;
  if (options.sasl) {
    sasl = sasl::Library::Load(doors.users, options.verbosity > 0, &error);
    if (sasl == nullptr) return Fail(error, EXIT_FAILURE);
    doors.sasl = sasl.get();
  }
  // After the rights were dropped, as its code runs now, and before the terminal is gone.
  const engine::Plugin* const plugin = engine::FindPlugin(options.engine, BuiltInEngines(), &error);
  if (plugin == nullptr) return Fail(error, EX_USAGE);
  if (options.daemon && !Daemonize(options.core_dumps, &error)) return Fail(error, EXIT_FAILURE);
  if (options.lock_memory && !LockMemory(&error)) std::fprintf(stderr, "torc: %s\n", error.c_str());

  BlockSignals();
  const std::unique_ptr<Server> server =
      Server::Create(options, connections_max, *plugin, doors, &error);
  if (server == nullptr) return Fail(error, EX_OSERR);
  if (!options.pid_file.empty()) WritePidFile(options.pid_file);
  server->Start();
  int signal = 0;
  while ((signal = WaitForSignal()) == SIGHUP) {
    if (doors.users == nullptr) continue;
    if (users.Load(options.auth_file, &error)) {
      std::fprintf(stderr, "torc: SIGHUP: Authfile [%s] was read again\n",
                   options.auth_file.c_str());
    } else {
      std::fprintf(stderr, "torc: SIGHUP: %s; the users are those that were\n", error.c_str());
      server->CountAuthFileRefused();
    }
  }
  if (options.verbosity > 0) std::fprintf(stderr, "torc: %s: exiting\n", strsignal(signal));
  server->Stop();
  if (!options.pid_file.empty()) RemovePidFile(options.pid_file);
  return EXIT_SUCCESS;
}
