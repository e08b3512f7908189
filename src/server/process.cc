#include "src/server/process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace torc::server {
namespace {

// Descriptors that are not connections: standard streams, rings, events, listeners, and some to
// spare.
constexpr uint32_t kFilesBase = 32;
constexpr uint32_t kFilesPerShard = 8;
// memcached's default of -c.
constexpr uint32_t kConnectionsDefault = 1024;
// Where the limit is "unlimited": what a machine's memory can hold without surprises.
constexpr uint32_t kConnectionsSane = 1u << 20;

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

uint32_t RaiseFileLimit(uint32_t connections_max, uint32_t shards, std::string* error) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    *error = std::string("cannot read the limit of open files: ") + std::strerror(errno);
    return 0;
  }
  const rlim_t others = kFilesBase + rlim_t{shards} * kFilesPerShard;
  const rlim_t asked = connections_max != 0 ? connections_max : kConnectionsDefault;
  rlim_t wanted = asked + others;
  if (connections_max == 0) {
    wanted = std::clamp<rlim_t>(limit.rlim_max, wanted, kConnectionsSane);
  }
  if (limit.rlim_cur < wanted) {
    rlimit raised = limit;
    raised.rlim_cur = wanted;
    raised.rlim_max = std::max(limit.rlim_max, wanted);
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
      limit = raised;
    } else {
      // Up to the hard limit always works.
      raised.rlim_cur = raised.rlim_max = limit.rlim_max;
      if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
  }
  if (limit.rlim_cur < wanted && connections_max != 0) {
    *error = "-c " + std::to_string(connections_max) + " needs " + std::to_string(wanted) +
             " open files, the limit is " + std::to_string(limit.rlim_cur) +
             ": raise it (ulimit -n, LimitNOFILE= of systemd), start as root, or lower -c";
    return 0;
  }
  if (connections_max != 0) return connections_max;
  const rlim_t free_files = limit.rlim_cur > others ? limit.rlim_cur - others : 0;
  return static_cast<uint32_t>(
      std::clamp<rlim_t>(free_files, kConnectionsDefault, kConnectionsSane));
}

bool AllowCoreDumps(std::string* error) {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  if (setrlimit(RLIMIT_CORE, &limit) == 0) return true;
  if (getrlimit(RLIMIT_CORE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur != 0) return true;
  }
  *error = "-r: core dumps are not allowed here: raise the limit (ulimit -c)";
  return false;
}

int DropRights(const std::string& user, std::string* error) {
  if (getuid() != 0 && geteuid() != 0) return 0;
  if (user.empty()) {
    *error = "can't run as root without the -u switch: give a user, as in -u nobody";
    return EX_USAGE;
  }
  const passwd* const entry = getpwnam(user.c_str());
  if (entry == nullptr) {
    *error = "can't find the user " + user + " to switch to";
    return EX_NOUSER;
  }
  if (setgroups(0, nullptr) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0) {
    *error = "failed to assume identity of user " + user + ": " + std::strerror(errno);
    return EX_OSERR;
  }
  return 0;
}

bool Daemonize(bool keep_directory, std::string* error) {
  if (daemon(keep_directory ? 1 : 0, 0) == 0) return true;
  *error = std::string("cannot go to the background: ") + std::strerror(errno);
  return false;
}

bool LockMemory(std::string* error) {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return true;
  *error = std::string("-k: cannot lock memory: ") + std::strerror(errno) +
           ": raise the limit (ulimit -l, LimitMEMLOCK= of systemd)";
  return false;
}

void WritePidFile(const std::string& path) {
  // As memcached: written beside and renamed, so that no reader sees half of it; a failure is told
  // and does not end the server.
  const std::string beside = path + ".tmp";
  std::FILE* const file = std::fopen(beside.c_str(), "we");
  if (file == nullptr) {
    std::fprintf(stderr, "torc: cannot write the pid file %s: %s\n", beside.c_str(),
                 std::strerror(errno));
    return;
  }
  std::fprintf(file, "%ld\n", static_cast<long>(getpid()));
  if (std::fclose(file) != 0 || std::rename(beside.c_str(), path.c_str()) != 0) {
    std::fprintf(stderr, "torc: cannot write the pid file %s: %s\n", path.c_str(),
                 std::strerror(errno));
  }
}

void RemovePidFile(const std::string& path) {
  if (unlink(path.c_str()) != 0) {
    std::fprintf(stderr, "torc: cannot remove the pid file %s: %s\n", path.c_str(),
                 std::strerror(errno));
  }
}

void BlockSignals() {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  const sigset_t set = Signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int WaitForSignal() {
  const sigset_t set = Signals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  return signal;
}

}  // namespace torc::server
