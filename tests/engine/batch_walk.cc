// Batches of operations, on few keys, chosen by chance: each result must be what the map engine
// gives to one operation after the other, whether the engine answers it at once or later, while
// further batches come. What an operation points to is gone once it was executed.
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/map/map_engine.h"
#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {
namespace {

using slab::Bytes;
using slab::TestShard;

// What a client can see of a result, but for the CAS unique: they are counted over all keys.
std::string SeenIn(const Engine& engine, const Op& op) {
  std::string seen = std::to_string(static_cast<int>(op.result));
  const auto add = [&](uint64_t number) { seen += " " + std::to_string(number); };
  const Extended* const e = op.verb == Verb::kExtended ? op.extended : nullptr;
  if (op.result == Result::kHit) {
    const Marks marks = e != nullptr ? e->marks : op.marks;
    for (const uint64_t number : {uint64_t{op.client_flags}, uint64_t{marks.stale},
                                  uint64_t{marks.token_sent}, uint64_t{marks.fetched}}) {
      add(number);
    }
    seen += " ";
    for (size_t size = 0; size < op.value_size;) {
      const auto piece = engine.Piece(op.item, size);
      seen.append(piece.data(), piece.size());
      size += piece.size();
    }
  }
  if (op.result == Result::kNumber) add(e != nullptr ? e->number : op.number);
  if (e != nullptr && op.result == Result::kStored) add(op.value_size);
  if (e != nullptr) add(e->made), add(e->won);
  return seen;
}

// An operation with the memory that it points to.
struct Step {
  Op op;
  Extended extended;
  std::string key;
  std::string value;
  bool reserves = false;
};

class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  Step Next() {
    static constexpr Verb kVerbs[] = {Verb::kGet,     Verb::kGet,       Verb::kSet,
                                      Verb::kAppend,  Verb::kAppend,    Verb::kAppend,
                                      Verb::kPrepend, Verb::kPrepend,   Verb::kAdd,
                                      Verb::kReplace, Verb::kIncrement, Verb::kDelete};
    Step step;
    step.key = "key" + std::to_string(Below(6));
    const Verb verb = kVerbs[Below(std::size(kVerbs))];
    step.value = OneIn(6)    ? std::to_string(Below(1000))
                 : OneIn(30) ? Bytes(Below(200'000), random_())
                             : Bytes(Below(900), random_());
    step.reserves = verb >= Verb::kSet && verb <= Verb::kCas && OneIn(4);
    step.op = TestShard::Make(verb, step.key, {}, OneIn(2) ? 0 : static_cast<uint32_t>(random_()),
                              kNeverExpires);
    if (verb == Verb::kIncrement) step.op.number = 1;
    if (!OneIn(3)) return step;
    Extended& e = step.extended;
    step.op.verb = Verb::kExtended;
    step.op.number = 0;
    e.verb = verb;
    e.makes = OneIn(3);
    e.sets_cas = OneIn(4);
    e.cas_new = random_();
    e.invalidates = verb == Verb::kDelete && !OneIn(3);
    e.never_wins = OneIn(3);
    e.delta = 1;
    return step;
  }

 private:
  std::mt19937_64 random_;
};

void Reserve(Engine& engine, const std::string& value, Op* op) {
  Reservation reservation;
  REQUIRE(engine.Reserve(0, *op, &reservation) == Engine::ReserveResult::kReserved);
  for (size_t offset = 0; offset < value.size();) {
    const std::span<char> window = engine.Window(reservation, offset);
    const size_t n = std::min(window.size(), value.size() - offset);
    std::copy_n(value.data() + offset, n, window.data());
    offset += n;
  }
  op->value = nullptr;
  op->item = reservation.item;
}

// Operations as an engine is shown them.
void Point(Step& step, Op* op) {
  *op = step.op;
  op->key = step.key.data();
  op->value = step.value.data();
  op->value_size = static_cast<uint32_t>(step.value.size());
  if (op->verb == Verb::kExtended) op->extended = &step.extended;
}

TEST_CASE("batches by chance give what the map engine gives to one operation after the other") {
  EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = uint64_t{512} << 20;
  options.item_size_max_bytes = uint64_t{4} << 20;
  uint64_t late = 0, answered_in_batch = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Walk walk(seed);
    const auto map = std::make_unique<map::MapEngine>(options);
    const auto other = MakeSubject(options);
    TestShard oracle(*map, 0), subject(*other, 0);
    std::deque<std::string> expected;  // of those answered later
    size_t pending = 0;
    const auto check = [&](const Op& op, const std::string& wanted) {
      REQUIRE(SeenIn(*other, op) == wanted);
    };
    for (int turn = 0; turn < 1500; ++turn) {
      CAPTURE(turn);
      subject.Begin();
      if (pending != 0) {
        std::array<Pending*, kBatchMax> answered;
        const size_t count = other->Collect(0, answered);
        for (size_t i = 0; i < count; ++i) {
          check(answered[i]->op, *static_cast<std::string*>(answered[i]->waiter));
        }
        pending -= count;
        if (pending == 0) expected.clear();
      }
      // Few turns bring a batch, or ever more would wait.
      std::vector<Step> steps(walk.OneIn(8) ? walk.Below(30) : 0);
      std::vector<std::string> wanted;
      std::vector<Op> ops(steps.size());
      oracle.Begin();
      for (size_t i = 0; i < steps.size(); ++i) {
        steps[i] = walk.Next();
        Step copy = steps[i];
        Point(copy, &ops[i]);
        ops[i] = oracle.Run(ops[i]);
        wanted.push_back(SeenIn(*map, ops[i]));
      }
      oracle.End();
      for (size_t i = 0; i < steps.size(); ++i) {
        Point(steps[i], &ops[i]);
        if (steps[i].reserves) Reserve(*other, steps[i].value, &ops[i]);
      }
      REQUIRE(other->Execute(0, ops) == ops.size());
      for (size_t i = 0; i < ops.size(); ++i) {
        if (ops[i].result == Result::kPending) {
          expected.push_back(wanted[i]);
          static_cast<Pending*>(ops[i].item)->waiter = &expected.back();
          ++pending, ++late;
        } else {
          check(ops[i], wanted[i]);
          ++answered_in_batch;
        }
        steps[i].key.assign(steps[i].key.size(), '!');
        steps[i].value.assign(steps[i].value.size(), '!');
        steps[i].extended = {};
      }
      subject.End();
      if (turn % 10 == 0) other->CheckInvariants(0);
    }
    for (int turn = 0; pending != 0; ++turn) {
      REQUIRE(turn < 100'000);
      subject.Begin();
      std::array<Pending*, kBatchMax> answered;
      const size_t count = other->Collect(0, answered);
      for (size_t i = 0; i < count; ++i) {
        check(answered[i]->op, *static_cast<std::string*>(answered[i]->waiter));
      }
      pending -= count;
      subject.End();
    }
    other->CheckInvariants(0);
    CHECK(map->Totals().items_stored == other->Totals().items_stored);
    CHECK(map->Totals().items == other->Totals().items);
  }
  CHECK(answered_in_batch > 100);
  if (kSubjectAnswersLate) CHECK(late > 5000);
}

}  // namespace
}  // namespace torc::engine
