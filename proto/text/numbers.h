// memcached's strict numbers: decimal digits and nothing else, in a token of bounded length.
//
// It has two readers of numbers, and which one reads an argument shows in what it accepts. The lax
// one is C's strtoul(), which reads client flags and expiry times of storage commands (parser.cc).
// All others, those of the meta flags included, are read by these.
//
// Owner: none, these are functions. Affinity: any. Lifetime: results refer to nothing. Invariant:
// a token longer than its ...BytesMax is refused unread, even if it is all zeros.
#ifndef TORC_PROTO_TEXT_NUMBERS_H_
#define TORC_PROTO_TEXT_NUMBERS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace torc::proto {

inline constexpr size_t kStrict32BytesMax = 11;
inline constexpr size_t kStrict64BytesMax = 22;

inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') <= 9; }

// 64 bits: digits alone. False: not such a number; `out` is as it was.
[[nodiscard]] inline bool ReadStrictU64(std::string_view token, uint64_t* out) {
  if (token.empty() || token.size() > kStrict64BytesMax) return false;
  uint64_t value = 0;
  for (char c : token) {
    if (!IsDigit(c)) return false;
    if (__builtin_mul_overflow(value, 10U, &value)) return false;
    if (__builtin_add_overflow(value, static_cast<unsigned>(c - '0'), &value)) return false;
  }
  *out = value;
  return true;
}

// 32 bits, likewise.
[[nodiscard]] inline bool ReadStrictU32(std::string_view token, uint32_t* out) {
  uint64_t value = 0;
  if (token.size() > kStrict32BytesMax || !ReadStrictU64(token, &value)) return false;
  if (value > UINT32_MAX) return false;
  *out = static_cast<uint32_t>(value);
  return true;
}

// 32 bits with a sign: a '-' may come first, and alone it reads as 0.
[[nodiscard]] inline bool ReadStrictI32(std::string_view token, int32_t* out) {
  if (token.size() > kStrict32BytesMax) return false;
  const bool negative = token.starts_with('-');
  if (negative) token.remove_prefix(1);
  uint64_t magnitude = 0;
  if (!(negative && token.empty()) && !ReadStrictU64(token, &magnitude)) return false;
  if (magnitude > (negative ? uint64_t{1} << 31 : uint64_t{INT32_MAX})) return false;
  *out = static_cast<int32_t>(negative ? -static_cast<int64_t>(magnitude)
                                       : static_cast<int64_t>(magnitude));
  return true;
}

}  // namespace torc::proto

#endif  // TORC_PROTO_TEXT_NUMBERS_H_
