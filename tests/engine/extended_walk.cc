// Plain and extended operations on the map engine and on another one, chosen by chance: each result
// must be the same. So much memory that nothing is evicted.
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>

#include "src/map/map_engine.h"
#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {
namespace {

using slab::Bytes;
using slab::TestShard;

constexpr Verb kVerbs[] = {Verb::kGet,       Verb::kSet,       Verb::kAdd,
                           Verb::kReplace,   Verb::kAppend,    Verb::kPrepend,
                           Verb::kIncrement, Verb::kDecrement, Verb::kDelete};

// What a client can see of a result.
struct Seen {
  Result result = Result::kNone;
  uint64_t cas = 0;
  uint64_t number = 0;
  uint32_t client_flags = 0;
  uint32_t value_size = 0;
  std::string value;
  bool made = false;
  bool won = false;
  Marks marks = {};
  RelativeSeconds exptime_before = 0;
  RelativeSeconds exptime_after = 0;

  auto Tie() const {
    return std::tie(result, cas, number, client_flags, value_size, value, made, won, marks.stale,
                    marks.token_sent, marks.key_is_binary, marks.fetched, exptime_before,
                    exptime_after);
  }
  friend bool operator==(const Seen& a, const Seen& b) { return a.Tie() == b.Tie(); }
};

// For the message of a failure.
std::string Text(const Seen& s) {
  std::string text = s.value.substr(0, 40);
  for (const uint64_t number :
       {uint64_t(s.result), s.cas, s.number, uint64_t{s.client_flags}, uint64_t{s.value_size},
        uint64_t{s.made}, uint64_t{s.won}, uint64_t{s.marks.stale}, uint64_t{s.marks.token_sent},
        uint64_t{s.marks.key_is_binary}, uint64_t{s.marks.fetched}, uint64_t{s.exptime_before},
        uint64_t{s.exptime_after}}) {
    text += " " + std::to_string(number);
  }
  return text;
}

class Side {
 public:
  explicit Side(std::unique_ptr<Engine> engine) : engine_(std::move(engine)), shard_(*engine_, 0) {}
  ~Side() { engine_->CheckInvariants(0); }

  Seen Do(Op op, Extended extended, bool reserves) {
    const bool is_extended = op.verb == Verb::kExtended;
    if (is_extended) op.extended = &extended;
    shard_.Begin();
    if (reserves) Reserve(&op);
    op = shard_.Run(op);
    if (is_extended) extended = *op.extended;
    Seen seen;
    seen.result = op.result;
    // What is not an output of this result is left undefined.
    switch (op.result) {
      case Result::kHit:
        seen.value = shard_.ValueOf(op);
        seen.marks = is_extended ? extended.marks : op.marks;
        [[fallthrough]];
      case Result::kTouched:
        seen.client_flags = op.client_flags;
        seen.cas = op.cas;
        break;
      case Result::kNumber:
        seen.number = is_extended ? extended.number : op.number;
        seen.cas = op.cas;
        break;
      case Result::kStored:
        seen.cas = op.cas;
        if (is_extended) seen.value_size = op.value_size;
        break;
      default:
        break;
    }
    if (is_extended) {
      seen.made = extended.made;
      seen.won = extended.won;
      if (op.result == Result::kHit || op.result == Result::kNumber) {
        seen.exptime_before = extended.exptime_before;
        seen.exptime_after = extended.exptime_after;
      }
    }
    shard_.End();
    return seen;
  }
  void Flush() {
    shard_.Begin();
    engine_->Flush(0, kNeverExpires);
    shard_.End();
  }
  void Advance(RelativeSeconds seconds) {
    shard_.now += seconds;
    shard_.Turns(1);
  }
  RelativeSeconds now() const { return shard_.now; }
  const Engine& engine() const { return *engine_; }

 private:
  void Reserve(Op* op) {
    const std::string_view value(op->value, op->value_size);
    op->value = nullptr;
    Reservation reservation;
    while (engine_->Reserve(0, *op, &reservation) == Engine::ReserveResult::kLater) {
      shard_.End();
      shard_.Begin();
    }
    REQUIRE(reservation.item != nullptr);
    for (size_t offset = 0; offset < value.size();) {
      const std::span<char> window = engine_->Window(reservation, offset);
      const size_t n = std::min(window.size(), value.size() - offset);
      std::copy_n(value.data() + offset, n, window.data());
      offset += n;
    }
    op->item = reservation.item;
  }

