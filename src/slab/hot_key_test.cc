// A key that every shard reads all the time costs nothing but the reads: once its item is marked as
// read, a hit writes nothing to it, so that its line stays in every core's cache. Shown by taking
// the write permission off the memory of all items: a write would be the end of the process.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Op;
using engine::Result;
using engine::Verb;

constexpr uint32_t kShards = 3;
constexpr int kKeys = 200;

// An engine whose items can be made read-only.
class Hot {
 public:
  Hot() : quiescence_(kShards) {
    engine::EngineOptions options;
    options.shards = kShards;
    options.quiescence = &quiescence_;
    engine_ = std::make_unique<SlabEngine>(options);
    for (int i = 0; i < kKeys; ++i) keys_.push_back("hot" + std::to_string(i));
    for (ShardId self = 0; self < kShards; ++self) {
      TestShard shard(*engine_, self, kShards, &quiescence_);
      for (const std::string& key : keys_) {
        if (shard.Owns(key)) {
          Require(shard.Set(key, key + "'s value") == Result::kStored, "a set is stored");
        }
      }
    }
  }

  // Where the items lie.
  struct Range {
    uintptr_t begin = UINTPTR_MAX;
    uintptr_t end = 0;
  };

  // Reads every key `times` times through shard `self`, many in a batch and one alone.
  void Read(ShardId self, int times, Range* range = nullptr) {
    TestShard shard(*engine_, self, kShards, &quiescence_);
    for (int i = 0; i < times; ++i) {
      std::vector<Op> ops;
      for (const std::string& key : keys_) ops.push_back(TestShard::Make(Verb::kGet, key));
      shard.Begin();
      Require(engine_->Execute(self, ops) == ops.size(), "gets never wait");
      for (const Op& op : ops) {
        Require(op.result == Result::kHit, "a key is found");
        if (range == nullptr) continue;
        range->begin = std::min(range->begin, reinterpret_cast<uintptr_t>(op.item));
        range->end = std::max(range->end, reinterpret_cast<uintptr_t>(op.value) + op.value_size);
      }
      shard.End();
      Require(shard.Get(keys_[0]) == keys_[0] + "'s value", "a key has its value");
    }
  }

  // Reads every key once more.
  void MakeItemsReadOnly() {
    Range items;
    Read(0, 1, &items);
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = items.begin / page * page;
    const uintptr_t end = (items.end + page - 1) / page * page;
    Require(mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ) == 0,
            "memory can be made read-only");
  }

 private:
  TestQuiescence quiescence_;
  std::unique_ptr<SlabEngine> engine_;
  std::vector<std::string> keys_;
};

// Whether `body` comes to its end, in a process of its own, as it may be killed.
template <typename Body>
bool Survives(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);  // a death that is wanted needs no report
    body();
    _exit(0);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("a hit on an item that is marked as read writes nothing to it") {
  CHECK(Survives([] {
    Hot hot;
    for (ShardId self = 0; self < kShards; ++self) hot.Read(self, 10);
    hot.MakeItemsReadOnly();
    std::vector<std::thread> readers;
    for (ShardId self = 0; self < kShards; ++self) {
      readers.emplace_back([&hot, self] { hot.Read(self, 100); });
    }
    for (std::thread& reader : readers) reader.join();
  }));
}

TEST_CASE("the first hit on an item does write: the case above would see it") {
  CHECK(!Survives([] {
    Hot hot;
    hot.MakeItemsReadOnly();
    hot.Read(1, 10);
  }));
}

}  // namespace
}  // namespace torc::slab
