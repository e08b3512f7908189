// Large values that are copied over several turns. That the results are those of any engine is
// shown in tests/engine, by the engine with small slices.
#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Extended;
using engine::Op;
using engine::Pending;
using engine::Result;
using engine::Shortage;
using engine::Verb;

constexpr uint64_t kSlice = 64 << 10;
constexpr size_t kLarge = size_t{1} << 20;
constexpr size_t kTurns = (kLarge + 3 + kSlice - 1) / kSlice;  // of an append of three bytes

// One shard, operations that may be answered later, and the turns that pass until they are.
struct Late {
  explicit Late(engine::EngineOptions options) : engine(options, kSlice), shard(engine, 0) {}
  Late() : Late(Options()) {}

  static engine::EngineOptions Options() {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = uint64_t{64} << 20;
    options.item_size_max_bytes = uint64_t{8} << 20;
    return options;
  }

  // Executes an operation within the turn, its key and value gone afterwards. Its number, by which
  // it is named in `answers`; or -1: it waits for memory.
  int Ask(Verb verb, std::string key, std::string value = {}, Extended* e = nullptr) {
    Op op = TestShard::Make(e != nullptr ? Verb::kExtended : verb, key, value);
    if (e != nullptr) op.extended = e;
    if (engine.Execute(0, {&op, 1}) == 0) return -1;
    asked.push_back({static_cast<int>(asked.size())});
    Asked& one = asked.back();
    if (op.result == Result::kPending) {
      static_cast<Pending*>(op.item)->waiter = &one;
      ++pending;
    } else {
      Note(one, op);
    }
    return one.number;
  }
  // A turn in which nothing is asked. How many answers it brought.
  size_t Turn() {
    shard.Begin();
    const size_t count = Collect();
    shard.End();
    engine.CheckInvariants(0);
    return count;
  }
  size_t Collect() {
    std::array<Pending*, engine::kBatchMax> answered;
    const size_t count = engine.Collect(0, answered);
    for (size_t i = 0; i < count; ++i)
      Note(*static_cast<Asked*>(answered[i]->waiter), answered[i]->op);
    pending -= count;
    return count;
  }
  // Turns until all is answered: how many.
  size_t Finish() {
    size_t turns = 0;
    for (; pending != 0 && turns < 10'000; ++turns) Turn();
    CHECK(pending == 0);
    return turns;
  }
  size_t pins() {
    struct Count final : engine::PinVisitor {
      bool Visit(const engine::PinInfo&) override {
        ++pins;
        return true;
      }
      size_t pins = 0;
    } count;
    engine::WalkCursor cursor;
    engine.ListPins(0, &cursor, 100, count);
    return count.pins;
  }

  struct Asked {
    int number;
    bool answered = false;
    Op op = {};
    std::string value = {};
  };
  void Note(Asked& one, const Op& op) {
    REQUIRE(!one.answered);
    one.answered = true;
    one.op = op;
    if (op.result == Result::kHit) one.value = shard.ValueOf(op);
    order.push_back(one.number);
  }
  Result ResultOf(int number) const { return asked[static_cast<size_t>(number)].op.result; }

  SlabEngine engine;
  TestShard shard;
  std::deque<Asked> asked;
  std::vector<int> order;  // of the answers
  size_t pending = 0;
};

TEST_CASE("an append to a large value takes a slice a turn, and holds up nobody else") {
  Late late;
  const std::string value = Bytes(kLarge, 1);
  late.shard.Set("large", value);
  late.shard.Set("small", "s");
  const uint64_t bytes = late.engine.Totals().item_bytes;
  late.shard.Begin();
  const int append = late.Ask(Verb::kAppend, "large", "end");
  CHECK(late.ResultOf(append) == Result::kNone);
  late.shard.End();
  for (size_t turn = 1; turn < kTurns; ++turn) {
    CAPTURE(turn);
    REQUIRE(late.Turn() == 0);
    CHECK(late.engine.Background(0));  // so the shard does not sleep
    CHECK(late.pins() == 1);
    CHECK(late.engine.Totals().item_bytes == bytes);
    CHECK(late.shard.Get("small") == "s");
    CHECK(late.shard.Do(Verb::kAppend, "small", "") == Result::kStored);
  }
  REQUIRE(late.Turn() == 1);
  CHECK(late.ResultOf(append) == Result::kStored);
  CHECK(late.pins() == 0);
  CHECK(late.engine.Totals().item_bytes == bytes + 3);
  CHECK(late.shard.Get("large") == value + "end");
  late.shard.Turns(10);
  CHECK(!late.engine.Background(0));
}

TEST_CASE("what a turn copies at once is bounded for all operations together") {
  Late late;
  for (int i = 0; i < 20; ++i) late.shard.Set("key" + std::to_string(i), Bytes(20'000, 1));
  late.shard.Begin();
  for (int i = 0; i < 20; ++i) late.Ask(Verb::kPrepend, "key" + std::to_string(i), "x");
  CHECK(late.order.size() == kSlice / 20'001);
  late.shard.End();
  CHECK(late.Turn() == kSlice / 20'001);
  late.Finish();
  for (const Late::Asked& one : late.asked) CHECK(one.op.result == Result::kStored);
}

TEST_CASE("a value that arrived in a reservation is copied in slices, too, behind and before") {
  for (const Verb verb : {Verb::kAppend, Verb::kPrepend}) {
    Late late;
    late.shard.Set("key", "old");
    const std::string value = Bytes(kLarge, 2);
    Op op = TestShard::Make(verb, "key", value);
    late.shard.Begin();
    engine::Reservation reservation;
    REQUIRE(late.engine.Reserve(0, op, &reservation) == engine::Engine::ReserveResult::kReserved);
    for (size_t offset = 0; offset < value.size();) {
      const std::span<char> window = late.engine.Window(reservation, offset);
      const size_t n = std::min(window.size(), value.size() - offset);
      std::copy_n(value.data() + offset, n, window.data());
      offset += n;
    }
    op.value = nullptr;
    op.item = reservation.item;
    REQUIRE(late.engine.Execute(0, {&op, 1}) == 1);
    REQUIRE(op.result == Result::kPending);
    Late::Asked& one = late.asked.emplace_back(Late::Asked{0});
    static_cast<Pending*>(op.item)->waiter = &one;
    late.pending = 1;
    late.shard.End();
    CHECK(late.Finish() == kTurns);
    CHECK(one.op.result == Result::kStored);
    CHECK(late.shard.Get("key") == (verb == Verb::kAppend ? "old" + value : value + "old"));
  }
}

TEST_CASE("operations on a key take effect in order, whichever of them copies") {
  Late late;
  const std::string value = Bytes(kLarge, 3);
  late.shard.Set("key", value);
  late.shard.Begin();
  const int append = late.Ask(Verb::kAppend, "key", "-end");
  const int get = late.Ask(Verb::kGet, "key");
  const int prepend = late.Ask(Verb::kPrepend, "key", "start-");
  const int get_again = late.Ask(Verb::kGet, "key");
  const int add = late.Ask(Verb::kAdd, "key", "new");
  const int erase = late.Ask(Verb::kDelete, "key");
  const int miss = late.Ask(Verb::kGet, "key");
  const int append_to_none = late.Ask(Verb::kAppend, "key", "end");
  const int set = late.Ask(Verb::kSet, "key", "last");
  CHECK(late.order.empty());
  late.shard.End();
  late.Finish();
  CHECK(late.order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(late.ResultOf(append) == Result::kStored);
  CHECK(late.asked[static_cast<size_t>(get)].value == value + "-end");
  CHECK(late.ResultOf(prepend) == Result::kStored);
  CHECK(late.asked[static_cast<size_t>(get_again)].value == "start-" + value + "-end");
  CHECK(late.ResultOf(add) == Result::kNotStored);
  CHECK(late.ResultOf(erase) == Result::kDeleted);
  CHECK(late.ResultOf(miss) == Result::kMiss);
  CHECK(late.ResultOf(append_to_none) == Result::kNotStored);
  CHECK(late.ResultOf(set) == Result::kStored);
  CHECK(late.shard.Get("key") == "last");
}

TEST_CASE("keys take turns, however much is asked of one of them; one copy is made at a time") {
  Late late;
  late.shard.Set("a", Bytes(kLarge, 1));
  late.shard.Set("b", Bytes(kLarge, 2));
  late.shard.Begin();
  for (int i = 0; i < 3; ++i) late.Ask(Verb::kAppend, "a", "a");
  late.Ask(Verb::kAppend, "b", "b");
  late.Ask(Verb::kGet, "b");
  late.shard.End();
  while (late.pending != 0) {
    late.Turn();
    CHECK(late.pins() <= 1);
  }
  CHECK(late.order == std::vector<int>{0, 3, 4, 1, 2});
}

TEST_CASE("a delete that only marks a large value copies it in slices") {
  Late late;
  const std::string value = Bytes(kLarge, 4);
  late.shard.Set("key", value);
  late.shard.Begin();
  Extended mark;
  mark.verb = Verb::kDelete;
  mark.invalidates = true;
  const int marked = late.Ask(Verb::kDelete, "key", "", &mark);
  mark = {};  // is the caller's
  Extended look;
  look.never_wins = true;
  const int get = late.Ask(Verb::kGet, "key", "", &look);
  late.shard.End();
  CHECK(late.Finish() == kLarge / kSlice);
  CHECK(late.ResultOf(marked) == Result::kDeleted);
  CHECK(late.asked[static_cast<size_t>(get)].value == value);
  late.shard.Begin();
  Op op = TestShard::Make(Verb::kExtended, "key");
  op.extended = &look;
  CHECK(late.shard.Run(op).result == Result::kHit);
  CHECK(look.marks.stale);
  late.shard.End();
}

TEST_CASE("an item that goes meanwhile is not there: NOT_STORED, and its memory comes back") {
  for (const bool flushed : {false, true}) {
    CAPTURE(flushed);
    Late late;
    late.shard.Set("key", Bytes(kLarge, 5), late.shard.now + 2);
    late.shard.Begin();
    const int append = late.Ask(Verb::kAppend, "key", "end");
    Extended e;
    e.verb = Verb::kAppend;
    e.makes = true;
    const int made = late.Ask(Verb::kAppend, "key", "made", &e);
    late.shard.End();
    CHECK(late.Turn() == 0);
    if (flushed) {
      late.shard.Begin();
      late.engine.Flush(0, kNeverExpires);
      late.shard.End();
    } else {
      late.shard.now += 5;
    }
    CHECK(late.Turn() == 2);
    CHECK(late.ResultOf(append) == Result::kNotStored);
    CHECK(late.ResultOf(made) == Result::kStored);
    CHECK(late.pins() == 0);
    CHECK(late.shard.Get("key") == "made");
    late.shard.Turns(10);
    CHECK(late.engine.Totals().items == 1);
    CHECK(late.engine.Totals().item_bytes < 100);
  }
}

TEST_CASE("an item that is being appended to is not evicted, whatever else is stored") {
  engine::EngineOptions options = Late::Options();
  options.memory_limit_bytes = uint64_t{16} << 20;
  Late late(options);
  const std::string value = Bytes(kLarge, 6);
  late.shard.Set("key", value);
  late.shard.Begin();
  const int append = late.Ask(Verb::kAppend, "key", "end");
  late.shard.End();
  late.Turn();
  for (int i = 0; late.pending != 0; ++i) {
    for (int k = 0; k < 30; ++k) {
      const std::string other = Bytes(size_t{100} << 10, static_cast<uint64_t>(k));
      late.shard.Begin();
      REQUIRE(
          late.shard.Run(TestShard::Make(Verb::kSet, std::to_string(30 * i + k), other)).result ==
          Result::kStored);
      late.shard.End();
    }
    late.Turn();
  }
  CHECK(late.engine.Totals().evictions > 100);
  CHECK(late.ResultOf(append) == Result::kStored);
}

TEST_CASE(
    "without eviction, a sum for which there is no memory is NOT_STORED, and the value stays") {
  engine::EngineOptions options = Late::Options();
  options.memory_limit_bytes = uint64_t{16} << 20;
  options.item_size_max_bytes = uint64_t{16} << 20;
  options.evict = false;
  Late late(options);
  const std::string value = Bytes(size_t{9} << 20, 7);
  late.shard.Set("key", value);
  late.shard.Begin();
  const int append = late.Ask(Verb::kAppend, "key", "end");
  const int get = late.Ask(Verb::kGet, "key");
  late.shard.End();
  late.Finish();
  CHECK(late.ResultOf(append) == Result::kNotStored);
  CHECK(late.asked[0].op.shortage == Shortage::kNoEviction);
  CHECK(late.asked[static_cast<size_t>(get)].value == value);
}

TEST_CASE("a value that no memory is left to keep is refused when its turn comes") {
  engine::EngineOptions options = Late::Options();
  options.memory_limit_bytes = uint64_t{16} << 20;
  options.evict = false;
  Late late(options);
  late.shard.Set("key", Bytes(kLarge, 8));
  late.shard.Begin();
  const int append = late.Ask(Verb::kAppend, "key", "end");
  late.shard.End();
  late.Turn();  // has its second item now
  const std::string filler = Bytes(3000, 1);
  int fillers = 0;
  while (late.shard.Set("filler" + std::to_string(fillers), filler) == Result::kStored) ++fillers;
  CHECK(fillers > 1000);
  late.shard.Begin();
  const int set = late.Ask(Verb::kSet, "key", filler);
  const int get = late.Ask(Verb::kGet, "key");
  CHECK(late.ResultOf(set) == Result::kNone);
  late.shard.End();
  late.Finish();
  CHECK(late.ResultOf(append) == Result::kStored);
  CHECK(late.ResultOf(set) == Result::kNoMemory);
  CHECK(late.ResultOf(get) == Result::kMiss);  // so that no stale value stays
}

TEST_CASE("what waits is bounded: beyond, operations on the key are presented again") {
  Late late;
  late.shard.Set("key", Bytes(kLarge, 9));
  late.shard.Begin();
  late.Ask(Verb::kAppend, "key", "end");
  size_t waiting = 1;
  while (late.Ask(Verb::kTouch, "key") >= 0) ++waiting;
  CHECK(waiting == kLateMax);
  const int other = late.Ask(Verb::kSet, "other", "value");
  CHECK(late.ResultOf(other) == Result::kStored);
  late.shard.End();
  late.Finish();
  CHECK(late.shard.Do(Verb::kTouch, "key") == Result::kTouched);
}

TEST_CASE("other shards read the old value until the new one is there, and wait for nothing") {
  engine::EngineOptions options = Late::Options();
  options.shards = 2;
  TestQuiescence quiescence(2);
  options.quiescence = &quiescence;
  SlabEngine engine(options, kSlice);
  TestShard owner(engine, 0, 2, &quiescence), reader(engine, 1, 2, &quiescence);
  std::string key;
  for (int i = 0; !owner.Owns(key); ++i) key = "key" + std::to_string(i);
  const std::string value = Bytes(kLarge, 10);
  owner.Set(key, value);
  owner.Begin();
  Op op = TestShard::Make(Verb::kAppend, key, "end");
  REQUIRE(engine.Execute(0, {&op, 1}) == 1);
  REQUIRE(op.result == Result::kPending);
  owner.End();
  Pending* answered = nullptr;
  size_t turns = 0;
  for (size_t count = 0; count == 0; ++turns) {
    CHECK(reader.Get(key) == value);
    owner.Begin();
    count = engine.Collect(0, {&answered, 1});
    if (count != 0) CHECK(answered->op.result == Result::kStored);
    owner.End();
  }
  CHECK(turns == kTurns);
  CHECK(reader.Get(key) == value + "end");
}

TEST_CASE("an engine may end with a copy under way") {
  Late late;
  late.shard.Set("key", Bytes(kLarge, 11));
  late.shard.Begin();
  late.Ask(Verb::kAppend, "key", "end");
  late.Ask(Verb::kSet, "key", "value");
  late.shard.End();
  late.Turn();
}

}  // namespace
}  // namespace torc::slab
