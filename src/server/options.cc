// glibc's getopt_long() takes the command line apart; everything here is about what the pieces may
// be. memcached reads its numbers with atoi() and so takes "-p abc" for port 0 and "-m 1g" for one
// megabyte. torc refuses what is not a number, and takes the suffix at its word; what memcached
// accepts in earnest, torc accepts.
#include "src/server/options.h"

#include <getopt.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/types.h"
#include "src/server/version.h"

namespace torc {
namespace {

// memcached's two statuses for a command line that it refuses: sysexits.h's, and the plain one.
constexpr int kExitUsage = 64;
constexpr int kExitFailure = 1;
// memcached's for a listener that cannot be: sysexits.h's EX_OSERR.
constexpr int kExitSystem = 71;

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;
constexpr uint64_t kGiB = 1024 * kMiB;
constexpr uint16_t kDefaultPort = 11211;
constexpr uint32_t kVerbosityMax = 3;
constexpr size_t kTagBytesMax = 8;

// Options without a letter: past every letter.
constexpr int kDoctorOption = 256;
constexpr int kEngineOption = 257;
constexpr int kEngineConfigOption = 258;

constexpr char kShortOptions[] =
    ":p:l:s:a:b:t:m:MI:c:R:kLu:dP:rvhViFCU:B:f:n:o:XWD:ASY:"
    // Known from memcached, and refused by name.
    "Ze:N:";

constexpr option kLongOptions[] = {
    {"port", required_argument, nullptr, 'p'},
    {"listen", required_argument, nullptr, 'l'},
    {"unix-socket", required_argument, nullptr, 's'},
    {"unix-mask", required_argument, nullptr, 'a'},
    {"listen-backlog", required_argument, nullptr, 'b'},
    {"threads", required_argument, nullptr, 't'},
    {"memory-limit", required_argument, nullptr, 'm'},
    {"disable-evictions", no_argument, nullptr, 'M'},
    {"max-item-size", required_argument, nullptr, 'I'},
    {"conn-limit", required_argument, nullptr, 'c'},
    {"max-reqs-per-event", required_argument, nullptr, 'R'},
    {"lock-memory", no_argument, nullptr, 'k'},
    {"enable-largepages", no_argument, nullptr, 'L'},
    {"user", required_argument, nullptr, 'u'},
    {"daemon", no_argument, nullptr, 'd'},
    {"pidfile", required_argument, nullptr, 'P'},
    {"enable-coredumps", no_argument, nullptr, 'r'},
    {"verbose", no_argument, nullptr, 'v'},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {"license", no_argument, nullptr, 'i'},
    {"doctor", no_argument, nullptr, kDoctorOption},
    {"engine", required_argument, nullptr, kEngineOption},
    {"engine-config", required_argument, nullptr, kEngineConfigOption},
    {"disable-flush-all", no_argument, nullptr, 'F'},
    {"disable-cas", no_argument, nullptr, 'C'},
    {"udp-port", required_argument, nullptr, 'U'},
    {"protocol", required_argument, nullptr, 'B'},
    {"slab-growth-factor", required_argument, nullptr, 'f'},
    {"slab-min-size", required_argument, nullptr, 'n'},
    {"extended", required_argument, nullptr, 'o'},
    {"disable-dumping", no_argument, nullptr, 'X'},
    {"disable-watch", no_argument, nullptr, 'W'},
    {"enable-shutdown", no_argument, nullptr, 'A'},
    {"enable-sasl", no_argument, nullptr, 'S'},
    {"auth-file", required_argument, nullptr, 'Y'},
    {"enable-ssl", no_argument, nullptr, 'Z'},
    {"memory-file", required_argument, nullptr, 'e'},
    {"napi_ids", required_argument, nullptr, 'N'},
    {nullptr, 0, nullptr, 0},
};

// What memcached has and this version of torc does not. Refused rather than ignored: whoever asks
// for one of these relies on it.
struct Missing {
  int letter;
  std::string_view what;
};
constexpr Missing kMissing[] = {
    {'Z', "TLS"},
    {'e', "restart with a warm cache"},
    {'N', "sorting connections by NAPI id"},
};

// memcached's extended options (-o) that tune parts which torc does not have or tunes by itself.
constexpr std::string_view kExtendedWithoutEffect[] = {
    "maxconns_fast",
    "no_maxconns_fast",
    "hashpower",
    "no_hashexpand",
    "hash_algorithm",
    "slab_reassign",
    "no_slab_reassign",
    "slab_automove",
    "slab_automove_ratio",
    "slab_automove_window",
    "slab_automove_freeratio",
    "slab_chunk_max",
    "slab_sizes",
    "no_chunked_items",
    "tail_repair_time",
    "lru_crawler",
    "no_lru_crawler",
    "lru_crawler_sleep",
    "lru_crawler_tocrawl",
    "lru_maintainer",
    "no_lru_maintainer",
    "hot_lru_pct",
    "warm_lru_pct",
    "hot_max_factor",
    "warm_max_factor",
    "temporary_ttl",
    "inline_ascii_resp",
    "no_inline_ascii_resp",
    "read_buf_mem_limit",
    "resp_obj_mem_limit",
    "watcher_logbuf_size",
    "worker_logbuf_size",
    "track_sizes",
    "modern",
    "no_modern",
    "drop_privileges",
    "no_drop_privileges",
};

// Those that change what clients or operators see: refused until torc does the same. Whole names,
// or a prefix that ends in '_'.
constexpr std::string_view kExtendedMissing[] = {
    "sock_cookie_id", "meta_response_old", "ext_", "proxy_", "ssl_",
};

constexpr std::string_view kUsage =
    R"(Usage: torc [options]
A cache server that speaks memcached's protocol and takes its options.

Where to listen
  -p, --port=N              TCP port, or -1 for any free one (default: 11211)
  -l, --listen=ADDR[,...]   addresses, if need be with ports: 127.0.0.1,[::1]:11212
                            may be given several times (default: every address)
                            proto[ascii|binary|auto]:ADDR pins the protocol of one;
                            tag[NAME]:ADDR names it; unix:PATH is a UNIX socket beside TCP
  -U, --udp-port=N          UDP port, or -1 for any free one (default: 0, no UDP); not for networks
                            that others can reach: see docs/operations.md
  -s, --unix-socket=PATH    listen on a UNIX socket, and not on TCP
  -a, --unix-mask=MODE      access rights of the UNIX socket, in octal (default: 700)
  -B, --protocol=NAME       ascii, binary, or auto: told apart by the first byte (default: auto)
  -b, --listen-backlog=N    connections that may wait to be accepted (default: 1024)

What to use
  -t, --threads=N           shards: threads that each own a part of the keys, 1 to 128 (default: 4)
  -m, --memory-limit=SIZE   memory for items, in megabytes or with a suffix: 512, 4g (default: 64)
  -M, --disable-evictions   refuse to store when memory is full, instead of making room
  -I, --max-item-size=SIZE  the largest item, 1k to 1024m, at most half of -m (default: 1m)
  -c, --conn-limit=N        connections at once
                            (default: what the limit of open files allows, at least 1024)
  -R, --max-reqs-per-event=N  requests of one connection before another's turn (default: 20)
  -k, --lock-memory         keep all memory from being swapped out
  -L, --enable-largepages   ask for large memory pages
      --engine=NAME|PATH    what keeps the items: one that is built in, or a shared object
                            (default: slab); --engine=help lists them
      --engine-config=TEXT  how it should do so; each engine has its own words for it

Who may come in
  -Y, --auth-file=PATH      clients of the text protocol need a user and password of this file:
                            lines of user:password; read again on SIGHUP
  -S, --enable-sasl         clients of the binary protocol authenticate by SASL: as one of -Y's
                            users, or as the configuration of Cyrus SASL says
  -A, --enable-shutdown     take the commands shutdown and shutdown graceful
  -o, --extended=NAME[=VALUE][,...]
                            idle_timeout=N closes connections that were idle for N seconds
                            (default: 0, never); memcached's tuning is taken, without effect

How to run
  -d, --daemon              run in the background
  -u, --user=NAME           give up root's rights for this user's
  -P, --pidfile=PATH        write the process id to this file
  -r, --enable-coredumps    raise the limit of core files
  -F, --disable-flush-all   refuse flush_all
  -X, --disable-dumping     refuse lru_crawler metadump, mgdump, stats cachedump and stats detail
  -D CHAR                   count by key prefix, which ends at CHAR, from the start (stats detail)
  -v, --verbose             say more; -vv and -vvv say more still

Reports
      --doctor              check this machine for what torc needs, and say how to cure the rest
  -h, --help                this text
  -V, --version             the version
  -i, --license             the licence

Copies
      --dump HOST:PORT FILE  all items of a running server, torc or memcached, into a file
      --load HOST:PORT FILE  the items of such a file into a running server

Accepted for memcached's sake
  -f, --slab-growth-factor=F  checked, without effect
  -n, --slab-min-size=N     checked, without effect
  -C, --disable-cas         without effect: every item has its CAS number
  -W, --disable-watch       without effect: there is no watch command
)";

constexpr std::string_view kLicense =
    "torc is free software under the BSD 3-clause licence: see the file LICENSE of its source.\n";

// The whole of `text` as a number from `min` to `max`.
std::optional<int64_t> ReadNumber(std::string_view text, int64_t min, int64_t max) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < min || value > max) return std::nullopt;
  return value;
}

