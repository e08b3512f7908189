// What the tests of this folder share: shards without a server.
//
// Owner: each test. Affinity: each function says. Lifetime: the test's. Invariant: none.
#ifndef TORC_SRC_SLAB_TESTING_H_
#define TORC_SRC_SLAB_TESTING_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "src/engine/engine.h"

namespace torc::slab {

// Dies unless `condition` holds: for threads, where doctest's assertions do not belong.
inline void Require(bool condition, const char* text) {
  if (condition) return;
  std::fprintf(stderr, "required: %s\n", text);
  std::abort();
}

// Epochs of up to 8 shards. A shard is quiet between turns for good once it has called Leave.
class TestQuiescence final : public engine::Quiescence {
 public:
  explicit TestQuiescence(uint32_t shards) : shards_(shards), marks_(shards) {}

  // A new turn of `self` begins: it holds nothing of earlier ones.
  void Pass(ShardId self) { epochs_[self].fetch_add(2, std::memory_order_seq_cst); }
  void Leave(ShardId self) { epochs_[self].fetch_or(1, std::memory_order_seq_cst); }

  void Mark(ShardId self) override {
    for (uint32_t i = 0; i < shards_; ++i)
      marks_[self][i] = epochs_[i].load(std::memory_order_seq_cst);
  }
  bool Elapsed(ShardId self) override {
    for (uint32_t i = 0; i < shards_; ++i) {
      const uint64_t epoch = epochs_[i].load(std::memory_order_seq_cst);
      if (i != self && (epoch & 1) == 0 && epoch == marks_[self][i]) return false;
    }
    return true;
  }

 private:
  uint32_t shards_;
  std::array<std::atomic<uint64_t>, 8> epochs_{};
  std::vector<std::array<uint64_t, 8>> marks_;
};

// One shard's thread, with a vocabulary of single commands, each in a turn of its own unless inside
// a Turn of the test's.
class TestShard {
 public:
  TestShard(engine::Engine& engine, ShardId self, uint32_t shards = 1,
            TestQuiescence* quiescence = nullptr)
      : engine_(engine), self_(self), shards_(shards), quiescence_(quiescence) {}

  RelativeSeconds now = 100;
  uint32_t turns_waited = 0;  // for memory, in all

  void Begin() {
    if (quiescence_ != nullptr) quiescence_->Pass(self_);
    engine_.BeginTurn(self_, now);
  }
  void End() {
    engine_.EndTurn(self_);
    engine_.Background(self_);
  }
  void Turns(int count) {
    for (int i = 0; i < count; ++i) {
      Begin();
      End();
    }
  }
  bool Owns(std::string_view key) const {
    return engine::OwnerOf(engine::HashKey(key), shards_) == self_;
  }

  static engine::Op Make(engine::Verb verb, std::string_view key, std::string_view value = {},
                         uint32_t client_flags = 0, RelativeSeconds exptime = 0) {
    engine::Op op;
    op.hash = engine::HashKey(key);
    op.key = key.data();
    op.key_size = static_cast<uint8_t>(key.size());
    op.verb = verb;
    op.value = value.data();
    op.value_size = static_cast<uint32_t>(value.size());
    op.client_flags = client_flags;
    op.exptime = exptime;
    return op;
  }

  // Executes within the turn under way; ends it and begins others while the operation waits.
  engine::Op Run(engine::Op op) {
    for (int turns = 0; engine_.Execute(self_, {&op, 1}) == 0; ++turns) {
      Require(turns < 10'000, "memory comes free in the end");
      // Other shards' threads may be without a processor: give them one.
      if (turns > 10) std::this_thread::sleep_for(std::chrono::microseconds(100));
      ++turns_waited;
      End();
      Begin();
    }
    if (op.result == engine::Result::kPending) op = Await(static_cast<engine::Pending*>(op.item));
    return op;
  }
  // Ends the turn and begins others until the operation is answered.
  engine::Op Await(engine::Pending* awaited) {
    awaited->waiter = this;
    for (int turns = 0; turns < 10'000; ++turns) {
      End();
      Begin();
      std::array<engine::Pending*, 8> answered;
      const size_t count = engine_.Collect(self_, answered);
      Require(count <= 1, "nothing else was pending");
      if (count == 0) continue;
      Require(answered[0] == awaited && awaited->waiter == this, "it is the one that was pending");
      return awaited->op;
    }
    Require(false, "what is pending is answered in the end");
    return {};
  }
  // In a turn of its own.
  engine::Op Do(engine::Op op) {
    Begin();
    op = Run(op);
    End();
    return op;
  }
  engine::Result Do(engine::Verb verb, std::string_view key, std::string_view value = {},
                    uint32_t client_flags = 0, RelativeSeconds exptime = 0) {
    return Do(Make(verb, key, value, client_flags, exptime)).result;
  }
  engine::Result Set(std::string_view key, std::string_view value, RelativeSeconds exptime = 0) {
    return Do(engine::Verb::kSet, key, value, 0, exptime);
  }
  // The whole value of a hit.
  std::string ValueOf(const engine::Op& op) const {
    std::string value;
    while (value.size() < op.value_size) {
      const auto piece = engine_.Piece(op.item, value.size());
      Require(!piece.empty(), "a value has all its pieces");
      value.append(piece.data(), piece.size());
    }
    return value;
  }
  std::optional<std::string> Get(std::string_view key, engine::Op* out = nullptr) {
    Begin();
    const engine::Op op = Run(Make(engine::Verb::kGet, key));
    std::optional<std::string> value;
    if (op.result == engine::Result::kHit) {
      value = ValueOf(op);
      Require(value->size() == op.value_size, "a value has its size");
      Require(op.value == nullptr || std::string_view(op.value, op.value_size) == *value,
              "a value in one piece is the value");
    }
    if (out != nullptr) *out = op;
    End();
    return value;
  }

 private:
  engine::Engine& engine_;
  ShardId self_;
  uint32_t shards_;
  TestQuiescence* quiescence_;
};

// Random bytes that differ with `seed`, `size` of them.
inline std::string Bytes(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& c : bytes) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>('a' + (x >> 32) % 26);
  }
  return bytes;
}

class MapSink final : public engine::StatSink {
 public:
  using StatSink::Put;
  void Put(std::string_view name, std::string_view value) override {
    values[std::string(name)] = value;
  }
  std::map<std::string, std::string> values;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_TESTING_H_
