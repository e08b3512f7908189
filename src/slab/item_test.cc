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
  alignas(8) char bytes[256] = {};
  Item& item = *reinterpret_cast<Item*>(bytes);
};

TEST_CASE_FIXTURE(ItemFixture, "zeroed memory is a free chunk") {
  CHECK(item.state() == ChunkState::kFree);
}

TEST_CASE_FIXTURE(ItemFixture, "client flags take room only if there are any") {
  item.Init(3, 2, false, 5, false);
  CHECK(item.key_end() == 26);
  CHECK(item.client_flags() == 0);
  item.Init(3, 2, true, 5, false);
  item.set_client_flags(77);
  std::memcpy(item.key_data(), "ab", 2);
  CHECK(item.key_end() == 30);
  CHECK(item.client_flags() == 77);
  CHECK(item.key() == "ab");
  CHECK(item.value_size() == 5);
  CHECK(item.size_class() == 3);
}

TEST_CASE_FIXTURE(ItemFixture, "state and bits do not disturb each other") {
  item.Init(0, 1, true, 1, true);
  CHECK(item.state() == ChunkState::kReserved);
  item.set_pinned(true);
  item.set_state(ChunkState::kLive);
  CHECK((item.pinned() && item.chained() && item.has_client_flags()));
  item.set_pinned(false);
  CHECK(item.state() == ChunkState::kLive);
  CHECK(!item.pinned());
}

TEST_CASE_FIXTURE(ItemFixture, "reads are counted to three, and the time moves in steps") {
  item.Init(0, 1, false, 1, false);
  item.set_last_access(100);
  CHECK(!item.fetched());
  for (int i = 0; i < 5; ++i) item.NoteAccess(110);
  CHECK(item.access_count() == 3);
  CHECK(item.fetched());
  CHECK(item.last_access() == 100);
  item.NoteAccess(160);
  CHECK(item.last_access() == 160);
  for (int i = 0; i < 3; ++i) item.ForgetAccess();
  CHECK(item.access_count() == 0);
  CHECK(item.fetched());
}

TEST_CASE_FIXTURE(ItemFixture, "an item dies of expiry or of a flush") {
  item.Init(0, 1, false, 1, false);
  item.set_cas(10);
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
    head->Init(0, 3, false, value_size, true);
    const ChainShape shape = classes.Chain(sizeof(Item) + 3, value_size);
    ValueSpace::Chain(head) = {shape.pages, shape.pieces};
    for (uint32_t i = 0; i < shape.pieces; ++i) {
      ValueSpace::Refs(head)[i] =
          i < shape.pages ? (2 + i) * granules
                          : 6 * granules + (i - shape.pages) * classes.chunk_size_max() / 8;
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
