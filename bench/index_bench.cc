// The slab engine's index by itself: what an entry costs, how long growth ever takes at a time, and
// what the two prefetch stages of a batch of lookups are worth.
//
//   index_bench [fill|get|all] [--items=N | --tiny] [--huge]
//
// fill  puts N items (20,000,000) into an empty index, 16 a turn, with the background step that a
//       turn of the server's ends with. Prints nanoseconds an insert; the longest single Insert,
//       Step and FreeRetired, and the longest turn of them; bytes an entry whenever the table was
//       not growing. First without a clock around each call, then with one.
// get   looks N keys up at random (10,000, 1,000,000 and 4,000,000 unless told), in groups of 32 as
//       the engine does it: without prefetching, with the buckets prefetched, with buckets and
//       items; and one at a time. Hits, and misses.
// --tiny does all of it within a second, with 20,000 items: a test, its figures mean nothing.
//
// Times are of the thread's processor time, so that other work on the machine does not count as a
// pause of the index.
#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

#include "src/engine/engine.h"
#include "src/slab/index.h"
#include "src/slab/item.h"

namespace torc::slab {
namespace {

constexpr size_t kKeySize = 16;
constexpr uint32_t kGroup = 32;  // as SlabEngine's
constexpr uint32_t kInsertsPerTurn = 16;
constexpr uint32_t kStepBuckets = 32;  // as Partition's

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "index_bench: %s\n", what);
  std::exit(1);
}

uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

struct Key {
  char bytes[kKeySize];
  std::string_view view() const { return {bytes, kKeySize}; }
};

Key KeyOf(uint64_t number) {
  Key key;
  for (size_t i = kKeySize; i-- > 0; number /= 10) {
    key.bytes[i] = static_cast<char>('0' + number % 10);
  }
  return key;
}

// Items of 40 bytes with keys of 16, as small ones are: item n has KeyOf(n).
class Items {
 public:
  explicit Items(uint32_t count) : bytes_((size_t{count} + 2) * kItemBytes) {
    memory_ = static_cast<char*>(
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED) Die("no memory for the items");
    for (uint32_t n = 0; n < count; ++n) {
      Item* const item = space().At(RefOf(n));
      item->Init(1, {.key_size = kKeySize, .value_size = kItemBytes - sizeof(Item) - kKeySize});
      std::memcpy(item->key_data(), KeyOf(n).bytes, kKeySize);
    }
  }
  ~Items() { munmap(memory_, bytes_); }
  Items(const Items&) = delete;
  Items& operator=(const Items&) = delete;

  ItemSpace space() const { return ItemSpace(memory_, kGranuleShift); }
  static Ref RefOf(uint32_t n) { return (n + 1) * (kItemBytes >> kGranuleShift); }

 private:
  static constexpr uint32_t kItemBytes = 40;
  static constexpr uint32_t kGranuleShift = 3;
  size_t bytes_;
  char* memory_;
};

struct Longest {
  uint64_t insert_ns = 0, step_ns = 0, free_ns = 0, turn_ns = 0;
};

// Inserts items `from` to `to`. With `longest` it times each call.
void Fill(Index& index, uint32_t from, uint32_t to, Longest* longest, double* bytes_max) {
  const auto timed = [&](uint64_t* longest_ns, auto call) {
    if (longest == nullptr) {
      call();
      return uint64_t{0};
    }
    const uint64_t begin = NowNs();
    call();
    const uint64_t ns = NowNs() - begin;
    *longest_ns = std::max(*longest_ns, ns);
    return ns;
  };
  Longest none;
  Longest& most = longest == nullptr ? none : *longest;
  for (uint32_t n = from; n < to;) {
    uint64_t turn_ns = 0;
    if (index.has_retired()) turn_ns += timed(&most.free_ns, [&] { index.FreeRetired(); });
    for (uint32_t i = 0; i < kInsertsPerTurn && n < to; ++i, ++n) {
      const uint64_t hash = engine::HashKey(KeyOf(n).view());
      turn_ns += timed(&most.insert_ns, [&] {
        if (index.Insert(hash, Items::RefOf(n)) != Index::InsertResult::kInserted)
          Die("an insert failed");
      });
    }
    turn_ns += timed(&most.step_ns, [&] { index.Step(kStepBuckets); });
    most.turn_ns = std::max(most.turn_ns, turn_ns);
    if (bytes_max != nullptr && n >= 10'000 && !index.growing() && !index.has_retired()) {
      *bytes_max = std::max(
          *bytes_max, static_cast<double>(index.bytes()) / static_cast<double>(index.entries()));
    }
  }
}

void BenchFill(uint32_t count, bool huge) {
  const Items items(count);
  const Index::Config config{.items = items.space(), .buckets = 340, .huge_pages = huge};
  {
    Index index(config);
    const uint64_t begin = NowNs();
    Fill(index, 0, count, nullptr, nullptr);
    std::printf("fill %u: %.0f ns an insert, ", count,
                static_cast<double>(NowNs() - begin) / count);
  }
  Index index(config);
  Longest longest;
  double bytes_max = 0;
  Fill(index, 0, count, &longest, &bytes_max);
  std::printf(
      "at most %.2f bytes an entry from 10,000 on, %.2f at the end\n"
      "  longest us: Insert %.1f, Step(%u) %.1f, FreeRetired %.1f, turn of %u inserts %.1f\n",
      bytes_max, static_cast<double>(index.bytes()) / static_cast<double>(index.entries()),
      static_cast<double>(longest.insert_ns) / 1e3, kStepBuckets,
      static_cast<double>(longest.step_ns) / 1e3, static_cast<double>(longest.free_ns) / 1e3,
      kInsertsPerTurn, static_cast<double>(longest.turn_ns) / 1e3);
}

