// The history of a key that all clients use, and whether it is linearizable.
//
// Every value is written once, so a history of reads and writes needs no search (Gibbons and
// Korach, "Testing shared memories", SIAM J. Comput. 26(4), 1997). A value's cluster is its write
// and its reads; all of them must stand together in any order that explains the history:
//
//   write v  |----|
//   read v          |--|      |-----|          zone of v: from the first end to the last beginning
//   of its cluster
//                 [-----------]                a forward zone: v was there all that time
//   write w   |------|                         zone of w, read by nobody: its own begin and end, a
//   backward zone
//
// The history is linearizable exactly if no read ends before its write begins, no two forward zones
// overlap, and no backward zone lies within a forward one. A miss or a delete is such a backward
// zone by itself: whatever was there was not, at one moment in between. That holds with evictions
// too, since a value that is gone never comes back.
//
// A write without an answer may take effect at any time after it began, or never.
//
// Owner: the run. Affinity: one thread. Lifetime: the run's. Invariant: none; Check judges.
#ifndef TORC_TESTS_SIMULATION_HISTORY_H_
#define TORC_TESTS_SIMULATION_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/command.h"

namespace torc::simulation {

// Steps of begin and end. kNever: it was not answered.
inline constexpr uint64_t kNever = UINT64_MAX;
struct Interval {
  uint64_t from = 0;
  uint64_t to = kNever;
};

class History {
 public:
  explicit History(std::string key) : key_(std::move(key)) {}

  // `value` names the value: each is written at most once.
  void Wrote(uint64_t value, Interval when);
  void Read(uint64_t value, Interval when);
  // The CAS unique that a value was seen with.
  void SawCas(uint64_t value, uint64_t cas);
  // A cas with the unique `cas` stored `value`.
  void Swapped(uint64_t cas, uint64_t value, Interval when);
  // At some moment of the interval there was no value.
  void WasAbsent(Interval when) { absences_.push_back(when); }

  // Throws Mismatch if it is not linearizable.
  void Check() const;
  size_t size() const { return clusters_.size(); }

 private:
  struct Cluster {
    bool written = false;
    Interval write;
    uint64_t end_first = kNever;  // the first end of its operations
    uint64_t begin_last = 0;      // their last beginning
    void Add(Interval when);
  };
  [[noreturn]] void Fail(const std::string& what) const;

  const std::string key_;
  std::map<uint64_t, Cluster> clusters_;
  std::vector<Interval> absences_;
  std::map<uint64_t, uint64_t> value_of_cas_;
  std::map<uint64_t, uint64_t> swapped_;  // by unique: the value that took its place
};

// A counter that starts at 0 and is only incremented.
class CounterHistory {
 public:
  explicit CounterHistory(std::string key) : key_(std::move(key)) {}

  void Created() { ++created_; }
  // An incr by `delta` was answered with `value`.
  void Counted(uint64_t delta, uint64_t value, Interval when);
  // An incr without an answer.
  void Sent(uint64_t delta) { unanswered_ += delta; }
  void Read(uint64_t value, Interval when) { reads_.push_back({value, when}); }

  // `last`: the value at the end of the run; null where the key is absent.
  void Check(const uint64_t* last) const;

 private:
  struct Step {
    uint64_t value;
    Interval when;
  };
  [[noreturn]] void Fail(const std::string& what) const;

  const std::string key_;
  uint32_t created_ = 0;
  uint64_t answered_ = 0;
  uint64_t unanswered_ = 0;
  std::vector<Step> steps_;
  std::vector<Step> reads_;
};

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_HISTORY_H_
