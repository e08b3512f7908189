#include "bench/simulator/policies.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace bench::simulator {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};

uint64_t BytesOf(const Object& object) {
  return uint64_t{kKeySize} + object.value_size + kOverheadBytes;
}

// A list of objects, newest first, that knows its bytes.
class Queue {
 public:
  explicit Queue(const Trace& trace)
      : objects_(trace.objects), next_(objects_.size() + 1), previous_(objects_.size() + 1) {
    next_[end()] = previous_[end()] = end();
  }
  uint32_t end() const { return static_cast<uint32_t>(objects_.size()); }
  bool empty() const { return next_[end()] == end(); }
  uint64_t bytes() const { return bytes_; }
  uint32_t oldest() const { return previous_[end()]; }
  uint32_t newer(uint32_t object) const { return previous_[object]; }
  void Add(uint32_t object) {
    next_[object] = next_[end()];
    previous_[object] = end();
    previous_[next_[end()]] = object;
    next_[end()] = object;
    bytes_ += BytesOf(objects_[object]);
  }
  void Remove(uint32_t object) {
    next_[previous_[object]] = next_[object];
    previous_[next_[object]] = previous_[object];
    bytes_ -= BytesOf(objects_[object]);
  }
  uint32_t TakeOldest() {
    const uint32_t object = oldest();
    Remove(object);
    return object;
  }

 private:
  const std::vector<Object>& objects_;
  std::vector<uint32_t> next_, previous_;
  uint64_t bytes_ = 0;
};

class Lru final : public Policy {
 public:
  Lru(const Trace& trace, uint64_t capacity)
      : capacity_(capacity), present_(trace.objects.size()), queue_(trace) {}
  bool Request(uint32_t object) override {
    const bool hit = present_[object];
    if (hit) queue_.Remove(object);
    present_[object] = true;
    queue_.Add(object);
    while (queue_.bytes() > capacity_) present_[queue_.TakeOldest()] = false;
    return hit;
  }

 private:
  const uint64_t capacity_;
  std::vector<bool> present_;
  Queue queue_;
};

// Zhang and others, "SIEVE is simpler than LRU", NSDI 2024.
class Sieve final : public Policy {
 public:
  Sieve(const Trace& trace, uint64_t capacity)
      : objects_(trace.objects),
        capacity_(capacity),
        present_(objects_.size()),
        visited_(objects_.size()),
        queue_(trace),
        hand_(queue_.end()) {}
  bool Request(uint32_t object) override {
    if (present_[object]) {
      visited_[object] = true;
      return true;
    }
    while (queue_.bytes() + BytesOf(objects_[object]) > capacity_) Evict();
    present_[object] = true;
    visited_[object] = false;
    queue_.Add(object);
    return false;
  }

 private:
  void Evict() {
    if (hand_ == queue_.end()) hand_ = queue_.oldest();
    while (visited_[hand_]) {
      visited_[hand_] = false;
      hand_ = queue_.newer(hand_);
      if (hand_ == queue_.end()) hand_ = queue_.oldest();
    }
    const uint32_t victim = hand_;
    hand_ = queue_.newer(victim);
    queue_.Remove(victim);
    present_[victim] = false;
  }

  const std::vector<Object>& objects_;
  const uint64_t capacity_;
  std::vector<bool> present_, visited_;
  Queue queue_;
  uint32_t hand_;
};

// Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023; promoted on one
// hit, not two: better on the traces here.
class S3Fifo final : public Policy {
 public:
  S3Fifo(const Trace& trace, uint64_t capacity)
      : objects_(trace.objects),
        capacity_(capacity),
        place_(objects_.size()),
        count_(objects_.size()),
        small_(trace),
        main_(trace),
        ghost_(trace) {}
  bool Request(uint32_t object) override {
    if (place_[object] == kSmall || place_[object] == kMain) {
      count_[object] = static_cast<uint8_t>(std::min(count_[object] + 1, 3));
      return true;
    }
    const bool returns = place_[object] == kGhost;
    if (returns) ghost_.Remove(object);
    place_[object] = kAbsent;
    while (small_.bytes() + main_.bytes() + BytesOf(objects_[object]) > capacity_) {
      if (small_.bytes() >= capacity_ / 10 || main_.empty()) {
        EvictSmall();
      } else {
        EvictMain();
      }
    }
    count_[object] = 0;
    (returns ? main_ : small_).Add(object);
    place_[object] = returns ? kMain : kSmall;
    return false;
  }

 private:
  enum Place : uint8_t { kAbsent, kSmall, kMain, kGhost };

