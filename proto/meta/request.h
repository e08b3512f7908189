// A meta command, read.
//
//   "mg Zm9v v t b q O17 T30\r\n"
//       |    | | | | |   `- exptime = 30, Has('T')
//       |    | | | | `- echo repeats it: "O17"
//       |    | | | `- quiet: no answer to a miss
//       |    | | `- key is base64; decoded_key_size = 3
//       |    `-`- echo: the value's size comes first, then t, O in this order
//       `- key = "Zm9v", as it stands on the line
//
//   "ms foo 5 MA N60 C42\r\n" + "hello\r\n"
//             |  |   `- compares_cas, cas_compare = 42
//             |  `- vivifies, vivify_exptime = 60
//             `- mode = kAppend
//
// Flags that a command has no use for are read (a bad number is an error) and have no effect, as
// in memcached. P and L, hints for proxies, likewise.
//
// Owner: the caller. Affinity: any. Lifetime: key points into the parsed line; everything else,
// echo included, is the request's own. Invariant: if error is kNone, key is 1 to kKeyBytesMax
// bytes, and so is what it decodes to.
#ifndef TORC_PROTO_META_REQUEST_H_
#define TORC_PROTO_META_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/text/request.h"

namespace torc::proto {

enum class MetaCommand : uint8_t {
  kGet,         // mg
  kSet,         // ms: a value follows, and "\r\n" after it
  kDelete,      // md
  kArithmetic,  // ma
  kDebug,       // me: takes no flag but b
};

enum class MetaMode : uint8_t {
  kSet,  // of ms: M and S, E, A, P, R
  kAdd,
  kAppend,
  kPrepend,
  kReplace,
  kIncrement,  // of ma: M and I or +, D or -
  kDecrement,
};

enum class MetaError : uint8_t {
  kNone,
  kTooFewTokens,    // no key, or ms without a size
  kBadValueSize,    // ms: not a number of bytes, or too large a number
  kFlagNotAlnum,    // a flag begins with what is neither a letter nor a digit
  kKeyTooLong,      // of more than kKeyBytesMax bytes
  kTooManyFlags,    // more than kMetaTokensMax tokens
  kDuplicateFlag,   // a flag stands twice
  kUnknownFlag,     // no flag of any meta command
  kBadBase64,       // b, and the key does not decode
  kBadToken,        // T, N, R, C, E: not a number, or too large a number
  kBadClientFlags,  // F: likewise
  kBadInitial,      // J: likewise
  kBadDelta,        // D: likewise
  kBadMode,         // M of ms or ma: no such mode
  kOpaqueTooLong,   // O: more than kOpaqueBytesMax bytes
  kCount,
};

// The tokens of a line: command, key, size of ms, flags.
inline constexpr size_t kMetaTokensMax = 20;

// An opaque token without its O. (protocol.txt says 32; memcached counts the O.)
inline constexpr size_t kOpaqueBytesMax = 31;

// What the reply repeats of its request, and in which order: small enough to travel to another
// shard with the operation, and free of pointers, so that the line need not be kept.
struct MetaEcho {
  // The flags that show in some reply, once each, and T and N, whose place decides which expiry t
  // shows: "stcflhkO" "TN".
  static constexpr size_t kLettersMax = 10;

  uint8_t letter_count = 0;
  uint8_t opaque_size = 0;
  char letters[kLettersMax] = {};
  char opaque[kOpaqueBytesMax + 1] = {};

  std::string_view letters_view() const { return {letters, letter_count}; }
  std::string_view opaque_view() const { return {opaque, opaque_size}; }
};
static_assert(sizeof(MetaEcho) == 44);

struct MetaRequest {
  std::string_view key;          // as it stands on the line: base64 if key_is_base64
  uint64_t cas_compare = 0;      // C
  uint64_t cas_new = 0;          // E
  uint64_t delta = 1;            // D
  uint64_t initial = 0;          // J
  uint64_t flag_set = 0;         // one bit for each flag of the line: Has()
  int32_t exptime = 0;           // T, as the client wrote it: see torc::Epoch::FromClient
  int32_t vivify_exptime = 0;    // N, likewise
  int32_t recache_exptime = 0;   // R, likewise
  uint32_t client_flags = 0;     // F
  uint32_t value_size = 0;       // ms: bytes, without the "\r\n" that follows
  uint8_t decoded_key_size = 0;  // bytes of the key that is looked up: DecodeBase64 gives it
  MetaCommand command = MetaCommand::kGet;
  MetaMode mode = MetaMode::kSet;
  // Answered with MetaErrorText(command, error), even if quiet.
  MetaError error = MetaError::kNone;

  // Only if cas_compare is the item's CAS unique. C0 means it literally in ms and md, and "any" to
  // ma and to append and prepend; add compares nothing.
  bool compares_cas = false;
  // The item's CAS unique becomes cas_new. (E0 does not count in ms: it gets a number as usual.)
  bool sets_cas = false;
  // ms: a value with a CAS below the item's is stored, and marked stale; md: the item is marked
  // stale instead of removed.
  bool invalidates = false;
  // An absent item is made, to expire at vivify_exptime: N, in mg, ma, and ms that appends or
  // prepends.
  bool vivifies = false;
  bool key_is_base64 = false;  // b
  bool quiet = false;          // q: see IsSilent
  bool with_value = false;     // v
  // ms with an error: value_size + 2 bytes follow that are to be dropped before the answer.
  bool swallow_value = false;

  MetaEcho echo;

  // Whether `flag`, a letter, stands on the line.
  bool Has(char flag) const { return (flag_set >> FlagBit(flag) & 1) != 0; }
  // The bit of a letter in flag_set.
  static constexpr unsigned FlagBit(char letter) {
    return static_cast<unsigned>(letter >= 'a' ? letter - 'a' : letter - 'A' + 26);
  }
};

// The result of a meta command, as its first two letters.
enum class MetaStatus : uint8_t {
  kOk,         // HD, or VA with the value
  kMiss,       // EN: mg, me
  kNotFound,   // NF
  kNotStored,  // NS
  kExists,     // EX
};

// Whether memcached keeps quiet about `status` under q: what mg calls a miss and the others a
// success. All other results are told, md's and ma's NF among them (protocol.txt says otherwise).
constexpr bool IsSilent(const MetaRequest& request, MetaStatus status) {
  return request.quiet &&
         status == (request.command == MetaCommand::kGet ? MetaStatus::kMiss : MetaStatus::kOk);
}

// What the client reads for `error`, with its "\r\n". Static storage. ma has one text for nearly
// all of them.
std::string_view MetaErrorText(MetaCommand command, MetaError error);

}  // namespace torc::proto

#endif  // TORC_PROTO_META_REQUEST_H_