// A number with an optional suffix: `unit` bytes each without one. No suffix may be used that
// `suffixes` lacks.
std::optional<uint64_t> ReadSize(std::string_view text, uint64_t unit, std::string_view suffixes) {
  if (!text.empty()) {
    const char suffix = static_cast<char>(text.back() | 0x20);  // Lower case.
    if (suffixes.find(suffix) != std::string_view::npos) {
      unit = suffix == 'k' ? kKiB : suffix == 'm' ? kMiB : kGiB;
      text.remove_suffix(1);
    }
  }
  const int64_t max = static_cast<int64_t>(std::numeric_limits<int64_t>::max() / unit);
  const std::optional<int64_t> number = ReadNumber(text, 0, max);
  if (!number) return std::nullopt;
  return static_cast<uint64_t>(*number) * unit;
}

// Takes the part up to the next comma off the front of `list`.
std::string_view NextPart(std::string_view* list) {
  const std::string_view part = list->substr(0, list->find(','));
  list->remove_prefix(part.size() < list->size() ? part.size() + 1 : part.size());
  return part;
}

// "-t" or "--doctor", as a message names it.
std::string OptionName(int letter) {
  if (letter < kDoctorOption) return std::string("-") + static_cast<char>(letter);
  for (const option& known : kLongOptions) {
    if (known.val == letter) return std::string("--") + known.name;
  }
  return "";
}

