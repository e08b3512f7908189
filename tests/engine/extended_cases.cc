// What every engine must do with Extended: what memcached 1.6.45 does with the meta commands in the
// comments, by the bytes that it answers.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {
namespace {

using slab::Bytes;
using slab::TestShard;

constexpr uint64_t kWideCas = UINT64_MAX - 5;

EngineOptions Options(bool evict = true) {
  EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = uint64_t{32} << 20;
  options.evict = evict;
  return options;
}

class Fixture {
 public:
  explicit Fixture(EngineOptions options = Options())
      : owned(MakeSubject(options)), engine(*owned), shard(engine, 0) {}
  ~Fixture() { engine.CheckInvariants(0); }

  struct Answer {
    Op op;
    Extended e;
    std::string value;
  };
  using Amend = std::function<void(Extended&)>;

  Answer Ask(Verb verb, std::string_view key, std::string_view value, Op op, const Amend& amend,
             bool reserves = false) {
    Extended e;
    e.verb = verb;
    if (amend) amend(e);
    op.hash = HashKey(key);
    op.key = key.data();
    op.key_size = static_cast<uint8_t>(key.size());
    op.value = value.data();
    op.value_size = static_cast<uint32_t>(value.size());
    op.verb = Verb::kExtended;
    op.extended = &e;
    shard.Begin();
    if (reserves) Reserve(value, &op);
    Answer answer;
    answer.op = shard.Run(op);
    answer.e = *answer.op.extended;
    if (answer.op.result == Result::kHit) answer.value = shard.ValueOf(answer.op);
    shard.End();
    return answer;
  }
  // mg
  Answer Get(std::string_view key, const Amend& amend = {}, RelativeSeconds exptime = 0) {
    Op op;
    op.exptime = exptime;
    return Ask(Verb::kGet, key, {}, op, amend);
  }
  // ms: with 7 as the client flags, and an expiry in 50 seconds.
  Answer Store(Verb verb, std::string_view key, std::string_view value, const Amend& amend = {},
               bool reserves = false) {
    Op op;
    op.client_flags = 7;
    op.exptime = shard.now + 50;
    return Ask(verb, key, value, op, amend, reserves);
  }
  Answer Set(std::string_view key, std::string_view value, const Amend& amend = {}) {
    return Store(Verb::kSet, key, value, amend);
  }
  // ma
  Answer Count(Verb verb, std::string_view key, const Amend& amend = {},
               RelativeSeconds exptime = 0) {
    Op op;
    op.exptime = exptime;
    return Ask(verb, key, {}, op, [&](Extended& e) {
      e.delta = 1;
      if (amend) amend(e);
    });
  }
  // md
  Answer Delete(std::string_view key, const Amend& amend = {}, RelativeSeconds exptime = 0) {
    Op op;
    op.exptime = exptime;
    return Ask(Verb::kDelete, key, {}, op, amend);
  }
  // What is there, without a trace.
  Answer Look(std::string_view key) {
    return Get(key, [](Extended& e) { e.leaves_no_trace = e.never_wins = true; });
  }

  std::unique_ptr<Engine> owned;
  Engine& engine;
  TestShard shard;

