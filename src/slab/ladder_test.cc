#include "src/slab/ladder.h"

#include <functional>
#include <random>
#include <set>
#include <vector>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

// A ladder fed with sizes, and what it has opened beside the coarse classes.
class Fixture {
 public:
  explicit Fixture(uint64_t memory_bytes)
      : classes(memory_bytes),
        pages(static_cast<uint32_t>(memory_bytes >> classes.page_shift())),
        ladder(classes, pages) {}

  // As much as the partition holds `times` over, of sizes that `next` makes.
  void Store(double times, const std::function<size_t()>& next) {
    const double bytes = times * pages * classes.page_size();
    for (double stored = 0; stored < bytes;) {
      const size_t size = next();
      stored += static_cast<double>(size);
      if (!ladder.Note(size)) continue;
      ladder.Adapt(
          [](void* context, uint32_t from, uint32_t to, double share) {
            Fixture& f = *static_cast<Fixture*>(context);
            REQUIRE(from != to);
            REQUIRE(share > 0);
            REQUIRE(share <= 1);
            ++f.moves;
          },
          this);
      ladder.CheckInvariants();
    }
  }
  // What of the chunks' bytes is lost by rounding.
  double Waste(int count, const std::function<size_t()>& next) const {
    double used = 0, taken = 0;
    for (int i = 0; i < count; ++i) {
      const size_t size = next();
      used += static_cast<double>(size);
      taken += classes.chunk_size(ladder.ClassFor(size));
    }
    return 1 - used / taken;
  }
  uint32_t OpenFine() const {
    uint32_t count = 0;
    for (uint32_t c = 1; c <= classes.largest(); ++c) {
      count += ladder.is_open(c) && !classes.is_coarse(c);
    }
    return count;
  }

  SizeClasses classes;
  uint32_t pages;
  Ladder ladder;
  int moves = 0;
};

constexpr uint64_t kMb = 1 << 20;

TEST_CASE("at first the coarse classes are open, and every size has one") {
  const Fixture f(4 * kMb);
  CHECK(f.OpenFine() == 0);
  for (size_t size = 1; size <= f.classes.chunk_size_max(); ++size) {
    const uint32_t c = f.ladder.ClassFor(size);
    REQUIRE(f.classes.chunk_size(c) >= size);
    REQUIRE(f.classes.is_coarse(c));
  }
}

TEST_CASE("one size gets the class that fits it") {
  for (const uint64_t memory : {4 * kMb, 100 * kMb, 4096 * kMb}) {
    for (const size_t size : {40u, 146u, 286u, 1080u, 1500u}) {
      CAPTURE(memory);
      CAPTURE(size);
      Fixture f(memory);
      f.Store(0.1, [&] { return size; });
      const uint32_t c = f.ladder.ClassFor(size);
      const double lost = 1 - static_cast<double>(size) / f.classes.chunk_size(c);
      // What is not worth a class is less than a page or so.
      CHECK((c == f.classes.ClassOf(size) || lost * f.pages < 0.5));
      CHECK(f.OpenFine() <= 1);
    }
  }
}

TEST_CASE("a few sizes get a class each, close to each other or not") {
  Fixture f(100 * kMb);
  std::mt19937 random(1);
  const std::vector<size_t> sizes = {70, 512, 530, 548, 1080, 4152};
  f.Store(0.3, [&] { return sizes[random() % sizes.size()]; });
  // The smallest have so small a share of the memory that their class may be a little larger.
  for (const size_t size : {512u, 530u, 548u, 1080u, 4152u}) {
    CHECK(f.ladder.ClassFor(size) == f.classes.ClassOf(size));
  }
  CHECK(f.OpenFine() <= sizes.size());
}

