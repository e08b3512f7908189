// How long the engine keeps a turn, by stage: the engine alone, without a network, driven as a
// shard drives it. Times are the thread's processor time, so that neighbours do not count; page
// faults do.
//
//   turn:  BeginTurn | Collect, Execute a batch | EndTurn | Background

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/die.h"
#include "bench/flags.h"
#include "bench/histogram.h"
#include "bench/keyspace.h"
#include "src/engine/engine.h"
#include "src/slab/slab_engine.h"

namespace torc::bench {
namespace {

constexpr const char* kHelp = R"(usage: turns [options]
Drives the slab engine through growth, a flush, expiry, changes of size and appends to a large value.
Prints a line of JSON for each: the longest turn and its stages in microseconds of processor time.

  --items N            of the growth (20000000)
  --memory-mb MB       of the growth (4096)
  --shift-mb MB        of the changes of size (64)
  --append-mb MB       of the value that is appended to (64)
  --seconds N          how long to watch what comes back after the flush and the expiry (60)
  --batch N            operations of a turn (128)
)";

enum Stage { kBegin, kExecute, kEnd, kBackground, kStages };
constexpr const char* kStageNames[] = {"begin", "execute", "end", "background"};

uint64_t CpuNs() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

// An engine with one shard, and what its turns have cost since the last Report.
class Driver {
 public:
  Driver(uint64_t memory_mb, uint32_t batch, uint64_t item_mb = 1) : batch_(batch) {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = memory_mb << 20;
    options.item_size_max_bytes = item_mb << 20;
    engine_ = std::make_unique<slab::SlabEngine>(options);
  }

  engine::Engine& engine() { return *engine_; }
  RelativeSeconds now = 1000;

  // One turn that executes `ops`, and again what had to wait, in turns of its own; with what the
  // engine has answered since.
  void Turn(std::span<engine::Op> ops) {
    do {
      uint64_t at[kStages + 1];
      at[kBegin] = CpuNs();
      engine_->BeginTurn(0, now);
      at[kExecute] = CpuNs();
      if (pending_ != 0) {
        std::array<engine::Pending*, engine::kBatchMax> answered;
        const size_t count = engine_->Collect(0, answered);
        for (size_t i = 0; i < count; ++i) {
          failed_ += answered[i]->op.result != engine::Result::kStored;
        }
        pending_ -= count;
      }
      const size_t done = ops.empty() ? 0 : engine_->Execute(0, ops);
      for (const engine::Op& op : ops.subspan(0, done)) {
        pending_ += op.result == engine::Result::kPending;
        failed_ += op.verb == engine::Verb::kSet && op.result != engine::Result::kStored;
      }
      ops = ops.subspan(done);
      at[kEnd] = CpuNs();
      engine_->EndTurn(0);
      at[kBackground] = CpuNs();
      more_ = engine_->Background(0);
      at[kStages] = CpuNs();
      Record(at);
    } while (!ops.empty());
  }

  // Seconds without operations: turns while the engine has something to do, some in any case.
  void Idle(uint64_t seconds) {
    constexpr int kTurnsMin = 100, kTurnsMax = 50'000;
    for (uint64_t second = 0; second < seconds; ++second) {
      ++now;
      for (int turn = 0; turn < kTurnsMax && (turn < kTurnsMin || more_); ++turn) Turn({});
    }
  }

  // Stores the keys of `keyspace`, a batch a turn. `expires`: seconds from now, by a key's number.
  template <typename Expires>
  void Store(const Keyspace& keyspace, Expires expires) {
    std::vector<char> keys(batch_ * keyspace.key_sizes().max());
    std::vector<char> value(keyspace.value_sizes().max());
    keyspace.WriteValue(0, 0, value.data());
    std::vector<engine::Op> ops;
    for (uint64_t id = 0; id < keyspace.key_count();) {
      ops.clear();
      char* key = keys.data();
      while (ops.size() < batch_ && id < keyspace.key_count()) {
        engine::Op op;
        op.key = key;
        op.key_size = static_cast<uint8_t>(keyspace.KeySize(id));
        key = keyspace.WriteKey(id, key);
        op.hash = engine::HashKey(op.key_view());
        op.verb = engine::Verb::kSet;
        op.value = value.data();
        op.value_size = static_cast<uint32_t>(value.size());
        op.exptime = expires(id++);
        ops.push_back(op);
      }
      Turn(ops);
    }
  }

  // Stores a value of `size` bytes and appends to it, time and again.
  void Append(uint64_t size) {
    const std::vector<char> value(size);
    engine::Op op;
    op.key = "large";
    op.key_size = 5;
    op.hash = engine::HashKey(op.key_view());
    for (int i = 0; i <= kAppends; ++i) {
      engine::Op next = op;
      next.verb = i == 0 ? engine::Verb::kSet : engine::Verb::kAppend;
      next.value = value.data();
      next.value_size = i == 0 ? static_cast<uint32_t>(size) : 3;
      Turn({&next, 1});
      while (pending_ != 0) Turn({});
      if (i == 0) Forget();  // a server would have received it in parts
    }
    Report(std::to_string(kAppends) + " appends to " + std::to_string(size >> 20) + " MB");
  }

