// A packet of the binary protocol, read.
//
//   | 24 header | extras | key |  value ...  |
//   `------ head_size ---------'`- value_size -'     what ParseBinary reads, and what follows it
//
// Owner: the caller. Affinity: any. Lifetime: key points into the parsed bytes; everything else is
// the request's own. Invariant: if step is kRequest and error is kNone, the fields that the command
// uses are set as its row below says; all others are as they are here.
#ifndef TORC_PROTO_BINARY_REQUEST_H_
#define TORC_PROTO_BINARY_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/binary/protocol.h"

namespace torc::proto {

// The commands without what distinguishes their opcodes: quiet, and whether the key comes back.
enum class BinaryCommand : uint8_t {
  kInvalid,  // No command: error says why.
  kGet,      // key
  kTouch,    // key, exptime
  kGat,      // key, exptime
  kSet,      // key, client_flags, exptime, cas; a value. So up to kReplace.
  kAdd,
  kReplace,
  kAppend,     // key, cas; a value
  kPrepend,    // likewise
  kDelete,     // key, cas
  kIncrement,  // key, cas, delta, initial, exptime
  kDecrement,  // likewise
  kFlush,      // exptime: the delay, 0 if there is none
  kNoop,
  kVersion,
  kQuit,  // Close once all earlier replies, and this one's unless quiet, are sent.
  kStat,  // key: the arguments of `stats`, or empty
  kSaslList,
  kSaslAuth,  // key: the mechanism; a value: the client's data
  kSaslStep,  // likewise
};

constexpr bool IsStore(BinaryCommand command) {
  return command >= BinaryCommand::kSet && command <= BinaryCommand::kPrepend;
}

enum class BinaryStep : uint8_t {
  kNeedMore,  // head_size bytes must be there, in one piece: come again with all of them
  kRequest,   // a request, or an error that is answered
  kClose,     // no packet at all: close, without an answer
};

// Why a packet is not a request. In the order in which memcached finds them.
enum class BinaryError : uint8_t {
  kNone,
  kSizesDisagree,   // extras and key are larger than the body they are part of
  kKeyTooLong,      // of more than kKeyBytesMax bytes
  kBodyTooLarge,    // of more than kBinaryBodyBytesMax bytes
  kBadArguments,    // a command with what it does not take, or without what it needs
  kUnknownCommand,  // no such opcode
};

// The status that answers `error`.
constexpr BinaryStatus StatusOf(BinaryError error) {
  switch (error) {
    case BinaryError::kNone:
      return BinaryStatus::kOk;
    case BinaryError::kSizesDisagree:
    case BinaryError::kUnknownCommand:
      return BinaryStatus::kUnknownCommand;
    case BinaryError::kKeyTooLong:
    case BinaryError::kBodyTooLarge:
    case BinaryError::kBadArguments:
      return BinaryStatus::kInvalidArguments;
  }
  return BinaryStatus::kInvalidArguments;
}

// Whether the connection ends with the answer to `error`: what follows cannot be told apart any
// more, or is not worth it.
constexpr bool ClosesAfter(BinaryError error) {
  return error != BinaryError::kNone && error != BinaryError::kUnknownCommand;
}

// An expiry time of kIncrement and kDecrement that means: an absent item is not made.
inline constexpr uint32_t kDoNotCreate = 0xffffffff;

struct BinaryRequest {
  std::string_view key;
  uint64_t cas = 0;  // 0: any. Else only an item with this CAS unique; kSet, kAdd and kReplace are
                     // all the same then: the text protocol's cas.
  uint64_t delta = 0;
  uint64_t initial = 0;
  uint32_t client_flags = 0;
  // Unlike the text protocol's, without a sign: what is negative there lies beyond the year 2038
  // here. torc::Epoch::FromClient takes both.
  uint32_t exptime = 0;
  uint32_t value_size = 0;       // bytes that follow the head: the value, or what an error drops
  uint32_t opaque = 0;           // bytes as they came, for EncodeBinary...
  uint16_t head_size = 0;        // bytes of header, extras and key
  Opcode opcode = Opcode::kGet;  // as it came: replies repeat it
  BinaryCommand command = BinaryCommand::kInvalid;
  BinaryStep step = BinaryStep::kNeedMore;
  BinaryError error = BinaryError::kNone;
  bool quiet = false;     // see IsSilent
  bool with_key = false;  // getk, gatk and their quiet kin: the reply shows the key
};
static_assert(sizeof(BinaryRequest) <= 72);

// Whether a quiet command keeps quiet about `status`: retrievals about a miss, all others about
// their success, errors never.
constexpr bool IsSilent(const BinaryRequest& request, BinaryStatus status) {
  if (!request.quiet) return false;
  const bool retrieves =
      request.command == BinaryCommand::kGet || request.command == BinaryCommand::kGat;
  return status == (retrieves ? BinaryStatus::kNotFound : BinaryStatus::kOk);
}

}  // namespace torc::proto

#endif  // TORC_PROTO_BINARY_REQUEST_H_
