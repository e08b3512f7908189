// The simulation with a set of seeds, and proof that its judges would notice.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/simulation/client.h"
#include "tests/simulation/history.h"
#include "tests/simulation/key_model.h"
#include "tests/simulation/run.h"
#include "third_party/doctest/doctest.h"

namespace torc::simulation {
namespace {

// Fewer where a sanitizer makes each take five times as long. (clang says so in another way, and is
// only run for its sanitizers.)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
constexpr uint64_t kSeeds = 60;
#else
constexpr uint64_t kSeeds = 250;
#endif

TEST_CASE("random clients in random weather, each seed a run") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    // Before the run, so that it is the last line if a CHECK or a sanitizer ends the process.
    std::fprintf(stderr, "simulation --seed %llu --trace\n", static_cast<unsigned long long>(seed));
    const RunResult result = Run(seed);
    INFO("replay: simulation --seed ", seed, " --trace");
    INFO(result.summary);
    CHECK(result.mismatch == "");
  }
}

TEST_CASE("other engines, and answers that come later, each seed a run") {
  for (const EngineKind engine : {EngineKind::kSlab, EngineKind::kMap}) {
    for (const bool delaying : {false, true}) {
      if (engine == EngineKind::kSlab && !delaying) continue;  // the case above
      for (uint64_t seed = 1; seed <= kSeeds / 3; ++seed) {
        const std::string replay = "simulation --seed " + std::to_string(seed) +
                                   (engine == EngineKind::kMap ? " --engine map" : "") +
                                   (delaying ? " --delaying" : "") + " --trace";
        std::fprintf(stderr, "%s\n", replay.c_str());
        const RunResult result = Run(seed, {.engine = engine, .delaying = delaying});
        INFO("replay: ", replay);
        INFO(result.summary);
        CHECK(result.mismatch == "");
      }
    }
  }
}

TEST_CASE("the same seed gives the same run") {
  for (const uint64_t seed : {3, 14, 15, 92, 65}) {
    const RunResult first = Run(seed);
    const RunResult second = Run(seed);
    CHECK(first.fingerprint == second.fingerprint);
    CHECK(first.summary == second.summary);
  }
}

// ---- the judges

// Whether the history is refused.
template <typename Judge>
bool Refused(const Judge& judge) {
  try {
    judge();
    return false;
  } catch (const Mismatch&) {
    return true;
  }
}

TEST_CASE("a history with its reads in order is linearizable") {
  History history("k");
  history.Wrote(1, {10, 20});
  history.Read(1, {15, 16});  // seen before the writer was told
  history.Wrote(2, {30, 40});
  history.Read(1, {31, 33});
  history.Read(2, {32, 34});
  history.WasAbsent({5, 12});
  history.Wrote(3, {50, kNever});  // never answered, never seen
  history.Check();
}

TEST_CASE("a stale read is noticed") {
  History history("k");
  history.Wrote(1, {10, 20});
  history.Wrote(2, {30, 40});
  history.Read(1, {41, 45});
  CHECK(Refused([&] { history.Check(); }));
}

TEST_CASE("a value that comes back is noticed") {
  History history("k");
  history.Wrote(1, {10, 20});
  history.Read(2, {22, 24});
  history.Wrote(2, {15, 30});
  history.Read(1, {31, 33});
  CHECK(Refused([&] { history.Check(); }));
}

TEST_CASE("a value from before its write, or from nowhere, is noticed") {
  History early("k");
  early.Read(1, {1, 2});
  early.Wrote(1, {3, 4});
  CHECK(Refused([&] { early.Check(); }));
  History nowhere("k");
  nowhere.Read(7, {1, 2});
  CHECK(Refused([&] { nowhere.Check(); }));
}

TEST_CASE("a miss while the value was there is noticed") {
  History history("k");
  history.Wrote(1, {10, 20});
  history.WasAbsent({22, 24});
  history.Check();  // it may have been evicted
  history.Read(1, {25, 26});
  CHECK(Refused([&] { history.Check(); }));
}

TEST_CASE("two cas over the same value are noticed") {
  History history("k");
  history.Wrote(1, {1, 2});
  history.Read(1, {3, 4});
  history.SawCas(1, 77);
  history.Swapped(77, 2, {5, 6});
  CHECK(Refused([&] { history.Swapped(77, 3, {5, 7}); }));
}

TEST_CASE("lost, repeated and disordered increments are noticed") {
  const auto counter = [] {
    CounterHistory history("n");
    history.Created();
    history.Counted(5, 5, {1, 10});
    history.Counted(2, 7, {2, 11});
    return history;
  };
  const uint64_t seven = 7;
  counter().Check(&seven);
  const uint64_t five = 5;
  CHECK(Refused([&] { counter().Check(&five); }));
  CounterHistory unanswered = counter();
  unanswered.Sent(3);
  const uint64_t ten = 10;
  unanswered.Check(&ten);
  CounterHistory repeated = counter();
  repeated.Counted(2, 7, {3, 12});
  CHECK(Refused([&] { repeated.Check(nullptr); }));
  CounterHistory disordered = counter();
  disordered.Counted(1, 6, {12, 13});
  CHECK(Refused([&] { disordered.Check(nullptr); }));
}

TEST_CASE("a client that does not read its own write is noticed") {
  const Leniency strict;
  KeyModel key(strict);
  Command set;
  set.kind = Command::Kind::kStore;
  set.value = std::make_shared<const std::string>("new");
  key.Run(set, {}, nullptr);
  Command get;
  get.kind = Command::Kind::kGet;
  const Hit old{"old"};
  const Hit now{"new"};
  CHECK(Refused([&] { key.Get(get, {}, &old); }));
  CHECK(Refused([&] { key.Get(get, {}, nullptr); }));
  key.Get(get, {}, &now);
}

TEST_CASE("what may have expired may be absent, what must have must be") {
  const Leniency strict;
  KeyModel key(strict);
  Command set;
  set.kind = Command::Kind::kStore;
  set.exptime = 10;
  set.value = std::make_shared<const std::string>("v");
  const std::string stored = "STORED";
  key.Run(set, {1, 2, 100, 101}, &stored);
  Command get;
  get.kind = Command::Kind::kGet;
  const Hit hit{"v"};
  CHECK(Refused([&] { key.Get(get, {3, 4, 105, 106}, nullptr); }));
  CHECK(Refused([&] { key.Get(get, {3, 4, 111, 112}, &hit); }));
  key.Get(get, {3, 4, 110, 110}, &hit);
  key.Get(get, {3, 4, 110, 110}, nullptr);
  CHECK(Refused([&] { key.Get(get, {3, 4, 110, 110}, &hit); }));
}

TEST_CASE("a value that was cut or mixed is noticed") {
  const std::string value = Content(42, 10'000);
  CHECK(NameOf(value) == 42);
  CHECK(Refused([&] { NameOf(value.substr(0, 5'000) + value.substr(5'008)); }));
  std::string mixed = value;
  mixed.replace(4'096, 8, Content(43, 10'000).substr(4'096, 8));
  CHECK(Refused([&] { NameOf(mixed); }));
}

}  // namespace
}  // namespace torc::simulation
