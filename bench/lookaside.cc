// A cache as it is used: ask for keys, store those that were not there. Keys come by Zipf's law
// over more data than the memory holds. The figures come in slices of the bytes stored, so that
// servers of any speed are compared at the same point of their way: a turnover is when as many
// bytes were stored as the memory has.

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/cache_client.h"
#include "bench/clock.h"
#include "bench/die.h"
#include "bench/flags.h"
#include "bench/keyspace.h"
#include "bench/zipf.h"
#include "src/client/client.h"

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
  --multiget N           keys of a get, on average (16)
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
  explicit Lookaside(Flags flags)
      : memory_(flags.Real("memory", 67108864)),
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
        random_(Mix(flags.Number("seed", 1))),
        connections_(std::max<uint64_t>(1, flags.Number("connections", 8))),
        cache_(ServerAt(static_cast<uint16_t>(flags.Number("port", 11211)), connections_)),
        ids_(connections_ * flags.Number("multiget", 16)),
        keys_text_(ids_.size() * key_size_, 0),
        values_(ids_.size() * value_size_, 0) {
    flags.RefuseOthers();
    if (slices_ == 0 || ids_.empty()) Die("a number of 0 makes no sense");
  }

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
  // Asks for keys, and stores what was not there.
  void Round(Slice& slice) {
    std::vector<client::Operation> gets;
    for (size_t i = 0; i < ids_.size(); ++i) {
      ids_[i] = zipf_.Next(random_);
      char* const key = keys_text_.data() + i * key_size_;
      keyspace_.WriteKey(ids_[i], key);
      gets.push_back({.verb = client::Verb::kGet, .key = {key, key_size_}});
    }
    const std::vector<client::Result> read = cache_.Run(gets);

    std::vector<client::Operation> sets;
    char* value = values_.data();
    for (size_t i = 0; i < read.size(); ++i) {
      ++slice.gets;
      if (read[i].ok()) {
        ++slice.hits;
        continue;
      }
      if (read[i].status != client::Status::kNotFound) Die("a get failed: " + Words(read[i]));
      sets.push_back(
          {.verb = client::Verb::kSet, .key = gets[i].key, .value = {value, value_size_}});
      value = keyspace_.WriteValue(ids_[i], 0, value);
    }
    for (const client::Result& stored : cache_.Run(sets)) {
      slice.stored_bytes += key_size_ + value_size_;
      if (stored.status > client::Status::kServerError) Die("a set failed: " + Words(stored));
      if (!stored.ok()) ++failed_[stored.text];
    }
  }

  const double memory_;
  const double turnovers_;
  const uint64_t slices_;
  const uint64_t gets_max_;
  const uint64_t value_size_;
  const uint64_t key_size_;
  const uint64_t keys_;
  const Keyspace keyspace_;
  const Zipf zipf_;
  Random random_;
  const uint64_t connections_;
  client::Client cache_;
  // Of the round.
  std::vector<uint64_t> ids_;
  std::string keys_text_;
  std::string values_;
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