std::optional<Protocol> ReadProtocol(std::string_view name) {
  if (name == "auto" || name == "negotiating") return Protocol::kUnknown;
  if (name == "ascii") return Protocol::kText;
  if (name == "binary") return Protocol::kBinary;
  return std::nullopt;
}

// Takes "WORD[name]:" or "WORD_name_:" off the front of a listener.
enum class Prefix { kNone, kOpen, kTaken };
Prefix TakePrefix(std::string_view word, std::string_view* text, std::string_view* name) {
  if (!text->starts_with(word) || text->size() == word.size()) return Prefix::kNone;
  const char opening = (*text)[word.size()];
  if (opening != '[' && opening != '_') return Prefix::kNone;
  const std::string_view rest = text->substr(word.size() + 1);
  const size_t end = rest.find(opening == '[' ? ']' : '_');
  if (end == std::string_view::npos || !rest.substr(end + 1).starts_with(':')) return Prefix::kOpen;
  *name = rest.substr(0, end);
  *text = rest.substr(end + 2);
  return Prefix::kTaken;
}

class CommandLine {
 public:
  explicit CommandLine(Options* options) : options_(*options) {}

  ParseResult Read(int argc, char** argv);

 private:
  // Each gives false after a call to Refuse() or Exit(): the result is then complete.
  bool Take(int letter, std::string_view argument);
  bool TakeNumber(int letter, std::string_view argument, int64_t min, int64_t max, int exit_status,
                  std::string_view what, uint32_t* out);
  bool TakePort(std::string_view argument);
  bool TakeUdpPort(std::string_view argument);
  bool TakeListen(std::string_view argument);
  bool TakeListenOne(std::string_view text);
  bool TakeMask(std::string_view argument);
  bool TakeMemory(std::string_view argument);
  bool TakeItemSize(std::string_view argument);
  bool TakeGrowthFactor(std::string_view argument);
  bool TakeProtocol(std::string_view argument);
  bool TakeIdleTimeout(std::string_view text);
  bool TakeExtended(std::string_view argument);
  bool TakeExtendedOne(std::string_view text);
  // What can be judged only once all options are read.
  bool FinishProtocol();
  bool Finish();

