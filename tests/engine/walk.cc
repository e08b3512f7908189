// The same operations on the map engine and on another one, chosen by chance: each result must be
// the same. So much memory that nothing is evicted.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/map/map_engine.h"
#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {
namespace {

using slab::Bytes;
using slab::TestShard;

constexpr uint64_t kMemoryBytes = uint64_t{512} << 20;
constexpr uint64_t kItemSizeMax = uint64_t{4} << 20;

EngineOptions Options() {
  EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = kMemoryBytes;
  options.item_size_max_bytes = kItemSizeMax;
  return options;
}

// An operation with the memory that it points to.
struct Step {
  Op op;
  std::string key;
  std::string value;
};

// What a client can see of a result.
struct Seen {
  Result result = Result::kNone;
  uint64_t number = 0;
  uint64_t cas = 0;
  uint32_t client_flags = 0;
  std::string value;

  friend bool operator==(const Seen&, const Seen&) = default;
};

class Side {
 public:
  explicit Side(std::unique_ptr<Engine> engine) : engine_(std::move(engine)), shard_(*engine_, 0) {}

  Seen Do(const Step& step, bool reserve, bool pin) {
    Op op = step.op;
    op.key = step.key.data();
    op.value = step.value.data();
    shard_.Begin();
    if (reserve) {
      Reservation reservation;
      op.value = nullptr;
      const Engine::ReserveResult reserved = Reserve(op, &reservation);
      if (reserved != Engine::ReserveResult::kReserved) {
        shard_.End();
        Seen refused;
        refused.result =
            reserved == Engine::ReserveResult::kTooLarge ? Result::kTooLarge : Result::kNoMemory;
        return refused;
      }
      Fill(reservation, step.value);
      op.item = reservation.item;
    }
    op = shard_.Run(op);
    Seen seen;
    seen.result = op.result;
    // What is not an output of this result is left undefined.
    switch (op.result) {
      case Result::kHit:
        seen.value = shard_.ValueOf(op);
        seen.client_flags = op.client_flags;
        seen.cas = op.cas;
        if (pin && engine_->Pin(0, op.item)) pinned_.emplace_back(op, seen.value);
        break;
      case Result::kNumber:
        seen.number = op.number;
        seen.cas = op.cas;
        break;
      case Result::kStored:
        seen.cas = op.cas;
        break;
      default:
        break;
    }
    shard_.End();
    return seen;
  }

  void Abandon(const Step& step) {
    Op op = step.op;
    op.key = step.key.data();
    Reservation reservation;
    shard_.Begin();
    if (Reserve(op, &reservation) == Engine::ReserveResult::kReserved) {
      Fill(reservation, step.value);
      engine_->Abandon(0, reservation);
    }
    shard_.End();
  }

  // Every pinned value is what it was when it was pinned. Lets all go.
  bool UnpinAll() {
    bool whole = true;
    shard_.Begin();
    for (const auto& [op, value] : pinned_) {
      whole = whole && shard_.ValueOf(op) == value;
      engine_->Unpin(0, op.item);
    }
    shard_.End();
    pinned_.clear();
    return whole;
  }

  void Flush(RelativeSeconds when) {
    shard_.Begin();
    engine_->Flush(0, when);
    shard_.End();
  }
  void Advance(RelativeSeconds seconds) {
    shard_.now += seconds;
    shard_.Turns(1);
  }
  RelativeSeconds now() const { return shard_.now; }
  const Engine& engine() const { return *engine_; }

 private:
  Engine::ReserveResult Reserve(const Op& op, Reservation* out) {
    while (true) {
      const Engine::ReserveResult reserved = engine_->Reserve(0, op, out);
      if (reserved != Engine::ReserveResult::kLater) return reserved;
      shard_.End();
      shard_.Begin();
    }
  }
  void Fill(const Reservation& reservation, const std::string& value) {
    for (size_t offset = 0; offset < value.size();) {
      const std::span<char> window = engine_->Window(reservation, offset);
      const size_t size = std::min(window.size(), value.size() - offset);
      std::copy_n(value.data() + offset, size, window.data());
      offset += size;
    }
  }

