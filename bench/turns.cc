// How long the engine keeps a turn, by stage: the engine alone, without a network, driven as a
// shard drives it. Times are the thread's processor time, so that neighbours do not count; page
// faults do.
//
//   turn:  BeginTurn | Execute a batch | EndTurn | Background

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
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
Drives the slab engine through fills, changes of size, expiry and a flush; prints the longest turns.

  --items N            of the growth (20000000)
  --memory-mb MB       of the growth; the shifts use 64 (4096)
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
  Driver(uint64_t memory_mb, uint32_t batch) : batch_(batch) {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = memory_mb << 20;
    engine_ = std::make_unique<slab::SlabEngine>(options);
  }

  engine::Engine& engine() { return *engine_; }
  RelativeSeconds now = 1000;

  // One turn that executes `ops`, and again what had to wait, in turns of its own.
  void Turn(std::span<engine::Op> ops) {
    do {
      uint64_t at[kStages + 1];
      at[kBegin] = CpuNs();
      engine_->BeginTurn(0, now);
      at[kExecute] = CpuNs();
      const size_t done = ops.empty() ? 0 : engine_->Execute(0, ops);
      for (const engine::Op& op : ops.subspan(0, done)) {
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
  bool more() const { return more_; }

  // Stores the keys of `keyspace`, a batch a turn. `expires`: seconds from now, by a key's number.
  template <typename Expires>
  void Store(const Keyspace& keyspace, Expires expires) {
    std::vector<char> keys(batch_ * keyspace.key_size());
    std::vector<char> value(keyspace.value_size());
    keyspace.WriteValue(0, value.data());
    std::vector<engine::Op> ops;
    for (uint64_t id = 0; id < keyspace.key_count();) {
      ops.clear();
      char* key = keys.data();
      while (ops.size() < batch_ && id < keyspace.key_count()) {
        engine::Op op;
        op.key = key;
        op.key_size = static_cast<uint8_t>(keyspace.key_size());
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

  void Report(const std::string& title) {
    const engine::EngineTotals totals = engine_->Totals();
    std::printf("%-34s %9lu turns  p99.9 %7.1f us  longest %8.1f us (", title.c_str(),
                turns_.count(), Us(turns_.Percentile(99.9)), Us(turns_.max()));
    for (int stage = 0; stage < kStages; ++stage) {
      std::printf("%s%s %.1f", stage == 0 ? "" : ", ", kStageNames[stage], Us(longest_[stage]));
    }
    std::printf(")  by stage at most:");
    for (int stage = 0; stage < kStages; ++stage) {
      std::printf(" %.1f", Us(stage_max_[stage]));
    }
    std::printf("  CPU %.2f s  items %lu, failed %lu\n", static_cast<double>(total_ns_) / 1e9,
                totals.items, failed_);
    std::fflush(stdout);
    turns_ = {};
    std::fill(std::begin(stage_max_), std::end(stage_max_), 0);
    total_ns_ = failed_ = 0;
  }

 private:
  static double Us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

  void Record(const uint64_t (&at)[kStages + 1]) {
    const uint64_t turn = at[kStages] - at[kBegin];
    const bool is_longest = turn > turns_.max();
    turns_.Record(turn, 1);
    total_ns_ += turn;
    for (int stage = 0; stage < kStages; ++stage) {
      const uint64_t ns = at[stage + 1] - at[stage];
      stage_max_[stage] = std::max(stage_max_[stage], ns);
      if (is_longest) longest_[stage] = ns;
    }
  }

  const uint32_t batch_;
  std::unique_ptr<engine::Engine> engine_;
  Histogram turns_;
  uint64_t longest_[kStages] = {};  // the stages of the longest turn
  uint64_t stage_max_[kStages] = {};
  uint64_t total_ns_ = 0;
  uint64_t failed_ = 0;
  bool more_ = false;
};

RelativeSeconds Never(uint64_t) { return kNeverExpires; }

void Growth(uint64_t memory_mb, uint64_t items, uint32_t batch) {
  Driver driver(memory_mb, batch);
  driver.Store(Keyspace("k", items, 12, 8), Never);
  driver.Report("growth to " + std::to_string(items));
  driver.engine().Flush(0, kNeverExpires);
  driver.Turn({});
  driver.Report("flush");
  // Turns as fast as they come for a minute of the engine's time.
  for (int second = 0; second < 60; ++second) {
    ++driver.now;
    for (int turn = 0; turn < 50'000 && (turn < 100 || driver.more()); ++turn) driver.Turn({});
  }
  driver.Report("a minute after the flush");
}

void Expiry(uint64_t memory_mb, uint64_t items, uint32_t batch) {
  Driver driver(memory_mb, batch);
  driver.Store(Keyspace("k", items, 12, 32), [&](uint64_t id) {
    return driver.now + static_cast<RelativeSeconds>(id % 2 == 0 ? 1 + Mix(id) % 20 : 3600);
  });
  driver.Report("fill with expiry");
  for (int second = 1; second <= 60; ++second) {
    ++driver.now;
    for (int turn = 0; turn < 50'000 && (turn < 100 || driver.more()); ++turn) driver.Turn({});
    if (second % 10 == 0) driver.Report("second " + std::to_string(second));
  }
}

void Shift(uint32_t batch) {
  Driver driver(64, batch);
  const uint64_t sizes[] = {100, 2000, 20'000, 300'000, 1'000'000, 100, 20'000, 100};
  for (size_t i = 0; i < std::size(sizes); ++i) {
    const uint64_t keys = (uint64_t{128} << 20) / (sizes[i] + 30);
    driver.Store(Keyspace("s" + std::to_string(i), keys, 12, sizes[i]), Never);
    driver.Report("shift to " + std::to_string(sizes[i]) + " bytes");
  }
}

int Main(int argc, char** argv) {
  Flags flags(argc, argv, kHelp);
  const uint64_t items = flags.Number("items", 20'000'000);
  const uint64_t memory_mb = flags.Number("memory-mb", 4096);
  const auto batch = static_cast<uint32_t>(flags.Number("batch", 128));
  flags.RefuseOthers();
  if (batch == 0 || batch > engine::kBatchMax) Die("--batch: at most one batch of the engine");
  Growth(memory_mb, items, batch);
  Expiry(memory_mb, items / 10, batch);
  Shift(batch);
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
