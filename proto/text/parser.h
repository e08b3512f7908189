// Reads command lines of the text protocol, exactly as memcached 1.6.45 does: protocol.txt where it
// speaks, and what that server was seen to do where it is silent. parser_test.cc holds the list of
// what was seen.
//
//   received bytes:   "get a bb\r\nset a 0 0 1\r\nx\r\nmn\r\n"
//                      `--- line --'
//   ParseLine(line)            -> {kGet, rest = "a bb"}
//   NextKey(&rest, &key)       -> kKey "a", kKey "bb", kEnd
//
// The caller finds the '\n' (one memchr over what it received); everything else about a line is
// decided here. A line ends in "\r\n" or in "\n" alone. Tokens are separated by blanks (0x20) and
// by nothing else: tabs and NULs are bytes of a token like any other.
//
// Owner: none, these are functions. Affinity: any. Lifetime: results point into the line.
// Invariant: every line gives a Request, in time linear in its length, without a heap allocation.
#ifndef TORC_PROTO_TEXT_PARSER_H_
#define TORC_PROTO_TEXT_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/text/request.h"

namespace torc::proto {

// Past this many bytes without a '\n', a client is not speaking the text protocol, unless it asks
// for many keys.
inline constexpr size_t kUnfinishedLineBytesMax = 2048;

// Reads one line. Requires that `line` ends with its '\n' and holds no other.
//
// If the result's error is not kNone: answer with it unless noreply is set, and drop the value
// first if swallow_value says so. A key that is too long in get, gets, gat or gats shows only in
// NextKey().
[[nodiscard]] Request ParseLine(std::string_view line);

// Whether to go on waiting for the '\n' of `received`, which holds none: false means to close the
// connection without an answer. Lists of keys (get and gets, with memcached's allowance of 100
// leading blanks) may have any length.
[[nodiscard]] bool MayGrow(std::string_view received);

// Takes the next token off the front of `rest`, of any length. Empty when there is none.
[[nodiscard]] std::string_view NextToken(std::string_view* rest);

namespace internal {

// The definition of the language: ParseLine() without its short cuts for well-formed lines. Tests
// hold the two equal.
[[nodiscard]] Request ParseLineInFull(std::string_view line);

}  // namespace internal
}  // namespace torc::proto

#endif  // TORC_PROTO_TEXT_PARSER_H_
