// Writes replies of the text protocol into a buffer that the caller has made large enough.
//
//   VALUE user:17 0 5 42\r\n      EncodeValueHeader, 42 being the CAS that gets and gats ask for
//   hello\r\n                     the caller's: the value, and kLineEnd
//   END\r\n                       kEnd
//
// Each Encode function returns one past the last byte it wrote and terminates nothing: `out =
// Encode...(out, ...)`. Error replies stand in src/base/cause.h.
//
// Owner: none, these are functions. Affinity: any. Lifetime: constants are static. Invariant: no
// function writes more than its ...BytesMax, or what its comment says.
#ifndef TORC_PROTO_TEXT_ENCODER_H_
#define TORC_PROTO_TEXT_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proto/text/request.h"

namespace torc::proto {

inline constexpr std::string_view kLineEnd = "\r\n";
inline constexpr std::string_view kEnd = "END\r\n";
inline constexpr std::string_view kStoredLine = "STORED\r\n";
inline constexpr std::string_view kNotStoredLine = "NOT_STORED\r\n";
inline constexpr std::string_view kExistsLine = "EXISTS\r\n";
inline constexpr std::string_view kNotFoundLine = "NOT_FOUND\r\n";
inline constexpr std::string_view kDeletedLine = "DELETED\r\n";
inline constexpr std::string_view kTouchedLine = "TOUCHED\r\n";
inline constexpr std::string_view kOkLine = "OK\r\n";
inline constexpr std::string_view kReset = "RESET\r\n";
inline constexpr std::string_view kMetaEnd = "EN\r\n";
inline constexpr std::string_view kMetaNoop = "MN\r\n";

// 18446744073709551615
inline constexpr size_t kDecimalBytesMax = 20;

// "VALUE " key " " flags " " size " " cas "\r\n", with numbers of 32, 32 and 64 bits.
inline constexpr size_t kValueHeaderBytesMax = 6 + kKeyBytesMax + 1 + 10 + 1 + 10 + 1 + 20 + 2;

// A number and its "\r\n": the reply to incr and decr.
inline constexpr size_t kNumberLineBytesMax = kDecimalBytesMax + 2;

// The line "STAT name value\r\n" without the name and the value.
inline constexpr size_t kStatBytesAround = 8;

// Copies `text` as it is.
inline char* Encode(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

namespace internal {
char* EncodeLongDecimal(char* out, uint64_t number);
}  // namespace internal

// Writes `number` in decimal: 1 to kDecimalBytesMax bytes.
inline char* EncodeDecimal(char* out, uint64_t number) {
  if (number >= 10) return internal::EncodeLongDecimal(out, number);
  *out = static_cast<char>('0' + number);
  return out + 1;
}

// The line before a value: get and gat. Requires key.size() <= kKeyBytesMax. Up to
// kValueHeaderBytesMax bytes.
char* EncodeValueHeader(char* out, std::string_view key, uint32_t client_flags,
                        uint32_t value_size);

// The same with the item's CAS: gets and gats.
char* EncodeValueHeader(char* out, std::string_view key, uint32_t client_flags, uint32_t value_size,
                        uint64_t cas);

// The reply to incr and decr. Up to kNumberLineBytesMax bytes.
char* EncodeNumberLine(char* out, uint64_t number);

// One line of a stats reply: name.size() + value.size() + kStatBytesAround bytes.
char* EncodeStat(char* out, std::string_view name, std::string_view value);

// The same for a number: at most name.size() + kDecimalBytesMax + kStatBytesAround bytes.
char* EncodeStat(char* out, std::string_view name, uint64_t value);

}  // namespace torc::proto

#endif  // TORC_PROTO_TEXT_ENCODER_H_
