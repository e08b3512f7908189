#include "src/shard/shard.h"

#include <atomic>
#include <thread>
#include <vector>

#include "src/ring/sim_ring.h"
#include "src/shard/epochs.h"
#include "src/shard/mailbox.h"
#include "src/slab/slab_engine.h"
#include "third_party/doctest/doctest.h"

namespace torc::shard {
namespace {

constexpr uint32_t kCapacity = 512;

TEST_CASE("a message ring keeps order and says when it is full") {
  auto ring = std::make_unique<MessageRing>(kCapacity);
  Message message;
  REQUIRE(!ring->Pop(&message));
  for (uint32_t round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < kCapacity; ++i) {
      REQUIRE(ring->used() == i);
      REQUIRE(ring->Push({1, round * 1000 + i, nullptr}));
    }
    REQUIRE(!ring->Push({1, 0, nullptr}));
    REQUIRE(ring->Waiting());
    for (uint32_t i = 0; i < kCapacity; ++i) {
      REQUIRE(ring->Pop(&message));
      REQUIRE(message.argument == round * 1000 + i);
    }
    REQUIRE(!ring->Waiting());
    REQUIRE(!ring->Pop(&message));
  }
}

TEST_CASE("a message ring between two threads loses, repeats and reorders nothing") {
  auto ring = std::make_unique<MessageRing>(kCapacity);
  constexpr uint32_t kMessages = 200'000;
  std::vector<uint64_t> payloads(kMessages);
  std::thread producer([&] {
    for (uint32_t i = 0; i < kMessages;) {
      payloads[i] = i * 3;  // plain: published by the push
      if (ring->Push({1, i, &payloads[i]})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < kMessages;) {
    Message message;
    if (!ring->Pop(&message)) {
      std::this_thread::yield();
      continue;
    }
    if (message.argument != i || *static_cast<uint64_t*>(message.payload) != i * 3) ++wrong;
    ++i;
  }
  producer.join();
  REQUIRE(wrong == 0);
}

TEST_CASE("memory is free once every other shard has turned or sleeps") {
  Epochs epochs(3);
  for (ShardId id = 0; id < 3; ++id) epochs.Enter(id);
  epochs.Mark(0);
  REQUIRE(!epochs.Elapsed(0));
  epochs.Enter(0);  // one's own turns do not count
  REQUIRE(!epochs.Elapsed(0));
  epochs.Enter(1);
  REQUIRE(!epochs.Elapsed(0));
  epochs.Sleep(2);
  REQUIRE(epochs.Asleep(2));
  REQUIRE(epochs.Elapsed(0));
  // It wakes after the mark: it cannot hold what was unlinked before.
  epochs.Enter(2);
  REQUIRE(!epochs.Asleep(2));
  REQUIRE(epochs.Elapsed(0));
  epochs.Mark(0);
  REQUIRE(!epochs.Elapsed(0));
}

TEST_CASE("with one shard memory is free at once") {
  Epochs epochs(1);
  epochs.Enter(0);
  epochs.Mark(0);
  REQUIRE(epochs.Elapsed(0));
}

// An owner unlinks a value, waits for the epochs, and overwrites it; readers must never see it
// overwritten. ThreadSanitizer checks the ordering as well.
TEST_CASE("readers never see memory that was freed") {
  constexpr int kReaders = 2;
  Epochs epochs(1 + kReaders);
  struct Item {
    uint64_t a = 1;
    uint64_t b = 1;
  };
  Item items[2];
  std::atomic<Item*> slot{&items[0]};
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> torn{0};
  std::vector<std::thread> readers;
  for (ShardId id = 1; id <= kReaders; ++id) {
    readers.emplace_back([&, id] {
      while (!stop.load(std::memory_order_relaxed)) {
        epochs.Enter(id);
        for (int i = 0; i < 4; ++i) {
          const Item* const item = slot.load(std::memory_order_acquire);
          if (item->a != item->b) torn.fetch_add(1);
        }
        if (id % 2 == 1) epochs.Sleep(id);
      }
      epochs.Sleep(id);
    });
  }
  epochs.Enter(0);
  for (uint64_t round = 2; round < 2000; ++round) {
    Item* const next = slot.load(std::memory_order_relaxed) == &items[0] ? &items[1] : &items[0];
    next->a = round;
    next->b = round;
    slot.store(next, std::memory_order_release);
    epochs.Mark(0);
    while (!epochs.Elapsed(0)) std::this_thread::yield();
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  REQUIRE(torn.load() == 0);
}

// A clock that goes on by a step of its own with every look at it.
class SteppingClock final : public Clock {
 public:
  int64_t NowNs() const override { return now_ns_ += step_ns; }
  int64_t WallSeconds() const override { return 1'700'000'000; }
  int64_t step_ns = 0;

 private:
  mutable int64_t now_ns_ = 0;
};

struct NoService final : Service {
  void OnCompletion(const ring::Completion&) override {}
  bool CanTakeRequest() const override { return true; }
  void OnRequest(ShardId, const Message&) override {}
  void OnAnswer(ShardId, const Message&) override {}
  int64_t OnTurn(int64_t) override { return 0; }
  bool Finished() const override { return true; }
};

TEST_CASE("the longest turn is kept until it is to be forgotten") {
  ring::SimWorld world(1, 1, {});
  engine::EngineOptions options;
  options.shards = 1;
  slab::SlabEngine engine(options);
  Epochs epochs(1);
  Mailboxes mailboxes(1);
  const std::vector<ring::WakeTarget> wake_targets(1);
  SteppingClock clock;
  const Epoch start(clock);
  NoService service;
  Shard shard(0, world.ring(0), engine, epochs, mailboxes, wake_targets, clock, start);
  shard.SetService(&service);
  // The clock is read when a turn begins, before its housekeeping, and after it.
  const auto turn = [&](int64_t step_us) {
    clock.step_ns = step_us * 1000;
    shard.RunTurn(/*wait=*/false);
  };
  turn(10);
  CHECK(shard.counters().turn_us_max.Get() == 20);
  CHECK(shard.counters().background_us_max.Get() == 10);
  turn(700);
  turn(30);
  CHECK(shard.counters().turn_us_max.Get() == 1400);
  CHECK(shard.counters().background_us_max.Get() == 700);
  shard.ResetLongest();
  CHECK(shard.counters().turn_us_max.Get() == 0);
  CHECK(shard.counters().background_us_max.Get() == 0);
  turn(40);
  CHECK(shard.counters().turn_us_max.Get() == 80);
}

}  // namespace
}  // namespace torc::shard