  std::unique_ptr<Engine> engine_;
  TestShard shard_;
};

TEST_CASE("a random walk over extended operations gives what the map engine gives") {
  EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = uint64_t{512} << 20;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Side map(std::make_unique<map::MapEngine>(options));
    Side other(MakeSubject(options));
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t bound) { return random() % bound; };
    const auto one_in = [&](uint64_t n) { return below(n) == 0; };
    const auto exptime = [&] {
      if (one_in(20)) return kAlwaysExpired;
      return one_in(2) ? kNeverExpires : map.now() + static_cast<RelativeSeconds>(below(40));
    };
    std::map<std::string, uint64_t> cas_seen;
    uint64_t results[16] = {}, made = 0, won = 0, stale = 0;
    for (int number = 0; number < 40'000; ++number) {
      CAPTURE(number);
      const std::string key = "key" + std::to_string(below(30));
      const std::string value = one_in(3)    ? std::to_string(below(100'000))
                                : one_in(50) ? Bytes(below(400'000), random())
                                             : Bytes(below(300), random());
      const bool is_extended = !one_in(4);
      Op op = TestShard::Make(is_extended ? Verb::kExtended : static_cast<Verb>(below(12)), key,
                              value, one_in(2) ? 0 : static_cast<uint32_t>(random()), exptime());
      const auto seen = cas_seen.find(key);
      const uint64_t compared =
          seen == cas_seen.end() || one_in(5) ? random() >> below(64) : seen->second - below(2);
      Extended e;
      if (is_extended) {
        e.verb = kVerbs[below(std::size(kVerbs))];
        e.leaves_no_trace = one_in(3);
        e.never_wins = one_in(5);
        e.touches = one_in(4);
        e.makes = one_in(3);
        e.recaches = one_in(3);
        e.touches_first = one_in(2);
        e.compares_cas = one_in(4);
        e.sets_cas = one_in(4);
        e.invalidates = one_in(3);
        e.removes_value = one_in(6);
        e.key_is_binary = one_in(3);
        e.removes_if_refused = one_in(2);
        e.cas_compare = compared;
        e.cas_new = random() >> below(64);
        e.delta = one_in(5) ? random() : below(300);
        e.initial = random() >> below(64);
        e.make_exptime = exptime();
        e.recache_exptime = exptime();
      } else if (op.verb == Verb::kCas) {
        op.cas = compared;
      } else if (op.verb == Verb::kIncrement || op.verb == Verb::kDecrement) {
        op.number = below(300);
      }
      const Verb verb = is_extended ? e.verb : op.verb;
      const bool reserves = verb >= Verb::kSet && verb <= Verb::kCas && one_in(5);
      const Seen expected = map.Do(op, e, reserves);
      const Seen got = other.Do(op, e, reserves);
      CAPTURE(is_extended);
      CAPTURE(static_cast<int>(verb));
      CAPTURE(key);
      CAPTURE(Text(expected));
      CAPTURE(Text(got));
      REQUIRE(got == expected);
      ++results[static_cast<size_t>(expected.result)];
      made += expected.made, won += expected.won, stale += expected.marks.stale;
      if (expected.cas != 0) cas_seen[key] = expected.cas;
      if (one_in(30)) {
        const RelativeSeconds seconds = static_cast<RelativeSeconds>(below(8));
        map.Advance(seconds);
        other.Advance(seconds);
      }
      if (one_in(1000)) {
        map.Flush();
        other.Flush();
      }
      if (number % 2000 == 0) {
        map.engine().CheckInvariants(0);
        other.engine().CheckInvariants(0);
      }
    }
    // The walk comes everywhere.
    for (const Result result :
         {Result::kHit, Result::kMiss, Result::kStored, Result::kNotStored, Result::kExists,
          Result::kNotFound, Result::kDeleted, Result::kNumber, Result::kNotANumber}) {
      CHECK(results[static_cast<size_t>(result)] > 100);
    }
    CHECK(made > 100);
    CHECK(won > 100);
    CHECK(stale > 100);
    CHECK(map.engine().Totals().items_stored == other.engine().Totals().items_stored);
    CHECK(other.engine().Totals().evictions == 0);
  }
}

}  // namespace
}  // namespace torc::engine
