// The example engine, loaded at run time: as a subject that answers at once, and with answers that
// come later.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "src/engine/loader.h"
#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {

const bool kSubjectAnswersLate = false;

std::unique_ptr<Engine> MakeSubject(const EngineOptions& options) {
  std::string error;
  const Plugin* const plugin = FindPlugin(TORC_TEST_ENGINE, {}, &error);
  std::unique_ptr<Engine> engine;
  if (plugin != nullptr) engine = CreateEngine(*plugin, options, &error);
  if (engine == nullptr) {
    std::fprintf(stderr, "%s\n", error.c_str());
    std::abort();
  }
  return engine;
}

namespace {

using slab::TestShard;

TEST_CASE("what an extended get does is done at once, what it says comes with the answer") {
  EngineOptions options;
  options.shards = 1;
  options.config = "delay_turns=3,cold_after=2";
  const std::unique_ptr<Engine> engine = MakeSubject(options);
  TestShard shard(*engine, 0);
  shard.Set("cold", "value", 150);
  shard.Set("hot", "at hand");
  for (int i = 0; i < 3; ++i) CHECK(shard.Get("hot") == "at hand");

  Pending* pending[2];
  {
    // Two clients are after the token; neither Extended outlives its Execute.
    shard.Begin();
    for (Pending*& one : pending) {
      Extended e;
      e.verb = Verb::kGet;
      e.recaches = e.touches = true;
      e.recache_exptime = 160;
      Op op = TestShard::Make(Verb::kExtended, "cold", {}, 0, 300);
      op.extended = &e;
      REQUIRE(engine->Execute(0, {&op, 1}) == 1);
      if (op.result == Result::kHit) {
        // It is at hand for the second one.
        CHECK(!e.won);
        CHECK(e.marks.token_sent);
        CHECK(e.exptime_before == 300);
        one = nullptr;
        continue;
      }
      REQUIRE(op.result == Result::kPending);
      one = static_cast<Pending*>(op.item);
    }
    shard.End();
  }
  REQUIRE(pending[0] != nullptr);
  CHECK(pending[1] == nullptr);
  shard.Set("cold", "new");
  shard.Begin();
  const Op answer = shard.Await(pending[0]);
  CHECK(answer.result == Result::kHit);
  CHECK(shard.ValueOf(answer) == "value");
  CHECK(answer.extended == &pending[0]->extended);
  CHECK(answer.extended->won);
  CHECK(!answer.extended->marks.token_sent);
  CHECK(answer.extended->exptime_before == 150);
  CHECK(answer.extended->exptime_after == 300);
  shard.End();
}

TEST_CASE("a cold item is answered turns later, as it was when it was asked for") {
  EngineOptions options;
  options.shards = 1;
  options.config = "delay_turns=3,cold_after=2";
  const std::unique_ptr<Engine> engine = MakeSubject(options);
  TestShard shard(*engine, 0);
  shard.Set("cold", "as it was");
  shard.Set("hot", "at hand");
  for (int i = 0; i < 3; ++i) CHECK(shard.Get("hot") == "at hand");

  shard.Begin();
  std::vector<Op> ops = {TestShard::Make(Verb::kGet, "cold"), TestShard::Make(Verb::kGet, "hot"),
                         TestShard::Make(Verb::kSet, "cold", "new")};
  REQUIRE(engine->Execute(0, ops) == ops.size());
  REQUIRE(ops[0].result == Result::kPending);
  CHECK(ops[1].result == Result::kHit);
  CHECK(ops[2].result == Result::kStored);
  auto* const pending = static_cast<Pending*>(ops[0].item);
  int waiter = 0;
  pending->waiter = &waiter;
  shard.End();

  std::array<Pending*, 4> answered;
  for (int turn = 1; turn < 3; ++turn) {
    shard.Begin();
    CHECK(engine->Collect(0, answered) == 0);
    shard.End();
  }
  shard.Begin();
  REQUIRE(engine->Collect(0, answered) == 1);
  CHECK(answered[0] == pending);
  CHECK(pending->waiter == &waiter);
  CHECK(pending->op.result == Result::kHit);
  CHECK(shard.ValueOf(pending->op) == "as it was");
  CHECK(engine->Collect(0, answered) == 0);
  shard.End();
  CHECK(shard.Get("cold") == "new");
}

TEST_CASE("more answers than are taken at once stay for the next turn") {
  EngineOptions options;
  options.shards = 1;
  options.config = "delay_turns=1,cold_after=0";
  const std::unique_ptr<Engine> engine = MakeSubject(options);
  TestShard shard(*engine, 0);
  std::vector<std::string> keys;
  for (int i = 0; i < 10; ++i) shard.Set(keys.emplace_back("k" + std::to_string(i)), "v");
  std::vector<Op> ops;
  for (const std::string& key : keys) ops.push_back(TestShard::Make(Verb::kGet, key));
  shard.Begin();
  REQUIRE(engine->Execute(0, ops) == ops.size());
  for (const Op& op : ops) REQUIRE(op.result == Result::kPending);
  shard.End();
  size_t sum = 0;
  for (const size_t expected : {4u, 4u, 2u, 0u}) {
    std::array<Pending*, 4> answered;
    shard.Begin();
    CHECK(engine->Collect(0, answered) == expected);
    shard.End();
    sum += expected;
  }
  CHECK(sum == keys.size());
}

TEST_CASE("an engine ends with operations pending") {
  EngineOptions options;
  options.shards = 1;
  options.config = "delay_turns=1000,cold_after=0";
  const std::unique_ptr<Engine> engine = MakeSubject(options);
  TestShard shard(*engine, 0);
  shard.Set("k", "v");
  Op op = TestShard::Make(Verb::kGet, "k");
  shard.Begin();
  REQUIRE(engine->Execute(0, {&op, 1}) == 1);
  CHECK(op.result == Result::kPending);
  shard.End();
}

}  // namespace
}  // namespace torc::engine