TEST_CASE("mixed sizes get as many classes as their memory is worth") {
  uint32_t before = 0;
  double waste_before = 1;
  for (const uint64_t memory : {1 * kMb, 16 * kMb, 256 * kMb, 4096 * kMb}) {
    CAPTURE(memory);
    Fixture f(memory);
    std::mt19937 random(2);
    const auto uniform = [&]() -> size_t { return 200 + random() % 1700; };
    f.Store(1, uniform);
    const double waste = f.Waste(20'000, uniform);
    // What rounding loses, and what classes cost, are both small against the pages.
    CHECK(f.OpenFine() < 20 + f.pages / 4);
    CHECK(f.OpenFine() >= before);
    CHECK(waste < waste_before + 0.005);
    before = f.OpenFine();
    waste_before = waste;
  }
  CHECK(waste_before < 0.02);
}

TEST_CASE("the same mix for long opens and closes hardly anything") {
  Fixture f(100 * kMb);
  std::mt19937 random(3);
  const auto uniform = [&]() -> size_t { return 200 + random() % 2600; };
  f.Store(1, uniform);
  f.moves = 0;
  f.Store(2, uniform);
  CHECK(f.moves < 60);  // in 128 windows
}

TEST_CASE("when sizes change, classes close and others open") {
  Fixture f(16 * kMb);
  for (const size_t size : {100u, 500u, 1500u, 900u, 104u}) {
    CAPTURE(size);
    f.Store(2, [&] { return size; });
    const uint32_t c = f.ladder.ClassFor(size);
    const double lost = 1 - static_cast<double>(size) / f.classes.chunk_size(c);
    CHECK((c == f.classes.ClassOf(size) || lost * f.pages < 0.5));
    CHECK(f.OpenFine() <= 1);
  }
}

TEST_CASE("random walks: sizes come and go, under every invariant") {
  for (uint32_t seed = 0; seed < 8; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Fixture f((256 + random() % 20'000) << 10);
    for (int phase = 0; phase < 12; ++phase) {
      const size_t low = 17 + random() % (f.classes.chunk_size_max() / 2);
      const size_t range = 1 + random() % (random() % 2 == 0 ? 20 : f.classes.chunk_size_max() / 2);
      f.Store(0.4, [&] { return low + random() % range; });
      f.ladder.CheckInvariants();
    }
  }
}

// The whole engine while classes open and close under it.
TEST_CASE("an engine's random walk over shifting sizes keeps every invariant") {
  for (const uint64_t memory : {256ul << 10, 1ul << 20, 4ul << 20}) {
    CAPTURE(memory);
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = memory;
    SlabEngine engine(options);
    TestShard shard(engine, 0);
    std::mt19937 random(static_cast<uint32_t>(memory));
    const int stores = static_cast<int>(memory / 600);
    for (int phase = 0; phase < 10; ++phase) {
      const size_t low = random() % 1500;
      const size_t range = 1 + (random() % 2 == 0 ? random() % 8 : random() % 600);
      for (int i = 0; i < stores; ++i) {
        const std::string key = "k" + std::to_string(random() % 5000);
        const std::string value = Bytes(low + random() % range, random());
        const RelativeSeconds exptime = random() % 4 == 0 ? shard.now + 5 : kNeverExpires;
        REQUIRE(shard.Set(key, value, exptime) == engine::Result::kStored);
        if (const auto kept = shard.Get(key)) REQUIRE(*kept == value);
        if (random() % 8 == 0) {
          (void)shard.Do(engine::Verb::kTouch, key, {}, 0, shard.now + 10);
          if (const auto kept = shard.Get(key)) REQUIRE(*kept == value);
        }
        if (i % 200 == 0) engine.CheckInvariants(0);
      }
      shard.now += 3;
    }
    engine.CheckInvariants(0);
  }
}

TEST_CASE("one size fills all pages but for less than a hundredth") {
  for (const size_t value_size : {8u, 100u, 230u, 777u, 1024u}) {
    CAPTURE(value_size);
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = 8 * kMb;
    SlabEngine engine(options);
    TestShard shard(engine, 0);
    const int count = static_cast<int>(3 * options.memory_limit_bytes / (value_size + 26));
    for (int i = 0; i < count; ++i) {
      const std::string key = std::to_string(1'000'000 + i);
      REQUIRE(shard.Set(key, Bytes(value_size, 1)) == engine::Result::kStored);
    }
    const auto totals = engine.Totals();
    const SizeClasses classes(options.memory_limit_bytes);
    const uint64_t chunks = (options.memory_limit_bytes >> classes.page_shift()) *
                            classes.chunks_per_page(classes.ClassOf(16 + 7 + value_size));
    CHECK(totals.items * 100 > chunks * 99);
    engine.CheckInvariants(0);
  }
}

}  // namespace
}  // namespace torc::slab
