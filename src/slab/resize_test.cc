#include <memory>
#include <string>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Engine;
using engine::Result;
using engine::Verb;

constexpr uint64_t kMegabyte = uint64_t{1} << 20;

class Fixture {
 protected:
  void Start(uint64_t limit_mb, uint64_t limit_max_mb, bool evict = true) {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = limit_mb * kMegabyte;
    options.memory_limit_max_bytes = limit_max_mb * kMegabyte;
    options.item_size_max_bytes = 4 * kMegabyte;
    options.evict = evict;
    engine_ = std::make_unique<SlabEngine>(options);
    shard_ = std::make_unique<TestShard>(*engine_, 0);
  }
  // Stores until some had to go, or `count` are stored; the keys are new ones.
  void Fill(int count, size_t value_size) {
    const std::string value(value_size, 'v');
    for (int i = 0; i < count; ++i) {
      const Result result = shard_->Set("key" + std::to_string(next_++), value);
      refused_ += result != Result::kStored;
    }
  }
  uint64_t PagesBytes() const {
    const engine::EngineTotals totals = engine_->Totals();
    return totals.pages_total * totals.page_size_bytes;
  }
  engine::EngineTotals Totals() const { return engine_->Totals(); }
  // Turns until background work has nothing more to do.
  void Settle() {
    for (int i = 0; i < 100'000; ++i) {
      shard_->Begin();
      engine_->EndTurn(0);
      if (engine_->Background(0)) continue;
      shard_->Turns(2);  // what was let go last
      return;
    }
    FAIL("background work has no end");
  }

  std::unique_ptr<SlabEngine> engine_;
  std::unique_ptr<TestShard> shard_;
  int next_ = 0;
  int refused_ = 0;
};

