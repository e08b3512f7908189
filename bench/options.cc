#include "bench/options.h"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <vector>

#include "bench/die.h"

namespace torc::bench {
namespace {

constexpr std::string_view kHelp = R"(usage: load [options]
Loads a cache server from one thread. Closed loop: a connection sends a batch of requests and sends
the next one when all replies are there. Open loop (--rate): requests are due at their times, whether
or not earlier ones are answered. Prints a summary on standard error and one line of JSON on standard
output. A reply that is not right ends the run.

where to
  --host ADDRESS       server's IPv4 or IPv6 address (127.0.0.1)
  --port PORT          server's port (11211)
  --unix PATH          server's UNIX socket, instead of host and port
  --protocol NAME      text, binary or meta (text)

connections
  --connections N      connections (50)
  --active-share SHARE share of them that await replies at any moment; which ones changes with every
                       batch (1)
  --churn              a new connection for each batch: connect, send, receive, close
  --segment-bytes N    send requests in pieces of N bytes, each in a segment of its own

requests
  --work KIND          get, set or mixed (get)
  --set-share SHARE    share of sets in mixed work, 0 to 1 (0.1)
  --delete-share SHARE share of deletes in mixed work (0); the rest are gets
  --pipeline N         requests in a batch (1); open loop: at most
  --multiget N         keys of one get (1)
  --on-miss ACTION     set: store what a get did not find, at once; none (none)
  --ttl SECONDS        expiry of what is stored; 0: none (0)

keys and values
  --keys N             size of the key space (10000)
  --key-prefix TEXT    what every key begins with (k)
  --key-size SIZE      (12)
  --value-size SIZE    (100)
      SIZE is a number of bytes; MIN-MAX; lognormal:MEAN,SD; gev:LOCATION,SCALE,SHAPE;
      pareto:LOCATION,SCALE,SHAPE (both generalized); file:PATH of lines 'SIZE WEIGHT'; or etc,
      usr, app, var or sys: the pools of Atikoglu and others, 2012. A key keeps its sizes.
  --popularity KIND    which keys are asked for (uniform): uniform; zipf; hotset; sequential, one
                       after another; scan, Zipf's law beside scans over all keys
  --zipf-skew SKEW     of zipf and scan (0.99)
  --hot-keys N         size of the hot set (a hundredth of the keys)
  --hot-share SHARE    share of the keys asked for that are of the hot set (0.9)
  --scan-share SHARE   share of the keys asked for that are of a scan (0.1)

time
  --rate N             open loop: so many requests are due in a second
  --arrivals KIND      when they are due: poisson or even (poisson)
  --warmup SECONDS     load that is not counted, before what is (0.5)
  --seconds SECONDS    what is counted (3); 0 with --fill: only fill
  --seed N             of keys, kinds and arrivals (1)

what is done besides
  --fill               store every key first
  --may-refuse         count stores that are refused for want of memory; else the first one ends the
                       run (text)
  --verify             check the key and the bytes of every value, not only the replies' structure
  --progress           a line a second on standard error
  --pid PID            measure this process: processor time, context switches, memory
)";

template <typename Number>
Number ParseNumber(std::string_view name, std::string_view text, Number min, Number max) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(number >= min) ||
      !(number <= max)) {
    Die("--" + std::string(name) + ": '" + std::string(text) + "' is not a number that fits");
  }
  return number;
}

// An option, and what takes its value. Names without a value have no `take_value`.
struct Flag {
  const char* name;
  std::function<void(std::string_view value)> take_value;
  std::function<void()> take = {};
};

// Calls what the arguments name, in their order.
void ParseFlags(int argc, char** argv, const std::vector<Flag>& flags) {
  std::vector<option> known;
  for (const Flag& flag : flags) {
    known.push_back({flag.name, flag.take ? no_argument : required_argument, nullptr, 0});
  }
  known.push_back({nullptr, 0, nullptr, 0});
  int index = 0;
  for (int found; (found = getopt_long(argc, argv, "", known.data(), &index)) != -1;) {
    if (found == '?') std::exit(1);  // getopt has said what is wrong
    const Flag& flag = flags[static_cast<size_t>(index)];
    if (flag.take) {
      flag.take();
    } else {
      flag.take_value(optarg);
    }
  }
  if (optind != argc) Die("'" + std::string(argv[optind]) + "' is not an option; see --help");
}

// Takes a number between two, the ends included.
template <typename Number>
Flag NumberFlag(const char* name, Number& to, Number min, Number max) {
  return {name, [=, &to](std::string_view value) { to = ParseNumber(name, value, min, max); }};
}

Flag TextFlag(const char* name, std::string& to) {
  return {name, [&to](std::string_view value) { to = value; }};
}

Flag SwitchFlag(const char* name, bool& to) {
  return {name, nullptr, [&to] { to = true; }};
}

// Which of the words of an option was given.
template <typename Kind>
struct Word {
  std::string_view text;
  Kind kind;
};

