#include "bench/report.h"

#include <cstdio>
#include <string>

namespace torc::bench {
namespace {

// The figures as both forms print them.
struct Figures {
  explicit Figures(const Result& result)
      : requests_per_second(PerSecond(result, result.tally.requests)),
        keys_per_second(PerSecond(result, result.tally.keys)),
        hit_ratio(Share(result.tally.hits, result.tally.gets)),
        latency_us_p50(LatencyUs(result, 50)),
        latency_us_p99(LatencyUs(result, 99)),
        latency_us_p999(LatencyUs(result, 99.9)),
        latency_us_max(LatencyUs(result, 100)),
        server_cpu_us(Share(result.server.total_ns, result.tally.requests) / 1e3),
        server_cpu_us_user(
            server_cpu_us *
            Share(result.server.user_ticks, result.server.user_ticks + result.server.system_ticks)),
        server_cpu_us_system(server_cpu_us - server_cpu_us_user),
        server_cpu_share(PerSecond(result, result.server.total_ns) / 1e9),
        server_delayed_share(PerSecond(result, result.server.delayed_ns) / 1e9),
        load_cpu_share(PerSecond(result, result.own.total_ns) / 1e9),
        load_delayed_share(PerSecond(result, result.own.delayed_ns) / 1e9) {}

  static double PerSecond(const Result& result, uint64_t count) {
    return static_cast<double>(count) / result.seconds;
  }

  static double Share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  }

  static double LatencyUs(const Result& result, double percentile) {
    return static_cast<double>(result.latency_ns.Percentile(percentile)) / 1e3;
  }

  double requests_per_second;
  double keys_per_second;
  double hit_ratio;
  double latency_us_p50;
  double latency_us_p99;
  double latency_us_p999;
  double latency_us_max;
  double server_cpu_us;  // per request
  double server_cpu_us_user;
  double server_cpu_us_system;
  double server_cpu_share;  // of one core
  double server_delayed_share;
  double load_cpu_share;
  double load_delayed_share;
};

void PrintText(const Result& result, const Figures& figures) {
  std::fprintf(stderr, "%.0f requests/s, %.0f keys/s in %.3f s\n", figures.requests_per_second,
               figures.keys_per_second, result.seconds);
  std::fprintf(stderr, "latency us: p50 %.0f, p99 %.0f, p99.9 %.0f, max %.0f\n",
               figures.latency_us_p50, figures.latency_us_p99, figures.latency_us_p999,
               figures.latency_us_max);
  if (result.tally.gets != 0) std::fprintf(stderr, "hit ratio: %.6f\n", figures.hit_ratio);
  if (result.server_is_measured) {
    std::fprintf(stderr, "server: %.3f us of CPU per request (user %.3f, system %.3f)\n",
                 figures.server_cpu_us, figures.server_cpu_us_user, figures.server_cpu_us_system);
    std::fprintf(stderr, "server: %.1f %% of a core, kept waiting for it %.1f %% of the time\n",
                 100 * figures.server_cpu_share, 100 * figures.server_delayed_share);
  }
  std::fprintf(stderr, "load generator: %.1f %% of a core, kept waiting for it %.1f %%\n",
               100 * figures.load_cpu_share, 100 * figures.load_delayed_share);
}

// Writes the members of one JSON object.
class JsonLine {
 public:
  void Add(const char* name, double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.4f", value);
    AddText(name, text);
  }
  void Add(const char* name, uint64_t value) { AddText(name, std::to_string(value)); }
  void Print() const { std::printf("{%s}\n", members_.c_str()); }

 private:
  void AddText(const char* name, const std::string& text) {
    if (!members_.empty()) members_ += ", ";
    members_ += '"' + std::string(name) + "\": " + text;
  }

  std::string members_;
};

void PrintJson(const Result& result, const Figures& figures) {
  JsonLine line;
  line.Add("seconds", result.seconds);
  line.Add("requests", result.tally.requests);
  line.Add("keys", result.tally.keys);
  line.Add("requests_per_second", figures.requests_per_second);
  line.Add("keys_per_second", figures.keys_per_second);
  line.Add("latency_us_p50", figures.latency_us_p50);
  line.Add("latency_us_p99", figures.latency_us_p99);
  line.Add("latency_us_p999", figures.latency_us_p999);
  line.Add("latency_us_max", figures.latency_us_max);
  line.Add("gets", result.tally.gets);
  line.Add("hits", result.tally.hits);
  line.Add("hit_ratio", figures.hit_ratio);
  if (result.server_is_measured) {
    line.Add("server_cpu_us", figures.server_cpu_us);
    line.Add("server_cpu_us_user", figures.server_cpu_us_user);
    line.Add("server_cpu_us_system", figures.server_cpu_us_system);
    line.Add("server_cpu_share", figures.server_cpu_share);
    line.Add("server_delayed_share", figures.server_delayed_share);
  }
  line.Add("load_cpu_share", figures.load_cpu_share);
  line.Add("load_delayed_share", figures.load_delayed_share);
  line.Add("errors", uint64_t{0});  // an error ends the run before it gets here
  line.Print();
}

}  // namespace

void Print(const Result& result) {
  const Figures figures(result);
  PrintText(result, figures);
  PrintJson(result, figures);
}

}  // namespace torc::bench