  // Refuses what getopt_long() could not read: `word` is the argument it stopped at.
  void RefuseUnread(int letter, std::string_view word);
  bool Refuse(int exit_status, std::string message);
  bool Exit(std::string output);
  void Notice(std::string message);

  Options& options_;
  ParseResult result_;
  // -p: nothing for 0, which turns TCP off; kernel's choice for -1.
  std::optional<uint16_t> port_ = kDefaultPort;
  bool port_given_ = false;
  bool tcp_asked_for_ = false;
  bool unix_alone_ = false;           // -s
  std::optional<Protocol> protocol_;  // -B
  std::optional<uint16_t> udp_port_;  // -U: nothing for 0; kernel's choice for -1
  struct PendingListen {
    std::string host;
    std::optional<uint16_t> port;      // Nothing: -p's, which may stand later on the command line.
    std::optional<Protocol> protocol;  // Nothing: -B's, likewise.
  };
  std::vector<PendingListen> listen_;
};

bool CommandLine::Refuse(int exit_status, std::string message) {
  result_.action = ParseAction::kExit;
  result_.exit_status = exit_status;
  result_.error = "torc: " + std::move(message) + "\n";
  return false;
}

bool CommandLine::Exit(std::string output) {
  result_.action = ParseAction::kExit;
  result_.exit_status = 0;
  result_.output = std::move(output);
  return false;
}

void CommandLine::Notice(std::string message) { options_.notices.push_back(std::move(message)); }

bool CommandLine::TakeNumber(int letter, std::string_view argument, int64_t min, int64_t max,
                             int exit_status, std::string_view what, uint32_t* out) {
  const std::optional<int64_t> value = ReadNumber(argument, min, max);
  if (!value) {
    return Refuse(exit_status, OptionName(letter) + " " + std::string(argument) + ": " +
                                   std::string(what) + " must be a number from " +
                                   std::to_string(min) + " to " + std::to_string(max));
  }
  *out = static_cast<uint32_t>(*value);
  return true;
}

bool CommandLine::TakePort(std::string_view argument) {
  const std::optional<int64_t> port = ReadNumber(argument, -1, UINT16_MAX);
  if (!port) {
    return Refuse(kExitUsage, "-p " + std::string(argument) +
                                  ": the port must be a number from 1 to 65535, or -1 for any free "
                                  "one, or 0 for no TCP");
  }
  tcp_asked_for_ = port_given_ = true;
  port_.reset();
  if (*port != 0) port_ = *port == -1 ? uint16_t{0} : static_cast<uint16_t>(*port);
  return true;
}

bool CommandLine::TakeUdpPort(std::string_view argument) {
  const std::optional<int64_t> port = ReadNumber(argument, -1, UINT16_MAX);
  if (!port) {
    return Refuse(kExitUsage, "-U " + std::string(argument) +
                                  ": the port must be a number from 1 to 65535, or -1 for any free "
                                  "one, or 0 for no UDP");
  }
  udp_port_.reset();
  if (*port != 0) udp_port_ = *port == -1 ? uint16_t{0} : static_cast<uint16_t>(*port);
  return true;
}

