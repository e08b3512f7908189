// Stores many items as fast as the server takes them: quiet sets of the binary protocol, in
// batches.
//
//   each connection, in a thread of its own:  | setq setq setq ... noop |
//
// A batch is the next keys that no thread has taken; the reply to its no-op says that all before it
// is done.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/cache_client.h"
#include "bench/clock.h"
#include "bench/die.h"
#include "bench/flags.h"
#include "bench/keyspace.h"
#include "bench/random.h"
#include "src/client/client.h"

namespace torc::bench {
namespace {

constexpr const char* kHelp = R"(usage: fill [options]
Stores keys by quiet sets of the binary protocol, and prints one line of JSON.

  --port PORT            server's port on 127.0.0.1
  --keys N               keys 0 to N-1 (100000)
  --key-prefix TEXT      what every key begins with (k)
  --key-size BYTES       (12)
  --value-size BYTES     (8)
  --exptime-min SECONDS  expiry times are spread evenly from here (0: none expires)
  --exptime-max SECONDS  to here (as --exptime-min)
  --connections N        (4)
)";

// Of keys and values.
constexpr size_t kBatchBytes = size_t{64} << 10;

struct Work {
  Keyspace keyspace;
  uint64_t exptime_min;
  uint64_t exptime_max;
  uint64_t batch_keys;
  std::atomic<uint64_t> next = 0;  // the first key that no thread has taken
};

// Takes batches until none is left.
void Store(uint16_t port, Work* work) {
  client::Options options = ServerAt(port);
  options.protocol = client::Protocol::kBinary;
  client::Client cache(std::move(options));
  const Keyspace& keyspace = work->keyspace;
  const size_t key_size = keyspace.KeySize(0), value_size = keyspace.ValueSize(0);
  std::string bytes(work->batch_keys * (key_size + value_size), 0);
  std::vector<client::Operation> sets;
  for (;;) {
    const uint64_t begin = work->next.fetch_add(work->batch_keys, std::memory_order_relaxed);
    if (begin >= keyspace.key_count()) return;
    const uint64_t end = std::min(begin + work->batch_keys, keyspace.key_count());
    sets.clear();
    char* out = bytes.data();
    for (uint64_t id = begin; id < end; ++id) {
      client::Operation set{.verb = client::Verb::kSet};
      set.key = {out, key_size};
      out = keyspace.WriteKey(id, out);
      set.value = {out, value_size};
      out = keyspace.WriteValue(id, 0, out);
      set.exptime = static_cast<int32_t>(
          work->exptime_min + Random(id).Below(work->exptime_max - work->exptime_min + 1));
      sets.push_back(set);
    }
    for (const client::Result& result : cache.Run(sets)) {
      // A full memory is the caller's to judge, by the server's statistics.
      if (!result.ok() && result.status != client::Status::kNoMemory) {
        Die("a key is not stored: " + Words(result));
      }
    }
  }
}

int Main(int argc, char** argv) {
  Flags flags(argc, argv, kHelp);
  const auto port = static_cast<uint16_t>(flags.Number("port", 11211));
  const uint64_t keys = flags.Number("keys", 100'000);
  const std::string prefix = flags.Text("key-prefix", "k");
  const uint64_t key_size = flags.Number("key-size", 12);
  const uint64_t value_size = flags.Number("value-size", 8);
  const uint64_t exptime_min = flags.Number("exptime-min", 0);
  const uint64_t exptime_max = std::max(exptime_min, flags.Number("exptime-max", 0));
  const uint64_t connections = std::max<uint64_t>(1, flags.Number("connections", 4));
  flags.RefuseOthers();
  Work work{.keyspace = Keyspace(prefix, keys, key_size, value_size),
            .exptime_min = exptime_min,
            .exptime_max = exptime_max,
            .batch_keys = std::max<uint64_t>(1, kBatchBytes / (key_size + value_size))};

  const uint64_t begin_ns = MonotonicNs();
  std::vector<std::jthread> threads;
  for (uint64_t i = 0; i < connections; ++i) threads.emplace_back(Store, port, &work);
  threads.clear();  // waits for them
  std::printf("{\"keys\":%lu,\"seconds\":%.3f}\n", keys,
              static_cast<double>(MonotonicNs() - begin_ns) / 1e9);
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