 private:
  void Reserve(std::string_view value, Op* op) {
    op->value = nullptr;
    Reservation reservation;
    while (engine.Reserve(0, *op, &reservation) == Engine::ReserveResult::kLater) {
      shard.End();
      shard.Begin();
    }
    REQUIRE(reservation.item != nullptr);
    for (size_t offset = 0; offset < value.size();) {
      const auto window = engine.Window(reservation, offset);
      const size_t n = std::min(window.size(), value.size() - offset);
      std::copy_n(value.data() + offset, n, window.data());
      offset += n;
    }
    op->item = reservation.item;
  }
};

void Invalidate(Extended& e) { e.invalidates = true; }
void Recache(Extended& e) {
  e.recaches = true;
  e.recache_exptime = 160;  // in 60 seconds
}
void Make(Extended& e) {
  e.makes = true;
  e.make_exptime = 130;  // in 30 seconds
}

TEST_CASE_FIXTURE(Fixture, "an extended get tells more, and can leave no trace") {
  CHECK(Get("k").op.result == Result::kMiss);
  const uint64_t cas = Set("k", "value").op.cas;
  for (int i = 0; i < 2; ++i) {
    const Answer look = Look("k");  // mg k u h l t c f v
    CHECK(look.op.result == Result::kHit);
    CHECK(look.value == "value");
    CHECK(look.op.cas == cas);
    CHECK(look.op.client_flags == 7);
    CHECK(!look.e.marks.fetched);
    CHECK(look.e.last_access == shard.now);
    CHECK(look.e.exptime_before == 150);
    CHECK(look.e.exptime_after == 150);
    CHECK(look.e.item_bytes > 5);
    CHECK(!look.e.won);
    CHECK(!look.e.made);
  }
  CHECK(!Get("k").e.marks.fetched);
  CHECK(Get("k").e.marks.fetched);
  Op plain;
  shard.Get("k", &plain);
  CHECK(plain.marks.fetched);
  CHECK(!plain.marks.stale);
}

TEST_CASE_FIXTURE(Fixture, "a touch tells the item's CAS unique and client flags") {
  const uint64_t cas = Set("k", "value").op.cas;
  const Op touched = shard.Do(TestShard::Make(Verb::kTouch, "k", {}, 0, 300));
  CHECK(touched.result == Result::kTouched);
  CHECK(touched.cas == cas);
  CHECK(touched.client_flags == 7);
  CHECK(Look("k").e.exptime_before == 300);
}

TEST_CASE_FIXTURE(Fixture, "of those that miss one makes the item and is told to fill it") {
  const Answer first = Get("k", Make);  // mg k N30
  CHECK(first.op.result == Result::kHit);
  CHECK(first.value.empty());
  CHECK(first.op.value_size == 0);
  CHECK(first.e.made);
  CHECK(first.e.won);
  CHECK(!first.e.marks.token_sent);
  CHECK(!first.e.marks.fetched);
  CHECK(first.e.exptime_before == kNeverExpires);
  CHECK(first.e.exptime_after == 130);
  const Answer second = Get("k", Make);
  CHECK(second.op.result == Result::kHit);
  CHECK(second.op.cas == first.op.cas);
  CHECK(!second.e.made);
  CHECK(!second.e.won);
  CHECK(second.e.marks.token_sent);
  CHECK(second.e.marks.fetched);
  CHECK(second.e.exptime_before == 130);
  // mg k2 N30 R60: not won twice.
  const Answer both = Get("k2", [](Extended& e) { Make(e), Recache(e); });
  CHECK(both.e.won);
  CHECK(!Get("k2", Recache).e.won);
  // mg k3 N30 E999
  CHECK(Get("k3", [](Extended& e) { Make(e), e.sets_cas = true, e.cas_new = kWideCas; }).op.cas ==
        kWideCas);
  CHECK(Get("k3").op.cas == kWideCas);
  // mg k4 N30 u
  Get("k4", [](Extended& e) { Make(e), e.leaves_no_trace = true; });
  CHECK(!Look("k4").e.marks.fetched);
  // A key that was shown in base64 to nobody is shown as it is: mg k5 b N30.
  Get("k5", [](Extended& e) { Make(e), e.key_is_binary = true; });
  CHECK(!Look("k5").e.marks.key_is_binary);
  // Whoever fills it ends the race.
  Set("k", "value");
  CHECK(!Look("k").e.marks.token_sent);
  shard.now = 130;
  CHECK(Get("k2").op.result == Result::kMiss);
}

TEST_CASE_FIXTURE(Fixture, "one hit wins before an item expires") {
  Set("k", "v");
  CHECK(!Get("k").e.won);
  CHECK(!Get("k", [](Extended& e) { e.recaches = true, e.recache_exptime = 150; }).e.won);
  CHECK(!Get("k", [](Extended& e) { e.recaches = true; }).e.won);
  CHECK(!Get("k", [](Extended& e) { Recache(e), e.never_wins = true; }).e.won);
  const Answer won = Get("k", [](Extended& e) { Recache(e), e.leaves_no_trace = true; });
  CHECK(won.e.won);
  CHECK(!won.e.marks.token_sent);
  const Answer lost = Get("k", Recache);
  CHECK(!lost.e.won);
  CHECK(lost.e.marks.token_sent);
  // An item that never expires is never about to.
  shard.Set("forever", "v");
  CHECK(!Get("forever", Recache).e.won);

  // mg k R60 T100, and mg k T100 R60: the expiry is looked at where the flag stands.
  const auto touch = [](Extended& e) { Recache(e), e.touches = true; };
  const auto touch_first = [&](Extended& e) { touch(e), e.touches_first = true; };
  Set("a", "v");
  const Answer after = Get("a", touch_first, 200);
  CHECK(!after.e.won);
  CHECK(after.e.exptime_before == 150);
  CHECK(after.e.exptime_after == 200);
  Set("b", "v");
  CHECK(Get("b", touch, 200).e.won);
  CHECK(Look("b").e.exptime_before == 200);
  CHECK(Look("b").e.marks.token_sent);
  Set("c", "v");
  CHECK(Get("c", touch_first, 120).e.won);
}

TEST_CASE_FIXTURE(Fixture, "a first expiry keeps all that is known of an item") {
  const auto all = [](Extended& e) {
    e.sets_cas = true, e.cas_new = kWideCas, e.key_is_binary = true;
  };
  for (const bool large : {false, true}) {
    const std::string value = Bytes(large ? 300'000 : 30, 1);
    Op op;
    op.client_flags = 7;
    Ask(Verb::kSet, "k", value, op, all);
    shard.Get("k");
    CHECK(Get("k", [](Extended& e) { e.touches = true; }, 140).e.exptime_before == kNeverExpires);
    CHECK(Get("k", Recache).e.won);
    const Op touched = shard.Do(TestShard::Make(Verb::kTouch, "k", {}, 0, 300));
    CHECK(touched.cas == kWideCas);
    CHECK(touched.client_flags == 7);
    const Answer look = Look("k");
    CHECK(look.op.cas == kWideCas);
    CHECK(look.e.marks.key_is_binary);
    CHECK(look.e.marks.token_sent);
    CHECK(look.e.marks.fetched);
    CHECK(look.e.exptime_before == 300);
    CHECK(look.value == value);
  }
}

TEST_CASE_FIXTURE(Fixture, "a stale item says so until it is stored anew, and one hit wins") {
  Set("k", "v");
  Get("k", Recache);
  const uint64_t cas = Look("k").op.cas;
  // md k I T30
  CHECK(Delete(
            "k", [](Extended& e) { Invalidate(e), e.touches = true; }, 130)
            .op.result == Result::kDeleted);
  const Answer look = Look("k");  // me k
  CHECK(!look.e.won);
  CHECK(look.e.marks.stale);
  CHECK(!look.e.marks.token_sent);
  CHECK(look.e.marks.fetched);
  CHECK(look.e.exptime_before == 130);
  CHECK(look.op.cas != cas);
  CHECK(look.op.client_flags == 7);
  CHECK(look.value == "v");
  // A plain get is none that could be told.
  Op plain;
  CHECK(shard.Get("k", &plain) == "v");
  CHECK(plain.marks.stale);
  CHECK(Get("k").e.won);
  const Answer lost = Get("k");
  CHECK(!lost.e.won);
  CHECK(lost.e.marks.stale);
  CHECK(lost.e.marks.token_sent);
  // md k I: won again.
  CHECK(Delete("k", Invalidate).op.result == Result::kDeleted);
  CHECK(Look("k").e.exptime_before == 130);
  CHECK(Get("k").e.won);
  // md k I E, T0
  Delete("k",
         [](Extended& e) { Invalidate(e), e.sets_cas = true, e.cas_new = 0, e.touches = true; });
  CHECK(Look("k").op.cas == 0);
  CHECK(Look("k").e.exptime_before == kNeverExpires);
  Set("k", "w");
  CHECK(!Look("k").e.marks.stale);
  CHECK(Delete("absent", Invalidate).op.result == Result::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "a delete can leave an empty item") {
  Set("k", "v", [](Extended& e) { e.key_is_binary = true; });
  Get("k", Recache);
  const auto remove = [](Extended& e) { e.removes_value = true; };
  CHECK(Delete("k", remove).op.result == Result::kDeleted);  // md k x
  Answer look = Look("k");
  CHECK(look.op.result == Result::kHit);
  CHECK(look.value.empty());
  CHECK(look.op.client_flags == 0);
  CHECK(look.e.exptime_before == kNeverExpires);
  CHECK(!look.e.marks.token_sent);
  CHECK(!look.e.marks.fetched);
  CHECK(!look.e.marks.key_is_binary);
  CHECK(!look.e.marks.stale);
  // md k x I T70 E
  Delete(
      "k",
      [&](Extended& e) {
        remove(e), Invalidate(e), e.touches = e.sets_cas = true, e.cas_new = 777;
      },
      170);
  look = Look("k");
  CHECK(look.e.marks.stale);
  CHECK(look.e.exptime_before == 170);
  CHECK(look.op.cas == 777);
  CHECK(Delete("absent", remove).op.result == Result::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "CAS uniques of clients are compared as those of the server") {
  const auto compare = [](uint64_t cas) {
    return [cas](Extended& e) { e.compares_cas = true, e.cas_compare = cas; };
  };
  const auto replace = [](uint64_t compared, uint64_t cas) {
    return [=](Extended& e) {
      e.compares_cas = e.sets_cas = true, e.cas_compare = compared, e.cas_new = cas;
    };
  };
  CHECK(Set("k", "v", compare(1)).op.result == Result::kNotFound);
  CHECK(Store(Verb::kReplace, "k", "v", compare(1)).op.result == Result::kNotFound);
  CHECK(Store(Verb::kAppend, "k", "v", compare(1)).op.result == Result::kNotStored);
  CHECK(Count(Verb::kIncrement, "k", compare(1)).op.result == Result::kNotFound);
  CHECK(Delete("k", compare(1)).op.result == Result::kNotFound);
  // An add does not look at it.
  const uint64_t first = Store(Verb::kAdd, "k", "1", compare(1)).op.cas;
  CHECK(first != 0);
  CHECK(Store(Verb::kAdd, "k", "v", compare(first)).op.result == Result::kNotStored);
  for (const uint64_t wrong : {uint64_t{0}, first + 1, UINT64_MAX}) {
    CHECK(Set("k", "v", compare(wrong)).op.result == Result::kExists);
    CHECK(Store(Verb::kReplace, "k", "v", compare(wrong)).op.result == Result::kExists);
    CHECK(Store(Verb::kAppend, "k", "v", compare(wrong)).op.result == Result::kExists);
    CHECK(Store(Verb::kPrepend, "k", "v", compare(wrong)).op.result == Result::kExists);
    CHECK(Count(Verb::kDecrement, "k", compare(wrong)).op.result == Result::kExists);
    CHECK(Delete("k", compare(wrong)).op.result == Result::kExists);
    CHECK(Delete("k", [&](Extended& e) { compare(wrong)(e), Invalidate(e); }).op.result ==
          Result::kExists);
  }
  // Each of them gives it a new one.
  CHECK(Set("k", "1", replace(first, kWideCas)).op.cas == kWideCas);
  CHECK(Store(Verb::kAppend, "k", "2", replace(kWideCas, 5)).op.cas == 5);
  CHECK(Store(Verb::kPrepend, "k", "3", replace(5, kWideCas)).op.cas == kWideCas);
  CHECK(Count(Verb::kIncrement, "k", replace(kWideCas, 6)).op.cas == 6);
  CHECK(Store(Verb::kReplace, "k", "17", replace(6, UINT64_MAX)).op.cas == UINT64_MAX);
  CHECK(shard.Get("k") == "17");
  // A plain cas compares with it too; what it stores is counted as ever.
  Op cas = TestShard::Make(Verb::kCas, "k", "18");
  cas.cas = UINT64_MAX;
  cas = shard.Do(cas);
  CHECK(cas.result == Result::kStored);
  CHECK(cas.cas > first);
  CHECK(cas.cas < 100);
  CHECK(Delete("k", compare(cas.cas)).op.result == Result::kDeleted);
  CHECK(!shard.Get("k"));
}

TEST_CASE_FIXTURE(Fixture, "flush_all is not taken in by a client's CAS uniques") {
  const auto wide = [](Extended& e) { e.sets_cas = true, e.cas_new = UINT64_MAX; };
  const auto narrow = [](Extended& e) { e.sets_cas = true, e.cas_new = 0; };
  Set("before", "v", wide);
  shard.Begin();
  engine.Flush(0, kNeverExpires);
  shard.End();
  Set("after", "v", narrow);
  CHECK(Get("before").op.result == Result::kMiss);
  CHECK(Get("after").op.result == Result::kHit);
}

TEST_CASE_FIXTURE(Fixture, "a store that comes too late marks the item stale") {
  for (const bool reserves : {false, true}) {
    for (const Verb verb : {Verb::kSet, Verb::kReplace}) {
      for (const RelativeSeconds exptime : {kNeverExpires, RelativeSeconds{120}}) {
        const std::string value = Bytes(reserves ? 300'000 : 10, 3);
        Op first;
        first.exptime = exptime;
        const uint64_t cas = Ask(Verb::kSet, "k", "v", first, {}).op.cas;
        const auto late = [&](uint64_t compared) {
          return
              [=](Extended& e) { e.compares_cas = e.invalidates = true, e.cas_compare = compared; };
        };
        CHECK(Store(verb, "k", value, late(cas + 1), reserves).op.result == Result::kExists);
        // ms k I C, lower
        const Answer stored = Store(verb, "k", value, late(cas - 1), reserves);
        CHECK(stored.op.result == Result::kStored);
        Answer look = Look("k");
        CHECK(look.e.marks.stale);
        CHECK(!look.e.marks.token_sent);
        CHECK(!look.e.marks.fetched);
        CHECK(look.e.exptime_before == exptime);
        CHECK(look.op.client_flags == 7);
        CHECK(look.op.cas == stored.op.cas);
        CHECK(look.value == value);
        CHECK(Get("k").e.won);
        Store(verb, "k", value, late(cas), reserves);
        look = Look("k");
        CHECK(look.e.marks.stale);
        CHECK(look.e.marks.token_sent);
        // In time.
        Store(verb, "k", value, late(look.op.cas), reserves);
        look = Look("k");
        CHECK(!look.e.marks.stale);
        CHECK(!look.e.marks.token_sent);
        CHECK(look.e.exptime_before == 150);
        // Others do not store late.
        CHECK(Store(Verb::kAppend, "k", "v", late(1)).op.result == Result::kExists);
        CHECK(Store(Verb::kAdd, "k", "v", late(1)).op.result == Result::kNotStored);
      }
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "a number is made where it is absent") {
  const auto make = [](Extended& e) { Make(e), e.initial = 7, e.delta = 5; };
  CHECK(Count(Verb::kIncrement, "k").op.result == Result::kNotFound);
  const Answer made = Count(Verb::kIncrement, "k", make);  // ma k N30 J7 D5
  CHECK(made.op.result == Result::kNumber);
  CHECK(made.e.made);
  CHECK(made.e.number == 7);
  CHECK(made.e.exptime_after == 130);
  const Answer counted = Count(Verb::kIncrement, "k", make);
  CHECK(!counted.e.made);
  CHECK(counted.e.number == 12);
  CHECK(counted.op.cas > made.op.cas);
  CHECK(shard.Get("k") == "12");
  CHECK(Count(Verb::kDecrement, "k", make, 0).e.number == 7);
  CHECK(shard.Get("k") == "7 ");
  CHECK(Count(Verb::kDecrement, "k", [](Extended& e) { e.delta = 100; }).e.number == 0);
  // ma k N30 T90, compared with what is absent
  const Answer touched = Count(
      Verb::kDecrement, "k2",
      [&](Extended& e) {
        make(e), e.touches = e.compares_cas = e.sets_cas = true, e.cas_new = kWideCas;
      },
      190);
  CHECK(touched.e.made);
  CHECK(touched.op.cas == kWideCas);
  CHECK(touched.e.exptime_before == 130);
  CHECK(touched.e.exptime_after == 190);
  CHECK(Look("k2").e.exptime_before == 190);
  CHECK(Look("k2").op.client_flags == 0);
  // T of a present one
  CHECK(Count(
            Verb::kIncrement, "k2", [](Extended& e) { e.touches = true; }, 300)
            .e.exptime_before == 190);
  CHECK(Look("k2").e.exptime_before == 300);
  Set("text", "v");
  CHECK(Count(Verb::kIncrement, "text", make).op.result == Result::kNotANumber);
}

TEST_CASE_FIXTURE(Fixture, "counting leaves an item's marks, unless the number gets longer") {
  for (const bool plain : {false, true}) {
    Set("k", "98", [](Extended& e) { e.key_is_binary = true; });
    Delete("k", Invalidate);
    Get("k");
    const auto count = [&] {
      if (!plain) return Count(Verb::kIncrement, "k").e.number;
      Op op = TestShard::Make(Verb::kIncrement, "k");
      op.number = 1;
      return shard.Do(op).number;
    };
    CHECK(count() == 99);
    const Marks kept = Look("k").e.marks;
    CHECK(kept.stale);
    CHECK(kept.token_sent);
    CHECK(kept.key_is_binary);
    CHECK(kept.fetched);
    CHECK(count() == 100);
    const Marks gone = Look("k").e.marks;
    CHECK(!gone.stale);
    CHECK(!gone.token_sent);
    CHECK(!gone.key_is_binary);
    CHECK(!gone.fetched);
    CHECK(Look("k").e.exptime_before == 150);
    CHECK(Look("k").op.client_flags == 7);
  }
}

TEST_CASE_FIXTURE(Fixture, "appends make what is absent, and end what was known of a value") {
  for (const Verb verb : {Verb::kAppend, Verb::kPrepend}) {
    for (const bool reserves : {false, true}) {
      const std::string value = Bytes(reserves ? 300'000 : 10, 3);
      const auto make = [](Extended& e) { Make(e), e.key_is_binary = true; };
      shard.Do(Verb::kDelete, "k");
      CHECK(Store(verb, "k", value, {}, reserves).op.result == Result::kNotStored);
      const Answer made = Store(verb, "k", value, make, reserves);  // ms k MA N30 T50 F7 b
      CHECK(made.op.result == Result::kStored);
      CHECK(made.e.made);
      CHECK(made.op.value_size == value.size());
      Answer look = Look("k");
      CHECK(look.e.marks.key_is_binary);
      CHECK(look.op.client_flags == 7);
      CHECK(look.e.exptime_before == 130);
      CHECK(look.value == value);
      Get("k", Recache);
      const Answer joined = Store(verb, "k", "2", make);
      CHECK(!joined.e.made);
      CHECK(joined.op.value_size == value.size() + 1);
      look = Look("k");
      CHECK(!look.e.marks.key_is_binary);
      CHECK(!look.e.marks.token_sent);
      CHECK(!look.e.marks.fetched);
      CHECK(look.e.exptime_before == 130);
      CHECK(look.value == (verb == Verb::kAppend ? value + "2" : "2" + value));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "a store that is refused removes what is there if it is told to") {
  const std::string huge(2 << 20, 'x');
  for (const bool reserves : {false, true}) {
    for (const bool removes : {false, true}) {
      shard.Set("k", "v");
      Extended e;
      e.verb = Verb::kReplace;
      e.removes_if_refused = removes;
      Op op = TestShard::Make(Verb::kExtended, "k", huge);
      op.extended = &e;
      Reservation reservation;
      if (reserves) {
        shard.Begin();
        op.value = nullptr;
        CHECK(engine.Reserve(0, op, &reservation) == Engine::ReserveResult::kTooLarge);
        shard.End();
      } else {
        CHECK(shard.Do(op).result == Result::kTooLarge);
      }
      CHECK(shard.Get("k").has_value() != removes);
    }
  }
}

TEST_CASE("where nothing is evicted, what finds no memory says so and harms nothing") {
  Fixture f(Options(/*evict=*/false));
  int stored = 0;
  while (f.Set("k" + std::to_string(stored), Bytes(3000, 1)).op.result == Result::kStored) ++stored;
  for (int i = 0; i < 100'000; ++i) {
    const Fixture::Answer made = f.Get("made" + std::to_string(i), Make);
    if (made.op.result == Result::kHit) continue;
    REQUIRE(made.op.result == Result::kNoMemory);
    CHECK(made.e.shortage == Shortage::kNoEviction);
    break;
  }
  const Fixture::Answer refused = f.Store(Verb::kReplace, "k0", Bytes(3000, 2));
  CHECK(refused.op.result == Result::kNoMemory);
  CHECK(refused.e.shortage == Shortage::kNoEviction);
  CHECK(f.shard.Get("k0") == Bytes(3000, 1));
  // What must not be taken for fresh goes rather than stay.
  CHECK(f.Delete("k0", Invalidate).op.result == Result::kDeleted);
  if (const auto look = f.Look("k0"); look.op.result == Result::kHit) CHECK(look.e.marks.stale);
}

}  // namespace
}  // namespace torc::engine
