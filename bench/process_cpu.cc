#include "bench/process_cpu.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include "bench/die.h"

namespace torc::bench {

ProcessCpu operator-(const ProcessCpu& end, const ProcessCpu& begin) {
  return {.total_ns = end.total_ns - begin.total_ns,
          .delayed_ns = end.delayed_ns - begin.delayed_ns,
          .user_ticks = end.user_ticks - begin.user_ticks,
          .system_ticks = end.system_ticks - begin.system_ticks};
}

ProcessCpu ReadProcessCpu(pid_t pid) {
  const std::string root = "/proc/" + std::to_string(pid);
  ProcessCpu cpu;
  uint64_t busiest_ns = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(root + "/task", error)) {
    uint64_t run_ns = 0;
    uint64_t delayed_ns = 0;
    // A thread may end between the listing and the reading: it then counts as 0.
    if (std::ifstream(task.path() / "schedstat") >> run_ns >> delayed_ns) {
      cpu.total_ns += run_ns;
      if (run_ns >= busiest_ns) {
        busiest_ns = run_ns;
        cpu.delayed_ns = delayed_ns;
      }
    }
  }
  if (error) Die("cannot read " + root + "/task: " + error.message());

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
  if (!(fields >> cpu.user_ticks >> cpu.system_ticks)) Die("cannot parse " + root + "/stat");
  return cpu;
}

}  // namespace torc::bench
