#include "bench/keyspace.h"

#include <algorithm>
#include <array>
#include <charconv>
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

constexpr size_t kVersionDigits = 8;

// The eight hex digits of a number, the highest first, all at once.
uint64_t HexDigits(uint32_t number) {
  // Spread the digits over the bytes of a word: halves, quarters, digits.
  uint64_t x = number;
  x = ((x & 0xffff0000) << 16) | (x & 0xffff);
  x = ((x & 0x0000ff000000ff00) << 8) | (x & 0x000000ff000000ff);
  x = ((x & 0x00f000f000f000f0) << 4) | (x & 0x000f000f000f000f);
  // A digit above 9 carries into the upper half of its byte when 6 is added.
  const uint64_t letters = ((x + 0x0606060606060606) >> 4) & 0x0101010101010101;
  return __builtin_bswap64(x + 0x3030303030303030 + letters * ('a' - '0' - 10));
}

void WriteHex(uint32_t number, char* out) {
  const uint64_t digits = HexDigits(number);
  std::memcpy(out, &digits, sizeof digits);
}

void WriteHash(uint64_t hash, char* out) {
  WriteHex(static_cast<uint32_t>(hash >> 32), out);
  WriteHex(static_cast<uint32_t>(hash), out + kHashDigits / 2);
}

uint64_t HashOf(uint64_t id, uint32_t version) { return Mix(id + (uint64_t{version} << 32)); }

size_t DecimalDigits(uint64_t number) { return std::to_string(number).size(); }

}  // namespace

// How a value is made up.
struct Keyspace::Parts {
  size_t version_digits;
  size_t head_size;  // version and hash
  char head[kValueHeadSizeMax];
  size_t pool_offset;
};

Keyspace::Keyspace(std::string prefix, uint64_t key_count, const std::string& key_size,
                   const std::string& value_size)
    : prefix_(std::move(prefix)),
      key_count_(key_count),
      key_sizes_(key_size, Sizes::Role::kKey,
                 {prefix_.size() + DecimalDigits(key_count - 1), kKeySizeMax}),
      value_sizes_(value_size, Sizes::Role::kValue,
                   {0, Sizes::IsRange(value_size) ? kValueSizeMax : kValueSizeMaxDrawn}) {
  if (key_count == 0) Die("there must be at least one key");
  pool_.resize(value_sizes_.max() + kPoolSlack);
  Random random(1);
  for (char& byte : pool_) byte = static_cast<char>('!' + random.Below('~' - '!' + 1));
}

Keyspace::Keyspace(std::string prefix, uint64_t key_count, size_t key_size, size_t value_size)
    : Keyspace(std::move(prefix), key_count, std::to_string(key_size), std::to_string(value_size)) {
}

char* Keyspace::WriteKey(uint64_t id, char* out) const {
  std::memcpy(out, prefix_.data(), prefix_.size());
  char* const end = out + KeySize(id);
  char* const digits = out + prefix_.size();
  char* at = end;
  for (; id >= 100; id /= 100) {
    at -= 2;
    std::memcpy(at, &kDigitPairs[2 * (id % 100)], 2);
  }
  if (id >= 10) {
    at -= 2;
    std::memcpy(at, &kDigitPairs[2 * id], 2);
  } else {
    *--at = static_cast<char>('0' + id);
  }
  std::memset(digits, '0', static_cast<size_t>(at - digits));
  return end;
}

Keyspace::Parts Keyspace::PartsOf(uint64_t id, uint32_t version, size_t size) const {
  Parts parts;
  parts.version_digits = std::min(kVersionDigits, size / 2);
  parts.head_size = std::min(size, parts.version_digits + kHashDigits);
  // What cannot be read back from the value must not be in its hash.
  if (parts.version_digits < kVersionDigits) version &= (1u << (4 * parts.version_digits)) - 1;
  const uint64_t hash = HashOf(id, version);
  char digits[kVersionDigits];
  WriteHex(version, digits);
  std::memcpy(parts.head, digits + kVersionDigits - parts.version_digits, parts.version_digits);
  char hashed[kHashDigits];
  WriteHash(hash, hashed);
  std::memcpy(parts.head + parts.version_digits, hashed, parts.head_size - parts.version_digits);
  parts.pool_offset = hash % kPoolSlack;
  return parts;
}

char* Keyspace::WriteValue(uint64_t id, uint32_t version, char* out) const {
  const std::string_view rest = WriteValueHead(id, version, out);
  std::memcpy(out, rest.data(), rest.size());
  return out + rest.size();
}

std::string_view Keyspace::WriteValueHead(uint64_t id, uint32_t version, char*& out) const {
  const size_t size = ValueSize(id);
  if (size >= kValueHeadSizeMax) {  // as PartsOf has it, without the detour
    const uint64_t hash = HashOf(id, version);
    WriteHex(version, out);
    WriteHash(hash, out + kVersionDigits);
    out += kValueHeadSizeMax;
    return {pool_.data() + hash % kPoolSlack, size - kValueHeadSizeMax};
  }
  const Parts parts = PartsOf(id, version, size);
  std::memcpy(out, parts.head, parts.head_size);
  out += parts.head_size;
  return {pool_.data() + parts.pool_offset, size - parts.head_size};
}

std::optional<uint64_t> Keyspace::IdOf(std::string_view key) const {
  if (!key.starts_with(prefix_) || key.size() == prefix_.size()) return std::nullopt;
  uint64_t id = 0;
  for (const char digit : key.substr(prefix_.size())) {
    if (digit < '0' || digit > '9') return std::nullopt;
    id = id * 10 + static_cast<uint64_t>(digit - '0');
    if (id >= key_count_) return std::nullopt;
  }
  if (key.size() != KeySize(id)) return std::nullopt;
  return id;
}

bool Keyspace::IsValueOf(uint64_t id, std::string_view value) const {
  if (value.size() != ValueSize(id)) return false;
  const size_t version_digits = std::min(kVersionDigits, value.size() / 2);
  uint32_t version = 0;
  const auto [end, error] =
      std::from_chars(value.data(), value.data() + version_digits, version, 16);
  if (version_digits != 0 && (error != std::errc() || end != value.data() + version_digits)) {
    return false;
  }
  const Parts parts = PartsOf(id, version, value.size());
  return std::memcmp(value.data(), parts.head, parts.head_size) == 0 &&
         std::memcmp(value.data() + parts.head_size, pool_.data() + parts.pool_offset,
                     value.size() - parts.head_size) == 0;
}

}  // namespace torc::bench
