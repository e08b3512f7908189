#include "src/slab/pins.h"

#include <random>
#include <unordered_map>

#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

TEST_CASE("pins are counted, and the last one is known") {
  Pins pins;
  CHECK(pins.Add(5, 10) == Pins::Added::kFirst);
  CHECK(pins.Add(5, 11) == Pins::Added::kAgain);
  CHECK(pins.CountOf(5) == 2);
  CHECK(pins.OldestSince(20) == 10);
  CHECK(!pins.Remove(5));
  CHECK(pins.Remove(5));
  CHECK(pins.CountOf(5) == 0);
  CHECK(pins.OldestSince(20) == 20);
}

TEST_CASE("a full table refuses new items and still counts old ones") {
  Pins pins;
  for (Ref ref = 1; ref <= Pins::kPinsMax; ++ref) REQUIRE(pins.Add(ref, 1) == Pins::Added::kFirst);
  CHECK(pins.Add(Pins::kPinsMax + 1, 1) == Pins::Added::kFull);
  CHECK(pins.Add(1, 1) == Pins::Added::kAgain);
  pins.CheckInvariants();
}

TEST_CASE("a random walk agrees with a map") {
  Pins pins;
  std::unordered_map<Ref, uint32_t> oracle;
  std::mt19937 random(3);
  for (int step = 0; step < 100'000; ++step) {
    const Ref ref = 1 + random() % 6000 * 8;
    if (random() % 2 == 0) {
      const auto added = pins.Add(ref, 1);
      if (added == Pins::Added::kFull) {
        REQUIRE(oracle.size() == Pins::kPinsMax);
        REQUIRE(!oracle.contains(ref));
      } else {
        REQUIRE((added == Pins::Added::kFirst) == !oracle.contains(ref));
        ++oracle[ref];
      }
    } else if (oracle.contains(ref)) {
      const bool last = --oracle[ref] == 0;
      if (last) oracle.erase(ref);
      REQUIRE(pins.Remove(ref) == last);
    }
    if (step % 5000 == 0) pins.CheckInvariants();
  }
  for (const auto& [ref, count] : oracle) REQUIRE(pins.CountOf(ref) == count);
}

}  // namespace
}  // namespace torc::slab
