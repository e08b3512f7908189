// The open loop against a clock that is only a number.

#include "bench/open_loop.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <deque>

namespace torc::bench {
namespace {

constexpr uint64_t kMs = 1'000'000;

// A request every millisecond from 1 ms on; those from 10 ms to 20 ms count.
OpenLoop EveryMs() {
  return OpenLoop(Arrivals(ArrivalKind::kEven, 1000, 0, 1), 10 * kMs, 20 * kMs);
}

TEST_CASE("open loop: requests are due at their times, and none at the end") {
  OpenLoop loop = EveryMs();
  CHECK_FALSE(loop.IsDue(kMs - 1));
  CHECK(loop.NsUntilDue(kMs / 2) == kMs / 2);
  CHECK(loop.IsDue(kMs));
  CHECK(loop.NsUntilDue(kMs) == 0);
  uint64_t now_ns = 0;
  for (uint64_t i = 1; i < 20; ++i) {
    now_ns = i * kMs;
    REQUIRE(loop.IsDue(now_ns));
    CHECK(loop.Take(now_ns) == i * kMs);
    CHECK_FALSE(loop.IsDue(now_ns));
  }
  CHECK_FALSE(loop.IsDue(100 * kMs));
  CHECK(loop.NsUntilDue(now_ns) == UINT64_MAX);
  CHECK(loop.offered() == 10);
  CHECK(loop.wait_ns().max() == 0);
}

TEST_CASE("open loop: what could not be sent in time waits, and the wait counts") {
  OpenLoop loop = EveryMs();
  // Nothing is sent before 15 ms: 15 requests are due, six of them counted.
  CHECK(loop.CountWaiting(15 * kMs) == 6);
  for (uint64_t i = 1; i <= 15; ++i) CHECK(loop.Take(15 * kMs) == i * kMs);
  CHECK_FALSE(loop.IsDue(15 * kMs));
  CHECK(loop.offered() == 6);
  CHECK(loop.wait_ns().count() == 6);
  CHECK(loop.wait_ns().max() == 5 * kMs);  // of the one that was due at 10 ms
}

TEST_CASE("open loop: what is given up has waited at least until then") {
  OpenLoop loop = EveryMs();
  for (int i = 0; i < 12; ++i) loop.Take(12 * kMs);
  CHECK(loop.CountWaiting(20 * kMs) == 7);
  Histogram latency_ns;
  loop.GiveUp(30 * kMs, latency_ns);
  CHECK(loop.given_up() == 7);
  CHECK(loop.offered() == 10);
  CHECK(latency_ns.count() == 7);
  CHECK(latency_ns.max() == 17 * kMs);
  CHECK_FALSE(loop.IsDue(30 * kMs));
}

// A server of one place that takes `service_ns` for each request, and stands still once; returns
// the latencies as the load generator takes them.
Histogram Simulate(uint64_t service_ns, uint64_t still_from_ns, uint64_t still_to_ns,
                   OpenLoop loop) {
  Histogram latency_ns;
  uint64_t now_ns = 0;
  while (loop.NsUntilDue(now_ns) != UINT64_MAX) {
    now_ns += loop.NsUntilDue(now_ns);
    const uint64_t due_ns = loop.Take(now_ns);
    if (now_ns >= still_from_ns && now_ns < still_to_ns) now_ns = still_to_ns;
    now_ns += service_ns;
    if (loop.IsCounted(due_ns)) latency_ns.Record(now_ns - due_ns, 1);
  }
  return latency_ns;
}

TEST_CASE("open loop: a server that stands still is late for all that was due meanwhile") {
  const auto loop = [] {
    return OpenLoop(Arrivals(ArrivalKind::kEven, 1000, 0, 1), 0, 1000 * kMs);
  };
  const Histogram steady = Simulate(kMs / 10, 0, 0, loop());
  CHECK(steady.max() == doctest::Approx(kMs / 10).epsilon(0.001));
  // 100 ms: some 110 of 999 requests wait, the first one 100 ms, the others less and less.
  const Histogram stalled = Simulate(kMs / 10, 500 * kMs, 600 * kMs, loop());
  CHECK(stalled.count() == steady.count());
  CHECK(stalled.Percentile(85) < kMs);
  CHECK(stalled.Percentile(95) == doctest::Approx(50 * kMs).epsilon(0.15));
  CHECK(stalled.max() == doctest::Approx(100 * kMs).epsilon(0.01));
}

TEST_CASE("open loop: a backlog that grew is no steady state") {
  CHECK(KeptUp(100'000, 0));
  CHECK(KeptUp(100'000, 500));
  CHECK_FALSE(KeptUp(100'000, 1000));
  CHECK(KeptUp(20, 3));
  CHECK_FALSE(KeptUp(20, 20));
}

}  // namespace
}  // namespace torc::bench
