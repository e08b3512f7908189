#include "src/server/failures.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace torc::server {
namespace {

constexpr int64_t kSilenceNs = 1'000'000'000;

int Size(std::string_view text) { return static_cast<int>(text.size()); }

}  // namespace

void FailureLog::Say(Cause cause, int system_error, int verbosity, int64_t now_ns) {
  Silence& silence = silences_[static_cast<size_t>(cause)];
  uint64_t unsaid = 0;
  if (verbosity == 1) {
    int64_t until_ns = silence.until_ns.load(std::memory_order_relaxed);
    if (now_ns < until_ns || !silence.until_ns.compare_exchange_strong(
                                 until_ns, now_ns + kSilenceNs, std::memory_order_relaxed)) {
      silence.unsaid.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    unsaid = silence.unsaid.exchange(0, std::memory_order_relaxed);
  }

  const CauseRow& row = RowOf(cause);
  char system[160] = "";
  if (system_error != 0) {
    const char* const description = strerrordesc_np(system_error);
    std::snprintf(system, sizeof(system), " (%s)",
                  description != nullptr ? description : "an unknown error");
  }
  char more[64] = "";
  if (unsaid != 0) {
    std::snprintf(more, sizeof(more), ", and %llu more",
                  static_cast<unsigned long long>(unsaid));
  }
  char line[512];
  const int size = std::snprintf(line, sizeof(line), "torc: %.*s: %.*s%s%s\n", Size(row.counter),
                                 row.counter.data(), Size(row.text), row.text.data(), system, more);
  write_({line, std::min(static_cast<size_t>(size), sizeof(line) - 1)});
}

void FailureLog::WriteToStderr(std::string_view line) {
  // One call, so that lines of different shards stay whole. Nobody can be told if it fails.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace torc::server
