#include "bench/options.h"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/die.h"

namespace torc::bench {
namespace {

constexpr std::string_view kHelp = R"(usage: load [options]
Loads a cache server from one thread, in a closed loop: each connection sends a batch of requests
and sends the next one when all replies are there. Keys are drawn uniformly. Prints a summary on
standard error and one line of JSON on standard output. A reply that is not right ends the run.

  --host ADDRESS       server's IPv4 or IPv6 address (127.0.0.1)
  --port PORT          server's port (11211)
  --unix PATH          server's UNIX socket, instead of host and port
  --connections N      connections (50)
  --protocol NAME      text, binary or meta (text)
  --work KIND          get, set or mixed (get)
  --set-share SHARE    share of sets in mixed work, 0 to 1 (0.1)
  --pipeline N         requests in a batch (1)
  --multiget N         keys of one get (1)
  --keys N             size of the key space (10000)
  --key-prefix TEXT    what every key begins with (k)
  --key-size BYTES     (12)
  --value-size BYTES   (100)
  --fill               store every key first
  --warmup SECONDS     load that is not counted, before what is (0.5)
  --seconds SECONDS    what is counted (3); 0 with --fill: only fill
  --seed N             of the key order (1)
  --verify             check the key and the bytes of every value, not only the replies' structure
  --pid PID            measure this process's processor time
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

}  // namespace

Options ParseOptions(int argc, char** argv) {
  enum Flag : int {
    kHost = 1,
    kPort,
    kUnix,
    kConnections,
    kProtocol,
    kWork,
    kSetShare,
    kPipeline,
    kMultiget,
    kKeys,
    kKeyPrefix,
    kKeySize,
    kValueSize,
    kFill,
    kWarmup,
    kSeconds,
    kSeed,
    kVerify,
    kPid,
    kShowHelp,
  };
  static constexpr option kFlags[] = {
      {"host", required_argument, nullptr, kHost},
      {"port", required_argument, nullptr, kPort},
      {"unix", required_argument, nullptr, kUnix},
      {"connections", required_argument, nullptr, kConnections},
      {"protocol", required_argument, nullptr, kProtocol},
      {"work", required_argument, nullptr, kWork},
      {"set-share", required_argument, nullptr, kSetShare},
      {"pipeline", required_argument, nullptr, kPipeline},
      {"multiget", required_argument, nullptr, kMultiget},
      {"keys", required_argument, nullptr, kKeys},
      {"key-prefix", required_argument, nullptr, kKeyPrefix},
      {"key-size", required_argument, nullptr, kKeySize},
      {"value-size", required_argument, nullptr, kValueSize},
      {"fill", no_argument, nullptr, kFill},
      {"warmup", required_argument, nullptr, kWarmup},
      {"seconds", required_argument, nullptr, kSeconds},
      {"seed", required_argument, nullptr, kSeed},
      {"verify", no_argument, nullptr, kVerify},
      {"pid", required_argument, nullptr, kPid},
      {"help", no_argument, nullptr, kShowHelp},
      {nullptr, 0, nullptr, 0},
  };

  Options options;
  std::string work = "get";
  double set_share = 0.1;
  int index = 0;
  for (int flag; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
    if (flag == '?') std::exit(1);  // getopt has said what is wrong
    const std::string_view name = kFlags[index].name;
    const std::string_view value = optarg == nullptr ? "" : optarg;
    switch (flag) {
      case kHost:
        options.host = value;
        break;
      case kPort:
        options.port = ParseNumber<uint16_t>(name, value, 1, 65535);
        break;
      case kUnix:
        options.unix_path = value;
        break;
      case kConnections:
        options.connections = ParseNumber<uint32_t>(name, value, 1, 30'000);
        break;
      case kProtocol:
        options.protocol = value;
        break;
      case kWork:
        work = value;
        break;
      case kSetShare:
        set_share = ParseNumber<double>(name, value, 0, 1);
        break;
      case kPipeline:
        options.pipeline = ParseNumber<uint32_t>(name, value, 1, 1'000'000);
        break;
      case kMultiget:
        options.multiget = ParseNumber<uint32_t>(name, value, 1, 10'000);
        break;
      case kKeys:
        options.key_count = ParseNumber<uint64_t>(name, value, 1, UINT64_MAX);
        break;
      case kKeyPrefix:
        options.key_prefix = value;
        break;
      case kKeySize:
        options.key_size = ParseNumber<size_t>(name, value, 1, 250);
        break;
      case kValueSize:
        options.value_size = ParseNumber<size_t>(name, value, 0, 1 << 30);
        break;
      case kFill:
        options.fill = true;
        break;
      case kWarmup:
        options.warmup_seconds = ParseNumber<double>(name, value, 0, 1e6);
        break;
      case kSeconds:
        options.seconds = ParseNumber<double>(name, value, 0, 1e6);
        break;
      case kSeed:
        options.seed = ParseNumber<uint64_t>(name, value, 0, UINT64_MAX);
        break;
      case kVerify:
        options.verify = true;
        break;
      case kPid:
        options.server_pid = ParseNumber<pid_t>(name, value, 1, 1 << 30);
        break;
      case kShowHelp:
        std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
        std::exit(0);
    }
  }
  if (optind != argc) Die("'" + std::string(argv[optind]) + "' is not an option; see --help");
  if (work == "get") {
    options.set_share = 0;
  } else if (work == "set") {
    options.set_share = 1;
  } else if (work == "mixed") {
    options.set_share = set_share;
  } else {
    Die("--work is get, set or mixed");
  }
  if (options.protocol != "text" && options.protocol != "binary" && options.protocol != "meta") {
    Die("--protocol is text, binary or meta");
  }
  if (options.protocol == "meta" && options.multiget != 1) {
    Die("the meta protocol has no get of many keys: use --pipeline");
  }
  if (options.seconds == 0 && !options.fill) Die("--seconds 0 is for --fill alone");
  return options;
}

}  // namespace torc::bench
