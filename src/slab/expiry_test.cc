// The search for expired and flushed items: how soon their memory is back, and how much is looked
// at for it; in seconds that the test lets pass.
#include "src/slab/expiry.h"

#include <array>
#include <map>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "src/slab/zeroed_array.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Result;
using engine::Verb;

constexpr uint64_t kMb = 1 << 20;
// After so many seconds what has died is gone: the grace, a lap that just missed it, and the
// second in which the next one begins.
constexpr RelativeSeconds kGoneAfter =
    ExpiryCrawler::kGraceSeconds + ExpiryCrawler::kLapSeconds + 1;

class Fixture {
 protected:
  Fixture() : engine_(Options()), shard_(engine_, 0) {}
  ~Fixture() { engine_.CheckInvariants(0); }

  static engine::EngineOptions Options() {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = 64 * kMb;
    return options;
  }
  static std::string Key(uint64_t i) { return "key" + std::to_string(i); }

  uint64_t items() const { return engine_.Totals().items; }
  // Chunks that the crawler has looked at.
  uint64_t LookedAt() const {
    MapSink sink;
    engine_.Statistics(engine::StatGroup::kItems, sink);
    uint64_t sum = 0;
    for (const auto& [name, value] : sink.values) {
      if (name.ends_with("crawler_items_checked")) sum += std::stoull(value);
    }
    return sum;
  }
  bool Slice() {
    shard_.Begin();
    engine_.EndTurn(0);
    return engine_.Background(0);
  }
  // One second passes, in which all work of its background is done.
  void Second() {
    ++shard_.now;
    int slices = 0;
    while (Slice()) REQUIRE(++slices < 100'000);
    shard_.Turns(2);  // what was let go last
  }
  void Seconds(RelativeSeconds count) {
    for (RelativeSeconds i = 0; i < count; ++i) Second();
  }

  SlabEngine engine_;
  TestShard shard_;
};

TEST_CASE("the earlier of two times") {
  CHECK(Earlier(3, 4) == 3);
  CHECK(Earlier(4, 3) == 3);
  CHECK(Earlier(kNeverExpires, 4) == 4);
  CHECK(Earlier(4, kNeverExpires) == 4);
  CHECK(Earlier(kNeverExpires, 0xffff'ffff) == 0xffff'ffff);
  CHECK(Earlier(kNeverExpires, kNeverExpires) == kNeverExpires);
}

TEST_CASE_FIXTURE(Fixture, "what dies is gone within seconds, whatever the mix") {
  std::mt19937 random(1);
  std::map<RelativeSeconds, uint64_t> dying;
  const uint64_t count = 30'000;
  for (uint64_t i = 0; i < count; ++i) {
    const RelativeSeconds lifetime = 1 + random() % 40;
    const RelativeSeconds exptime = random() % 3 == 0 ? 0 : shard_.now + lifetime;
    shard_.Set(Key(i), std::string(random() % 300, 'v'), exptime);
    if (exptime != 0) ++dying[exptime];
  }
  uint64_t gone_at_least = 0, gone_at_most = 0;
  for (int second = 0; second < 50; ++second) {
    Second();
    if (shard_.now > kGoneAfter) gone_at_least += dying[shard_.now - kGoneAfter];
    gone_at_most += dying[shard_.now - ExpiryCrawler::kGraceSeconds];
    CHECK(items() <= count - gone_at_least);
    CHECK(items() >= count - gone_at_most);
    if (second % 10 == 0) engine_.CheckInvariants(0);
  }
  CHECK(engine_.Totals().evictions == 0);
  // A lap walks each page once, though something expires in each every second.
  CHECK(LookedAt() <= count * (50 / ExpiryCrawler::kLapSeconds + 1));
  // Nothing expires any more.
  const uint64_t before = LookedAt();
  Seconds(100);
  CHECK(LookedAt() == before);
}

TEST_CASE_FIXTURE(Fixture, "pages where nothing is due are not walked") {
  for (uint64_t i = 0; i < 20'000; ++i) {
    shard_.Set(Key(i), "value", i % 2 == 0 ? kNeverExpires : shard_.now + 10'000);
  }
  Seconds(200);
  CHECK(LookedAt() == 0);
  // Two of another class, which has a page of its own.
  shard_.Set("short", std::string(1'000, 'v'), shard_.now + 5);
  shard_.Set("shelf", std::string(1'000, 'v'), kNeverExpires);
  Seconds(5 + kGoneAfter);
  CHECK(items() == 20'001);
  CHECK(LookedAt() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a touch brings the search forward, and puts it off") {
  for (uint64_t i = 0; i < 1'000; ++i) shard_.Set(Key(i), "value", shard_.now + 1'000);
  shard_.Set("large", std::string(3 * kMb, 'v'));
  shard_.Set("unlimited", "value");
  Seconds(10);
  CHECK(LookedAt() == 0);
  for (uint64_t i = 0; i < 500; ++i) shard_.Do(Verb::kTouch, Key(i), {}, 0, shard_.now + 3);
  shard_.Do(Verb::kGetAndTouch, "large", {}, 0, shard_.now + 3);
  shard_.Do(Verb::kTouch, "unlimited", {}, 0, shard_.now + 3);
  engine_.CheckInvariants(0);
  Seconds(3 + kGoneAfter);
  CHECK(items() == 500);
  CHECK(!shard_.Get("large"));
  for (uint64_t i = 500; i < 1'000; ++i) shard_.Do(Verb::kTouch, Key(i), {}, 0, kNeverExpires);
  Seconds(2'000);
  CHECK(items() == 500);
}

TEST_CASE_FIXTURE(Fixture, "what was dead when it was stored has its grace") {
  shard_.Set("touched", "value", 1'000);
  shard_.now += 50;
  shard_.Do(Verb::kTouch, "touched", {}, 0, kAlwaysExpired);
  shard_.Set("later", "value", kAlwaysExpired);
  Slice();
  CHECK(items() == 2);
  engine::Op op;
  CHECK(!shard_.Get("later", &op));
  CHECK(op.miss == engine::Miss::kExpired);
  Seconds(kGoneAfter);
  CHECK(items() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a slice is bounded") {
  const uint64_t count = 100'000;
  for (uint64_t i = 0; i < count; ++i) {
    // Some stay, in each class: those without items are not in the statistics.
    shard_.Set(Key(i), "v", shard_.now + (i % 100 == 0 ? 100 : 1 + i % 2));
  }
  shard_.now += 1 + kGoneAfter;
  for (bool more = true; more;) {
    const uint64_t looked_at = LookedAt();
    const uint64_t before = items();
    more = Slice();
    const uint64_t work = LookedAt() - looked_at + (before - items()) * ExpiryCrawler::kReclaimCost;
    CHECK(work <= ExpiryCrawler::kWorkPerSlice + ExpiryCrawler::kReclaimCost);
  }
  CHECK(items() == count / 100);
}

TEST_CASE("what a second has for it is bounded, and not saved up") {
  constexpr uint32_t kPages = 40;
  const SizeClasses classes(kPages * kMb);
  const size_t page_size = classes.page_size();
  const auto pages = static_cast<uint32_t>(kPages * kMb / page_size);
  ZeroedArray<char> memory((pages + 2) * page_size);
  char* const aligned =
      memory.begin() + page_size - reinterpret_cast<uintptr_t>(memory.begin()) % page_size;
  Arena arena(aligned, pages, pages, classes);
  const ItemLayout layout{.key_size = 1, .value_size = 1};
  const uint32_t size_class = classes.ClassOf(layout.prefix() + layout.value_size);
  uint64_t count = 0;
  for (; Item* const item = arena.Allocate(size_class, true); ++count) {
    item->Init(size_class, layout);
    item->set_cas_count(1);
    item->set_state(ChunkState::kLive);
  }
  // More than a second's work, and less than two's.
  constexpr uint32_t kCost = ExpiryCrawler::kReclaimCost + 1;
  REQUIRE(count * kCost > ExpiryCrawler::kWorkPerSecond);
  REQUIRE(count * kCost < 2 * ExpiryCrawler::kWorkPerSecond);

  ExpiryCrawler crawler;
  RelativeSeconds now = 100;
  uint64_t found_in_all = 0;
  const auto second = [&] {
    uint64_t found = 0, slices = 0;
    while (crawler.BeginSlice(now, 1)) {
      std::array<Item*, 32> dead;
      uint64_t work = 0;
      ExpiryCrawler::Found batch;
      do {
        batch = crawler.Find(arena, dead);
        found += batch.dead;
        work += batch.dead * kCost;
      } while (batch.looked_at > 0);
      CHECK(work <= ExpiryCrawler::kWorkPerSlice + kCost);
      ++slices;
    }
    ++now;
    found_in_all += found;
    return std::pair(found, slices);
  };
  crawler.NoteFlush(now);
  now += 1'000;  // a long time with nothing done
  const auto [found, slices] = second();
  CHECK(!crawler.has_work());
  CHECK(found * kCost <= ExpiryCrawler::kWorkPerSecond + kCost);
  CHECK(found * kCost >= ExpiryCrawler::kWorkPerSecond * 9 / 10);
  CHECK(slices > ExpiryCrawler::kWorkPerSecond / ExpiryCrawler::kWorkPerSlice * 9 / 10);
  second();
  CHECK(found_in_all == count);
  CHECK(crawler.swept_cas() == 1);
  second();
  CHECK(found_in_all == count);
}

TEST_CASE_FIXTURE(Fixture, "flushes that keep coming do not put each other off") {
  for (int second = 0; second < 60; ++second) {
    for (uint64_t i = 0; i < 1'000; ++i) shard_.Set(Key(second * 1'000 + i), "value");
    engine_.Flush(0, kNeverExpires);
    Second();
    CHECK(items() <= (kGoneAfter + 1) * 1'000);
  }
  shard_.Set("after", "value");
  Seconds(kGoneAfter);
  CHECK(items() == 1);
  // All pages have been walked: no need to do so again.
  const uint64_t before = LookedAt();
  Seconds(100);
  CHECK(LookedAt() == before);
}

TEST_CASE_FIXTURE(Fixture, "a crawl has no grace, and needs no crawler") {
  engine_.SetCrawler(0, false);
  for (uint64_t i = 0; i < 5'000; ++i) {
    shard_.Set(Key(i), "value", i % 2 == 0 ? shard_.now + 1 : shard_.now + 1'000);
  }
  shard_.now += 1;
  Seconds(20);
  CHECK(items() == 5'000);
  engine_.Crawl(0);
  while (Slice()) continue;
  CHECK(items() == 2'500);
  engine_.Flush(0, kNeverExpires);
  engine_.Crawl(0);
  while (Slice()) continue;
  CHECK(items() == 0);
}

// Against a map; the clock steps, stands still and leaps.
TEST_CASE_FIXTURE(Fixture, "a random walk") {
  std::mt19937 random(7);
  std::unordered_map<std::string, RelativeSeconds> oracle;  // its keys' expiry
  const auto lifetime = [&]() -> RelativeSeconds {
    switch (random() % 4) {
      case 0:
        return kNeverExpires;
      case 1:
        return kAlwaysExpired;
      default:
        return shard_.now + 1 + random() % (random() % 2 == 0 ? 5 : 500);
    }
  };
  for (int step = 0; step < 60'000; ++step) {
    const std::string key = Key(random() % 3'000);
    const auto known = oracle.find(key);
    const bool lives =
        known != oracle.end() && (known->second == kNeverExpires || known->second > shard_.now);
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        const size_t size = random() % 200 == 0 ? 600'000 : random() % 2'000;
        const RelativeSeconds exptime = lifetime();
        REQUIRE(shard_.Set(key, std::string(size, 'v'), exptime) == Result::kStored);
        oracle[key] = exptime;
        break;
      }
      case 3:
      case 4: {
        const RelativeSeconds exptime = lifetime();
        REQUIRE((shard_.Do(Verb::kTouch, key, {}, 0, exptime) == Result::kTouched) == lives);
        if (lives) known->second = exptime;
        break;
      }
      case 5:
        REQUIRE(shard_.Get(key).has_value() == lives);
        break;
      case 6:
        if (random() % 20 == 0) shard_.now += random() % 100 == 0 ? 5'000 : random() % 4;
        break;
      default:
        if (random() % 500 == 0) {
          engine_.Flush(0, kNeverExpires);
          oracle.clear();
        }
        if (random() % 1'000 == 0) engine_.Crawl(0);
        Slice();
        break;
    }
    if (step % 500 == 0) engine_.CheckInvariants(0);
  }
  CHECK(engine_.Totals().evictions == 0);
  Seconds(kGoneAfter + 1);
  uint64_t living = 0;
  for (const auto& [key, exptime] : oracle) {
    living += exptime == kNeverExpires || exptime + kGoneAfter > shard_.now;
  }
  CHECK(items() <= living);
  Seconds(1'000);
  living = 0;
  for (const auto& [key, exptime] : oracle) living += exptime == kNeverExpires;
  CHECK(items() == living);
}

}  // namespace
}  // namespace torc::slab
