// Numbers dominate the cost of a reply's header. They are written from the right, two digits for
// each division by 100, which the compiler turns into a multiplication; the number of digits comes
// first, from the position of the highest bit.
#include "proto/text/encoder.h"

#include <array>
#include <bit>

#include "src/base/assert.h"
#include "src/base/short_bytes.h"

namespace torc::proto {
namespace {

// "00" "01" ... "99"
constexpr std::array<char, 200> kPairs = [] {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// 10, 100, ... 10^19: at index i the smallest number of i + 2 digits.
constexpr std::array<uint64_t, 19> kPowersOfTen = [] {
  std::array<uint64_t, 19> powers{};
  uint64_t power = 10;
  for (uint64_t& entry : powers) {
    entry = power;
    power *= 10;
  }
  return powers;
}();

// A number of b bits has floor(b * log10(2)) digits or one more. 1233 / 4096 is log10(2) closely
// enough for 64 bits (H. S. Warren, Hacker's Delight, section 11-4).
size_t DigitCount(uint64_t number) {
  const size_t low = static_cast<size_t>(std::bit_width(number | 1)) * 1233 >> 12;
  return low + (low == 0 || number >= kPowersOfTen[low - 1] ? 1 : 0);
}

inline char* EncodeHeaderStart(char* out, std::string_view key, uint32_t client_flags,
                               uint32_t value_size) {
  CHECK_LE(key.size(), kKeyBytesMax);
  out = Encode(out, "VALUE ");
  CopyShort(out, key.data(), key.size());
  out += key.size();
  *out++ = ' ';
  out = EncodeDecimal(out, client_flags);
  *out++ = ' ';
  return EncodeDecimal(out, value_size);
}

}  // namespace

char* internal::EncodeLongDecimal(char* out, uint64_t number) {
  // Sizes of small values: without a loop.
  if (number < 100) return Encode(out, {&kPairs[2 * number], 2});
  if (number < 10'000) {
    const size_t high = number / 100;
    out = high < 10 ? Encode(out, {&kPairs[2 * high + 1], 1}) : Encode(out, {&kPairs[2 * high], 2});
    return Encode(out, {&kPairs[2 * (number % 100)], 2});
  }
  char* const end = out + DigitCount(number);
  char* p = end;
  while (number >= 100) {
    p -= 2;
    std::memcpy(p, &kPairs[2 * (number % 100)], 2);
    number /= 100;
  }
  if (number >= 10) {
    std::memcpy(out, &kPairs[2 * number], 2);
  } else {
    *out = static_cast<char>('0' + number);
  }
  return end;
}

char* EncodeValueHeader(char* out, std::string_view key, uint32_t client_flags,
                        uint32_t value_size) {
  return Encode(EncodeHeaderStart(out, key, client_flags, value_size), kLineEnd);
}

char* EncodeValueHeader(char* out, std::string_view key, uint32_t client_flags, uint32_t value_size,
                        uint64_t cas) {
  out = EncodeHeaderStart(out, key, client_flags, value_size);
  *out++ = ' ';
  return Encode(EncodeDecimal(out, cas), kLineEnd);
}

char* EncodeNumberLine(char* out, uint64_t number) {
  return Encode(EncodeDecimal(out, number), kLineEnd);
}

char* EncodeStat(char* out, std::string_view name, std::string_view value) {
  out = Encode(out, "STAT ");
  out = Encode(out, name);
  *out++ = ' ';
  out = Encode(out, value);
  return Encode(out, kLineEnd);
}

char* EncodeStat(char* out, std::string_view name, uint64_t value) {
  char digits[kDecimalBytesMax];
  const char* end = EncodeDecimal(digits, value);
  return EncodeStat(out, name, std::string_view(digits, static_cast<size_t>(end - digits)));
}

}  // namespace torc::proto
