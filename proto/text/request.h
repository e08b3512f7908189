// A command line of the text protocol, read.
//
//   "set user:17 0 3600 5 noreply\r\n"
//        |       |   |  |   `- noreply = true
//        |       |   |  `- value_size = 5: "\r\n" follows the value and is not counted
//        |       |   `- exptime = 3600
//        |       `- client_flags = 0
//        `- key
//
// Owner: the caller. Affinity: any. Lifetime: the views point into the parsed line and are valid as
// long as it is. Invariant: if error is kNone, the fields that the command uses are set as its row
// below says; all others are 0.
#ifndef TORC_PROTO_TEXT_REQUEST_H_
#define TORC_PROTO_TEXT_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "src/base/cause.h"

namespace torc::proto {

// The longest key, in bytes (protocol.txt, "Keys").
inline constexpr size_t kKeyBytesMax = 250;

// The largest value a storage command can announce: memcached keeps this size plus its "\r\n" in a
// signed 32-bit number.
inline constexpr uint32_t kValueBytesMax = 2147483645;

enum class Command : uint8_t {
  kInvalid,  // No command of ours: error says why.
  kGet,      // rest: the keys, see NextKey().
  kGets,     // rest
  kGat,      // exptime, rest
  kGats,     // exptime, rest
  kSet,      // key, client_flags, exptime, value_size. A value follows. So up to kCas.
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,       // as kSet, and cas
  kIncr,      // key, delta
  kDecr,      // key, delta
  kTouch,     // key, exptime
  kDelete,    // key
  kFlushAll,  // exptime: the delay, 0 if there is none
  kVersion,
  kVerbosity,  // level
  kStats,      // rest: the arguments, see NextToken()
  kMetaNoop,
  kQuit,      // Close once all earlier replies are sent; read no further.
  kShutdown,  // rest: the arguments
};

// set, add, replace, append, prepend and cas: those that a value follows.
constexpr bool IsStore(Command command) {
  return command >= Command::kSet && command <= Command::kCas;
}
// get, gets, gat and gats: those that name a list of keys.
constexpr bool IsRetrieval(Command command) {
  return command >= Command::kGet && command <= Command::kGats;
}

struct Request {
  std::string_view key;
  std::string_view rest;
  union {
    uint64_t cas = 0;
    uint64_t delta;
    uint64_t level;
  };
  uint32_t client_flags = 0;
  int32_t exptime = 0;      // As the client wrote it: see torc::Epoch::FromClient.
  uint32_t value_size = 0;  // Bytes, without the "\r\n" that follows the value.
  // The command that was recognised, even if its arguments are wrong.
  Command command = Command::kInvalid;
  // What is wrong with the line, or kNone. Answered with RowOf(error).reply, unless noreply.
  Cause error = Cause::kNone;
  // No answer of any kind, the error's included: memcached keeps quiet about errors too, once it
  // could read this. Never set where noreply has no meaning (get and its kin, version, stats, mn,
  // quit).
  bool noreply = false;
  // With an error: value_size + 2 bytes follow that belong to this command and are to be dropped
  // unread, before the answer is sent. Without this, the bytes after the line are the next command,
  // whatever the client meant.
  bool swallow_value = false;
};
static_assert(sizeof(Request) == 56, "copied once per command: keep it within a cache line");

// What NextKey() found.
enum class KeyStep : uint8_t {
  kKey,      // `key` holds the next key: 1 to kKeyBytesMax bytes.
  kEnd,      // No more keys.
  kTooLong,  // The next key has more than kKeyBytesMax bytes: the whole command is answered with
             // kKeyTooLong alone.
};

// Takes the next key off the front of `rest`, a retrieval command's Request::rest.
inline KeyStep NextKey(std::string_view* rest, std::string_view* key) {
  const char* p = rest->data();
  const char* end = p + rest->size();
  while (p != end && *p == ' ') ++p;
  if (p == end) return KeyStep::kEnd;
  const void* blank = std::memchr(p, ' ', static_cast<size_t>(end - p));
  const char* key_end = blank == nullptr ? end : static_cast<const char*>(blank);
  *key = std::string_view(p, static_cast<size_t>(key_end - p));
  *rest = std::string_view(key_end, static_cast<size_t>(end - key_end));
  return key->size() <= kKeyBytesMax ? KeyStep::kKey : KeyStep::kTooLong;
}

}  // namespace torc::proto

#endif  // TORC_PROTO_TEXT_REQUEST_H_
