// Reads packets of the binary protocol, exactly as memcached 1.6.45 does; README.md has the table
// of what was seen.
//
//   received bytes:   | head of a set | its value | head of a noop | head of a g
//   ParseBinary(all)            -> kRequest {kSet, key, value_size}: consume head_size
//     the caller takes value_size bytes; no "\r\n" follows them
//   ParseBinary(rest)           -> kRequest {kNoop}
//   ParseBinary(rest)           -> kNeedMore, head_size 24: the header is not all there
//   ParseBinary(more)           -> kNeedMore, head_size 31: header, extras and key, in one piece
//
// What the server does besides:
//
//   - The first byte of a connection decides: kBinaryRequestMagic, or text (or what -B says).
//   - kNeedMore: gather at least head_size bytes, at most kBinaryHeadBytesMax, and ask again. The
//     bytes may lie in pieces as they like before that; a head that is all there in one receive
//     buffer is read where it lies, and its key need not be copied.
//   - An error is answered with EncodeBinaryStatus(StatusOf(error)), quiet or not. If
//     ClosesAfter(error), the connection closes behind the answer and nothing more is read; else
//     value_size bytes are dropped first. (memcached drops as many bytes of the next packet as an
//     unknown command had key and extras, and is out of step from then on.) kClose: close, but send
//     what was answered before.
//   - Where clients must authenticate (-S) and this one has not, everything but kSaslList,
//     kSaslAuth, kSaslStep and kVersion is answered kAuthError and the connection closed, in place
//     of any error but kSizesDisagree.
//   - Without -S the three are answered kUnknownCommand, their value dropped.
//   - A value too large for any item: kTooLarge, quiet or not, and the value dropped; what kSet
//     would have replaced is removed, with and without a cas. No memory: kNoMemory with
//     kBinaryNoMemoryStoring, likewise.
//   - kFlush where -F forbids it: kAuthError, and the connection stays.
//   - kStat: one reply per statistic, and one with neither key nor body at the end (also alone:
//     reset, detail on). Unknown arguments: kNotFound.
//   - A reply that quietness withholds still has its place: a later reply must not overtake the
//     execution of a quiet command.
//
// Owner: none, these are functions. Affinity: any. Lifetime: a request's key points into the bytes
// it was read from. Invariant: what ParseBinary says depends on the first head_size bytes alone; it
// reads no others, in constant time, without a heap allocation.
#ifndef TORC_PROTO_BINARY_PARSER_H_
#define TORC_PROTO_BINARY_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/binary/request.h"
#include "proto/text/request.h"

namespace torc::proto {

// The extras of kIncrement and kDecrement.
inline constexpr size_t kBinaryExtrasBytesMax = 20;

// No head is larger: with more extras or a longer key it is an error, which shows in the header.
inline constexpr size_t kBinaryHeadBytesMax =
    kBinaryHeaderBytes + kBinaryExtrasBytesMax + kKeyBytesMax;

// memcached refuses larger bodies whatever the command is.
inline constexpr uint32_t kBinaryBodyBytesMax = uint32_t{1} << 30;

// Reads one packet's head off the front of `received`, of any size.
[[nodiscard]] BinaryRequest ParseBinary(std::string_view received);

}  // namespace torc::proto

#endif  // TORC_PROTO_BINARY_PARSER_H_
