// The client's side of the text protocol: command lines written, replies read back. For a client
// and for tests; the server does not need it.
//
//   EncodeRequest({kSet, "a", value_size = 1})   "set a 0 0 1\r\n"; the value and kLineEnd are the
//                                                caller's
//   "VALUE a 0 1 7\r\nx\r\nEND\r\n"
//    `------ kValue ------'`kEnd-'               ParseTextReply, twice
//
// A reply is a line, and of kValue the value behind it. How many replies a command has, the caller
// knows: retrievals and stats have any number, then kEnd or an error; all others have one.
//
// Owner: none, these are functions. Affinity: any. Lifetime: views point into the bytes that were
// read. Invariant: what EncodeRequest writes, ParseLine reads as the same request; a reply reads
// the same however its bytes arrived.
#ifndef TORC_PROTO_TEXT_CLIENT_H_
#define TORC_PROTO_TEXT_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/text/request.h"

namespace torc::proto {

// The longest command line apart from `rest`: "prepend", a key, four numbers, " noreply".
inline constexpr size_t kRequestLineBytesMax = 10 + 1 + kKeyBytesMax + 4 * 21 + 8 + 2;

// A reply line of more bytes than this is none of a cache server's.
inline constexpr size_t kReplyLineBytesMax = 64 << 10;

// Writes the line that asks for `request`: at most kRequestLineBytesMax + rest.size() bytes.
// Returns one past the last of them. Requires a command that is not kInvalid; key and rest are
// written as they are, so that what may stand in them is the caller's to see to.
char* EncodeRequest(char* out, const Request& request);

enum class TextReplyKind : uint8_t {
  kValue,  // key, client_flags, value; cas if has_cas
  kEnd,
  kStored,
  kNotStored,
  kExists,
  kNotFound,
  kDeleted,
  kTouched,
  kOk,
  kReset,
  kMetaNoop,     // MN
  kNumber,       // number
  kVersion,      // text
  kStat,         // key: the name; text: what follows it
  kError,        // ERROR; text: the line, as of the two below
  kClientError,  // CLIENT_ERROR ...
  kServerError,  // SERVER_ERROR ...
};

struct TextReply {
  std::string_view key;
  std::string_view value;
  std::string_view text;  // without its line end
  uint64_t cas = 0;
  uint64_t number = 0;
  uint32_t client_flags = 0;
  TextReplyKind kind = TextReplyKind::kEnd;
  bool has_cas = false;
};

enum class TextReplyStep : uint8_t {
  kNeedMore,  // size bytes must be there, and perhaps more
  kReply,     // size bytes are used up
  kBroken,    // not a reply of the text protocol
};

struct TextReplyResult {
  TextReplyStep step = TextReplyStep::kNeedMore;
  uint64_t size = 0;
  TextReply reply;
};

// Reads one reply, its value included, off the front of `received`.
[[nodiscard]] TextReplyResult ParseTextReply(std::string_view received);

// What a whole reply line says, without its value; false: not a line of the text protocol. Requires
// that `line` ends with its '\n'. `value_size` is kValue's.
[[nodiscard]] bool ParseTextReplyLine(std::string_view line, TextReply* out, uint32_t* value_size);

}  // namespace torc::proto

#endif  // TORC_PROTO_TEXT_CLIENT_H_
