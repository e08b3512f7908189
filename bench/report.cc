#include "bench/report.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>

#include "bench/json.h"
#include "bench/open_loop.h"

namespace torc::bench {
namespace {

// Above this share of its core, the load generator was what limited the run.
constexpr double kOwnLimitShare = 0.95;

// The figures as both forms print them.
struct Figures {
  explicit Figures(const Result& result)
      : requests_per_second(PerSecond(result, result.tally.requests)),
        keys_per_second(PerSecond(result, result.tally.keys)),
        hit_ratio(Share(result.tally.hits, result.tally.gets)),
        server_cpu_us(Share(result.server.total_ns, result.tally.requests) / 1e3),
        server_cpu_us_user(
            server_cpu_us *
            Share(result.server.user_ticks, result.server.user_ticks + result.server.system_ticks)),
        server_cpu_us_system(server_cpu_us - server_cpu_us_user),
        server_cpu_share(PerSecond(result, result.server.total_ns) / 1e9),
        server_delayed_share(PerSecond(result, DelayedByOthers(result.server)) / 1e9),
        server_siblings_share(PerSecond(result, result.server.siblings_ns) / 1e9),
        load_cpu_us(Share(result.own.total_ns, result.tally.requests) / 1e3),
        load_cpu_share(PerSecond(result, result.own.total_ns) / 1e9),
        load_delayed_share(PerSecond(result, DelayedByOthers(result.own)) / 1e9),
        offered_per_second(static_cast<double>(result.offered) / result.options.seconds),
        kept_up(result.given_up == 0 && KeptUp(result.offered, result.waiting_at_end)) {}

  static double PerSecond(const Result& result, uint64_t count) {
    return static_cast<double>(count) / result.seconds;
  }

  static double Share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  }

