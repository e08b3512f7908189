#include "src/slab/arena.h"

#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

TEST_CASE("size classes: every size has a class, and no page an end that could be used") {
  for (const uint64_t partition_kb : {256ull, 1ull << 10, 4ull << 10, 16ull << 10, 100ull << 10,
                                      1ull << 20, 16ull << 20, 64ull << 20, 4096ull << 20}) {
    CAPTURE(partition_kb);
    const SizeClasses classes(partition_kb << 10);
    const uint32_t unit = 1u << classes.granule_shift();
    CHECK(classes.chunk_size(classes.heads()) == classes.chunk_size_max());
    CHECK(classes.chunks_per_page(classes.heads()) == SizeClasses::kLargestPerPage);
    for (size_t size = 1; size <= classes.chunk_size_max(); ++size) {
      const uint32_t c = classes.ClassOf(size);
      REQUIRE(classes.chunk_size(c) >= size);
      if (c > 1) REQUIRE(classes.chunk_size(c - 1) < size);
      // What is lost is less than a granule, or no other size would lose less.
      const uint32_t per_page = classes.chunks_per_page(c);
      if (size > SizeClasses::kChunkSizeMin && classes.chunk_size(c) >= size + unit) {
        REQUIRE(classes.page_size() / (size + unit - 1) == per_page);
      }
    }
    for (uint32_t c = 1; c <= classes.largest(); ++c) {
      const uint32_t used = classes.chunk_size(c) * classes.chunks_per_page(c);
      REQUIRE(used <= classes.page_size());
      REQUIRE(classes.page_size() - used < classes.chunk_size(c));
      REQUIRE(classes.chunk_size(c) % unit == 0);
    }
  }
}

TEST_CASE("references reach 16 GiB in granules of 4 bytes, 32 GiB in granules of 8") {
  CHECK(SizeClasses((16ull << 30) - (1 << 20) - 4).granule_shift() == 2);
  CHECK(SizeClasses(16ull << 30).granule_shift() == 3);
  CHECK(SizeClasses((32ull << 30) - (1 << 20) - 8).granule_shift() == 3);
}

TEST_CASE("the coarse classes step by a fourteenth, so no size is without one near") {
  for (const uint64_t partition_mb : {1u, 4u, 16u, 100u, 1024u, 65536u}) {
    CAPTURE(partition_mb);
    const SizeClasses classes(partition_mb << 20);
    CHECK(classes.is_coarse(1));
    CHECK(classes.is_coarse(classes.largest()));
    uint32_t before = 1, count = 1;
    for (uint32_t c = 2; c <= classes.largest(); ++c) {
      if (!classes.is_coarse(c)) continue;
      const bool is_next = c == before + 1;
      CHECK((is_next || classes.chunk_size(c) * 14 <= classes.chunk_size(before) * 15));
      before = c;
      ++count;
    }
    CHECK(count < 192);
  }
}

TEST_CASE("chains: pieces add up to the value at every size") {
  const SizeClasses classes(uint64_t{4} << 20);
  for (const size_t prefix : {25u, 28u, 31u, 278u}) {
    for (uint32_t size = classes.chunk_size_max(); size < 300'000; size += 7) {
      const ChainShape shape = classes.Chain(prefix, size);
      const uint32_t chunks = shape.pieces - shape.pages;
      const uint32_t full = chunks - (shape.last_bytes != 0 ? 1 : 0);
      REQUIRE(shape.head_bytes + shape.pages * classes.page_size() + full * classes.piece_bytes() +
                  shape.last_bytes ==
              size);
      REQUIRE(classes.ChainValueOffset(prefix, size) + shape.head_bytes <=
              classes.chunk_size_max());
    }
  }
}

class ArenaFixture {
 public:
  ArenaFixture()
      : classes(uint64_t{1} << 20),
        memory(static_cast<char*>(
            std::aligned_alloc(classes.page_size(), (kPages + 1) * classes.page_size()))),
        arena((std::memset(memory, 0, (kPages + 1) * classes.page_size()), memory), kPages, kPages,
              classes) {}
  ~ArenaFixture() { std::free(memory); }

  Item* Take(uint32_t c) {
    Item* const chunk = arena.Allocate(c, true);
    if (chunk != nullptr) chunk->Init(c, {});
    return chunk;
  }

  static constexpr uint32_t kPages = 16;
  SizeClasses classes;
  char* memory;
  Arena arena;
};

TEST_CASE_FIXTURE(ArenaFixture,
                  "a class takes pages from the pool and gives them back when they are empty") {
  const uint32_t c = classes.ClassOf(100);
  std::vector<Item*> chunks;
  while (Item* chunk = Take(c)) chunks.push_back(chunk);
  CHECK(chunks.size() == kPages * classes.chunks_per_page(c));
  CHECK(arena.pool_pages() == 0);
  arena.CheckInvariants();
  for (Item* chunk : chunks) arena.Free(chunk);
  CHECK(arena.pool_pages() == kPages);
  arena.CheckInvariants();
}

TEST_CASE_FIXTURE(ArenaFixture,
                  "a draining page hands out nothing and goes to the pool with its last chunk") {
  const uint32_t c = classes.ClassOf(1000);
  Item* const a = Take(c);
  Item* const b = Take(c);
  const PageId page = arena.PageOf(a);
  arena.BeginDrain(page);
  CHECK(arena.DrainingUnheld() == 1);
  Item* const other = Take(c);
  CHECK(arena.PageOf(other) != page);
  arena.Free(a);
  CHECK(arena.pool_pages() == kPages - 2);
  arena.Free(b);
  CHECK(arena.pool_pages() == kPages - 1);
  CHECK(arena.DrainingUnheld() == 0);
  arena.CheckInvariants();
}

TEST_CASE_FIXTURE(ArenaFixture, "a random walk keeps the invariants") {
  std::mt19937 random(7);
  std::vector<Item*> chunks;
  std::vector<PageId> pages;
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (Item* chunk = Take(random() % classes.count_with_heads())) chunks.push_back(chunk);
        break;
      case 4:
      case 5:
      case 6:
        if (!chunks.empty()) {
          std::swap(chunks[random() % chunks.size()], chunks.back());
          arena.Free(chunks.back());
          chunks.pop_back();
        }
        break;
      case 7:
        if (random() % 4 == 0 && !chunks.empty()) {
          const PageId page = arena.PageOf(chunks[random() % chunks.size()]);
          if (arena.page(page).use == PageUse::kClass) arena.BeginDrain(page);
        } else if (random() % 2 == 0 && !chunks.empty()) {
          if (const PageId page = arena.TakePage(arena.items().Of(chunks[0])))
            pages.push_back(page);
        } else if (!pages.empty()) {
          arena.FreePage(pages.back());
          pages.pop_back();
        }
        break;
    }
    if (step % 100 == 0) arena.CheckInvariants();
  }
}

}  // namespace
}  // namespace torc::slab