  void EvictSmall() {
    while (!small_.empty()) {
      const uint32_t object = small_.TakeOldest();
      if (count_[object] == 0) {
        ghost_.Add(object);
        place_[object] = kGhost;
        while (ghost_.bytes() > capacity_ - capacity_ / 10) place_[ghost_.TakeOldest()] = kAbsent;
        return;
      }
      count_[object] = 0;
      main_.Add(object);
      place_[object] = kMain;
      if (main_.bytes() > capacity_ - capacity_ / 10) return EvictMain();
    }
  }
  void EvictMain() {
    for (;;) {
      const uint32_t object = main_.TakeOldest();
      if (count_[object] == 0) {
        place_[object] = kAbsent;
        return;
      }
      --count_[object];
      main_.Add(object);
    }
  }

  const std::vector<Object>& objects_;
  const uint64_t capacity_;
  std::vector<Place> place_;
  std::vector<uint8_t> count_;
  Queue small_, main_, ghost_;
};

// Megiddo and Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003; in bytes.
class Arc final : public Policy {
 public:
  Arc(const Trace& trace, uint64_t capacity)
      : objects_(trace.objects),
        capacity_(capacity),
        place_(objects_.size()),
        queues_{Queue(trace), Queue(trace), Queue(trace), Queue(trace)} {}
  bool Request(uint32_t object) override {
    const Place was = place_[object];
    if (was != kAbsent) queues_[was].Remove(object);
    if (was == kOnce || was == kTwice) {
      Put(object, kTwice);
      return true;
    }
    const auto once = static_cast<double>(queues_[kOnceGhost].bytes() + 1);
    const auto twice = static_cast<double>(queues_[kTwiceGhost].bytes() + 1);
    const auto bytes = static_cast<double>(BytesOf(objects_[object]));
    if (was == kOnceGhost) {
      target_ =
          std::min(static_cast<double>(capacity_), target_ + bytes * std::max(1.0, twice / once));
    } else if (was == kTwiceGhost) {
      target_ = std::max(0.0, target_ - bytes * std::max(1.0, once / twice));
    }
    place_[object] = kAbsent;
    while (queues_[kOnce].bytes() + queues_[kTwice].bytes() + BytesOf(objects_[object]) >
           capacity_) {
      const auto held = static_cast<double>(queues_[kOnce].bytes());
      const bool from_once =
          queues_[kTwice].empty() ||
          (!queues_[kOnce].empty() && (held > target_ || (was == kTwiceGhost && held >= target_)));
      const uint32_t victim = queues_[from_once ? kOnce : kTwice].TakeOldest();
      Put(victim, from_once ? kOnceGhost : kTwiceGhost);
    }
    Put(object, was == kAbsent ? kOnce : kTwice);
    while (!queues_[kOnceGhost].empty() &&
           queues_[kOnce].bytes() + queues_[kOnceGhost].bytes() > capacity_) {
      place_[queues_[kOnceGhost].TakeOldest()] = kAbsent;
    }
    while (!queues_[kTwiceGhost].empty() && queues_[kOnce].bytes() + queues_[kTwice].bytes() +
                                                    queues_[kOnceGhost].bytes() +
                                                    queues_[kTwiceGhost].bytes() >
                                                2 * capacity_) {
      place_[queues_[kTwiceGhost].TakeOldest()] = kAbsent;
    }
    return false;
  }

 private:
  enum Place : uint8_t { kOnce, kTwice, kOnceGhost, kTwiceGhost, kAbsent };
  void Put(uint32_t object, Place place) {
    queues_[place].Add(object);
    place_[object] = place;
  }

  const std::vector<Object>& objects_;
  const uint64_t capacity_;
  double target_ = 0;  // bytes of kOnce
  struct Places : std::vector<Place> {
    explicit Places(size_t n) : std::vector<Place>(n, kAbsent) {}
  } place_;
  std::array<Queue, 4> queues_;
};

// Einziger and others, "TinyLFU", ACM ToS 2017: a window of 1 %, then a segmented LRU that takes in
// what is asked for more often than its victims. The frequencies are exact counts, halved at times.
class TinyLfu final : public Policy {
 public:
  TinyLfu(const Trace& trace, uint64_t capacity)
      : objects_(trace.objects),
        capacity_(capacity),
        place_(objects_.size()),
        frequency_(objects_.size()),
        window_(trace),
        probation_(trace),
        protected_(trace) {}
  bool Request(uint32_t object) override {
    Count(object);
    switch (place_[object]) {
      case kWindow:
        window_.Remove(object);
        window_.Add(object);
        return true;
      case kProbation:
        probation_.Remove(object);
        protected_.Add(object);
        place_[object] = kProtected;
        while (protected_.bytes() > capacity_ / 100 * 79) {
          const uint32_t demoted = protected_.TakeOldest();
          probation_.Add(demoted);
          place_[demoted] = kProbation;
        }
        return true;
      case kProtected:
        protected_.Remove(object);
        protected_.Add(object);
        return true;
      case kAbsent:
        break;
    }
    window_.Add(object);
    place_[object] = kWindow;
    while (window_.bytes() > capacity_ / 100) {
      if (window_.oldest() == object) break;
      Admit(window_.TakeOldest());
    }
    return false;
  }

