#include "tests/simulation/history.h"

#include <algorithm>

namespace torc::simulation {

void History::Fail(const std::string& what) const {
  throw Mismatch("key " + key_ + " is not linearizable: " + what);
}

void History::Cluster::Add(Interval when) {
  end_first = std::min(end_first, when.to);
  begin_last = std::max(begin_last, when.from);
}

void History::Wrote(uint64_t value, Interval when) {
  Cluster& cluster = clusters_[value];
  if (cluster.written) Fail("value " + std::to_string(value) + " was stored twice");
  cluster.written = true;
  cluster.write = when;
  cluster.Add(when);
}

void History::Read(uint64_t value, Interval when) { clusters_[value].Add(when); }

void History::SawCas(uint64_t value, uint64_t cas) {
  const auto [seen, first] = value_of_cas_.emplace(cas, value);
  if (!first && seen->second != value) {
    Fail("two values, " + std::to_string(seen->second) + " and " + std::to_string(value) +
         ", have the CAS unique " + std::to_string(cas));
  }
}

void History::Swapped(uint64_t cas, uint64_t value, Interval when) {
  const auto [before, first] = swapped_.emplace(cas, value);
  if (!first) {
    Fail("two values, " + std::to_string(before->second) + " and " + std::to_string(value) +
         ", both took the place of the one with the CAS unique " + std::to_string(cas));
  }
  const auto seen = value_of_cas_.find(cas);
  if (seen == value_of_cas_.end()) Fail("a cas stored over a value that nobody saw");
  // In the moment of the swap the old value was there.
  Read(seen->second, when);
  Wrote(value, when);
}

void History::Check() const {
  struct Zone {
    uint64_t from;
    uint64_t to;
    std::string name;
  };
  std::vector<Zone> forward;
  std::vector<Zone> backward;
  for (const auto& [value, cluster] : clusters_) {
    const std::string name = "value " + std::to_string(value);
    if (!cluster.written) Fail(name + " was read, and nobody wrote it");
    if (cluster.end_first < cluster.write.from) Fail(name + " was read before it was written");
    if (cluster.end_first == kNever) continue;  // never answered, never seen
    if (cluster.end_first < cluster.begin_last) {
      forward.push_back({cluster.end_first, cluster.begin_last, name});
    } else {
      backward.push_back({cluster.begin_last, cluster.end_first, name});
    }
  }
  for (const Interval& absence : absences_) {
    if (absence.to != kNever) backward.push_back({absence.from, absence.to, "absence"});
  }
  std::sort(forward.begin(), forward.end(),
            [](const Zone& a, const Zone& b) { return a.from < b.from; });
  const auto text = [](const Zone& zone) {
    return zone.name + " [" + std::to_string(zone.from) + ", " + std::to_string(zone.to) + "]";
  };
  for (size_t i = 1; i < forward.size(); ++i) {
    if (forward[i].from < forward[i - 1].to) {
      Fail(text(forward[i - 1]) + " and " + text(forward[i]) + " were there at the same time");
    }
  }
  for (const Zone& zone : backward) {
    // Forward zones do not overlap: only the last that begins before this one can hold it.
    const auto after =
        std::upper_bound(forward.begin(), forward.end(), zone.from,
                         [](uint64_t from, const Zone& f) { return from <= f.from; });
    if (after != forward.begin() && zone.to < (after - 1)->to) {
      Fail(text(zone) + " lies within " + text(*(after - 1)));
    }
  }
}

void CounterHistory::Fail(const std::string& what) const {
  throw Mismatch("counter " + key_ + ": " + what);
}

void CounterHistory::Counted(uint64_t delta, uint64_t value, Interval when) {
  answered_ += delta;
  steps_.push_back({value, when});
}

void CounterHistory::Check(const uint64_t* last) const {
  if (created_ > 1) Fail("more than one add stored it");
  if (last != nullptr && (*last < answered_ || *last > answered_ + unanswered_)) {
    Fail("ends at " + std::to_string(*last) + " after increments of " + std::to_string(answered_) +
         ", and " + std::to_string(unanswered_) + " without an answer");
  }
  std::vector<Step> all = steps_;
  std::sort(all.begin(), all.end(), [](const Step& a, const Step& b) { return a.value < b.value; });
  for (size_t i = 1; i < all.size(); ++i) {
    if (all[i].value == all[i - 1].value) {
      Fail("two increments made it " + std::to_string(all[i].value));
    }
  }
  all.insert(all.end(), reads_.begin(), reads_.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const Step& a, const Step& b) { return a.value < b.value; });
  // Whoever has a smaller number must not begin after one with a larger number has ended.
  uint64_t end_first = kNever;
  uint64_t value_larger = kNever;
  uint64_t end_of_larger = kNever;
  for (size_t i = all.size(); i-- > 0;) {
    if (all[i].value != value_larger) {
      value_larger = all[i].value;
      end_of_larger = end_first;
    }
    if (all[i].when.from > end_of_larger) {
      Fail("was " + std::to_string(all[i].value) + " after it was more");
    }
    end_first = std::min(end_first, all[i].when.to);
  }
}

}  // namespace torc::simulation