enum class Prefetch : uint8_t { kAlone, kNone, kBuckets, kBoth };

// Looks up `count` random keys of those from `first` on, `keys` of them. Returns ns a lookup.
double Lookups(const Index& index, uint64_t first, uint64_t keys, uint32_t count, Prefetch prefetch,
               bool hits) {
  constexpr uint32_t kRound = 128 * kGroup;
  struct Lookup {
    Key key;
    uint64_t hash;
  };
  std::vector<Lookup> lookups(kRound);
  uint64_t random = 88172645463325252;
  uint64_t ns = 0, found = 0;
  for (uint32_t done = 0; done < count; done += kRound) {
    for (Lookup& lookup : lookups) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      lookup.key = KeyOf(first + (random >> 20) % keys);
      lookup.hash = engine::HashKey(lookup.key.view());
    }
    const uint64_t begin = NowNs();
    if (prefetch == Prefetch::kAlone) {
      // Each lookup waits for the one before it, as those of separate commands do.
      uint64_t before = 0;
      for (const Lookup& lookup : lookups) {
        const Item* const item = index.Find(lookup.hash + before, lookup.key.view());
        found += item != nullptr;
        before = item != nullptr && item->key_size() == 0;
      }
    } else {
      for (uint32_t from = 0; from < kRound; from += kGroup) {
        const Lookup* const group = &lookups[from];
        Index::Guess guesses[kGroup];
        if (prefetch == Prefetch::kBoth) {
          for (uint32_t i = 0; i < kGroup; ++i) {
            guesses[i] = index.Locate(group[i].hash);
            if (const Item* const item = index.ItemOf(guesses[i])) __builtin_prefetch(item);
          }
        }
        if (prefetch != Prefetch::kNone && from + kGroup < kRound) {
          for (uint32_t i = 0; i < kGroup; ++i) index.Prefetch(group[kGroup + i].hash);
        }
        for (uint32_t i = 0; i < kGroup; ++i) {
          found += index.Find(group[i].hash, group[i].key.view(), guesses[i]) != nullptr;
        }
      }
    }
    ns += NowNs() - begin;
  }
  const uint64_t looked_up = (count + kRound - 1) / kRound * kRound;
  if (found != (hits ? looked_up : 0)) Die("a lookup went wrong");
  return static_cast<double>(ns) / static_cast<double>(looked_up);
}

void BenchGet(uint32_t keys, uint32_t lookups, bool huge) {
  const Items items(keys);
  Index index({.items = items.space(), .buckets = 340, .huge_pages = huge});
  Fill(index, 0, keys, nullptr, nullptr);
  while (index.Step(kStepBuckets)) {
  }
  if (index.has_retired()) index.FreeRetired();
  std::printf("get, %u keys, load %.2f, ns a lookup:\n", keys,
              static_cast<double>(index.entries()) / static_cast<double>(index.slots()));
  for (const bool hits : {true, false}) {
    double ns[4] = {1e9, 1e9, 1e9, 1e9};
    for (int round = 0; round < 3; ++round) {
      for (int p = 0; p < 4; ++p) {
        ns[p] = std::min(
            ns[p], Lookups(index, hits ? 0 : keys, keys, lookups, static_cast<Prefetch>(p), hits));
      }
    }
    std::printf(
        "  %-6s one by one %6.1f   groups of %u: no prefetch %6.1f, buckets %6.1f, "
        "buckets and items %6.1f\n",
        hits ? "hits" : "misses", ns[0], kGroup, ns[1], ns[2], ns[3]);
  }
}

int Main(int argc, char** argv) {
  std::string_view what = "all";
  uint32_t items = 0;
  uint32_t lookups = 1'300'000;
  bool huge = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    constexpr std::string_view kItems = "--items=";
    if (arg.starts_with(kItems)) {
      const auto [end, error] =
          std::from_chars(arg.data() + kItems.size(), arg.data() + arg.size(), items);
      if (error != std::errc() || items == 0) Die("--items takes a number");
    } else if (arg == "--tiny") {
      items = 20'000;
      lookups = 10'000;
    } else if (arg == "--huge") {
      huge = true;
    } else if (arg == "fill" || arg == "get" || arg == "all") {
      what = arg;
    } else {
      Die("usage: index_bench [fill|get|all] [--items=N | --tiny] [--huge]");
    }
  }
  if (what != "get") BenchFill(items != 0 ? items : 20'000'000, huge);
  if (what != "fill") {
    for (const uint32_t keys : {10'000u, 1'000'000u, 4'000'000u}) {
      if (items == 0 || keys == 10'000u) BenchGet(items != 0 ? items : keys, lookups, huge);
    }
  }
  return 0;
}

}  // namespace
}  // namespace torc::slab

int main(int argc, char** argv) { return torc::slab::Main(argc, argv); }