  // Prints a line of JSON about the turns since the last Report.
  void Report(const std::string& title) {
    const engine::EngineTotals totals = engine_->Totals();
    std::printf("{\"what\":\"%s\",\"turns\":%lu,\"us_p999\":%.1f,\"us_max\":%.1f,\"stages_us\":{",
                title.c_str(), turns_.count(), Us(turns_.Percentile(99.9)), Us(turns_.max()));
    for (int stage = 0; stage < kStages; ++stage) {
      std::printf("%s\"%s\":%.1f", stage == 0 ? "" : ",", kStageNames[stage], Us(longest_[stage]));
    }
    std::printf("},\"cpu_seconds\":%.3f,\"items\":%lu,\"failed\":%lu}\n",
                static_cast<double>(total_ns_) / 1e9, totals.items, failed_);
    std::fflush(stdout);
    Forget();
  }
  void Forget() {
    turns_ = {};
    total_ns_ = failed_ = 0;
  }

 private:
  static constexpr int kAppends = 20;

  static double Us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

  void Record(const uint64_t (&at)[kStages + 1]) {
    const uint64_t turn = at[kStages] - at[kBegin];
    const bool is_longest = turn > turns_.max();
    turns_.Record(turn, 1);
    total_ns_ += turn;
    for (int stage = 0; stage < kStages; ++stage) {
      const uint64_t ns = at[stage + 1] - at[stage];
      if (is_longest) longest_[stage] = ns;
    }
  }

  const uint32_t batch_;
  std::unique_ptr<engine::Engine> engine_;
  Histogram turns_;
  uint64_t longest_[kStages] = {};  // the stages of the longest turn
  uint64_t total_ns_ = 0;
  uint64_t failed_ = 0;
  size_t pending_ = 0;
  bool more_ = false;
};

RelativeSeconds Never(uint64_t) { return kNeverExpires; }

void Growth(uint64_t memory_mb, uint64_t items, uint32_t batch, uint64_t seconds) {
  Driver driver(memory_mb, batch);
  driver.Store(Keyspace("k", items, 12, 8), Never);
  driver.Report("growth to " + std::to_string(items));
  driver.engine().Flush(0, kNeverExpires);
  driver.Turn({});
  driver.Report("flush");
  driver.Idle(seconds);
  driver.Report(std::to_string(seconds) + " s after the flush");
}

void Expiry(uint64_t memory_mb, uint64_t items, uint32_t batch, uint64_t seconds) {
  Driver driver(memory_mb, batch);
  driver.Store(Keyspace("k", items, 12, 32), [&](uint64_t id) {
    return driver.now + static_cast<RelativeSeconds>(id % 2 == 0 ? 1 + Mix(id) % 20 : 3600);
  });
  driver.Report("fill with expiry");
  for (uint64_t second = 0; second < seconds;) {
    const uint64_t step = std::min<uint64_t>(10, seconds - second);
    driver.Idle(step);
    second += step;
    driver.Report("half expire in 20 s: at " + std::to_string(second) + " s");
  }
}

void Shift(uint64_t memory_mb, uint32_t batch) {
  Driver driver(memory_mb, batch);
  const uint64_t sizes[] = {100, 2000, 20'000, 300'000, 1'000'000, 100, 20'000, 100};
  for (size_t i = 0; i < std::size(sizes); ++i) {
    const uint64_t keys = (memory_mb << 21) / (sizes[i] + 30);
    driver.Store(Keyspace("s" + std::to_string(i), keys, 12, sizes[i]), Never);
    driver.Report("shift to " + std::to_string(sizes[i]) + " bytes");
  }
}

int Main(int argc, char** argv) {
  Flags flags(argc, argv, kHelp);
  const uint64_t items = flags.Number("items", 20'000'000);
  const uint64_t memory_mb = flags.Number("memory-mb", 4096);
  const auto batch = static_cast<uint32_t>(flags.Number("batch", 128));
  const uint64_t shift_mb = flags.Number("shift-mb", 64);
  const uint64_t append_mb = flags.Number("append-mb", 64);
  const uint64_t seconds = flags.Number("seconds", 60);
  flags.RefuseOthers();
  if (batch == 0 || batch > engine::kBatchMax) Die("--batch: at most one batch of the engine");
  Growth(memory_mb, items, batch, seconds);
  Expiry(memory_mb, items / 10, batch, seconds);
  Shift(shift_mb, batch);
  Driver(4 * append_mb + 64, batch, 2 * append_mb).Append(append_mb << 20);
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