bool CommandLine::TakeListenOne(std::string_view text) {
  const std::string quoted = "-l " + std::string(text);
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (path.empty()) return Refuse(kExitUsage, quoted + ": the path of the socket is empty");
    if (!options_.unix_socket.empty()) {
      return Refuse(kExitUsage, quoted + ": there is one UNIX socket already");
    }
    options_.unix_socket = path;
    return true;
  }
  for (std::string_view prefix : {"notls:", "btls:", "mtls:"}) {
    if (text.starts_with(prefix)) {
      return Refuse(kExitSystem, quoted + ": TLS is not available in this version of torc");
    }
  }
  // In this order, each once at most, as in memcached; either bracket may be a '_' at both ends,
  // for shells that take brackets for a pattern.
  PendingListen pending;
  std::string_view name;
  switch (TakePrefix("proto", &text, &name)) {
    case Prefix::kNone:
      break;
    case Prefix::kOpen:
      return Refuse(kExitSystem, quoted + ": the protocol has no closing bracket and colon");
    case Prefix::kTaken:
      if (!(pending.protocol = ReadProtocol(name))) {
        return Refuse(kExitSystem, quoted + ": the protocol must be ascii, binary or auto");
      }
  }
  switch (TakePrefix("tag", &text, &name)) {
    case Prefix::kNone:
      break;
    case Prefix::kOpen:
      return Refuse(kExitSystem, quoted + ": the tag has no closing bracket and colon");
    case Prefix::kTaken:
      // Names for memcached's proxy, which torc has not: checked, and of no further use.
      if (name.empty() || name.size() > kTagBytesMax) {
        return Refuse(kExitSystem, quoted + ": a tag has 1 to 8 characters");
      }
  }
  std::string_view host = text;
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {  // [::1] or [::1]:11211
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) {
      return Refuse(kExitUsage, quoted + ": the address has no closing bracket");
    }
    host = text.substr(1, bracket - 1);
    const std::string_view after = text.substr(bracket + 1);
    if (after.starts_with(':')) {
      port = after.substr(1);
    } else if (!after.empty()) {
      return Refuse(kExitUsage, quoted + ": only :PORT may follow the bracket");
    }
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos && colon == text.rfind(':')) {
    host = text.substr(0, colon);  // One colon: a port. More: a bare IPv6 address.
    port = text.substr(colon + 1);
  }
  if (host.empty()) return Refuse(kExitUsage, quoted + ": an address is missing before the port");
  if (host != "*") pending.host = host;
  if (port) {
    const std::optional<int64_t> number = ReadNumber(*port, 0, UINT16_MAX);
    if (!number) {
      return Refuse(kExitUsage, quoted + ": the port must be a number from 1 to 65535");
    }
    pending.port = static_cast<uint16_t>(*number);
  }
  listen_.push_back(std::move(pending));
  return true;
}

bool CommandLine::TakeListen(std::string_view argument) {
  tcp_asked_for_ = true;
  const size_t before = listen_.size();
  while (!argument.empty()) {
    const std::string_view part = NextPart(&argument);
    if (!part.empty() && !TakeListenOne(part)) return false;  // "a,,b" and "a," are as "a,b".
  }
  if (listen_.size() == before && options_.unix_socket.empty())
    return Refuse(kExitUsage, "-l: the list of addresses is empty");
  return true;
}

bool CommandLine::TakeMask(std::string_view argument) {
  uint32_t mask = 0;
  const auto [end, error] =
      std::from_chars(argument.data(), argument.data() + argument.size(), mask, 8);
  if (error != std::errc() || end != argument.data() + argument.size() || mask > 0777) {
    return Refuse(kExitFailure, "-a " + std::string(argument) +
                                    ": the access rights must be an octal number from 0 to 777");
  }
  options_.unix_mask = mask;
  return true;
}