TEST_CASE_FIXTURE(Fixture, "a raised limit is there at once") {
  Start(8, 32);
  CHECK(engine_->MemoryLimitMax() >= 32 * kMegabyte);
  Fill(20'000, 1'000);
  CHECK(Totals().evictions > 0);
  CHECK(PagesBytes() <= 8 * kMegabyte);
  const uint64_t before = Totals().items;
  const uint64_t evictions = Totals().evictions;
  engine_->SetMemoryLimit(0, 32 * kMegabyte);
  CHECK(Totals().memory_limit_bytes == 32 * kMegabyte);
  Fill(10'000, 1'000);
  // But for what was on its way out when the limit rose.
  CHECK(Totals().evictions <= evictions + 100);
  CHECK(Totals().items >= before + 9'900);
  engine_->CheckInvariants(0);
}

TEST_CASE_FIXTURE(Fixture, "a lowered limit is reached in slices, and holds") {
  Start(32, 32);
  Fill(25'000, 1'000);
  const uint64_t before = PagesBytes();
  CHECK(before > 20 * kMegabyte);
  engine_->SetMemoryLimit(0, 8 * kMegabyte);
  shard_->Turns(1);
  CHECK(PagesBytes() > before / 2);  // one slice is no more than that
  int turns = 0;
  for (; PagesBytes() > 8 * kMegabyte && turns < 100'000; ++turns) {
    shard_->Turns(1);
    if (turns % 50 == 0) {
      engine_->CheckInvariants(0);
      Fill(1, 1'000);
    }
  }
  CHECK(PagesBytes() <= 8 * kMegabyte);
  CHECK(PagesBytes() > 7 * kMegabyte);  // and no further
  Settle();
  Fill(5'000, 1'000);
  Fill(1'000, 20'000);
  CHECK(refused_ == 0);
  CHECK(PagesBytes() <= 8 * kMegabyte);
  engine_->CheckInvariants(0);
}

TEST_CASE_FIXTURE(Fixture, "up and down under load of all sizes") {
  Start(16, 64);
  for (const uint64_t mb : {8, 64, 12, 40, 8, 9, 64, 8}) {
    engine_->SetMemoryLimit(0, mb * kMegabyte);
    for (int i = 0; i < 300; ++i) Fill(1, static_cast<size_t>(i) * 37 % 3'000);
    Fill(20, 300'000);
    Settle();
    CHECK(PagesBytes() <= mb * kMegabyte);
    engine_->CheckInvariants(0);
  }
  CHECK(refused_ == 0);
}

TEST_CASE_FIXTURE(Fixture, "without eviction a lowered limit only stops what is new") {
  Start(32, 32, /*evict=*/false);
  Fill(20'000, 1'000);
  const uint64_t items = Totals().items;
  engine_->SetMemoryLimit(0, 8 * kMegabyte);
  Settle();
  CHECK(Totals().items == items);
  CHECK(Totals().evictions == 0);
  CHECK(refused_ == 0);
  Fill(2'000, 2'000);
  CHECK(refused_ == 2'000);
  // What is deleted makes room only once the limit is kept again.
  for (int i = 0; i < 20'000; ++i) shard_->Do(Verb::kDelete, "key" + std::to_string(i));
  Settle();
  CHECK(PagesBytes() <= 8 * kMegabyte);
  Fill(1'000, 1'000);
  CHECK(refused_ == 2'000);
  engine_->CheckInvariants(0);
}

TEST_CASE_FIXTURE(Fixture, "pinned items outlast a lowered limit") {
  Start(32, 32);
  Fill(3, 4'000'000);
  const std::string key = "key1";
  shard_->Begin();
  const engine::Op op = shard_->Run(TestShard::Make(Verb::kGet, key));
  REQUIRE(op.result == Result::kHit);
  REQUIRE(engine_->Pin(0, op.item));
  shard_->End();
  engine_->SetMemoryLimit(0, 8 * kMegabyte);
  Settle();
  CHECK(shard_->ValueOf(op) == std::string(4'000'000, 'v'));
  engine_->CheckInvariants(0);
  engine_->Unpin(0, op.item);
  Settle();
  CHECK(PagesBytes() <= 8 * kMegabyte);
  engine_->CheckInvariants(0);
}

TEST_CASE_FIXTURE(Fixture, "a page moves by hand, but not a class's last one") {
  Start(16, 16);
  Fill(5'000, 1'000);
  struct Class final : engine::ItemVisitor {
    bool Visit(const engine::ItemInfo& item) override {
      number = item.size_class;
      return false;
    }
    uint32_t number = 0;
  } filled;
  engine::WalkCursor cursor;
  engine_->Walk(0, &cursor, 1, filled);
  REQUIRE(filled.number != 0);
  const uint64_t pages = Totals().pages_total;
  CHECK(engine_->MovePage(0, filled.number) == Engine::MoveResult::kMoved);
  Settle();
  CHECK(Totals().pages_total == pages - 1);
  CHECK(Totals().pages_moved == 1);
  CHECK(engine_->MovePage(0, 0) == Engine::MoveResult::kMoved);  // the pool has some
  int moves = 1;
  while (engine_->MovePage(0, filled.number) == Engine::MoveResult::kMoved) {
    ++moves;
    Settle();
  }
  CHECK(engine_->MovePage(0, filled.number) == Engine::MoveResult::kNoSpare);
  CHECK(Totals().pages_total == pages - static_cast<uint64_t>(moves));
  CHECK(Totals().items > 0);
  CHECK(engine_->MovePage(0, engine_->size_classes() + 1) == Engine::MoveResult::kNoSpare);
  engine_->CheckInvariants(0);
}

TEST_CASE_FIXTURE(Fixture, "crawling finds the dead at once; switched off, nobody looks") {
  Start(16, 16);
  engine_->SetCrawler(0, false);
  for (int i = 0; i < 1'000; ++i) {
    shard_->Set("short" + std::to_string(i), "v", shard_->now + 1);
    shard_->Set("long" + std::to_string(i), "v", shard_->now + 1'000);
  }
  shard_->now += 100;
  shard_->Turns(1'000);
  CHECK(Totals().items == 2'000);
  engine_->Crawl(0);
  Settle();
  CHECK(Totals().items == 1'000);
  engine_->SetCrawler(0, true);
  shard_->now += 1'100;
  for (int i = 0; i < 100; ++i) {
    shard_->now += 1;
    shard_->Turns(100);
  }
  CHECK(Totals().items == 0);
  engine_->CheckInvariants(0);
}

}  // namespace
}  // namespace torc::slab
