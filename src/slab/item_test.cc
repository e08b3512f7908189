#include "src/slab/item.h"

#include <cstring>
#include <string>
#include <vector>

#include "src/slab/size_classes.h"
#include "src/slab/value.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

class ItemFixture {
 public:
  // Makes it an item with the key "ab".
  void Init(uint32_t size_class, ItemLayout layout) {
    layout.key_size = 2;
    item.Init(size_class, layout);
    std::memcpy(item.key_data(), "ab", 2);
  }

  alignas(4) char bytes[256] = {};
  Item& item = *reinterpret_cast<Item*>(bytes);
};

TEST_CASE_FIXTURE(ItemFixture, "zeroed memory is a free chunk") {
  CHECK(item.state() == ChunkState::kFree);
}

TEST_CASE_FIXTURE(ItemFixture, "expiry and client flags take room only if there are any") {
  for (const bool has_exptime : {false, true}) {
    for (const bool has_client_flags : {false, true}) {
      const ItemLayout layout{.key_size = 2,
                              .value_size = 5,
                              .has_exptime = has_exptime,
                              .has_client_flags = has_client_flags};
      Init(3, layout);
      if (has_exptime) item.set_exptime(66);
      if (has_client_flags) item.set_client_flags(77);
      item.set_exptime(has_exptime ? 67 : kNeverExpires);
      CHECK(layout.prefix() == 18u + 4 * has_exptime + 4 * has_client_flags);
      CHECK(item.prefix_size() == layout.prefix());
      CHECK(item.has_exptime() == has_exptime);
      CHECK(item.exptime() == (has_exptime ? 67 : kNeverExpires));
      CHECK(item.client_flags() == (has_client_flags ? 77 : 0));
      CHECK(item.key() == "ab");
      CHECK(item.value_size() == 5);
      CHECK(item.size_class() == 3);
    }
  }
}

TEST_CASE_FIXTURE(ItemFixture, "a client's CAS unique lies behind the key, in whichever shape") {
  for (const uint32_t size_class : {3u, kHeadsClass}) {
    const ItemLayout layout{.key_size = 2,
                            .value_size = 5,
                            .has_exptime = true,
                            .has_client_flags = true,
                            .has_own_cas = true};
    Init(size_class, layout);
    item.set_own_cas(UINT64_MAX - 1);
    item.set_exptime(66);
    item.set_client_flags(77);
    CHECK(layout.prefix() == 16u + 4 + 4 + 2 + 8);
    CHECK(item.prefix_size() == layout.prefix());
    CHECK(item.own_cas() == UINT64_MAX - 1);
    CHECK(item.key() == "ab");
    CHECK(item.value_size() == 5);
    CHECK(item.size_class() == size_class);
    CHECK(item.cas_count() == 0);
  }
}

TEST_CASE_FIXTURE(ItemFixture, "marks stay through all that is noted of an item, and no longer") {
  Init(3, {});
  CHECK(!item.stale());
  CHECK(!item.token_sent());
  CHECK(!item.key_is_binary());
  item.set_stale();
  item.set_token_sent();
  item.set_key_is_binary();
  item.set_state(ChunkState::kLive);
  item.PutOnProbation();
  item.set_pinned(true);
  item.set_pinned(false);
  for (int i = 0; i < 5; ++i) item.NoteAccess(1000 + static_cast<uint32_t>(i) * 100);
  item.ForgetAccess();
  item.ForgetAccesses();
  item.set_last_access(5000);
  CHECK(item.stale());
  CHECK(item.token_sent());
  CHECK(item.key_is_binary());
  alignas(4) char other_bytes[64] = {};
  Item& other = *reinterpret_cast<Item*>(other_bytes);
  other.Init(3, {});
  other.InheritAccess(item, /*same_value=*/true);
  CHECK(!other.stale());
  CHECK(!other.key_is_binary());
  other.InheritMarks(item);
  CHECK(other.stale());
  CHECK(other.token_sent());
  CHECK(other.key_is_binary());
  Init(3, {});
  CHECK(!item.stale());
  CHECK(!item.token_sent());
  CHECK(!item.key_is_binary());
}

TEST_CASE_FIXTURE(ItemFixture, "the largest sizes, classes and CAS uniques fit and keep apart") {
  Init(Item::kSizeClassMax, {.value_size = Item::kUnchainedValueSizeMax});
  item.set_cas_count(Item::kCasCountMax);
  CHECK(!item.chained());
  CHECK(item.value_size() == Item::kUnchainedValueSizeMax);
  CHECK(item.size_class() == Item::kSizeClassMax);
  CHECK(item.cas_count() == Item::kCasCountMax);
  CHECK(item.key() == "ab");
  CHECK(item.state() == ChunkState::kReserved);
  Init(kHeadsClass, {.value_size = Item::kValueSizeMax, .has_exptime = true});
  CHECK(item.chained());
  CHECK(item.value_size() == Item::kValueSizeMax);
  CHECK(item.size_class() == kHeadsClass);
  CHECK(item.cas_count() == 0);
  item.InitPiece(~Ref{0});
  CHECK(item.state() == ChunkState::kPiece);
  CHECK(item.head() == ~Ref{0});
  item.InitFree(~Ref{0});
  CHECK(item.state() == ChunkState::kFree);
  CHECK(item.next_free() == ~Ref{0});
}

