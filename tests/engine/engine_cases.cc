// What every engine must do, whichever it is: the tests of an engine link this with a subject that
// makes one (subject.h). What memory does under pressure is each engine's own.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {
namespace {

using slab::Bytes;
using slab::TestShard;

EngineOptions Options(uint64_t memory_mb = 16) {
  EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = memory_mb << 20;
  return options;
}

class EngineFixture {
 public:
  explicit EngineFixture(EngineOptions options = Options())
      : owned(MakeSubject(options)), engine(*owned), shard(engine, 0) {}
  ~EngineFixture() { engine.CheckInvariants(0); }

  Op Do(Verb verb, std::string_view key, uint64_t number) {
    Op op = TestShard::Make(verb, key);
    op.number = number;
    return shard.Do(op);
  }
  Op Cas(std::string_view key, std::string_view value, uint64_t cas) {
    Op op = TestShard::Make(Verb::kCas, key, value);
    op.cas = cas;
    return shard.Do(op);
  }
  // Stores by way of a reservation, filled window by window.
  Result SetReserved(Verb verb, std::string_view key, std::string_view value, uint64_t cas = 0) {
    Op op = TestShard::Make(verb, key, value);
    op.cas = cas;
    op.value = nullptr;
    Reservation reservation;
    shard.Begin();
    auto reserved = engine.Reserve(0, op, &reservation);
    for (int i = 0; reserved == Engine::ReserveResult::kLater && i < 1000; ++i) {
      shard.End();
      shard.Begin();
      reserved = engine.Reserve(0, op, &reservation);
    }
    if (reserved != Engine::ReserveResult::kReserved) {
      shard.End();
      return reserved == Engine::ReserveResult::kTooLarge ? Result::kTooLarge : Result::kNoMemory;
    }
    for (size_t offset = 0; offset < value.size();) {
      const auto window = engine.Window(reservation, offset);
      const size_t n = std::min(window.size(), value.size() - offset);
      std::copy_n(value.data() + offset, n, window.data());
      offset += n;
    }
    shard.End();
    op.item = reservation.item;
    return shard.Do(op).result;
  }