  double requests_per_second;
  double keys_per_second;
  double hit_ratio;
  double server_cpu_us;  // per request
  double server_cpu_us_user;
  double server_cpu_us_system;
  double server_cpu_share;       // of one core
  double server_delayed_share;   // by other processes
  double server_siblings_share;  // of the core: threads of its own beside the busiest one
  double load_cpu_us;            // per request
  double load_cpu_share;
  double load_delayed_share;
  double offered_per_second;  // of an open loop
  bool kept_up;
};

double Us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

struct Percentile {
  double percent;
  const char* name;
};

constexpr Percentile kPercentiles[] = {
    {50, "p50"}, {90, "p90"}, {99, "p99"}, {99.9, "p999"}, {99.99, "p9999"}};

void PrintOpenLoop(const Result& result, const Figures& figures) {
  std::fprintf(stderr,
               "open loop: %.0f requests/s were due, waited to be sent: p50 %.0f us, p99 %.0f us\n",
               figures.offered_per_second, Us(result.wait_ns.Percentile(50)),
               Us(result.wait_ns.Percentile(99)));
  if (figures.kept_up) return;
  std::fprintf(stderr,
               "NOT KEPT UP: %lu of %lu requests were not sent in time, %lu never answered: these "
               "latencies say how long the run was, not how fast the server is\n",
               result.waiting_at_end, result.offered, result.given_up);
}

void PrintServer(const Result& result, const Figures& figures) {
  std::fprintf(stderr, "server: %.3f us of CPU per request (user %.3f, system %.3f)\n",
               figures.server_cpu_us, figures.server_cpu_us_user, figures.server_cpu_us_system);
  std::fprintf(stderr,
               "server: %.1f %% of a core, kept waiting for it %.1f %% of the time by others; %.1f "
               "%% of the core for other threads of its own\n",
               100 * figures.server_cpu_share, 100 * figures.server_delayed_share,
               100 * figures.server_siblings_share);
  std::fprintf(stderr, "server: %lu voluntary and %lu involuntary context switches, %.1f MB\n",
               result.server.voluntary_switches, result.server.involuntary_switches,
               static_cast<double>(result.server.resident_bytes) / 1e6);
}

void PrintText(const Result& result, const Figures& figures) {
  std::fprintf(stderr, "%.0f requests/s, %.0f keys/s in %.3f s\n", figures.requests_per_second,
               figures.keys_per_second, result.seconds);
  std::fprintf(stderr, "latency us: mean %.1f", result.latency_ns.Mean() / 1e3);
  for (const Percentile& each : kPercentiles) {
    std::fprintf(stderr, ", p%g %.0f", each.percent,
                 Us(result.latency_ns.Percentile(each.percent)));
  }
  std::fprintf(stderr, ", max %.0f\n", Us(result.latency_ns.max()));
  if (result.options.rate > 0) PrintOpenLoop(result, figures);
  if (result.tally.gets != 0) std::fprintf(stderr, "hit ratio: %.6f\n", figures.hit_ratio);
  if (result.tally.refused != 0) {
    std::fprintf(stderr, "refused for want of memory: %lu of %lu stores\n", result.tally.refused,
                 result.tally.sets);
  }
  if (result.server_is_measured) PrintServer(result, figures);
  std::fprintf(stderr, "load generator: %.1f %% of a core, kept waiting for it %.1f %%%s\n",
               100 * figures.load_cpu_share, 100 * figures.load_delayed_share,
               figures.load_cpu_share > kOwnLimitShare && result.options.rate == 0
                   ? "; it may be the limit of this run"
                   : "");
}

// Pairs of a latency in microseconds and how many were not above it.
std::string DistributionJson(const Histogram& histogram) {
  std::string json = "[";
  for (const Histogram::Step& step : histogram.Distribution()) {
    char pair[64];
    std::snprintf(pair, sizeof pair, "%s[%.3f, %lu]", json.size() == 1 ? "" : ", ", Us(step.value),
                  step.count);
    json += pair;
  }
  return json + "]";
}

JsonObject LatencyJson(const Histogram& histogram) {
  JsonObject json;
  json.Add("count", histogram.count()).Add("mean_us", histogram.Mean() / 1e3);
  for (const Percentile& each : kPercentiles) {
    json.Add(std::string(each.name) + "_us", Us(histogram.Percentile(each.percent)));
  }
  return json.Add("max_us", Us(histogram.max()));
}

const char* Name(PopularityKind kind) {
  switch (kind) {
    case PopularityKind::kUniform:
      return "uniform";
    case PopularityKind::kZipf:
      return "zipf";
    case PopularityKind::kHotSet:
      return "hotset";
    case PopularityKind::kSequential:
      return "sequential";
    case PopularityKind::kScan:
      break;
  }
  return "scan";
}

JsonObject ConfigJson(const Options& options) {
  JsonObject json;
  json.Add("protocol", options.protocol)
      .Add("transport", options.unix_path.empty() ? "tcp" : "unix")
      .Add("connections", options.connections)
      .Add("active_share", options.active_share)
      .Add("churn", options.churn)
      .Add("segment_bytes", options.segment_bytes)
      .Add("set_share", options.set_share)
      .Add("delete_share", options.delete_share)
      .Add("pipeline", options.pipeline)
      .Add("multiget", options.multiget)
      .Add("on_miss", options.set_on_miss ? "set" : "none")
      .Add("ttl_seconds", options.ttl_seconds)
      .Add("keys", options.key_count)
      .Add("key_size", options.key_size)
      .Add("value_size", options.value_size)
      .Add("popularity", Name(options.popularity.kind))
      .Add("zipf_skew", options.popularity.zipf_skew)
      .Add("hot_keys", options.popularity.hot_keys)
      .Add("hot_share", options.popularity.hot_share)
      .Add("scan_share", options.popularity.scan_share)
      .Add("rate", options.rate)
      .Add("arrivals", options.arrivals == ArrivalKind::kEven ? "even" : "poisson")
      .Add("warmup_seconds", options.warmup_seconds)
      .Add("seconds", options.seconds)
      .Add("seed", options.seed)
      .Add("verify", options.verify);
  return json;
}

void AddServer(const Result& result, const Figures& figures, JsonObject& line) {
  const auto per_request = [&](uint64_t count) {
    return Figures::Share(count, result.tally.requests);
  };
  line.Add("server_cpu_us", figures.server_cpu_us)
      .Add("server_cpu_us_user", figures.server_cpu_us_user)
      .Add("server_cpu_us_system", figures.server_cpu_us_system)
      .Add("server_cpu_us_per_key", Figures::Share(result.server.total_ns, result.tally.keys) / 1e3)
      .Add("server_cpu_share", figures.server_cpu_share)
      .Add("server_delayed_share", figures.server_delayed_share)
      .Add("server_siblings_share", figures.server_siblings_share)
      .Add("server_switches_voluntary", result.server.voluntary_switches)
      .Add("server_switches_involuntary", result.server.involuntary_switches)
      .Add("server_switches_per_request",
           per_request(result.server.voluntary_switches + result.server.involuntary_switches))
      .Add("server_resident_bytes", result.server.resident_bytes);
}

void AddOpenLoop(const Result& result, const Figures& figures, JsonObject& line) {
  line.Add("open_loop", JsonObject()
                            .Add("offered", result.offered)
                            .Add("offered_per_second", figures.offered_per_second)
                            .Add("achieved_per_second", figures.requests_per_second)
                            .Add("kept_up", figures.kept_up)
                            .Add("waiting_at_end", result.waiting_at_end)
                            .Add("given_up", result.given_up)
                            .Add("wait", LatencyJson(result.wait_ns)));
}

void PrintJson(const Result& result, const Figures& figures) {
  JsonObject line;
  line.Add("config", ConfigJson(result.options))
      .Add("seconds", result.seconds)
      .Add("requests", result.tally.requests)
      .Add("keys", result.tally.keys)
      .Add("requests_per_second", figures.requests_per_second)
      .Add("keys_per_second", figures.keys_per_second)
      .Add("gets", result.tally.gets)
      .Add("hits", result.tally.hits)
      .Add("misses", result.tally.gets - result.tally.hits)
      .Add("hit_ratio", figures.hit_ratio)
      .Add("sets", result.tally.sets)
      .Add("refused", result.tally.refused)
      .Add("deletes", result.tally.deletes)
      .Add("deleted", result.tally.deleted)
      .Add("connects", result.connects)
      .Add("latency_us_p50", Us(result.latency_ns.Percentile(50)))
      .Add("latency_us_p99", Us(result.latency_ns.Percentile(99)))
      .Add("latency_us_p999", Us(result.latency_ns.Percentile(99.9)))
      .Add("latency_us_max", Us(result.latency_ns.max()))
      .Add("latency", LatencyJson(result.latency_ns)
                          .AddText("distribution", DistributionJson(result.latency_ns)));
  if (result.options.rate > 0) AddOpenLoop(result, figures, line);
  if (result.server_is_measured) AddServer(result, figures, line);
  line.Add("load_cpu_us", figures.load_cpu_us)
      .Add("load_cpu_share", figures.load_cpu_share)
      .Add("load_delayed_share", figures.load_delayed_share)
      .Add("errors", 0);  // an error ends the run before it gets here
  std::printf("%s\n", line.text().c_str());
}

}  // namespace

void Print(const Result& result) {
  const Figures figures(result);
  PrintText(result, figures);
  PrintJson(result, figures);
}

void PrintProgressLine(const Progress& progress) {
  const Tally& before = progress.before;
  const Tally& now = progress.tally;
  // The counts begin anew with the counted time.
  const auto since = [](uint64_t from, uint64_t to) { return to < from ? to : to - from; };
  const uint64_t gets = since(before.gets, now.gets);
  std::fprintf(stderr, "%6.0f s  %-7s %9lu requests/s", progress.seconds, progress.phase,
               since(before.requests, now.requests));
  if (gets != 0) {
    std::fprintf(stderr, "  hits %5.1f %%",
                 100 * Figures::Share(since(before.hits, now.hits), gets));
  }
  if (progress.latency_ns.count() != 0) {
    std::fprintf(stderr, "  p50 %.0f us, p99 %.0f us, max %.0f us",
                 Us(progress.latency_ns.Percentile(50)), Us(progress.latency_ns.Percentile(99)),
                 Us(progress.latency_ns.max()));
  }
  std::fputc('\n', stderr);
}

}  // namespace torc::bench
