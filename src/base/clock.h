// The time, passed in so that tests and the simulation can move it.
//
// Two readings: nanoseconds since an arbitrary start (never goes back, for deadlines and ages) and
// whole seconds of the wall clock (for memcached's absolute expiry times).
//
// Owner: main, or the test. Affinity: any. Lifetime: outlives all shards. Invariant: NowNs never
// decreases.
#ifndef TORC_SRC_BASE_CLOCK_H_
#define TORC_SRC_BASE_CLOCK_H_

#include <cstdint>

namespace torc {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic nanoseconds.
  virtual int64_t NowNs() const = 0;
  // Seconds since 1970 by the wall clock.
  virtual int64_t WallSeconds() const = 0;
};

// The machine's clocks.
class SystemClock final : public Clock {
 public:
  int64_t NowNs() const override;
  int64_t WallSeconds() const override;
};

// A clock that stands still until it is moved. Not synchronised: for single-threaded tests and the
// simulation.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t wall_seconds = 1'700'000'000) : wall_seconds_(wall_seconds) {}
  int64_t NowNs() const override { return now_ns_; }
  int64_t WallSeconds() const override { return wall_seconds_ + now_ns_ / 1'000'000'000; }
  void AdvanceNs(int64_t ns) { now_ns_ += ns; }
  void AdvanceSeconds(int64_t seconds) { now_ns_ += seconds * 1'000'000'000; }

 private:
  int64_t now_ns_ = 0;
  int64_t wall_seconds_;
};

// Seconds since the server started, as items keep them: 32 bits, and never 0 or 1, so that 0 can
// say "never expires" and 1 "expired long ago". Counted as memcached counts them, so that absolute
// times convert the same way.
using RelativeSeconds = uint32_t;
inline constexpr RelativeSeconds kNeverExpires = 0;
inline constexpr RelativeSeconds kAlwaysExpired = 1;
inline constexpr RelativeSeconds kClockStart = 2;

// Turns Clock readings and clients' exptime into RelativeSeconds.
class Epoch {
 public:
  explicit Epoch(const Clock& clock)
      : start_ns_(clock.NowNs()), start_wall_(clock.WallSeconds() - kClockStart) {}

  // The current time in RelativeSeconds.
  RelativeSeconds Now(int64_t now_ns) const {
    return static_cast<RelativeSeconds>((now_ns - start_ns_) / 1'000'000'000) + kClockStart;
  }
  // A client's exptime (protocol.txt, "Expiration times"): 0 never, negative at once, up to 30 days
  // relative to `now`, above that a Unix time.
  RelativeSeconds FromClient(int64_t exptime, RelativeSeconds now) const;
  // The Unix time of `t`.
  int64_t ToWall(RelativeSeconds t) const { return start_wall_ + t; }

 private:
  int64_t start_ns_;
  int64_t start_wall_;
};

}  // namespace torc

#endif  // TORC_SRC_BASE_CLOCK_H_