bool CommandLine::TakeMemory(std::string_view argument) {
  constexpr uint64_t kMemoryMax = uint64_t{1} << 50;
  const std::optional<uint64_t> bytes = ReadSize(argument, kMiB, "mg");
  if (!bytes || *bytes == 0 || *bytes > kMemoryMax) {
    return Refuse(kExitUsage, "-m " + std::string(argument) +
                                  ": the memory for items must be a number of megabytes above 0, "
                                  "or one with the suffix m or g");
  }
  options_.memory_bytes = *bytes;
  return true;
}

bool CommandLine::TakeItemSize(std::string_view argument) {
  const std::optional<uint64_t> bytes = ReadSize(argument, 1, "km");
  if (!bytes || *bytes < kKiB || *bytes > kGiB) {
    return Refuse(kExitUsage, "-I " + std::string(argument) +
                                  ": the largest item must be a number of bytes from 1024 (1k) to "
                                  "1073741824 (1024m), or one with the suffix k or m");
  }
  options_.item_bytes_max = static_cast<uint32_t>(*bytes);
  return true;
}

bool CommandLine::TakeGrowthFactor(std::string_view argument) {
  // Not std::from_chars: its long double part would bring libm into every server's memory.
  const std::string text(argument);
  const bool is_decimal = !text.empty() && (text[0] == '.' || (text[0] >= '0' && text[0] <= '9')) &&
                          text.find_first_not_of("0123456789.eE+-") == std::string::npos;
  char* end = nullptr;
  const double factor = is_decimal ? std::strtod(text.c_str(), &end) : 0;
  if (!is_decimal || end != text.c_str() + text.size() || !std::isfinite(factor) || factor <= 1) {
    return Refuse(kExitFailure,
                  "-f " + std::string(argument) + ": the factor must be a number above 1");
  }
  options_.slab_growth_factor = factor;
  return true;
}

bool CommandLine::TakeProtocol(std::string_view argument) {
  protocol_ = argument == "negotiating" ? std::nullopt : ReadProtocol(argument);
  if (protocol_) return true;
  return Refuse(kExitUsage,
                "-B " + std::string(argument) + ": the protocol must be auto, ascii or binary");
}

bool CommandLine::TakeIdleTimeout(std::string_view text) {
  const size_t equals = text.find('=');
  constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
  std::optional<int64_t> seconds;
  if (equals != std::string_view::npos) seconds = ReadNumber(text.substr(equals + 1), 0, kInt32Max);
  if (!seconds) {
    return Refuse(kExitFailure,
                  "-o " + std::string(text) + ": idle_timeout needs a number of seconds, or 0");
  }
  options_.idle_timeout_seconds = static_cast<uint32_t>(*seconds);
  return true;
}

bool CommandLine::TakeExtendedOne(std::string_view text) {
  const std::string_view name = text.substr(0, text.find('='));
  if (name == "idle_timeout") return TakeIdleTimeout(text);
  for (std::string_view known : kExtendedWithoutEffect) {
    if (name == known) {
      Notice("-o " + std::string(name) + " has no effect in torc");
      return true;
    }
  }
  for (std::string_view known : kExtendedMissing) {
    if (name == known || (known.ends_with('_') && name.starts_with(known))) {
      return Refuse(kExitFailure,
                    "-o " + std::string(name) + ": not available in this version of torc");
    }
  }
  return Refuse(kExitFailure, "-o " + std::string(name) + ": no such extended option");
}

bool CommandLine::TakeExtended(std::string_view argument) {
  while (!argument.empty()) {
    const std::string_view part = NextPart(&argument);
    if (!part.empty() && !TakeExtendedOne(part)) return false;
  }
  return true;
}