TEST_CASE_FIXTURE(ItemFixture, "state and bits do not disturb each other") {
  Init(kHeadsClass, {.value_size = 1, .has_client_flags = true});
  CHECK(item.state() == ChunkState::kReserved);
  item.set_pinned(true);
  item.set_state(ChunkState::kLive);
  CHECK((item.pinned() && item.chained() && item.has_client_flags() && !item.has_exptime()));
  item.set_pinned(false);
  CHECK(item.state() == ChunkState::kLive);
  CHECK(!item.pinned());
}

TEST_CASE_FIXTURE(ItemFixture, "reads are counted to three, and the time moves in steps") {
  Init(1, {.value_size = 1});
  item.set_last_access(100);
  CHECK(!item.fetched());
  for (int i = 0; i < 5; ++i) item.NoteAccess(110);
  CHECK(item.access_count() == 3);
  CHECK(item.fetched());
  CHECK(item.IdleSeconds(110) == 10);
  item.NoteAccess(160);
  CHECK(item.IdleSeconds(160) == 0);
  CHECK(item.access_count() == 3);
  for (int i = 0; i < 3; ++i) item.ForgetAccess();
  CHECK(item.access_count() == 0);
  CHECK(item.fetched());
  item.ForgetAccess();
  CHECK(item.access_count() == 0);
  CHECK(item.IdleSeconds(161) == 1);
}

TEST_CASE_FIXTURE(ItemFixture, "the time of the last access counts modulo 194 days") {
  constexpr RelativeSeconds kRound = 1 << 24;
  Init(1, {.value_size = 1});
  for (const RelativeSeconds start : {RelativeSeconds{5}, kRound - 3, 7 * kRound - 1}) {
    item.set_last_access(start);
    CHECK(item.IdleSeconds(start) == 0);
    CHECK(item.IdleSeconds(start + 100) == 100);
    CHECK(item.IdleSeconds(start + kRound / 2) == kRound / 2);
    CHECK(item.IdleSeconds(start - 1) == 0);  // a reader whose clock is behind
    item.NoteAccess(start - 1);
    CHECK(item.IdleSeconds(start + 1) == 1);
  }
}

TEST_CASE_FIXTURE(ItemFixture, "a successor inherits the reads, and of its own value the fetch") {
  Init(1, {.value_size = 1});
  item.NoteAccess(100);
  alignas(4) char other_bytes[64] = {};
  Item& other = *reinterpret_cast<Item*>(other_bytes);
  for (const bool same_value : {false, true}) {
    other.Init(1, {.key_size = 2, .value_size = 1});
    other.set_last_access(200);
    other.InheritAccess(item, same_value);
    CHECK(other.access_count() == 1);
    CHECK(other.fetched() == same_value);
    CHECK(other.IdleSeconds(200) == 0);
  }
}

TEST_CASE_FIXTURE(ItemFixture, "an item dies of expiry or of a flush") {
  Init(1, {.value_size = 1, .has_exptime = true});
  item.set_cas_count(10);
  CHECK(!item.DeadAt({1000, 9}));
  CHECK(item.DeadAt({1000, 10}));
  item.set_exptime(500);
  CHECK(!item.DeadAt({499, 0}));
  CHECK(item.DeadAt({500, 0}));
}

TEST_CASE("a chained value is written and read across its pieces") {
  const SizeClasses classes(uint64_t{1} << 20);
  const size_t page = classes.page_size();
  std::vector<char> memory(page * 9 + page);
  char* const base = reinterpret_cast<char*>(
      (reinterpret_cast<uintptr_t>(memory.data()) + page - 1) / page * page);
  const ItemSpace space(base, classes.granule_shift());
  const ValueSpace values(classes, space);
  const uint32_t granules = static_cast<uint32_t>(page >> classes.granule_shift());

  // Every size around the places where a page or a chunk more is needed: the shape that was laid
  // out must be the one that is read back.
  std::vector<uint32_t> sizes = {2'100, 5'000, 16'000, 40'000, 49'999};
  for (uint32_t pages = 1; pages <= 3; ++pages) {
    for (uint32_t near = 0; near < 2'400; ++near) {
      sizes.push_back(pages * static_cast<uint32_t>(page) + near);
    }
  }
  for (const uint32_t value_size : sizes) {
    CAPTURE(value_size);
    Item* const head = space.At(granules);
    const ItemLayout layout{.key_size = 3, .value_size = value_size, .has_exptime = true};
    head->Init(kHeadsClass, layout);
    const ChainShape shape = classes.Chain(layout.prefix(), value_size);
    ValueSpace::Chain(head) = {shape.pages, shape.pieces};
    for (uint32_t i = 0; i < shape.pieces; ++i) {
      ValueSpace::Refs(head)[i] =
          i < shape.pages ? (2 + i) * granules
                          : 6 * granules + (i - shape.pages) * (classes.chunk_size_max() >>
                                                                classes.granule_shift());
    }
    std::string value(value_size, '\0');
    for (uint32_t i = 0; i < value_size; ++i) value[i] = static_cast<char>(i * 7 + i / 251);
    values.CopyIn(head, 0, value);
    std::string read;
    while (read.size() < value_size) {
      const auto piece = values.Piece(static_cast<const Item*>(head), read.size());
      REQUIRE(!piece.empty());
      read.append(piece.data(), piece.size());
    }
    CHECK(read == value);
    CHECK(values.Piece(head, value_size).empty());
    for (uint32_t offset = 0; offset < value_size; offset += 97) {
      REQUIRE(values.Piece(head, offset)[0] == value[offset]);
    }
  }
}

}  // namespace
}  // namespace torc::slab
