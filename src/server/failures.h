// Failures: how often each cause of src/base/cause.h came up on a shard, and what -v says of it.
//
//   Core::Fail(cause) -> Failures::Count     one count, by the shard that it happened on
//                    \-> FailureLog::Say     with -v: "torc: send_no_memory: the kernel has ..."
//
// -v prints each cause once a second at most, over all shards, with how often it came up unsaid:
// what goes wrong a million times a second must not fill a disk, or slow the server to the pace of
// its log. -vv prints every one. Without either, a failure costs one add and one look at the
// verbosity.
//
// Owner: Failures: a core; FailureLog: Shared. Affinity: Failures: writing shard, reading any;
// FailureLog: any. Lifetime: as their owners. Invariant: counts only grow, except by Reset.
#ifndef TORC_SRC_SERVER_FAILURES_H_
#define TORC_SRC_SERVER_FAILURES_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "src/base/cause.h"
#include "src/base/types.h"

namespace torc::server {

class Failures {
 public:
  void Count(Cause cause, uint64_t times = 1) { counts_[static_cast<size_t>(cause)].Add(times); }
  uint64_t Get(Cause cause) const { return counts_[static_cast<size_t>(cause)].Get(); }
  void Reset() {
    for (Counter& count : counts_) count.Set(0);
  }

 private:
  std::array<Counter, kCauseCount> counts_;
};

class FailureLog {
 public:
  // Takes one line with its end, from any shard.
  using Write = std::function<void(std::string_view line)>;

  explicit FailureLog(Write write) : write_(std::move(write)) {}

  // Says that `cause` came up, if `verbosity` (at least 1) and the time allow. `system_error` is
  // the errno behind it, 0 if there is none. `now_ns` by the clock of all shards.
  void Say(Cause cause, int system_error, int verbosity, int64_t now_ns);

  static void WriteToStderr(std::string_view line);

 private:
  // Relaxed all: what is printed may be late or lack one, but no shard waits for another.
  struct Silence {
    std::atomic<int64_t> until_ns{INT64_MIN};
    std::atomic<uint64_t> unsaid{0};
  };
  const Write write_;
  std::array<Silence, kCauseCount> silences_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_FAILURES_H_