bool CommandLine::Take(int letter, std::string_view argument) {
  constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
  switch (letter) {
    case 'p':
      return TakePort(argument);
    case 'l':
      return TakeListen(argument);
    case 's':
      if (argument.empty()) return Refuse(kExitFailure, "-s: the path of the socket is empty");
      options_.unix_socket = argument;
      unix_alone_ = true;
      return true;
    case 'a':
      return TakeMask(argument);
    case 'b':
      return TakeNumber(letter, argument, 0, kInt32Max, kExitFailure, "the backlog",
                        &options_.listen_backlog);
    case 't':
      return TakeNumber(letter, argument, 1, kShardsMax, kExitFailure, "the number of threads",
                        &options_.shards);
    case 'm':
      return TakeMemory(argument);
    case 'M':
      options_.evict = false;
      return true;
    case 'I':
      return TakeItemSize(argument);
    case 'c':
      return TakeNumber(letter, argument, 1, kInt32Max, kExitFailure, "the number of connections",
                        &options_.connections_max);
    case 'R':
      return TakeNumber(letter, argument, 1, kInt32Max, kExitFailure,
                        "the number of requests per event", &options_.requests_per_turn);
    case 'k':
      options_.lock_memory = true;
      return true;
    case 'L':
      options_.large_pages = true;
      return true;
    case 'u':
      if (argument.empty()) return Refuse(kExitFailure, "-u: the name of the user is empty");
      options_.user = argument;
      return true;
    case 'd':
      options_.daemon = true;
      return true;
    case 'P':
      if (argument.empty()) return Refuse(kExitFailure, "-P: the path of the file is empty");
      options_.pid_file = argument;
      return true;
    case 'r':
      options_.core_dumps = true;
      return true;
    case 'v':
      if (options_.verbosity < kVerbosityMax) ++options_.verbosity;
      return true;
    case 'F':
      options_.flush_all_enabled = false;
      return true;
    case 'C':
      Notice("-C has no effect in torc: every item has its CAS number");
      return true;
    case 'X':
      options_.dumps_enabled = false;
      return true;
    case 'D':
      if (argument.empty()) return Refuse(kExitFailure, "-D: the delimiter is empty");
      options_.prefix_delimiter = argument[0];
      options_.detail_enabled = true;
      return true;
    case 'A':
      options_.shutdown_enabled = true;
      return true;
    case 'S':
      options_.sasl = true;
      return true;
    case 'Y':
      if (argument.empty()) return Refuse(kExitFailure, "-Y: the path of the user file is empty");
      options_.auth_file = argument;
      return true;
    case 'W':
      Notice("-W has no effect in torc: it has no watch command");
      return true;
    case 'U':
      return TakeUdpPort(argument);
    case 'B':
      return TakeProtocol(argument);
    case 'f':
      return TakeGrowthFactor(argument);
    case 'n':
      return TakeNumber(letter, argument, 1, kInt32Max, kExitFailure, "the smallest chunk",
                        &options_.slab_chunk_bytes_min);
    case 'o':
      return TakeExtended(argument);
    case 'h':
      return Exit(UsageText());
    case 'V':
      return Exit("torc " + std::string(kVersion) + "\n");
    case 'i':
      return Exit("torc " + std::string(kVersion) + "\n" + std::string(kLicense));
    case kDoctorOption:
      result_.action = ParseAction::kDoctor;
      return false;
    case kEngineOption:
      if (argument == "help") {
        result_.action = ParseAction::kListEngines;
        return false;
      }
      if (argument.empty()) return Refuse(kExitUsage, "--engine: the name of the engine is empty");
      options_.engine = argument;
      return true;
    case kEngineConfigOption:
      options_.engine_config = argument;
      return true;
    default:
      break;
  }
  for (const Missing& missing : kMissing) {
    if (letter == missing.letter) {
      return Refuse(kExitFailure, OptionName(letter) + ": " + std::string(missing.what) +
                                      " is not available in this version of torc");
    }
  }
  return Refuse(kExitFailure, OptionName(letter) + ": no such option; torc -h lists them");
}

