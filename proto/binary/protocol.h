// The binary protocol's packets: header, opcodes, statuses.
//
//   byte  0        1        2   3        4        5        6   7
//         magic    opcode   key size     extras   data     vbucket; in a
//         80 / 81                        size     type     reply: status
//         8   9   10  11   12  13  14  15   16 ... 23
//         body size        opaque           CAS unique
//        24 ...   extras, key, value: together the body
//
// Numbers are big-endian. The opaque comes back as it was sent. Data type and vbucket are not
// looked at.
//
// memcached calls this protocol deprecated; protocol_binary.txt, now gone from its sources,
// described it. Where that text and memcached 1.6.45 differ, this is what 1.6.45 does.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: none.
#ifndef TORC_PROTO_BINARY_PROTOCOL_H_
#define TORC_PROTO_BINARY_PROTOCOL_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace torc::proto {

// The first byte of a request. A connection whose first byte this is speaks binary for life; any
// other first byte makes it a text connection for life.
inline constexpr uint8_t kBinaryRequestMagic = 0x80;
inline constexpr uint8_t kBinaryReplyMagic = 0x81;

inline constexpr size_t kBinaryHeaderBytes = 24;

enum class Opcode : uint8_t {
  kGet = 0x00,
  kSet = 0x01,
  kAdd = 0x02,
  kReplace = 0x03,
  kDelete = 0x04,
  kIncrement = 0x05,
  kDecrement = 0x06,
  kQuit = 0x07,
  kFlush = 0x08,
  kGetQ = 0x09,
  kNoop = 0x0a,
  kVersion = 0x0b,
  kGetK = 0x0c,
  kGetKQ = 0x0d,
  kAppend = 0x0e,
  kPrepend = 0x0f,
  kStat = 0x10,
  kSetQ = 0x11,
  kAddQ = 0x12,
  kReplaceQ = 0x13,
  kDeleteQ = 0x14,
  kIncrementQ = 0x15,
  kDecrementQ = 0x16,
  kQuitQ = 0x17,
  kFlushQ = 0x18,
  kAppendQ = 0x19,
  kPrependQ = 0x1a,
  kVerbosity = 0x1b,  // Has a number and no more: answered as unknown.
  kTouch = 0x1c,
  kGat = 0x1d,
  kGatQ = 0x1e,
  kSaslList = 0x20,
  kSaslAuth = 0x21,
  kSaslStep = 0x22,
  kGatK = 0x23,
  kGatKQ = 0x24,
};

enum class BinaryStatus : uint16_t {
  kOk = 0x00,
  kNotFound = 0x01,
  kExists = 0x02,
  kTooLarge = 0x03,
  kInvalidArguments = 0x04,
  kNotStored = 0x05,
  kNotANumber = 0x06,
  kAuthError = 0x20,
  kAuthContinue = 0x21,
  kUnknownCommand = 0x81,
  kNoMemory = 0x82,
};

// The body of an error reply. Static storage. Empty for kOk and kAuthContinue.
constexpr std::string_view BinaryStatusText(BinaryStatus status) {
  switch (status) {
    case BinaryStatus::kOk:
    case BinaryStatus::kAuthContinue:
      return {};
    case BinaryStatus::kNotFound:
      return "Not found";
    case BinaryStatus::kExists:
      return "Data exists for key.";
    case BinaryStatus::kTooLarge:
      return "Too large.";
    case BinaryStatus::kInvalidArguments:
      return "Invalid arguments";
    case BinaryStatus::kNotStored:
      return "Not stored.";
    case BinaryStatus::kNotANumber:
      return "Non-numeric server-side value for incr or decr";
    case BinaryStatus::kAuthError:
      return "Auth failure.";
    case BinaryStatus::kUnknownCommand:
      return "Unknown command";
    case BinaryStatus::kNoMemory:
      return "Out of memory";
  }
  return {};
}

// kNoMemory has words for each occasion.
inline constexpr std::string_view kBinaryNoMemoryStoring = "Out of memory allocating item";
inline constexpr std::string_view kBinaryNoMemoryCounting = "Out of memory incrementing value";
inline constexpr std::string_view kBinaryNoMemoryCreating = "Out of memory allocating new item";

namespace internal {

// Big-endian numbers at any address.
template <typename T>
T LoadBig(const char* from) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, from, sizeof(T));
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <typename T>
char* StoreBig(char* out, T value) {
  const T big = LoadBig<T>(reinterpret_cast<const char*>(&value));
  std::memcpy(out, &big, sizeof(T));
  return out + sizeof(T);
}

}  // namespace internal
}  // namespace torc::proto

#endif  // TORC_PROTO_BINARY_PROTOCOL_H_
