#include "src/slab/limbo.h"

#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

class ManualQuiescence final : public engine::Quiescence {
 public:
  void Mark(ShardId) override { ++marks; }
  bool Elapsed(ShardId) override { return elapsed; }
  int marks = 0;
  bool elapsed = false;
};

TEST_CASE("with one shard, what a turn unlinks is free in the next turn and not before") {
  Limbo limbo(100, nullptr, 0);
  bool elapsed;
  limbo.BeginTurn(&elapsed);
  limbo.Add(7);
  CHECK(limbo.BeginTurn(&elapsed).empty());
  CHECK(limbo.EndTurn(false));
  const auto freed = limbo.BeginTurn(&elapsed);
  CHECK(elapsed);
  REQUIRE(freed.size() == 1);
  CHECK(freed[0] == 7);
  CHECK(limbo.size() == 0);
}

TEST_CASE("while readers remain, new items wait for the next mark") {
  ManualQuiescence quiescence;
  Limbo limbo(100, &quiescence, 0);
  bool elapsed;
  limbo.Add(1);
  CHECK(limbo.EndTurn(false));
  CHECK(limbo.BeginTurn(&elapsed).empty());
  CHECK(!elapsed);
  limbo.Add(2);
  CHECK(!limbo.EndTurn(false));
  CHECK(quiescence.marks == 1);
  quiescence.elapsed = true;
  auto freed = limbo.BeginTurn(&elapsed);
  REQUIRE(freed.size() == 1);
  CHECK(freed[0] == 1);
  CHECK(limbo.EndTurn(false));
  freed = limbo.BeginTurn(&elapsed);
  REQUIRE(freed.size() == 1);
  CHECK(freed[0] == 2);
}

TEST_CASE("something outside the list can wait too") {
  Limbo limbo(100, nullptr, 0);
  bool elapsed;
  CHECK(!limbo.EndTurn(false));
  limbo.BeginTurn(&elapsed);
  CHECK(!elapsed);
  CHECK(limbo.EndTurn(true));
  CHECK(limbo.BeginTurn(&elapsed).empty());
  CHECK(elapsed);
}

}  // namespace
}  // namespace torc::slab
