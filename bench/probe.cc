// What a client that asks for little feels while others ask for much: one connection, one small get
// at a time, at a steady pace.
//
// A get is due at its time whether or not the one before it was answered: a server that stops for
// 20 ms is late for 20 gets and not for one, and the figures say so. What the probe itself was late
// is not the server's and is reported apart.

#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "bench/cache_client.h"
#include "bench/clock.h"
#include "bench/die.h"
#include "bench/flags.h"
#include "bench/histogram.h"
#include "src/client/client.h"

namespace torc::bench {
namespace {

constexpr const char* kHelp = R"(usage: probe [options]
Asks for one small key at a steady pace, until standard input ends or the time is over. Prints one
line of JSON: latencies in microseconds, and when the slowest answers came.

  --port PORT          server's port on 127.0.0.1
  --key KEY            stored first, then asked for (probe)
  --every-us US        pace (1000)
  --seconds SECONDS    at most so long (3600)
)";

constexpr size_t kSlowestKept = 8;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

struct Slow {
  uint64_t at_ns;  // when it was due, since the first
  uint64_t latency_ns;
};

void SleepUntil(uint64_t ns) {
  const timespec until{.tv_sec = static_cast<time_t>(ns / kNsPerSecond),
                       .tv_nsec = static_cast<long>(ns % kNsPerSecond)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

bool InputEnded() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (poll(&input, 1, 0) <= 0) return false;
  char byte;
  return read(STDIN_FILENO, &byte, 1) <= 0;
}

double Us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

int Main(int argc, char** argv) {
  Flags flags(argc, argv, kHelp);
  const auto port = static_cast<uint16_t>(flags.Number("port", 11211));
  const std::string key = flags.Text("key", "probe");
  const uint64_t every_ns = flags.Number("every-us", 1000) * 1000;
  const double seconds = flags.Real("seconds", 3600);
  flags.RefuseOthers();
  if (every_ns == 0) Die("--every-us must be more than 0");

  // Ahead of the load on a core that it shares with it, where that is allowed.
  const sched_param priority{.sched_priority = 1};
  const bool ahead = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;

  client::Client cache(ServerAt(port));
  if (const client::Result stored = cache.Set(key, "probe"); !stored.ok()) {
    Die("the key is not stored: " + Words(stored));
  }

  Histogram latency_ns;
  std::vector<Slow> slowest;
  uint64_t hits = 0, late_ns_max = 0, answered_ns = 0;
  const uint64_t begin_ns = MonotonicNs();
  const uint64_t end_ns = begin_ns + static_cast<uint64_t>(seconds * 1e9);
  for (uint64_t due_ns = begin_ns; due_ns < end_ns; due_ns += every_ns) {
    if (InputEnded()) break;
    SleepUntil(due_ns);
    const uint64_t sent_ns = MonotonicNs();
    const client::Result read = cache.Get(key);
    // A get that was due while the one before was still unanswered has waited since it was due; any
    // other was only sent late by the probe itself.
    const uint64_t from_ns = answered_ns > due_ns ? due_ns : sent_ns;
    late_ns_max = std::max(late_ns_max, sent_ns - std::max(due_ns, answered_ns));
    answered_ns = MonotonicNs();
    if (read.ok()) {
      ++hits;
    } else if (read.status != client::Status::kNotFound) {
      Die("the key is not read: " + Words(read));
    }
    latency_ns.Record(answered_ns - from_ns, 1);
    slowest.push_back({due_ns - begin_ns, answered_ns - from_ns});
    std::push_heap(slowest.begin(), slowest.end(),
                   [](const Slow& a, const Slow& b) { return a.latency_ns > b.latency_ns; });
    if (slowest.size() > kSlowestKept) {
      std::pop_heap(slowest.begin(), slowest.end(),
                    [](const Slow& a, const Slow& b) { return a.latency_ns > b.latency_ns; });
      slowest.pop_back();
    }
  }
  std::printf(
      "{\"probes\":%lu,\"hits\":%lu,\"us_p50\":%.1f,\"us_p99\":%.1f,\"us_p999\":%.1f,"
      "\"us_max\":%.1f,\"late_us_max\":%.1f,\"ahead\":%s,\"slowest\":[",
      latency_ns.count(), hits, Us(latency_ns.Percentile(50)), Us(latency_ns.Percentile(99)),
      Us(latency_ns.Percentile(99.9)), Us(latency_ns.max()), Us(late_ns_max),
      ahead ? "true" : "false");
  std::sort(slowest.begin(), slowest.end(),
            [](const Slow& a, const Slow& b) { return a.latency_ns > b.latency_ns; });
  for (size_t i = 0; i < slowest.size(); ++i) {
    std::printf("%s{\"at_s\":%.3f,\"us\":%.1f}", i == 0 ? "" : ",",
                static_cast<double>(slowest[i].at_ns) / 1e9, Us(slowest[i].latency_ns));
  }
  std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