template <typename Kind>
Flag WordFlag(const char* name, Kind& to, std::vector<Word<Kind>> words) {
  return {name, [=, &to, words = std::move(words)](std::string_view value) {
            std::string known;
            for (const auto& word : words) {
              if (word.text == value) {
                to = word.kind;
                return;
              }
              known += (known.empty() ? "" : ", ") + std::string(word.text);
            }
            Die("--" + std::string(name) + " is one of " + known);
          }};
}

enum class Work { kGet, kSet, kMixed };

void SetShares(Work work, Options& options) {
  if (work == Work::kGet) options.set_share = options.delete_share = 0;
  if (work == Work::kSet) {
    options.set_share = 1;
    options.delete_share = 0;
  }
  if (options.set_share + options.delete_share > 1) {
    Die("--set-share and --delete-share are more than 1 together");
  }
}

void CheckTogether(const Options& options) {
  if (options.seconds == 0 && !options.fill) Die("--seconds 0 is for --fill alone");
  if (options.popularity.hot_keys > options.key_count) Die("--hot-keys: more than there are keys");
  if (options.churn && options.segment_bytes != 0) Die("--churn sends in one piece");
  if (options.churn && options.active_share != 1) {
    Die("--churn keeps no connection that could be idle");
  }
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  Options options;
  options.set_share = 0.1;
  options.popularity.hot_keys = 0;
  Work work = Work::kGet;
  const std::vector<Flag> flags = {
      TextFlag("host", options.host),
      NumberFlag<uint16_t>("port", options.port, 1, 65535),
      TextFlag("unix", options.unix_path),
      WordFlag<std::string>("protocol", options.protocol,
                            {{"text", "text"}, {"binary", "binary"}, {"meta", "meta"}}),
      NumberFlag<uint32_t>("connections", options.connections, 1, 30'000),
      NumberFlag<double>("active-share", options.active_share, 0, 1),
      SwitchFlag("churn", options.churn),
      NumberFlag<uint32_t>("segment-bytes", options.segment_bytes, 1, 1 << 30),
      WordFlag<Work>("work", work,
                     {{"get", Work::kGet}, {"set", Work::kSet}, {"mixed", Work::kMixed}}),
      NumberFlag<double>("set-share", options.set_share, 0, 1),
      NumberFlag<double>("delete-share", options.delete_share, 0, 1),
      NumberFlag<uint32_t>("pipeline", options.pipeline, 1, 1'000'000),
      NumberFlag<uint32_t>("multiget", options.multiget, 1, 10'000),
      WordFlag<bool>("on-miss", options.set_on_miss, {{"none", false}, {"set", true}}),
      NumberFlag<uint32_t>("ttl", options.ttl_seconds, 0, INT32_MAX),
      NumberFlag<uint64_t>("keys", options.key_count, 1, UINT64_MAX),
      TextFlag("key-prefix", options.key_prefix),
      TextFlag("key-size", options.key_size),
      TextFlag("value-size", options.value_size),
      WordFlag<PopularityKind>("popularity", options.popularity.kind,
                               {{"uniform", PopularityKind::kUniform},
                                {"zipf", PopularityKind::kZipf},
                                {"hotset", PopularityKind::kHotSet},
                                {"scan", PopularityKind::kScan},
                                {"sequential", PopularityKind::kSequential}}),
      NumberFlag<double>("zipf-skew", options.popularity.zipf_skew, 0.01, 10),
      NumberFlag<uint64_t>("hot-keys", options.popularity.hot_keys, 1, UINT64_MAX),
      NumberFlag<double>("hot-share", options.popularity.hot_share, 0, 1),
      NumberFlag<double>("scan-share", options.popularity.scan_share, 0, 1),
      NumberFlag<double>("rate", options.rate, 0, 1e8),
      WordFlag<ArrivalKind>("arrivals", options.arrivals,
                            {{"poisson", ArrivalKind::kPoisson}, {"even", ArrivalKind::kEven}}),
      NumberFlag<double>("warmup", options.warmup_seconds, 0, 1e6),
      NumberFlag<double>("seconds", options.seconds, 0, 1e6),
      NumberFlag<uint64_t>("seed", options.seed, 0, UINT64_MAX),
      SwitchFlag("fill", options.fill),
      SwitchFlag("may-refuse", options.may_refuse),
      SwitchFlag("verify", options.verify),
      SwitchFlag("progress", options.progress),
      NumberFlag<pid_t>("pid", options.server_pid, 1, 1 << 30),
      {"help", nullptr,
       [] {
         std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
         std::exit(0);
       }},
  };
  ParseFlags(argc, argv, flags);
  SetShares(work, options);
  if (options.popularity.hot_keys == 0) {
    options.popularity.hot_keys = options.key_count / 100 == 0 ? 1 : options.key_count / 100;
  }
  CheckTogether(options);
  return options;
}

}  // namespace torc::bench
