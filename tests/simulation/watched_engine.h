// An engine that watches what the front end does with another one, and makes it fail more often
// than it would.
//
// It dies with a message if a value is looked at without a right to it (a hit of this turn, or a
// pin), a pin is given back twice, a reservation is used that does not exist, or one is stored or
// given back while the ring may still write into it. At the end of a run pins() and reservations()
// must be 0.
//
// Owner: the cluster. Affinity: one thread, which calls for all shards in turn. Lifetime: outlives
// the shards. Invariant: pins_ holds what is pinned now, reserved_ what is reserved and neither
// stored nor given back.
#ifndef TORC_TESTS_SIMULATION_WATCHED_ENGINE_H_
#define TORC_TESTS_SIMULATION_WATCHED_ENGINE_H_

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "src/base/assert.h"
#include "src/base/random.h"
#include "src/engine/engine.h"
#include "src/ring/sim_ring.h"

namespace torc::simulation {

// Chances out of 1,000, at each occasion.
struct EngineMishaps {
  uint32_t pin_refused_chance = 0;    // Pin says that there are too many
  uint32_t store_later_chance = 0;    // Execute stops before a store, as if memory had to come free
  uint32_t reserve_later_chance = 0;  // Reserve says kLater
};

class WatchedEngine final : public engine::Engine {
 public:
  WatchedEngine(std::unique_ptr<engine::Engine> inner, const ring::SimWorld& world, uint64_t seed)
      : inner_(std::move(inner)), world_(world), random_(seed) {}

  EngineMishaps mishaps;

  size_t pins() const { return pins_.size(); }
  size_t reservations() const { return reserved_.size(); }
  // What the last Background returned.
  bool background_waiting() const { return background_waiting_; }

  std::string_view name() const override { return inner_->name(); }
  bool reads_are_shared() const override { return inner_->reads_are_shared(); }
  uint64_t ValueSizeMax(size_t key_size, uint32_t client_flags) const override {
    return inner_->ValueSizeMax(key_size, client_flags);
  }

  void BeginTurn(ShardId self, RelativeSeconds now) override {
    views_.clear();
    inner_->BeginTurn(self, now);
  }
  void EndTurn(ShardId self) override {
    views_.clear();
    inner_->EndTurn(self);
  }

  size_t Execute(ShardId self, std::span<engine::Op> ops) override {
    for (size_t i = 0; i < ops.size(); ++i) {
      if (IsStore(ops[i]) && random_.Chance(mishaps.store_later_chance)) {
        ops = ops.first(i);
        break;
      }
    }
    std::vector<void*> given;
    for (const engine::Op& op : ops) {
      given.push_back(op.item);
      if (op.item != nullptr) CHECK(IsStore(op) && IsAtRest(op.item));
    }
    const size_t executed = inner_->Execute(self, ops);
    for (size_t i = 0; i < executed; ++i) {
      if (given[i] != nullptr) reserved_.erase(given[i]);
      if (ops[i].result == engine::Result::kHit) views_.insert(ops[i].item);
    }
    return executed;
  }

  size_t Collect(ShardId self, std::span<engine::Pending*> answered) override {
    const size_t count = inner_->Collect(self, answered);
    for (const engine::Pending* const pending : answered.first(count)) {
      if (pending->op.result == engine::Result::kHit) views_.insert(pending->op.item);
    }
    return count;
  }

  ReserveResult Reserve(ShardId self, const engine::Op& op, engine::Reservation* out) override {
    if (random_.Chance(mishaps.reserve_later_chance)) return ReserveResult::kLater;
    const ReserveResult result = inner_->Reserve(self, op, out);
    if (result == ReserveResult::kReserved) {
      CHECK(reserved_.try_emplace(out->item, op.value_size).second);
    }
    return result;
  }
  std::span<char> Window(const engine::Reservation& reservation, size_t offset) const override {
    CHECK(reserved_.contains(reservation.item));
    return inner_->Window(reservation, offset);
  }
  void Abandon(ShardId self, engine::Reservation reservation) override {
    CHECK(IsAtRest(reservation.item));
    reserved_.erase(reservation.item);
    inner_->Abandon(self, reservation);
  }

  std::span<const char> Piece(const void* item, size_t offset) const override {
    CHECK(views_.contains(item) || pins_.contains(item));
    return inner_->Piece(item, offset);
  }
  bool Pin(ShardId self, const void* item) override {
    CHECK(views_.contains(item));
    if (random_.Chance(mishaps.pin_refused_chance) || !inner_->Pin(self, item)) return false;
    ++pins_[item];
    return true;
  }
  void Unpin(ShardId self, const void* item) override {
    const auto pin = pins_.find(item);
    CHECK(pin != pins_.end());
    if (--pin->second == 0) pins_.erase(pin);
    inner_->Unpin(self, item);
  }

  void Flush(ShardId self, RelativeSeconds when) override { inner_->Flush(self, when); }
  bool Background(ShardId self) override { return background_waiting_ = inner_->Background(self); }
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
  static bool IsStore(const engine::Op& op) {
    const engine::Verb verb = engine::VerbOf(op);
    return verb >= engine::Verb::kSet && verb <= engine::Verb::kCas;
  }

  // Reserved, and nothing writes into it.
  bool IsAtRest(void* item) const {
    const auto reserved = reserved_.find(item);
    if (reserved == reserved_.end()) return false;
    for (size_t at = 0; at < reserved->second;) {
      const std::span<char> window = inner_->Window({item}, at);
      if (world_.MayWrite(window)) return false;
      at += window.size();
    }
    return true;
  }

  std::unique_ptr<engine::Engine> inner_;
  const ring::SimWorld& world_;
  Random random_;
  std::unordered_map<const void*, size_t> pins_;
  std::unordered_map<const void*, size_t> reserved_;  // with the sizes of their values
  std::unordered_set<const void*> views_;             // hits of the turn that is being run
  bool background_waiting_ = false;
};

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_WATCHED_ENGINE_H_
