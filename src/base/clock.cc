#include "src/base/clock.h"

#include <ctime>

namespace torc {
namespace {

int64_t Read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// protocol.txt: an exptime of more than 30 days is a Unix time.
constexpr int64_t kRelativeMaxSeconds = int64_t{60} * 60 * 24 * 30;

}  // namespace

int64_t SystemClock::NowNs() const { return Read(CLOCK_MONOTONIC); }
int64_t SystemClock::WallSeconds() const { return Read(CLOCK_REALTIME) / 1'000'000'000; }

RelativeSeconds Epoch::FromClient(int64_t exptime, RelativeSeconds now) const {
  if (exptime == 0) return kNeverExpires;
  if (exptime < 0) return kAlwaysExpired;
  if (exptime > kRelativeMaxSeconds) {
    if (exptime <= start_wall_) return kAlwaysExpired;
    return static_cast<RelativeSeconds>(exptime - start_wall_);
  }
  return static_cast<RelativeSeconds>(exptime) + now;
}

}  // namespace torc
