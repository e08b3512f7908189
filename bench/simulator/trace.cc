#include "bench/simulator/trace.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <unordered_map>

namespace bench::simulator {
namespace {

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "simulator: %s\n", message.c_str());
  std::exit(1);
}

// The hash that the replay's definition gives, for sizes and keys.
uint64_t HashOf(uint64_t id) {
  uint64_t h = id * 0x9E3779B97F4A7C15;
  h ^= h >> 29;
  h *= 0xBF58476D1CE4E5B9;
  h ^= h >> 32;
  return h;
}

uint32_t UsualSize(uint32_t id) { return static_cast<uint32_t>(200 + HashOf(id) % 2601); }

std::vector<char> Decompress(const std::vector<char>& packed, const std::string& path) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   ZSTD_freeDCtx);
  std::vector<char> out;
  std::vector<char> piece(ZSTD_DStreamOutSize());
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  size_t left = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer window{piece.data(), piece.size(), 0};
    left = ZSTD_decompressStream(context.get(), &window, &in);
    if (ZSTD_isError(left)) Die(path + ": " + ZSTD_getErrorName(left));
    out.insert(out.end(), piece.data(), piece.data() + window.pos);
  }
  // What the decoder still holds back.
  while (left != 0) {
    ZSTD_outBuffer window{piece.data(), piece.size(), 0};
    left = ZSTD_decompressStream(context.get(), &window, &in);
    if (ZSTD_isError(left) || window.pos == 0) Die(path + ": cut short");
    out.insert(out.end(), piece.data(), piece.data() + window.pos);
  }
  return out;
}

// Gathers requests by id.
class Builder {
 public:
  explicit Builder(std::string_view name) { trace_.name = name; }
  void Add(uint32_t id) { Add(id, UsualSize(id)); }
  void Add(uint32_t id, uint32_t value_size) {
    const auto [at, is_new] = index_.emplace(id, trace_.objects.size());
    if (is_new) trace_.objects.push_back({id, value_size});
    trace_.requests.push_back(at->second);
  }
  Trace Take() { return std::move(trace_); }

 private:
  Trace trace_;
  std::unordered_map<uint32_t, uint32_t> index_;
};

// Draws ranks from 0 to n - 1 with probability proportional to 1 / (rank + 1)^skew.
class Zipf {
 public:
  Zipf(uint32_t n, double skew) : cumulative_(n) {
    double sum = 0;
    for (uint32_t i = 0; i < n; ++i) cumulative_[i] = sum += std::pow(i + 1, -skew);
  }
  uint32_t Draw(std::mt19937_64& random) const {
    const double u = std::uniform_real_distribution<double>(0, cumulative_.back())(random);
    const auto at = std::lower_bound(cumulative_.begin(), cumulative_.end(), u);
    return static_cast<uint32_t>(std::min<ptrdiff_t>(
        at - cumulative_.begin(), static_cast<ptrdiff_t>(cumulative_.size()) - 1));
  }

 private:
  std::vector<double> cumulative_;
};

constexpr uint32_t kRequests = 1'000'000;
// 100,000 objects of 1,500 bytes: several times what 32 MiB hold.
constexpr uint32_t kPopulation = 100'000;
constexpr uint32_t kFresh = 1u << 30;  // ids from here on are asked for once, or by a scan

// Popularity that stays: what frequency alone solves.
Trace MakeZipf() {
  Builder builder("zipf");
  std::mt19937_64 random(1);
  const Zipf zipf(kPopulation, 0.9);
  for (uint32_t i = 0; i < kRequests; ++i) builder.Add(zipf.Draw(random));
  return builder.Take();
}

// The same under scans of 30,000 objects that never come again: what recency falls for.
Trace MakeScan() {
  Builder builder("scan");
  std::mt19937_64 random(2);
  const Zipf zipf(kPopulation, 0.9);
  uint32_t fresh = kFresh;
  for (uint32_t i = 0; i < kRequests; ++i) {
    const bool in_scan = i % 150'000 >= 100'000 && i % 5 < 3;
    builder.Add(in_scan ? fresh++ : zipf.Draw(random));
  }
  return builder.Take();
}

