// An engine that answers some operations of another one turns later, as one does that reads from a
// device.
//
//   Execute: op on key k  -- by chance, or because others on k wait --> queue of k: [op][op]
//                         -- else ----------------------------------> inner engine, at once
//   Collect:              first of each queue that is due ----------> inner engine, answered
//
// Operations on one key thus take effect in order. An operation that waits has copies of its key,
// its value and its Extended: what the caller showed is gone by then, and AddressSanitizer sees who
// relies on it.
//
// Owner: the cluster. Affinity: one thread, which calls for all shards in turn. Lifetime: outlives
// the shards. Invariant: a key without a queue has nothing waiting.
#ifndef TORC_TESTS_SIMULATION_DELAYING_ENGINE_H_
#define TORC_TESTS_SIMULATION_DELAYING_ENGINE_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/assert.h"
#include "src/base/random.h"
#include "src/engine/engine.h"

namespace torc::simulation {

struct EngineDelays {
  uint32_t chance = 0;     // out of 1,000, for each operation
  uint32_t turns_max = 0;  // how many turns later, at most
  bool hold = false;       // nothing is answered while this is set
};

class DelayingEngine final : public engine::Engine {
 public:
  DelayingEngine(std::unique_ptr<engine::Engine> inner, uint32_t shards, uint64_t seed)
      : inner_(std::move(inner)), random_(seed), shards_(shards) {}

  EngineDelays delays;

  // Operations that wait, and those that ever did.
  size_t waiting() const {
    size_t sum = 0;
    for (const Shard& shard : shards_) sum += shard.waiting;
    return sum;
  }
  uint64_t delayed() const { return delayed_; }

  std::string_view name() const override { return "delaying"; }
  // A get may have to wait, so it must come to the owner.
  bool reads_are_shared() const override { return false; }
  uint64_t ValueSizeMax(size_t key_size, uint32_t client_flags) const override {
    return inner_->ValueSizeMax(key_size, client_flags);
  }

  void BeginTurn(ShardId self, RelativeSeconds now) override {
    ++shards_[self].turn;
    inner_->BeginTurn(self, now);
  }
  void EndTurn(ShardId self) override {
    inner_->EndTurn(self);
    shards_[self].answered.clear();
  }

  size_t Execute(ShardId self, std::span<engine::Op> ops) override {
    Shard& shard = shards_[self];
    for (size_t i = 0; i < ops.size(); ++i) {
      engine::Op& op = ops[i];
      const auto queue = shard.queues.find(op.key_view());
      if (queue == shard.queues.end() && !random_.Chance(delays.chance)) {
        if (inner_->Execute(self, {&op, 1}) == 0) return i;
        continue;
      }
      auto delayed = std::make_unique<Delayed>();
      delayed->op = op;
      delayed->key = op.key_view();
      delayed->op.key = delayed->key.data();
      if (op.verb == engine::Verb::kExtended) {
        delayed->extended = *op.extended;
        delayed->op.extended = &delayed->extended;
      }
      if (op.value != nullptr) delayed->value.assign(op.value, op.value_size);
      if (op.value != nullptr) delayed->op.value = delayed->value.data();
      delayed->due = shard.turn + 1 + random_.Below(delays.turns_max + 1);
      op.result = engine::Result::kPending;
      op.item = static_cast<engine::Pending*>(delayed.get());
      std::string key = delayed->key;
      shard.queues[std::move(key)].push_back(std::move(delayed));
      ++shard.waiting;
      ++delayed_;
    }
    return ops.size();
  }

  size_t Collect(ShardId self, std::span<engine::Pending*> answered) override {
    Shard& shard = shards_[self];
    CHECK_LT(0u, shard.waiting);
    size_t count = 0;
    if (delays.hold) return 0;
    for (auto at = shard.queues.begin(); at != shard.queues.end();) {
      std::deque<std::unique_ptr<Delayed>>& queue = at->second;
      while (!queue.empty() && count < answered.size() && queue.front()->due <= shard.turn &&
             inner_->Execute(self, {&queue.front()->op, 1}) == 1) {
        answered[count++] = queue.front().get();
        shard.answered.push_back(std::move(queue.front()));
        queue.pop_front();
        --shard.waiting;
      }
      at = queue.empty() ? shard.queues.erase(at) : std::next(at);
    }
    return count;
  }

  ReserveResult Reserve(ShardId self, const engine::Op& op, engine::Reservation* out) override {
    return inner_->Reserve(self, op, out);
  }
  std::span<char> Window(const engine::Reservation& reservation, size_t offset) const override {
    return inner_->Window(reservation, offset);
  }
  void Abandon(ShardId self, engine::Reservation reservation) override {
    inner_->Abandon(self, reservation);
  }
  std::span<const char> Piece(const void* item, size_t offset) const override {
    return inner_->Piece(item, offset);
  }
  bool Pin(ShardId self, const void* item) override { return inner_->Pin(self, item); }
  void Unpin(ShardId self, const void* item) override { inner_->Unpin(self, item); }
  void Flush(ShardId self, RelativeSeconds when) override { inner_->Flush(self, when); }
  bool Background(ShardId self) override { return inner_->Background(self); }
  engine::EngineTotals Totals() const override { return inner_->Totals(); }
  void Statistics(engine::StatGroup group, engine::StatSink& sink) const override {
    inner_->Statistics(group, sink);
  }
  void ResetCounters(ShardId self) override { inner_->ResetCounters(self); }
  void Walk(ShardId self, engine::WalkCursor* cursor, uint32_t items_max,
            engine::ItemVisitor& visitor) override {
    inner_->Walk(self, cursor, items_max, visitor);
  }
  void ListPins(ShardId self, engine::WalkCursor* cursor, uint32_t pins_max,
                engine::PinVisitor& visitor) override {
    inner_->ListPins(self, cursor, pins_max, visitor);
  }
  uint32_t size_classes() const override { return inner_->size_classes(); }
  uint64_t MemoryLimitMax() const override { return inner_->MemoryLimitMax(); }
  void SetMemoryLimit(ShardId self, uint64_t bytes) override {
    inner_->SetMemoryLimit(self, bytes);
  }
  MoveResult MovePage(ShardId self, uint32_t from) override { return inner_->MovePage(self, from); }
  void SetAutomove(ShardId self, bool on) override { inner_->SetAutomove(self, on); }
  void SetCrawler(ShardId self, bool on) override { inner_->SetCrawler(self, on); }
  void Crawl(ShardId self) override { inner_->Crawl(self); }
  void CheckInvariants(ShardId self) const override { inner_->CheckInvariants(self); }

 private:
  struct Delayed : engine::Pending {
    std::string key;
    std::string value;
    uint64_t due = 0;  // the turn
  };
  struct Shard {
    std::map<std::string, std::deque<std::unique_ptr<Delayed>>, std::less<>> queues;  // by key
    std::vector<std::unique_ptr<Delayed>> answered;                                   // this turn
    size_t waiting = 0;
    uint64_t turn = 0;
  };

  std::unique_ptr<engine::Engine> inner_;
  Random random_;
  std::vector<Shard> shards_;
  uint64_t delayed_ = 0;
};

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_DELAYING_ENGINE_H_
