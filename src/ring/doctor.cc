#include "src/ring/doctor.h"

#include <liburing.h>
#include <sched.h>
#include <sys/resource.h>

#include <cinttypes>
#include <cstring>
#include <cstdlib>

#include "src/base/file_text.h"
#include "src/ring/kernel_abi.h"

namespace torc::ring {
namespace {

// A server for a large tier: clients' connections, and some for everything else.
constexpr uint64_t kOpenFilesWanted = 65536;
// The default of systemd, and enough for some 90 shards.
constexpr uint64_t kMemlockBytesWanted = uint64_t{8} << 20;
// memcached's default for -b, the length of the queue of new connections. The kernel silently
// lowers it to somaxconn.
constexpr int64_t kBacklogWanted = 1024;

std::string ReadWord(const char* path) {
  const std::string text = ReadFileText(path);
  return text.substr(0, text.find_first_of(" \n"));
}

int64_t ReadNumber(const char* path) {
  const std::string text = ReadFileText(path);
  return text.empty() ? -1 : std::strtoll(text.c_str(), nullptr, 10);
}

// The choice in brackets: "always [madvise] never".
std::string ReadChoice(const char* path) {
  const std::string text = ReadFileText(path);
  const size_t open = text.find('[');
  const size_t close = text.find(']', open);
  if (close == std::string::npos) return "";
  return text.substr(open + 1, close - open - 1);
}

uint64_t SoftLimit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  getrlimit(resource, &limit);
  return limit.rlim_cur;
}

std::string Amount(uint64_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

void Line(std::FILE* out, const char* verdict, const std::string& what, const std::string& more) {
  if (more.empty()) {
    std::fprintf(out, "  %-20s %s\n", verdict, what.c_str());
  } else {
    std::fprintf(out, "  %-20s %-30s %s\n", verdict, what.c_str(), more.c_str());
  }
}

// A finding about the machine: fine as it is, or with a cure.
void Judge(std::FILE* out, bool fine, const std::string& what, const std::string& value,
           const std::string& cure) {
  Line(out, fine ? "ok" : "low", what, fine ? value : value + ": " + cure);
}

// What to add to a feature that is there.
const char* Remark(Feature feature) {
  if (TextOf(feature).need == Need::kUnused) return "not used yet";
  if (feature == Feature::kNoSqArray && !kLiburingHasNoSqArray) {
    return "not used: built with a liburing older than 2.5";
  }
  return "";
}

void ReportFeatures(const Probe& probe, std::FILE* out) {
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const auto feature = static_cast<Feature>(i);
    const FeatureText& text = TextOf(feature);
    if (probe.found.Has(feature)) {
      Line(out, "ok", text.name, Remark(feature));
      continue;
    }
    const std::string since = std::string("Linux ") + text.kernel;
    const std::string reason =
        probe.system_error[i] == 0 ? "" : std::strerror(probe.system_error[i]);
    const std::string tail = " (" + since + (reason.empty() ? "" : "; " + reason) + ")";
    switch (text.need) {
      case Need::kRequired:
        Line(out, "missing (required)", text.name,
             std::string("without it ") + text.without + tail);
        break;
      case Need::kFallback:
        Line(out, "missing (fallback)", text.name, text.without + tail);
        break;
      case Need::kUnused:
        Line(out, "missing (unused)", text.name, text.without + tail);
        break;
    }
  }
}

void ReportMachine(const Machine& machine, std::FILE* out) {
  Judge(out, machine.open_files_max >= kOpenFilesWanted, "open files",
        Amount(machine.open_files_max),
        "bounds the connections; ulimit -n 1048576, or LimitNOFILE=1048576 in the systemd unit");
  Judge(out, machine.memlock_bytes_max >= kMemlockBytesWanted, "locked memory",
        Amount(machine.memlock_bytes_max),
        "bytes: rings count here, about 90 KiB a shard for all servers of a user, and all memory "
        "with "
        "-k; ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit");
  if (!machine.transparent_huge_pages.empty()) {
    Judge(out, machine.transparent_huge_pages != "never", "transparent huge pages",
          machine.transparent_huge_pages,
          "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled spares misses of the address "
          "cache");
  }
  if (machine.huge_pages >= 0) {
    Line(out, "ok", "explicit huge pages",
         machine.huge_pages == 0 ? "none reserved; not needed where transparent ones work"
                                 : std::to_string(machine.huge_pages) + " reserved");
  }
  if (machine.cores > 0) {
    Judge(out, machine.cores > 1, "cores", std::to_string(machine.cores),
          "one shard is all that can run at a time here; give it more cores, or run with -t 1");
  }
  if (machine.somaxconn >= 0) {
    Judge(out, machine.somaxconn >= kBacklogWanted, "net.core.somaxconn",
          std::to_string(machine.somaxconn),
          "bursts of new connections are refused; sysctl -w net.core.somaxconn=4096");
  }
  if (machine.tcp_max_syn_backlog >= 0) {
    Judge(out, machine.tcp_max_syn_backlog >= kBacklogWanted, "net.ipv4.tcp_max_syn_backlog",
          std::to_string(machine.tcp_max_syn_backlog),
          "bursts of new connections are delayed; sysctl -w net.ipv4.tcp_max_syn_backlog=4096");
  }
  if (!machine.governor.empty()) {
    Judge(out, machine.governor == "performance", "processor clock governor", machine.governor,
          "the first requests after a pause are slow; cpupower frequency-set -g performance");
  }
}

std::string LiburingVersion() {
#ifdef IO_URING_VERSION_MAJOR
  return std::to_string(IO_URING_VERSION_MAJOR) + "." + std::to_string(IO_URING_VERSION_MINOR);
#else
  return "2.3 or older";  // 2.4 was the first to say
#endif
}

}  // namespace

Machine ReadMachine() {
  Machine machine;
  machine.open_files_max = SoftLimit(RLIMIT_NOFILE);
  machine.memlock_bytes_max = SoftLimit(RLIMIT_MEMLOCK);
  machine.transparent_huge_pages = ReadChoice("/sys/kernel/mm/transparent_hugepage/enabled");
  machine.huge_pages = ReadNumber("/proc/sys/vm/nr_hugepages");
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) machine.cores = CPU_COUNT(&cores);
  machine.somaxconn = ReadNumber("/proc/sys/net/core/somaxconn");
  machine.tcp_max_syn_backlog = ReadNumber("/proc/sys/net/ipv4/tcp_max_syn_backlog");
  machine.governor = ReadWord("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return machine;
}

bool Report(const Probe& probe, const Machine& machine, std::FILE* out) {
  std::fprintf(out, "io_uring on Linux %s, through liburing %s\n", probe.kernel.c_str(),
               LiburingVersion().c_str());
  ReportFeatures(probe, out);
  std::fprintf(out, "\nmachine\n");
  ReportMachine(machine, out);
  const std::string refusal = Refusal(probe);
  if (refusal.empty()) {
    std::fprintf(out, "\ntorc can run here.\n");
  } else {
    std::fprintf(out, "\ntorc cannot run here: %s.\n", refusal.c_str());
  }
  return refusal.empty();
}

int RunDoctor(std::FILE* out) { return Report(RunProbe(), ReadMachine(), out) ? 0 : 1; }

}  // namespace torc::ring
