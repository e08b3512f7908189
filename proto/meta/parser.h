// Reads meta commands (mg, ms, md, ma, me), exactly as memcached 1.6.45 does: protocol.txt where it
// speaks, and what that server was seen to do where it is silent or wrong. parser_test.cc holds the
// list of what was seen. The lines are the text protocol's: the same bytes end them, the same
// blanks part them, so a connection reads both in one place. mn is a text command and read there.
//
//   one connection:   "get a\r\nmg b v k\r\nms c 1\r\nx\r\nmn\r\n"
//                       |         |            |        `- ParseLine
//                       |         |            `- ParseMetaLine, then 1 + 2 bytes of value
//                       |         `- IsMetaLine: ParseMetaLine
//                       `- ParseLine
//
// What the server does with a line, besides what it does for the text protocol:
//
//   - IsMetaLine(line) before ParseLine(line), which knows no meta command but mn.
//   - An error is answered with MetaErrorText(), also under q, and the value dropped first if
//     swallow_value says so. An error changes nothing in the cache. (memcached executes mg and ma
//     before it finds an opaque token too long.)
//   - key_is_base64: the operation's key is what DecodeBase64() makes of `key`. It may be decoded
//     where it stands, since it gets shorter; after that the line cannot be parsed again, so only
//     once nothing can send the command back to wait. Replies show the key encoded again.
//   - A value is as one of `set`: value_size bytes and "\r\n", else kBadDataChunk of the text
//     protocol, which q does not silence. A value too large for any item is swallowed and answered
//     with the text protocol's line, and whatever the mode was, the key's item is removed.
//   - The reply is encoded (encoder.h) from the result and `echo`, of which a copy goes along with
//     the operation; nothing else of the line is needed then, except the key.
//
// Owner: none, these are functions. Affinity: any. Lifetime: a request's key points into the line.
// Invariant: every line gives a MetaRequest, in time linear in its length, without a heap
// allocation.
#ifndef TORC_PROTO_META_PARSER_H_
#define TORC_PROTO_META_PARSER_H_

#include <string_view>

#include "proto/meta/request.h"

namespace torc::proto {

// Whether `line`, which ends with its '\n', is a meta command other than mn: a matter of its first
// three bytes.
[[nodiscard]] inline bool IsMetaLine(std::string_view line) {
  if (line.size() < 4 || line[0] != 'm') return false;
  const char c = line[1];
  if (c != 'g' && c != 's' && c != 'd' && c != 'a' && c != 'e') return false;
  return line[2] == ' ' || (line[2] == '\r' && line.size() == 4);
}

// Reads one line. Requires IsMetaLine(line), and that `line` ends with its '\n' and holds no other.
[[nodiscard]] MetaRequest ParseMetaLine(std::string_view line);

}  // namespace torc::proto

#endif  // TORC_PROTO_META_PARSER_H_
