#include "bench/process_usage.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "bench/die.h"

namespace torc::bench {
namespace {

// Adds a task's context switches, from the lines of its status.
void AddSwitches(const std::filesystem::path& status, ProcessUsage& usage) {
  std::ifstream file(status);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    uint64_t count = 0;
    if (!(fields >> name >> count)) continue;
    if (name == "voluntary_ctxt_switches:") usage.voluntary_switches += count;
    if (name == "nonvoluntary_ctxt_switches:") usage.involuntary_switches += count;
  }
}

// The core that a thread is tied to; -1 if it has a choice.
int OnlyCore(pid_t thread) {
  cpu_set_t cores;
  if (sched_getaffinity(thread, sizeof(cores), &cores) != 0 || CPU_COUNT(&cores) != 1) return -1;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &cores)) return core;
  }
  return -1;
}

// The second number of statm: resident pages.
uint64_t ReadResidentBytes(const std::string& root) {
  uint64_t pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream(root + "/statm") >> pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

ProcessUsage operator-(const ProcessUsage& end, const ProcessUsage& begin) {
  return {.total_ns = end.total_ns - begin.total_ns,
          .delayed_ns = end.delayed_ns - begin.delayed_ns,
          .siblings_ns = end.siblings_ns - begin.siblings_ns,
          .user_ticks = end.user_ticks - begin.user_ticks,
          .system_ticks = end.system_ticks - begin.system_ticks,
          .voluntary_switches = end.voluntary_switches - begin.voluntary_switches,
          .involuntary_switches = end.involuntary_switches - begin.involuntary_switches,
          .resident_bytes = end.resident_bytes};
}

uint64_t DelayedByOthers(const ProcessUsage& usage) {
  return usage.delayed_ns - std::min(usage.delayed_ns, usage.siblings_ns);
}

ProcessUsage ReadProcessUsage(pid_t pid) {
  const std::string root = "/proc/" + std::to_string(pid);
  ProcessUsage usage;
  struct Thread {
    uint64_t run_ns = 0;
    uint64_t delayed_ns = 0;
    int core = -1;
  };
  std::vector<Thread> threads;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(root + "/task", error)) {
    Thread thread;
    // A thread may end between the listing and the reading: it then counts as 0.
    if (std::ifstream(task.path() / "schedstat") >> thread.run_ns >> thread.delayed_ns) {
      thread.core = OnlyCore(std::stoi(task.path().filename()));
      threads.push_back(thread);
      usage.total_ns += thread.run_ns;
    }
    AddSwitches(task.path() / "status", usage);
  }
  if (error) Die("cannot read " + root + "/task: " + error.message());
  const auto busiest =
      std::max_element(threads.begin(), threads.end(),
                       [](const Thread& a, const Thread& b) { return a.run_ns < b.run_ns; });
  if (busiest != threads.end()) {
    usage.delayed_ns = busiest->delayed_ns;
    for (const Thread& thread : threads) {
      if (&thread != &*busiest && busiest->core >= 0 && thread.core == busiest->core) {
        usage.siblings_ns += thread.run_ns;
      }
    }
  }

  usage.resident_bytes = ReadResidentBytes(root);

  std::ifstream file(root + "/stat");
  std::stringstream text;
  text << file.rdbuf();
  // The second field is the program's name in parentheses, which may hold anything; count from the
  // last one. utime and stime are fields 14 and 15, so the 12th and 13th after it.
  const std::string line = text.str();
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) Die("cannot read " + root + "/stat");
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  if (!(fields >> usage.user_ticks >> usage.system_ticks)) Die("cannot parse " + root + "/stat");
  return usage;
}

}  // namespace torc::bench
