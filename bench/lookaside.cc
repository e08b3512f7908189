// A cache as it is used: ask for keys, store those that were not there. Keys come by Zipf's law
// over more data than the memory holds. The figures come in slices of the bytes stored, so that
// servers of any speed are compared at the same point of their way: a turnover is when as many
// bytes were stored as the memory has.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/die.h"
#include "bench/flags.h"
#include "bench/keyspace.h"
#include "bench/stream.h"
#include "bench/zipf.h"

namespace torc::bench {
namespace {

constexpr const char* kHelp = R"(usage: lookaside [options]
Gets keys by Zipf's law and stores what was missed, until enough was stored. Prints one line of JSON.

  --port PORT            server's port on 127.0.0.1
  --memory BYTES         the server's memory: a turnover (67108864)
  --turnovers N          until so much was stored (3)
  --slices N             of a turnover, with a hit ratio each (10)
  --gets-max N           or until so many gets were done (1000000000)
  --keys-share SHARE     data over all keys, in parts of the memory (2)
  --key-prefix TEXT      (k)
  --key-size BYTES       (20)
  --value-size BYTES     (100)
  --theta THETA          of Zipf's law; not 1 (0.9)
  --connections N        (8)
  --multiget N           keys of a get (16)
  --seed N               of the order of keys (1)
)";

struct Slice {
  uint64_t gets = 0;
  uint64_t hits = 0;
  uint64_t stored_bytes = 0;
  double seconds = 0;
};

class Lookaside {
 public:
  Lookaside(Flags flags)
      : port_(static_cast<uint16_t>(flags.Number("port", 11211))),
        memory_(flags.Real("memory", 67108864)),
        turnovers_(flags.Real("turnovers", 3)),
        slices_(flags.Number("slices", 10)),
        gets_max_(flags.Number("gets-max", 1'000'000'000)),
        value_size_(flags.Number("value-size", 100)),
        key_size_(flags.Number("key-size", 20)),
        keys_(std::max<uint64_t>(
            1, static_cast<uint64_t>(memory_ * flags.Real("keys-share", 2) /
                                     static_cast<double>(key_size_ + value_size_)))),
        keyspace_(flags.Text("key-prefix", "k"), keys_, key_size_, value_size_),
        zipf_(keys_, flags.Real("theta", 0.9)),
        multiget_(flags.Number("multiget", 16)),
        random_(Mix(flags.Number("seed", 1))) {
    const uint64_t connections = flags.Number("connections", 8);
    flags.RefuseOthers();
    if (slices_ == 0 || multiget_ == 0 || connections == 0) Die("a number of 0 makes no sense");
    for (uint64_t i = 0; i < connections; ++i) streams_.emplace_back(port_);
    asked_.resize(connections);
  }

  // Rounds: every connection asks, then every connection reads and stores what it missed.
  void Run() {
    const double slice_bytes = memory_ / static_cast<double>(slices_);
    const double bytes_max = memory_ * turnovers_;
    uint64_t stored_bytes = 0, gets = 0;
    Slice slice;
    uint64_t slice_begin_ns = MonotonicNs();
    while (static_cast<double>(stored_bytes) < bytes_max && gets < gets_max_) {
      Round(slice);
      if (static_cast<double>(slice.stored_bytes) < slice_bytes && gets + slice.gets < gets_max_) {
        continue;
      }
      const uint64_t now_ns = MonotonicNs();
      slice.seconds = static_cast<double>(now_ns - slice_begin_ns) / 1e9;
      slice_begin_ns = now_ns;
      stored_bytes += slice.stored_bytes;
      gets += slice.gets;
      done_.push_back(slice);
      slice = {};
    }
  }

  void Print() const {
    std::printf("{\"keys\":%lu,\"failed\":{", keys_);
    const char* comma = "";
    for (const auto& [text, count] : failed_) {
      std::printf("%s\"%s\":%lu", comma, text.c_str(), count);
      comma = ",";
    }
    std::printf("},\"slices\":[");
    comma = "";
    for (const Slice& slice : done_) {
      std::printf("%s{\"gets\":%lu,\"hits\":%lu,\"stored_bytes\":%lu,\"seconds\":%.4f}", comma,
                  slice.gets, slice.hits, slice.stored_bytes, slice.seconds);
      comma = ",";
    }
    std::printf("]}\n");
  }

 private:
  void Round(Slice& slice) {
    for (size_t c = 0; c < streams_.size(); ++c) {
      std::vector<uint64_t>& asked = asked_[c];
      asked.clear();
      out_ = "get";
      while (asked.size() < multiget_) {
        const uint64_t id = zipf_.Next(random_);
        // A key twice in one get would be stored twice.
        if (std::find(asked.begin(), asked.end(), id) != asked.end() && asked.size() < keys_)
          continue;
        asked.push_back(id);
        out_ += ' ';
        AppendKey(id);
      }
      out_ += "\r\n";
      streams_[c].Send(out_);
    }
    for (size_t c = 0; c < streams_.size(); ++c) {
      const uint64_t missed = ReadGet(streams_[c], asked_[c]);
      slice.gets += multiget_;
      slice.hits += multiget_ - missed;
    }
    for (size_t c = 0; c < streams_.size(); ++c) {
      out_.clear();
      for (const uint64_t id : asked_[c]) {
        out_ += "set ";
        AppendKey(id);
        out_ += " 0 0 " + std::to_string(value_size_) + "\r\n";
        const size_t size = out_.size();
        out_.resize(size + value_size_);
        keyspace_.WriteValue(id, 0, out_.data() + size);
        out_ += "\r\n";
      }
      streams_[c].Send(out_);
    }
    for (size_t c = 0; c < streams_.size(); ++c) {
      for (size_t i = 0; i < asked_[c].size(); ++i) {
        slice.stored_bytes += key_size_ + value_size_;
        const std::string_view answer = streams_[c].Line();
        if (answer != "STORED") ++failed_[std::string(answer)];
      }
    }
  }

  void AppendKey(uint64_t id) {
    const size_t size = out_.size();
    out_.resize(size + key_size_);
    keyspace_.WriteKey(id, out_.data() + size);
  }

  // Leaves in `asked` what was missed, and returns how many they are.
  uint64_t ReadGet(Stream& stream, std::vector<uint64_t>& asked) {
    size_t next = 0, missed = 0;
    for (;;) {
      const std::string_view line = stream.Line();
      if (line == "END") break;
      // VALUE KEY FLAGS SIZE
      if (!line.starts_with("VALUE ") || line.size() < 6 + key_size_) {
        Die("unexpected reply: " + Printable(line));
      }
      const auto id = keyspace_.IdOf(line.substr(6, key_size_));
      if (!id.has_value()) Die("a key nobody asked for: " + Printable(line));
      while (next < asked.size() && asked[next] != *id) asked[missed++] = asked[next++];
      if (next == asked.size()) Die("a key nobody asked for: " + Printable(line));
      ++next;
      stream.Skip(value_size_ + 2);
    }
    while (next < asked.size()) asked[missed++] = asked[next++];
    asked.resize(missed);
    return missed;
  }

  const uint16_t port_;
  const double memory_;
  const double turnovers_;
  const uint64_t slices_;
  const uint64_t gets_max_;
  const uint64_t value_size_;
  const uint64_t key_size_;
  const uint64_t keys_;
  const Keyspace keyspace_;
  const Zipf zipf_;
  const uint64_t multiget_;
  Random random_;
  std::vector<Stream> streams_;
  std::vector<std::vector<uint64_t>> asked_;  // by connection: what it asked for, then missed
  std::string out_;
  std::map<std::string, uint64_t> failed_;  // answers to sets that were not STORED
  std::vector<Slice> done_;
};

int Main(int argc, char** argv) {
  Lookaside lookaside(Flags(argc, argv, kHelp));
  lookaside.Run();
  lookaside.Print();
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
