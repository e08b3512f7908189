#include "proto/binary/reply.h"

namespace torc::proto {

BinaryReplyResult ParseBinaryReply(std::string_view received) {
  using internal::LoadBig;
  BinaryReplyResult result;
  if (received.size() < kBinaryHeaderBytes) return result;
  const char* const header = received.data();
  const size_t key_size = LoadBig<uint16_t>(header + 2);
  const size_t extras_size = static_cast<uint8_t>(header[4]);
  const uint32_t body_size = LoadBig<uint32_t>(header + 8);
  if (static_cast<uint8_t>(header[0]) != kBinaryReplyMagic || key_size + extras_size > body_size) {
    result.step = BinaryReplyStep::kBroken;
    return result;
  }
  result.packet_size = kBinaryHeaderBytes + uint64_t{body_size};
  if (received.size() < result.packet_size) return result;
  result.step = BinaryReplyStep::kReply;
  BinaryReply& reply = result.reply;
  reply.opcode = static_cast<Opcode>(header[1]);
  reply.status = LoadBig<uint16_t>(header + 6);
  std::memcpy(&reply.opaque, header + 12, sizeof(reply.opaque));
  reply.cas = LoadBig<uint64_t>(header + 16);
  const std::string_view body = received.substr(kBinaryHeaderBytes, body_size);
  reply.extras = body.substr(0, extras_size);
  reply.key = body.substr(extras_size, key_size);
  reply.value = body.substr(extras_size + key_size);
  return result;
}

}  // namespace torc::proto
