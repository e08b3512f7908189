#include <atomic>
#include <thread>
#include <vector>

#include "src/shard/epochs.h"
#include "src/shard/mailbox.h"
#include "third_party/doctest/doctest.h"

namespace torc::shard {
namespace {

TEST_CASE("a message ring keeps order and says when it is full") {
  auto ring = std::make_unique<MessageRing>();
  Message message;
  REQUIRE(!ring->Pop(&message));
  for (uint32_t round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < kRingCapacity; ++i) {
      REQUIRE(ring->used() == i);
      REQUIRE(ring->Push({1, round * 1000 + i, nullptr}));
    }
    REQUIRE(!ring->Push({1, 0, nullptr}));
    REQUIRE(ring->Waiting());
    for (uint32_t i = 0; i < kRingCapacity; ++i) {
      REQUIRE(ring->Pop(&message));
      REQUIRE(message.argument == round * 1000 + i);
    }
    REQUIRE(!ring->Waiting());
    REQUIRE(!ring->Pop(&message));
  }
}

TEST_CASE("a message ring between two threads loses, repeats and reorders nothing") {
  auto ring = std::make_unique<MessageRing>();
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

}  // namespace
}  // namespace torc::shard
