// The items a run works on: key number `id` has one key and one value, both functions of the id.
//
//   key    prefix, then the id in decimal, padded with zeros to the key's size:  k00000004711
//   value  16 hex digits of a hash of the id, then bytes from a fixed pool, from an offset that
//          the hash gives; cut to the value's size
//
// Nothing is kept per key: a table of 4,000,000 encoded keys would cost the load generator a cache
// miss for each request, more than encoding the key anew.
//
// Owner: main. Affinity: any (immutable). Lifetime: the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace torc::bench {

class Keyspace {
 public:
  // Ends the program if `key_size` bytes do not hold the prefix and every id below `key_count`.
  Keyspace(std::string prefix, uint64_t key_count, size_t key_size, size_t value_size);

  uint64_t key_count() const { return key_count_; }
  size_t key_size() const { return key_size_; }
  size_t value_size() const { return value_size_; }

  // Write exactly key_size() and value_size() bytes, and return the end.
  char* WriteKey(uint64_t id, char* out) const;
  char* WriteValue(uint64_t id, char* out) const;

  // The id of a key of this key space; nothing for any other bytes.
  std::optional<uint64_t> IdOf(std::string_view key) const;

  // Whether `value` is the value of key `id`, byte for byte.
  bool IsValueOf(uint64_t id, std::string_view value) const;

 private:
  std::string prefix_;
  uint64_t key_count_;
  size_t key_size_;
  size_t value_size_;
  std::string pool_;
};

// A step of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Random numbers from a seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() { return Mix(state_++); }

  // Uniform in [0, limit) but for a bias below limit / 2^64 (Lemire's multiplication).
  uint64_t Below(uint64_t limit) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * limit) >> 64);
  }

  // Uniform in [0, 1).
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace torc::bench