  std::unique_ptr<Engine> engine_;
  TestShard shard_;
  std::vector<std::pair<Op, std::string>> pinned_;
};

// A walk's dice.
class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  Step Next(RelativeSeconds now) {
    Step step;
    step.key = "key" + std::to_string(Below(60)) + std::string(Below(3) * 80, 'k');
    step.value = OneIn(3) ? Number() : Bytes(Size(), random_());
    const Verb verb = static_cast<Verb>(Below(12));
    step.op =
        TestShard::Make(verb, step.key, step.value, OneIn(2) ? 0 : Below(UINT32_MAX), Exptime(now));
    if (verb == Verb::kIncrement || verb == Verb::kDecrement) {
      step.op.number = OneIn(5) ? random_() : Below(300);
    }
    if (verb == Verb::kCas) {
      // More often than not the one that was seen last.
      const auto seen = cas_.find(step.key);
      step.op.cas = seen != cas_.end() && !OneIn(4) ? seen->second : Below(1000);
    }
    return step;
  }
  void Saw(const std::string& key, uint64_t cas) { cas_[key] = cas; }

 private:
  std::string Number() {
    static constexpr const char* kOdd[] = {
        "18446744073709551615", "18446744073709551616", "-1", " 7 apples", "007", ""};
    return OneIn(4) ? kOdd[Below(std::size(kOdd))] : std::to_string(Below(100'000));
  }
  size_t Size() {
    switch (Below(80)) {
      case 0:
        return Below(4'000'000);
      case 1:
        return 600'000 + Below(4'000'000);  // some are too large
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
        return Below(100'000);
      default:
        return Below(400);
    }
  }
  RelativeSeconds Exptime(RelativeSeconds now) {
    if (OneIn(20)) return kAlwaysExpired;
    return OneIn(2) ? kNeverExpires : now + static_cast<RelativeSeconds>(Below(40));
  }

  std::mt19937_64 random_;
  std::map<std::string, uint64_t> cas_;
};

TEST_CASE("a random walk over all verbs gives what the map engine gives") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Walk walk(seed);
    Side map(std::make_unique<map::MapEngine>(Options()));
    Side other(MakeSubject(Options()));
    for (int number = 0; number < 6'000; ++number) {
      CAPTURE(number);
      const Step step = walk.Next(map.now());
      const bool stores = step.op.verb >= Verb::kSet && step.op.verb <= Verb::kCas;
      const bool reserve = stores && (step.value.size() > 50'000 || walk.OneIn(10));
      const bool pin = walk.OneIn(20);
      const Seen expected = map.Do(step, reserve, pin);
      const Seen seen = other.Do(step, reserve, pin);
      CAPTURE(static_cast<int>(step.op.verb));
      CAPTURE(step.key);
      CAPTURE(static_cast<int>(expected.result));
      CAPTURE(static_cast<int>(seen.result));
      REQUIRE(seen == expected);
      if (expected.cas != 0) walk.Saw(step.key, expected.cas);
      if (walk.OneIn(30)) {
        const RelativeSeconds seconds =
            static_cast<RelativeSeconds>(walk.OneIn(10) ? walk.Below(3'600) : walk.Below(8));
        map.Advance(seconds);
        other.Advance(seconds);
      }
      if (walk.OneIn(300)) {
        const RelativeSeconds when = walk.OneIn(2)
                                         ? kNeverExpires
                                         : map.now() + static_cast<RelativeSeconds>(walk.Below(20));
        map.Flush(when);
        other.Flush(when);
      }
      if (walk.OneIn(200)) {
        map.Abandon(step);
        other.Abandon(step);
      }
      if (walk.OneIn(100)) {
        REQUIRE(map.UnpinAll());
        REQUIRE(other.UnpinAll());
      }
      if (number % 500 == 0) {
        map.engine().CheckInvariants(0);
        other.engine().CheckInvariants(0);
      }
    }
    CHECK(map.UnpinAll());
    CHECK(other.UnpinAll());
    CHECK(map.engine().Totals().evictions == 0);
    CHECK(other.engine().Totals().evictions == 0);
    CHECK(map.engine().Totals().items_stored == other.engine().Totals().items_stored);
    CHECK(map.engine().Totals().store_too_large == other.engine().Totals().store_too_large);
  }
}

}  // namespace
}  // namespace torc::engine