  std::unique_ptr<Engine> owned;
  Engine& engine;
  TestShard shard;
};

TEST_CASE_FIXTURE(EngineFixture, "a key is absent, is set, is read, is deleted") {
  Op op;
  CHECK(!shard.Get("k", &op));
  CHECK(op.result == Result::kMiss);
  CHECK(op.miss == Miss::kAbsent);
  CHECK(shard.Do(Verb::kSet, "k", "value", 42) == Result::kStored);
  CHECK(shard.Get("k", &op) == "value");
  CHECK(op.client_flags == 42);
  CHECK(op.cas != 0);
  CHECK(shard.Do(Verb::kDelete, "k") == Result::kDeleted);
  CHECK(shard.Do(Verb::kDelete, "k") == Result::kNotFound);
  CHECK(!shard.Get("k"));
}

TEST_CASE_FIXTURE(EngineFixture, "add, replace, append, prepend look at what is there") {
  CHECK(shard.Do(Verb::kReplace, "k", "x") == Result::kNotStored);
  CHECK(shard.Do(Verb::kAppend, "k", "x") == Result::kNotStored);
  CHECK(shard.Do(Verb::kPrepend, "k", "x") == Result::kNotStored);
  CHECK(shard.Do(Verb::kAdd, "k", "b", 7, 500) == Result::kStored);
  CHECK(shard.Do(Verb::kAdd, "k", "x") == Result::kNotStored);
  CHECK(shard.Do(Verb::kAppend, "k", "cc", 9, 1) == Result::kStored);
  CHECK(shard.Do(Verb::kPrepend, "k", "a", 9, 1) == Result::kStored);
  Op op;
  CHECK(shard.Get("k", &op) == "abcc");
  CHECK(op.client_flags == 7);
  shard.now = 499;
  CHECK(shard.Get("k"));
  shard.now = 500;
  CHECK(!shard.Get("k", &op));
  CHECK(op.miss == Miss::kExpired);
  CHECK(shard.Do(Verb::kReplace, "k", "z") == Result::kNotStored);
  CHECK(shard.Do(Verb::kAdd, "k", "z") == Result::kStored);
  CHECK(shard.Do(Verb::kReplace, "k", "y") == Result::kStored);
  CHECK(shard.Get("k") == "y");
}

TEST_CASE_FIXTURE(EngineFixture, "cas stores once for each unique") {
  CHECK(Cas("k", "x", 1).result == Result::kNotFound);
  CHECK(shard.Set("k", "1") == Result::kStored);
  Op read;
  shard.Get("k", &read);
  const Op stored = Cas("k", "2", read.cas);
  CHECK(stored.result == Result::kStored);
  CHECK(stored.cas > read.cas);
  CHECK(Cas("k", "3", read.cas).result == Result::kExists);
  CHECK(shard.Get("k") == "2");
  CHECK(Cas("k", "3", stored.cas).result == Result::kStored);
  CHECK(Cas("k", "4", 0).result == Result::kExists);
}

TEST_CASE_FIXTURE(EngineFixture, "CAS uniques count up as memcached's do") {
  Op op;
  shard.Set("a", "1");
  shard.Get("a", &op);
  CHECK(op.cas == 1);
  Do(Verb::kIncrement, "a", 1);
  shard.Do(Verb::kTouch, "a", {}, 0, 1000);
  shard.Do(Verb::kAdd, "a", "x");
  shard.Get("a", &op);
  CHECK(op.cas == 2);
}

// Each of these was seen on memcached 1.6.45.
TEST_CASE_FIXTURE(EngineFixture, "incr and decr keep the length, flags and expiry") {
  CHECK(Do(Verb::kIncrement, "n", 1).result == Result::kNotFound);
  shard.Do(Verb::kSet, "n", "99", 9, 500);
  CHECK(Do(Verb::kIncrement, "n", 1).number == 100);
  Op op;
  CHECK(shard.Get("n", &op) == "100");
  CHECK(op.client_flags == 9);
  CHECK(Do(Verb::kDecrement, "n", 1).number == 99);
  CHECK(shard.Get("n") == "99 ");
  CHECK(Do(Verb::kIncrement, "n", UINT64_MAX).number == 98);
  CHECK(shard.Get("n") == "98 ");
  CHECK(Do(Verb::kDecrement, "n", 1000).number == 0);
  CHECK(shard.Get("n") == "0  ");
  shard.now = 500;
  CHECK(!shard.Get("n"));
  shard.Set("n", "18446744073709551615");
  CHECK(Do(Verb::kIncrement, "n", 1).number == 0);
  CHECK(shard.Get("n") == "0                   ");
  shard.Set("n", "12 abc");
  CHECK(Do(Verb::kIncrement, "n", 1).number == 13);
  CHECK(shard.Get("n") == "13    ");
  for (const char* text : {"", " ", "abc", "-5", "18446744073709551616"}) {
    shard.Set("n", text);
    CHECK(Do(Verb::kIncrement, "n", 1).result == Result::kNotANumber);
    CHECK(shard.Get("n") == text);
  }
}

TEST_CASE_FIXTURE(EngineFixture,
                  "a number followed by many blanks counts on, in several pieces too") {
  for (const size_t size : {3'000u, 40'000u, 400'000u}) {
    shard.Set("n", "1" + std::string(size, ' '));
    CHECK(Do(Verb::kIncrement, "n", 11).number == 12);
    CHECK(shard.Get("n") == "12" + std::string(size - 1, ' '));
  }
  shard.Set("n", "1" + std::string(600'000, ' '));
  CHECK(Do(Verb::kIncrement, "n", 1).result == Result::kNotANumber);
}

TEST_CASE_FIXTURE(EngineFixture, "touch moves the expiry and nothing else") {
  CHECK(shard.Do(Verb::kTouch, "k", {}, 0, 200) == Result::kNotFound);
  shard.Set("k", "v");
  Op before, after;
  shard.Get("k", &before);
  CHECK(shard.Do(Verb::kTouch, "k", {}, 0, 200) == Result::kTouched);
  shard.Get("k", &after);
  CHECK(before.cas == after.cas);
  shard.now = 199;
  const Op hit = shard.Do(TestShard::Make(Verb::kGetAndTouch, "k", {}, 0, 300));
  CHECK(hit.result == Result::kHit);
  CHECK(hit.value_size == 1);
  shard.now = 299;
  CHECK(shard.Get("k"));
  shard.now = 300;
  CHECK(shard.Do(TestShard::Make(Verb::kGetAndTouch, "k", {}, 0, 400)).result == Result::kMiss);
  CHECK(shard.Do(Verb::kTouch, "k", {}, 0, 400) == Result::kNotFound);
}

TEST_CASE_FIXTURE(EngineFixture,
                  "an item that is expired when it is stored is stored and never found") {
  CHECK(shard.Set("k", "v", kAlwaysExpired) == Result::kStored);
  Op op;
  CHECK(!shard.Get("k", &op));
  CHECK(op.miss == Miss::kExpired);
  for (const Verb verb : {Verb::kReplace, Verb::kAppend, Verb::kPrepend}) {
    shard.Set("k", "5", kAlwaysExpired);
    CHECK(shard.Do(verb, "k", "x") == Result::kNotStored);
  }
  shard.Set("k", "5", kAlwaysExpired);
  CHECK(Do(Verb::kIncrement, "k", 1).result == Result::kNotFound);
  shard.Set("k", "5", kAlwaysExpired);
  CHECK(Cas("k", "x", 1).result == Result::kNotFound);
  shard.Set("k", "5", kAlwaysExpired);
  CHECK(shard.Do(Verb::kDelete, "k") == Result::kNotFound);
}

TEST_CASE_FIXTURE(EngineFixture, "flush takes what is there, at once or when the time comes") {
  shard.Set("a", "1");
  shard.Begin();
  engine.Flush(0, kNeverExpires);
  shard.End();
  shard.Set("b", "1");
  Op op;
  CHECK(!shard.Get("a", &op));
  CHECK(op.miss == Miss::kFlushed);
  CHECK(shard.Get("b"));
  engine.Flush(0, shard.now + 5);
  shard.now += 4;
  shard.Set("c", "1");
  CHECK(shard.Get("b"));
  shard.now += 1;
  CHECK(!shard.Get("b", &op));
  CHECK(op.miss == Miss::kFlushed);
  CHECK(!shard.Get("c"));
  shard.Set("d", "1");
  // A later one replaces one whose time has not come.
  engine.Flush(0, shard.now + 2);
  engine.Flush(0, shard.now + 10);
  shard.now += 5;
  CHECK(shard.Get("d"));
  engine.Flush(0, kNeverExpires);
  shard.Set("e", "1");
  shard.now += 10;
  CHECK(shard.Get("e"));
}

TEST_CASE("the limit on items is memcached's, to the byte") {
  // The largest values that memcached 1.6.45 stores: key of 1 byte and of 250, without client flags
  // and with.
  struct Seen {
    uint64_t item_size_max, key1, key1_flags, key250, key250_flags;
  };
  for (const Seen& seen : {Seen{1u << 20, 1048516, 1048512, 1048267, 1048263},
                           Seen{2u << 20, 2097092, 2097088, 2096843, 2096839},
                           Seen{64u << 20, 67108804, 67108800, 67108555, 67108551}}) {
    EngineOptions options = Options();
    options.item_size_max_bytes = seen.item_size_max;
    const std::unique_ptr<Engine> owned = MakeSubject(options);
    const Engine& engine = *owned;
    CHECK(engine.ValueSizeMax(1, 0) == seen.key1);
    CHECK(engine.ValueSizeMax(1, 7) == seen.key1_flags);
    CHECK(engine.ValueSizeMax(250, 0) == seen.key250);
    CHECK(engine.ValueSizeMax(250, 7) == seen.key250_flags);
  }
}

TEST_CASE_FIXTURE(EngineFixture,
                  "a value too large: set removes the old one, the others leave it") {
  const std::string largest = Bytes(engine.ValueSizeMax(1, 0), 1);
  CHECK(shard.Set("k", largest) == Result::kStored);
  CHECK(shard.Get("k") == largest);
  const std::string larger = largest + "x";
  for (const Verb verb : {Verb::kAdd, Verb::kReplace, Verb::kAppend, Verb::kPrepend, Verb::kCas}) {
    CHECK(shard.Do(verb, "k", larger) == Result::kTooLarge);
    CHECK(shard.Get("k"));
  }
  CHECK(shard.Do(Verb::kAppend, "k", "x") == Result::kNotStored);
  CHECK(shard.Get("k") == largest);
  CHECK(shard.Set("k", larger) == Result::kTooLarge);
  CHECK(!shard.Get("k"));
  CHECK(SetReserved(Verb::kSet, "k", larger) == Result::kTooLarge);
  CHECK(engine.Totals().store_too_large == 7);
}

TEST_CASE_FIXTURE(EngineFixture, "a reservation is stored, refused and given back") {
  for (const size_t size : {0u, 1u, 100u, 9'000u, 70'000u, 900'000u}) {
    CAPTURE(size);
    const std::string value = Bytes(size, size);
    CHECK(SetReserved(Verb::kSet, "k", value) == Result::kStored);
    CHECK(shard.Get("k") == value);
    CHECK(SetReserved(Verb::kAdd, "k", value) == Result::kNotStored);
    CHECK(SetReserved(Verb::kCas, "k", value, 1'000'000) == Result::kExists);
    CHECK(SetReserved(Verb::kReplace, "none", value) == Result::kNotStored);
    CHECK(SetReserved(Verb::kCas, "none", value, 1) == Result::kNotFound);
    engine.CheckInvariants(0);
  }
  CHECK(SetReserved(Verb::kSet, "k", "middle") == Result::kStored);
  CHECK(SetReserved(Verb::kAppend, "k", Bytes(20'000, 1)) == Result::kStored);
  CHECK(SetReserved(Verb::kPrepend, "k", Bytes(30'000, 2)) == Result::kStored);
  CHECK(SetReserved(Verb::kAppend, "none", Bytes(30'000, 2)) == Result::kNotStored);
  CHECK(shard.Get("k") == Bytes(30'000, 2) + "middle" + Bytes(20'000, 1));
  Reservation reservation;
  shard.Begin();
  const Op op = TestShard::Make(Verb::kSet, "k", Bytes(500'000, 1));
  REQUIRE(engine.Reserve(0, op, &reservation) == Engine::ReserveResult::kReserved);
  engine.CheckInvariants(0);
  engine.Abandon(0, reservation);
  shard.End();
  CHECK(shard.Get("k"));
}

TEST_CASE_FIXTURE(EngineFixture,
                  "views of a turn stay until it ends, whatever happens to the key") {
  shard.Set("k", "first");
  shard.Begin();
  const Op first = shard.Run(TestShard::Make(Verb::kGet, "k"));
  shard.Run(TestShard::Make(Verb::kSet, "k", "second"));
  const Op second = shard.Run(TestShard::Make(Verb::kGet, "k"));
  shard.Run(TestShard::Make(Verb::kDelete, "k"));
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "x" + std::to_string(i);
    shard.Run(TestShard::Make(Verb::kSet, key, "other"));
  }
  CHECK(shard.ValueOf(first) == "first");
  CHECK(shard.ValueOf(second) == "second");
  shard.End();
}

TEST_CASE_FIXTURE(EngineFixture, "a batch is executed in order") {
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back("key" + std::to_string(i % 10));
  std::vector<std::string> values;
  for (int i = 0; i < 100; ++i) values.push_back(std::to_string(i));
  std::vector<Op> ops;
  for (int i = 0; i < 100; ++i) {
    ops.push_back(TestShard::Make(Verb::kGet, keys[static_cast<size_t>(i)]));
    ops.push_back(
        TestShard::Make(Verb::kSet, keys[static_cast<size_t>(i)], values[static_cast<size_t>(i)]));
  }
  shard.Begin();
  CHECK(engine.Execute(0, ops) == ops.size());
  for (size_t i = 0; i < 100; ++i) {
    const Op& get = ops[2 * i];
    if (i < 10) {
      CHECK(get.result == Result::kMiss);
    } else {
      REQUIRE(get.result == Result::kHit);
      CHECK(shard.ValueOf(get) == values[i - 10]);
    }
  }
  shard.End();
}

TEST_CASE("a random walk of all verbs agrees with a model") {
  struct Value {
    std::string bytes;
    uint32_t flags;
    RelativeSeconds exptime;
    uint64_t cas;
  };
  for (const uint64_t seed : {11u, 12u, 13u}) {
    CAPTURE(seed);
    EngineFixture f(Options(64));  // nothing is evicted
    std::unordered_map<std::string, Value> model;
    std::mt19937_64 random(seed);
    const auto size = [&]() -> size_t {
      switch (random() % 12) {
        case 0:
          return 0;
        case 1:
          return random() % 30'000;
        case 2:
          return random() % 50 == 0 ? random() % 1'000'000 : 70'000;
        default:
          return random() % 300;
      }
    };
    for (int step = 0; step < 30'000; ++step) {
      if (random() % 50 == 0) f.shard.now += random() % 3;
      const std::string key =
          "key" + std::to_string(random() % 200) + std::string(random() % 3 * 80, 'k');
      const auto at = model.find(key);
      if (at != model.end() && at->second.exptime != 0 && at->second.exptime <= f.shard.now)
        model.erase(at);
      const bool present = model.contains(key);
      const Verb verb = static_cast<Verb>(random() % 12);
      std::string value =
          random() % 3 == 0 ? std::to_string(random() % 1000) : Bytes(size(), random());
      Op op = TestShard::Make(
          verb, key, value, random() % 2 == 0 ? static_cast<uint32_t>(random()) : 0,
          random() % 4 == 0 ? f.shard.now + static_cast<uint32_t>(random() % 5) : 0);
      if (verb == Verb::kIncrement || verb == Verb::kDecrement) op.number = random() % 300;
      if (verb == Verb::kCas)
        op.cas = present && random() % 2 == 0 ? model[key].cas : random() % 100;
      const uint64_t number = op.number;
      const uint64_t cas = op.cas;
      const uint32_t flags = op.client_flags;
      const RelativeSeconds exptime = op.exptime;
      op = f.shard.Do(op);
      Value* const old = present ? &model[key] : nullptr;
      const auto store = [&](std::string bytes) {
        REQUIRE(op.result == Result::kStored);
        model[key] = {std::move(bytes), flags, exptime, op.cas};
      };
      switch (verb) {
        case Verb::kGet:
        case Verb::kGetAndTouch:
          REQUIRE(op.result == (present ? Result::kHit : Result::kMiss));
          if (!present) break;
          REQUIRE(op.value_size == old->bytes.size());
          REQUIRE(op.client_flags == old->flags);
          REQUIRE(op.cas == old->cas);
          if (verb == Verb::kGetAndTouch) old->exptime = exptime;
          if (exptime == 0 || exptime > f.shard.now || verb == Verb::kGet) {
            REQUIRE(f.shard.Get(key) == old->bytes);
          }
          break;
        case Verb::kTouch:
          REQUIRE(op.result == (present ? Result::kTouched : Result::kNotFound));
          if (present) old->exptime = exptime;
          break;
        case Verb::kSet:
          store(value);
          break;
        case Verb::kAdd:
          if (present) {
            REQUIRE(op.result == Result::kNotStored);
          } else {
            store(value);
          }
          break;
        case Verb::kReplace:
          if (present) {
            store(value);
          } else {
            REQUIRE(op.result == Result::kNotStored);
          }
          break;
        case Verb::kAppend:
        case Verb::kPrepend:
          if (!present ||
              old->bytes.size() + value.size() > f.engine.ValueSizeMax(key.size(), old->flags)) {
            REQUIRE(op.result == Result::kNotStored);
          } else {
            REQUIRE(op.result == Result::kStored);
            old->bytes = verb == Verb::kAppend ? old->bytes + value : value + old->bytes;
            old->cas = op.cas;
          }
          break;
        case Verb::kCas:
          if (!present) {
            REQUIRE(op.result == Result::kNotFound);
          } else if (cas != old->cas) {
            REQUIRE(op.result == Result::kExists);
          } else {
            store(value);
          }
          break;
        case Verb::kIncrement:
        case Verb::kDecrement: {
          if (!present) {
            REQUIRE(op.result == Result::kNotFound);
            break;
          }
          const size_t digits =
              std::min(old->bytes.find_first_not_of("0123456789"), old->bytes.size());
          if (digits == 0 || digits > 19 ||
              (digits < old->bytes.size() && old->bytes[digits] != ' ')) {
            REQUIRE(op.result == Result::kNotANumber);
            break;
          }
          REQUIRE(op.result == Result::kNumber);
          const uint64_t was = std::stoull(old->bytes);
          const uint64_t is =
              verb == Verb::kIncrement ? was + number : (number > was ? 0 : was - number);
          REQUIRE(op.number == is);
          std::string text = std::to_string(is);
          if (text.size() < old->bytes.size()) text.resize(old->bytes.size(), ' ');
          old->bytes = text;
          old->cas = op.cas;
          break;
        }
        case Verb::kDelete:
          REQUIRE(op.result == (present ? Result::kDeleted : Result::kNotFound));
          model.erase(key);
          break;
        case Verb::kExtended:
          break;
      }
      if (step % 1000 == 0) f.engine.CheckInvariants(0);
    }
    for (const auto& [key, value] : model) {
      if (value.exptime != 0 && value.exptime <= f.shard.now) continue;
      REQUIRE(f.shard.Get(key) == value.bytes);
    }
    CHECK(f.engine.Totals().evictions == 0);
  }
}

}  // namespace
}  // namespace torc::engine
