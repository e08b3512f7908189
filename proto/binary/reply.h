// The client's side of the binary protocol: replies read back. For tests and for a client; the
// server does not need it.
//
// Owner: the caller. Affinity: any. Lifetime: views point into the bytes that were read.
// Invariant: none.
#ifndef TORC_PROTO_BINARY_REPLY_H_
#define TORC_PROTO_BINARY_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/binary/protocol.h"

namespace torc::proto {

struct BinaryReply {
  std::string_view extras;  // of a hit: the client flags, see client_flags()
  std::string_view key;
  std::string_view value;  // what is left of the body: value, number, or text
  uint64_t cas = 0;
  uint32_t opaque = 0;
  uint16_t status = 0;  // a BinaryStatus, or what another server sends
  Opcode opcode = Opcode::kGet;

  // Requires four bytes of extras.
  uint32_t client_flags() const { return internal::LoadBig<uint32_t>(extras.data()); }
  // Requires eight bytes of value.
  uint64_t number() const { return internal::LoadBig<uint64_t>(value.data()); }
};

enum class BinaryReplyStep : uint8_t {
  kNeedMore,  // packet_size bytes must be there
  kReply,     // packet_size bytes are used up
  kBroken,    // not a reply
};

struct BinaryReplyResult {
  BinaryReplyStep step = BinaryReplyStep::kNeedMore;
  uint64_t packet_size = kBinaryHeaderBytes;
  BinaryReply reply;
};

// Reads one reply, body included, off the front of `received`.
[[nodiscard]] BinaryReplyResult ParseBinaryReply(std::string_view received);

}  // namespace torc::proto

#endif  // TORC_PROTO_BINARY_REPLY_H_
