// The requests of an open loop that are due: how many there are, since when, and whether the load
// generator and the server keep up with them.
//
//              begin                  end
//   time  -------|----------------------|--------->
//   due    . ..   .  . ...  . . .. .  .  .          warm-up and counted requests; none are due
//   later
//                           ^ sent up to here: what is due and not sent waits, and its wait counts
//
// Requests wait here by not being made up: the queue is the arrivals that have not been advanced
// over, so it costs nothing however long it grows.
//
// Owner: the load. Affinity: one thread. Lifetime: the run.
// Invariant: requests are taken in the order in which they are due.
#pragma once

#include <cstdint>

#include "bench/arrivals.h"
#include "bench/histogram.h"

namespace torc::bench {

class OpenLoop {
 public:
  // Requests are due until `end_ns`; those that are due from `begin_ns` on are counted.
  OpenLoop(const Arrivals& arrivals, uint64_t begin_ns, uint64_t end_ns)
      : arrivals_(arrivals), begin_ns_(begin_ns), end_ns_(end_ns) {}

  // Whether a request is due that was not taken.
  bool IsDue(uint64_t now_ns) const {
    return arrivals_.due_ns() <= now_ns && arrivals_.due_ns() < end_ns_;
  }

  // Takes the next request to send it at `now_ns`, and returns when it was due. Requires
  // IsDue(now_ns).
  uint64_t Take(uint64_t now_ns) {
    const uint64_t due_ns = arrivals_.due_ns();
    arrivals_.Advance();
    if (IsCounted(due_ns)) {
      ++offered_;
      wait_ns_.Record(now_ns - due_ns, 1);
    }
    return due_ns;
  }

  // How long it is until the next request is due; 0 when one is due already, UINT64_MAX when there
  // will be none.
  uint64_t NsUntilDue(uint64_t now_ns) const {
    if (arrivals_.due_ns() >= end_ns_) return UINT64_MAX;
    return arrivals_.due_ns() <= now_ns ? 0 : arrivals_.due_ns() - now_ns;
  }

  bool IsCounted(uint64_t due_ns) const { return begin_ns_ <= due_ns && due_ns < end_ns_; }

  // How many counted requests are due by `now_ns` and not taken. Goes over them: O(their number).
  uint64_t CountWaiting(uint64_t now_ns) const {
    uint64_t count = 0;
    for (Arrivals next = arrivals_; next.due_ns() <= now_ns && next.due_ns() < end_ns_;) {
      count += IsCounted(next.due_ns()) ? 1 : 0;
      next.Advance();
    }
    return count;
  }

  // Gives up the requests that were not sent by `now_ns`: each is recorded with the wait that it
  // had, in `latency_ns` too, where it stands for a latency that is at least so long.
  void GiveUp(uint64_t now_ns, Histogram& latency_ns) {
    while (IsDue(now_ns)) {
      const uint64_t due_ns = Take(now_ns);
      if (!IsCounted(due_ns)) continue;
      latency_ns.Record(now_ns - due_ns, 1);
      ++given_up_;
    }
  }

  // Of the counted requests: how many were taken, and given up; and how long each waited from when
  // it was due until it was sent, for want of an idle connection or because the load generator was
  // late.
  uint64_t offered() const { return offered_; }
  uint64_t given_up() const { return given_up_; }
  const Histogram& wait_ns() const { return wait_ns_; }

 private:
  Arrivals arrivals_;
  uint64_t begin_ns_;
  uint64_t end_ns_;
  uint64_t offered_ = 0;
  uint64_t given_up_ = 0;
  Histogram wait_ns_;
};

// Whether a run with so many requests still waiting at its end kept up with those offered: a
// backlog of half a per cent is one that grew, as bursts leave no more than a few behind.
inline bool KeptUp(uint64_t offered, uint64_t waiting_at_end) {
  return waiting_at_end <= offered / 200 + 10;
}

}  // namespace torc::bench