// A walk over 40,000 objects in the same order again and again: recency keeps none of them.
Trace MakeLoop() {
  Builder builder("loop");
  for (uint32_t i = 0; i < kRequests; ++i) builder.Add(i % 40'000);
  return builder.Take();
}

// Popularity that moves on: every 100,000 requests, the ranks are dealt to other objects. What
// frequency falls for.
Trace MakeShift() {
  Builder builder("shift");
  std::mt19937_64 random(3);
  const Zipf zipf(kPopulation, 0.9);
  for (uint32_t i = 0; i < kRequests; ++i) {
    const uint32_t era = i / 100'000;
    builder.Add(zipf.Draw(random) + era * kPopulation);
  }
  return builder.Take();
}

// Popularity that drifts: an object's time comes and goes.
Trace MakeDrift() {
  Builder builder("drift");
  std::mt19937_64 random(4);
  const Zipf zipf(kPopulation, 1.0);
  for (uint32_t i = 0; i < kRequests; ++i) builder.Add(zipf.Draw(random) + i / 20);
  return builder.Take();
}

// Half of all requests are for objects that nobody asks for again.
Trace MakeOneHit() {
  Builder builder("one-hit");
  std::mt19937_64 random(5);
  const Zipf zipf(kPopulation, 0.9);
  uint32_t fresh = kFresh;
  for (uint32_t i = 0; i < kRequests; ++i) {
    builder.Add(random() % 2 == 0 ? fresh++ : zipf.Draw(random));
  }
  return builder.Take();
}

// Each object is asked for a few times within a short while, and then never again: references that
// say little about the future.
Trace MakeBursts() {
  Builder builder("bursts");
  std::mt19937_64 random(6);
  const Zipf zipf(kPopulation, 0.9);
  uint32_t fresh = kFresh;
  std::vector<uint32_t> recent;
  for (uint32_t i = 0; i < kRequests; ++i) {
    const uint64_t kind = random() % 10;
    if (kind < 4) {
      builder.Add(zipf.Draw(random));
    } else if (kind < 6 || recent.size() < 100) {
      recent.push_back(fresh);
      builder.Add(fresh++);
    } else {
      builder.Add(recent[recent.size() - 1 - random() % 100]);
    }
  }
  return builder.Take();
}

// Sizes from 40 bytes to 60 KB, and those of a size share a popularity: most requests are for small
// ones, most memory would go to large ones.
Trace MakeSizes() {
  Builder builder("sizes");
  std::mt19937_64 random(7);
  const Zipf zipf(2 * kPopulation, 0.8);
  for (uint32_t i = 0; i < kRequests; ++i) {
    const uint32_t id = zipf.Draw(random);
    const double u = static_cast<double>(HashOf(id) % 100'000) / 100'000;
    builder.Add(id, static_cast<uint32_t>(40 * std::pow(1500.0, u * u)));
  }
  return builder.Take();
}

// Large objects are popular, small ones are not: what a rule that prefers small ones falls for.
Trace MakeLargeHot() {
  Builder builder("large-hot");
  std::mt19937_64 random(8);
  const Zipf large(5'000, 0.7);
  const Zipf small(400'000, 0.5);
  for (uint32_t i = 0; i < kRequests; ++i) {
    if (random() % 2 == 0) {
      builder.Add(large.Draw(random), 8'000);
    } else {
      builder.Add(kPopulation + small.Draw(random), 200);
    }
  }
  return builder.Take();
}

// Items far smaller than what any record about them could be worth.
Trace MakeTiny() {
  Builder builder("tiny");
  std::mt19937_64 random(9);
  const Zipf zipf(2'000'000, 0.9);
  for (uint32_t i = 0; i < 3 * kRequests; ++i) {
    const uint32_t id = zipf.Draw(random);
    builder.Add(id, 8 + id % 17);
  }
  return builder.Take();
}

struct Synthetic {
  std::string_view name;
  Trace (*make)();
};
constexpr Synthetic kSynthetic[] = {
    {"zipf", MakeZipf},     {"scan", MakeScan},   {"loop", MakeLoop},
    {"shift", MakeShift},   {"drift", MakeDrift}, {"one-hit", MakeOneHit},
    {"bursts", MakeBursts}, {"sizes", MakeSizes}, {"large-hot", MakeLargeHot},
    {"tiny", MakeTiny},
};

}  // namespace

std::string KeyOf(const Object& object) {
  char key[kKeySize + 1];
  std::snprintf(key, sizeof(key), "trace:object:%08x:%08x", object.id,
                static_cast<uint32_t>(HashOf(object.id)));
  return key;
}

Trace ReadTrace(const std::string& path, uint64_t requests_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Die(path + ": cannot be read");
  const std::vector<char> packed((std::istreambuf_iterator<char>(file)),
                                 std::istreambuf_iterator<char>());
  const std::vector<char> bytes = Decompress(packed, path);
  std::string name = path.substr(path.find_last_of('/') + 1);
  name = name.substr(0, name.find('.'));
  Builder builder(name);
  const uint64_t requests = std::min<uint64_t>(requests_max, bytes.size() / sizeof(uint32_t));
  for (uint64_t i = 0; i < requests; ++i) {
    uint32_t id;
    std::memcpy(&id, bytes.data() + i * sizeof(id), sizeof(id));
    builder.Add(id);
  }
  return builder.Take();
}

std::span<const std::string_view> SyntheticNames() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, std::size(kSynthetic)> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = kSynthetic[i].name;
    return names;
  }();
  return kNames;
}

Trace MakeTrace(std::string_view name) {
  for (const Synthetic& synthetic : kSynthetic) {
    if (synthetic.name == name) return synthetic.make();
  }
  Die("no trace is called '" + std::string(name) + "'");
}

}  // namespace bench::simulator
