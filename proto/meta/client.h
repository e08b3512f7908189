// The client's side of the meta commands: command lines written, replies read back with their
// values. For a client and for tests; the server does not need it. (reply.h reads the line alone.)
//
//   MetaRequest r; r.command = kSet; r.key = "foo"; r.value_size = 5;
//   AddMetaFlag(&r, 'c');  r.exptime = 30;  AddMetaFlag(&r, 'T');
//   EncodeMetaRequest(out, r)               "ms foo 5 c T30\r\n"; value and kLineEnd are the
//   caller's
//
//   "VA 5 c42\r\nhello\r\nMN\r\n"
//    `------ kReply ----'`-kNoop            ParseMetaAnswer, twice
//
// Owner: none, these are functions. Affinity: any. Lifetime: views point into the bytes that were
// read. Invariant: what EncodeMetaRequest writes, ParseMetaLine reads as the same request; a reply
// reads the same however its bytes arrived.
#ifndef TORC_PROTO_META_CLIENT_H_
#define TORC_PROTO_META_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/meta/reply.h"
#include "proto/meta/request.h"

namespace torc::proto {

// "ms ", a key, a size; every flag with the longest token that it has.
inline constexpr size_t kMetaLineBytesMax =
    3 + kKeyBytesMax + 11 + kMetaTokensMax * 22 + kOpaqueBytesMax + 2;

// Puts `flag` on the line of `request`, if it is not there yet, behind those that are. The flag's
// value is the request's own field (exptime of T, cas_compare of C, mode of M, ...), set before or
// after.
void AddMetaFlag(MetaRequest* request, char flag);

// The same for O: `opaque` has at most kOpaqueBytesMax bytes and no blank.
void AddMetaOpaque(MetaRequest* request, std::string_view opaque);

// Writes the line of `request`, at most kMetaLineBytesMax bytes; returns one past the last of them.
// The flags are those of flag_set, and those that echo has come first, in its order. The key is
// written as it is: of b, in base64 already. Requires a key of 1 to kKeyBytesMax bytes.
char* EncodeMetaRequest(char* out, const MetaRequest& request);

enum class MetaAnswerStep : uint8_t {
  kNeedMore,  // size bytes must be there, and perhaps more
  kReply,     // of mg, ms, md, ma: reply; value if it has one
  kNoop,      // MN
  kError,     // ERROR, CLIENT_ERROR, SERVER_ERROR: error
  kBroken,    // none of these
};

struct MetaAnswer {
  MetaAnswerStep step = MetaAnswerStep::kNeedMore;
  uint64_t size = 0;  // bytes that are used up
  MetaReply reply;
  std::string_view value;
  std::string_view error;  // the line without its end
};

// Reads one reply, its value included, off the front of `received`.
[[nodiscard]] MetaAnswer ParseMetaAnswer(std::string_view received);

}  // namespace torc::proto

#endif  // TORC_PROTO_META_CLIENT_H_