 private:
  enum Place : uint8_t { kAbsent, kWindow, kProbation, kProtected };

  void Admit(uint32_t candidate) {
    place_[candidate] = kAbsent;
    while (probation_.bytes() + protected_.bytes() + BytesOf(objects_[candidate]) >
           capacity_ - capacity_ / 100) {
      Queue& from = probation_.empty() ? protected_ : probation_;
      if (frequency_[candidate] <= frequency_[from.oldest()]) return;
      place_[from.TakeOldest()] = kAbsent;
    }
    probation_.Add(candidate);
    place_[candidate] = kProbation;
  }
  void Count(uint32_t object) {
    frequency_[object] = static_cast<uint8_t>(std::min(frequency_[object] + 1, 15));
    // Ten times the objects that fit, taking them for 1 KiB.
    if (++counted_ < capacity_ / 1024 * 10) return;
    counted_ = 0;
    for (uint8_t& f : frequency_) f /= 2;
  }

  const std::vector<Object>& objects_;
  const uint64_t capacity_;
  std::vector<Place> place_;
  std::vector<uint8_t> frequency_;
  uint64_t counted_ = 0;
  Queue window_, probation_, protected_;
};

// Belady's: the object whose next request is farthest away goes, and the new one too, if it is. It
// knows the future but not sizes: with objects of many sizes, a policy that does may do better.
class Optimum final : public Policy {
 public:
  Optimum(const Trace& trace, uint64_t capacity)
      : objects_(trace.objects),
        capacity_(capacity),
        next_(trace.requests.size()),
        due_(objects_.size(), kNone) {
    std::vector<uint32_t> seen(objects_.size(), kNone);
    for (size_t i = trace.requests.size(); i-- > 0;) {
      next_[i] = std::exchange(seen[trace.requests[i]], static_cast<uint32_t>(i));
    }
  }
  bool Request(uint32_t object) override {
    const bool hit = due_[object] != kNone && resident_.erase({due_[object], object}) == 1;
    if (!hit) bytes_ += BytesOf(objects_[object]);
    due_[object] = next_[at_++];
    resident_.insert({due_[object], object});
    while (bytes_ > capacity_) {
      const auto farthest = std::prev(resident_.end());
      bytes_ -= BytesOf(objects_[farthest->second]);
      due_[farthest->second] = kNone;
      resident_.erase(farthest);
    }
    return hit;
  }

 private:
  const std::vector<Object>& objects_;
  const uint64_t capacity_;
  std::vector<uint32_t>
      next_;  // of each request, the next one for its object; kNone: there is none
  std::vector<uint32_t> due_;
  std::set<std::pair<uint32_t, uint32_t>> resident_;
  uint64_t bytes_ = 0;
  size_t at_ = 0;
};

template <typename P>
std::unique_ptr<Policy> Make(const Trace& trace, uint64_t capacity) {
  return std::make_unique<P>(trace, capacity);
}

struct Known {
  std::string_view name;
  std::unique_ptr<Policy> (*make)(const Trace&, uint64_t);
};
constexpr Known kKnown[] = {
    {"lru", Make<Lru>},         {"sieve", Make<Sieve>},   {"arc", Make<Arc>},
    {"tinylfu", Make<TinyLfu>}, {"s3fifo", Make<S3Fifo>}, {"optimum", Make<Optimum>},
};

}  // namespace

std::span<const std::string_view> PolicyNames() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, std::size(kKnown)> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = kKnown[i].name;
    return names;
  }();
  return kNames;
}

std::unique_ptr<Policy> MakePolicy(std::string_view name, const Trace& trace,
                                   uint64_t capacity_bytes) {
  for (const Known& known : kKnown) {
    if (known.name == name) return known.make(trace, capacity_bytes);
  }
  std::fprintf(stderr, "simulator: no policy is called '%s'\n", std::string(name).c_str());
  std::exit(1);
}

}  // namespace bench::simulator
