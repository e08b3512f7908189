// What holds for every datagram and every stream of replies: for the fuzz target and the smoke
// test.
//
// Owner: none. Affinity: any. Lifetime: nothing is kept. Invariant: a promise that does not hold
// ends the process (CHECK).
#ifndef TORC_PROTO_UDP_STREAM_CHECK_H_
#define TORC_PROTO_UDP_STREAM_CHECK_H_

#include <string_view>

namespace torc::proto {

// `bytes` as a datagram: what is read can be written, and is the same. And as a stream of replies:
// it falls into the same ones wherever it is cut, each of at least a byte and at most what is
// there.
void CheckUdp(std::string_view bytes);

}  // namespace torc::proto

#endif  // TORC_PROTO_UDP_STREAM_CHECK_H_
