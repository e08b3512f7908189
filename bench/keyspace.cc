#include "bench/keyspace.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "bench/die.h"

namespace torc::bench {
namespace {

constexpr size_t kPoolSlack = 4096;  // distinct offsets a value's bytes may start from
constexpr size_t kHashDigits = 16;

constexpr std::array<char, 200> kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (int i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

void WriteHash(uint64_t hash, char* out) {
  for (size_t i = 0; i < kHashDigits; ++i) {
    out[i] = "0123456789abcdef"[(hash >> (60 - 4 * i)) & 0xf];
  }
}

size_t DecimalDigits(uint64_t number) { return std::to_string(number).size(); }

}  // namespace

Keyspace::Keyspace(std::string prefix, uint64_t key_count, size_t key_size, size_t value_size)
    : prefix_(std::move(prefix)),
      key_count_(key_count),
      key_size_(key_size),
      value_size_(value_size) {
  if (key_count == 0) Die("there must be at least one key");
  const size_t key_size_min = prefix_.size() + DecimalDigits(key_count - 1);
  if (key_size < key_size_min || key_size > 250) {
    Die("the keys' size must be between " + std::to_string(key_size_min) + " and 250 bytes");
  }
  pool_.resize(value_size + kPoolSlack);
  Random random(1);
  for (char& byte : pool_) byte = static_cast<char>('!' + random.Below('~' - '!' + 1));
}

char* Keyspace::WriteKey(uint64_t id, char* out) const {
  std::memcpy(out, prefix_.data(), prefix_.size());
  char* const end = out + key_size_;
  char* const digits = out + prefix_.size();
  char* at = end;
  while (at - digits >= 2 && id != 0) {
    at -= 2;
    std::memcpy(at, &kDigitPairs[2 * (id % 100)], 2);
    id /= 100;
  }
  while (at > digits) {
    *--at = static_cast<char>('0' + id % 10);
    id /= 10;
  }
  return end;
}

char* Keyspace::WriteValue(uint64_t id, char* out) const {
  const uint64_t hash = Mix(id);
  char digits[kHashDigits];
  WriteHash(hash, digits);
  const size_t digit_count = std::min(value_size_, kHashDigits);
  std::memcpy(out, digits, digit_count);
  std::memcpy(out + digit_count, pool_.data() + hash % kPoolSlack, value_size_ - digit_count);
  return out + value_size_;
}

std::optional<uint64_t> Keyspace::IdOf(std::string_view key) const {
  if (key.size() != key_size_ || !key.starts_with(prefix_)) return std::nullopt;
  uint64_t id = 0;
  for (const char digit : key.substr(prefix_.size())) {
    if (digit < '0' || digit > '9') return std::nullopt;
    id = id * 10 + static_cast<uint64_t>(digit - '0');
    if (id >= key_count_) return std::nullopt;
  }
  return id;
}

bool Keyspace::IsValueOf(uint64_t id, std::string_view value) const {
  if (value.size() != value_size_) return false;
  const uint64_t hash = Mix(id);
  char digits[kHashDigits];
  WriteHash(hash, digits);
  const size_t digit_count = std::min(value_size_, kHashDigits);
  return std::memcmp(value.data(), digits, digit_count) == 0 &&
         std::memcmp(value.data() + digit_count, pool_.data() + hash % kPoolSlack,
                     value_size_ - digit_count) == 0;
}

}  // namespace torc::bench
