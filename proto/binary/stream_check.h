// What holds for every stream of packets: for the fuzz target and the smoke test.
//
// The stream is read as the server reads it: heads are gathered as far as ParseBinary asks, values
// follow. Each request is held to its promises, written again and read again, replies to it are
// encoded and read back, and the requests must be the same however the stream is cut.
//
// Owner: none. Affinity: any. Lifetime: nothing is kept. Invariant: a promise that does not hold
// ends the process (CHECK).
#ifndef TORC_PROTO_BINARY_STREAM_CHECK_H_
#define TORC_PROTO_BINARY_STREAM_CHECK_H_

#include <string_view>

namespace torc::proto {

enum class PacketCuts {
  kFew,    // byte by byte, and in two at a few places
  kEvery,  // byte by byte, and in two at every place: O(size^2)
};

void CheckPackets(std::string_view stream, PacketCuts cuts);

}  // namespace torc::proto

#endif  // TORC_PROTO_BINARY_STREAM_CHECK_H_
