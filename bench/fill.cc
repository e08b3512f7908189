// Stores many items as fast as the server takes them: sets without replies, in long pipelines.
//
//   connections, in turn:  | set set set ... |  a batch of keys each; Stream::Send waits for the
//   server at the end:            | mn |               on each: its answer says that all before it
//   is done

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bench/die.h"
#include "bench/flags.h"
#include "bench/keyspace.h"
#include "bench/stream.h"

namespace torc::bench {
namespace {

constexpr const char* kHelp = R"(usage: fill [options]
Stores keys by pipelined sets with noreply, and prints one line of JSON.

  --port PORT            server's port on 127.0.0.1
  --keys N               keys 0 to N-1 (100000)
  --key-prefix TEXT      what every key begins with (k)
  --key-size BYTES       (12)
  --value-size BYTES     (8)
  --exptime-min SECONDS  expiry times are spread evenly from here (0: none expires)
  --exptime-max SECONDS  to here (as --exptime-min)
  --connections N        (4)
)";

constexpr size_t kBatchBytes = size_t{64} << 10;

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
  const Keyspace keyspace(prefix, keys, key_size, value_size);

  std::vector<Stream> streams;
  for (uint64_t i = 0; i < connections; ++i) streams.emplace_back(port);
  const uint64_t begin_ns = MonotonicNs();
  const size_t set_size_max = key_size + value_size + 64;
  std::string batch;
  Random random(1);
  uint64_t id = 0;
  for (size_t next = 0; id < keys; next = (next + 1) % streams.size()) {
    batch.resize(kBatchBytes + set_size_max);
    char* out = batch.data();
    while (id < keys && out < batch.data() + kBatchBytes) {
      const auto write = [&](std::string_view text) {
        out = std::copy(text.begin(), text.end(), out);
      };
      const auto write_number = [&](uint64_t number) {
        out = std::to_chars(out, out + 20, number).ptr;
      };
      write("set ");
      out = keyspace.WriteKey(id, out);
      write(" 0 ");
      write_number(exptime_min + random.Below(exptime_max - exptime_min + 1));
      write(" ");
      write_number(value_size);
      write(" noreply\r\n");
      out = keyspace.WriteValue(id++, 0, out);
      write("\r\n");
    }
    streams[next].Send({batch.data(), static_cast<size_t>(out - batch.data())});
  }
  for (Stream& stream : streams) {
    stream.Send("mn\r\n");
    if (const std::string_view answer = stream.Line(); answer != "MN") {
      Die("unexpected reply: " + Printable(answer));
    }
  }
  std::printf("{\"keys\":%lu,\"seconds\":%.3f}\n", keys,
              static_cast<double>(MonotonicNs() - begin_ns) / 1e9);
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