// Each way of authentication is of one protocol: a listener of the other would be open to all.
bool CommandLine::FinishProtocol() {
  const bool text = !options_.auth_file.empty();
  const bool binary = options_.sasl;
  if (udp_port_ && (text || binary)) {
    return Refuse(kExitUsage, "-U leaves the door open that -Y and -S shut: UDP knows no users");
  }
  if (text == binary) {
    options_.protocol = protocol_.value_or(Protocol::kUnknown);
    return true;
  }
  const Protocol only = text ? Protocol::kText : Protocol::kBinary;
  const std::string message = text ? "-Y alone leaves the binary protocol open: add -S, or take "
                                   : "-S alone leaves the text protocol open: add -Y, or take ";
  if (protocol_ && *protocol_ != only) {
    return Refuse(kExitUsage, message + (text ? "-B ascii" : "-B binary"));
  }
  for (const PendingListen& pending : listen_) {
    if (pending.protocol && *pending.protocol != only) {
      return Refuse(kExitSystem, message + (text ? "proto[ascii]" : "proto[binary]"));
    }
  }
  options_.protocol = only;
  return true;
}

bool CommandLine::Finish() {
  if (options_.item_bytes_max > options_.memory_bytes / 2) {
    return Refuse(kExitUsage, "-I " + std::to_string(options_.item_bytes_max) +
                                  ": the largest item cannot be above half of -m, which is " +
                                  std::to_string(options_.memory_bytes) + " bytes");
  }
  if (!FinishProtocol()) return false;
  if (unix_alone_) {
    if (tcp_asked_for_) Notice("-s takes the place of TCP: -p and -l have no effect");
    if (udp_port_) Notice("-s takes the place of UDP: -U has no effect");
    return true;
  }
  // As in memcached: -U alone is the port of both, and a port in -l likewise.
  if (udp_port_ && !port_given_) port_ = udp_port_;
  if (listen_.empty() && options_.unix_socket.empty()) listen_.push_back({});
  for (PendingListen& pending : listen_) {
    if (udp_port_) {
      options_.listen_udp.push_back({pending.host, pending.port.value_or(*udp_port_),
                                     pending.protocol.value_or(options_.protocol)});
    }
    if (!pending.port) pending.port = port_;
    if (!pending.port) continue;  // -p 0
    options_.listen.push_back(
        {std::move(pending.host), *pending.port, pending.protocol.value_or(options_.protocol)});
  }
  if (options_.listen.empty() && options_.listen_udp.empty() && options_.unix_socket.empty()) {
    return Refuse(kExitUsage, "-p 0: there is nothing left to listen on; give a port, or -s");
  }
  return true;
}

void CommandLine::RefuseUnread(int letter, std::string_view word) {
  // getopt_long() stands behind the word of a long option, and gives the letter of a short one,
  // which may be in the middle of a word, in optopt.
  const bool is_long = word.starts_with("--");
  const std::string name =
      is_long ? std::string(word.substr(0, word.find('='))) : OptionName(optopt);
  if (letter == ':') {
    Refuse(kExitFailure, name + ": needs an argument");
  } else if (is_long && optopt != 0) {
    Refuse(kExitFailure, name + ": takes no argument");
  } else {
    Refuse(kExitFailure, name + ": no such option; torc -h lists them");
  }
}

ParseResult CommandLine::Read(int argc, char** argv) {
  optind = 0;  // glibc: start anew, should this be the second command line (in tests).
  opterr = 0;  // The messages are ours.
  for (;;) {
    const int letter = getopt_long(argc, argv, kShortOptions, kLongOptions, nullptr);
    if (letter == -1) break;
    if (letter == ':' || letter == '?') {
      RefuseUnread(letter, argv[optind - 1]);
      return result_;
    }
    if (!Take(letter, optarg == nullptr ? std::string_view() : std::string_view(optarg))) {
      return result_;
    }
  }
  for (int i = optind; i < argc; ++i)
    Notice("'" + std::string(argv[i]) + "' is not an option: ignored");
  Finish();
  return result_;
}

}  // namespace

std::string UsageText() { return std::string(kUsage); }

ParseResult ParseOptions(int argc, char** argv, Options* options) {
  return CommandLine(options).Read(argc, argv);
}

}  // namespace torc
