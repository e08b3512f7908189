#include "proto/meta/base64.h"

#include <array>
#include <cstdint>

#include "src/base/assert.h"

namespace torc::proto {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kPad = '=';
constexpr uint8_t kNotInAlphabet = 0xff;

// The six bits of each character; '=' counts as a character of value 0.
constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kNotInAlphabet);
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  values[static_cast<unsigned char>(kPad)] = 0;
  return values;
}();

// Calls `group(bits, bytes)` for each group of four characters: 24 bits, the upper `bytes` of whose
// three bytes count. False: not base64. memcached decides that by counting first, so a group is
// never reported of a text that fails.
template <typename Group>
bool ForEachGroup(std::string_view text, Group group) {
  uint32_t bits = 0;
  unsigned characters = 0;
  unsigned pads = 0;
  for (char c : text) {
    const uint8_t value = kValues[static_cast<unsigned char>(c)];
    if (value == kNotInAlphabet) continue;
    bits = bits << 6 | value;
    pads += c == kPad;
    if (++characters % 4 != 0) continue;
    if (pads > 2) return false;
    group(bits & 0xffffff, 3 - pads);
    if (pads > 0) break;
  }
  return characters > 0;
}

}  // namespace

size_t Base64DecodedSize(std::string_view text) {
  size_t characters = 0;
  for (char c : text) characters += kValues[static_cast<unsigned char>(c)] != kNotInAlphabet;
  if (characters % 4 != 0) return 0;
  size_t size = 0;
  return ForEachGroup(text, [&](uint32_t, unsigned bytes) { size += bytes; }) ? size : 0;
}

char* DecodeBase64(char* out, std::string_view text) {
  const bool decodes = ForEachGroup(text, [&](uint32_t bits, unsigned bytes) {
    for (unsigned shift = 16; bytes > 0; --bytes, shift -= 8) {
      *out++ = static_cast<char>(bits >> shift);
    }
  });
  CHECK(decodes);
  return out;
}

char* EncodeBase64(char* out, std::string_view bytes) {
  const auto byte = [&](size_t i) {
    return i < bytes.size() ? uint32_t{static_cast<unsigned char>(bytes[i])} : 0;
  };
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    *out++ = kAlphabet[bits >> 18];
    *out++ = kAlphabet[bits >> 12 & 63];
    *out++ = i + 1 < bytes.size() ? kAlphabet[bits >> 6 & 63] : kPad;
    *out++ = i + 2 < bytes.size() ? kAlphabet[bits & 63] : kPad;
  }
  return out;
}

}  // namespace torc::proto
