// What holds for every stream of lines, meta commands and others mixed: for the fuzz target and the
// smoke test.
//
// The stream is read as the server reads it: lines are gathered until their '\n' is there, values
// follow the lines that announce them. Each meta request is held to its promises, replies to it are
// encoded and read back, and the requests must be the same however the stream is cut.
//
// Owner: none. Affinity: any. Lifetime: nothing is kept. Invariant: a promise that does not hold
// ends the process (CHECK).
#ifndef TORC_PROTO_META_STREAM_CHECK_H_
#define TORC_PROTO_META_STREAM_CHECK_H_

#include <string_view>

namespace torc::proto {

enum class Cuts {
  kFew,    // byte by byte, and in two at a few places
  kEvery,  // byte by byte, and in two at every place: O(size^2)
};

void CheckStream(std::string_view stream, Cuts cuts);

}  // namespace torc::proto

#endif  // TORC_PROTO_META_STREAM_CHECK_H_
