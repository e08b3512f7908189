#include "proto/binary/encoder.h"

#include <cstring>

#include "src/base/assert.h"

namespace torc::proto {
namespace {

using internal::StoreBig;

struct Sizes {
  uint32_t body = 0;
  uint16_t key = 0;
  uint8_t extras = 0;
};

char* EncodeHeader(char* out, uint8_t magic, BinaryTo to, Sizes sizes, uint16_t status_or_vbucket,
                   uint64_t cas) {
  *out++ = static_cast<char>(magic);
  *out++ = static_cast<char>(to.opcode);
  out = StoreBig(out, sizes.key);
  *out++ = static_cast<char>(sizes.extras);
  *out++ = 0;  // data type
  out = StoreBig(out, status_or_vbucket);
  out = StoreBig(out, sizes.body);
  std::memcpy(out, &to.opaque, sizeof(to.opaque));
  return StoreBig(out + sizeof(to.opaque), cas);
}

char* EncodeReply(char* out, BinaryTo to, Sizes sizes, BinaryStatus status, uint64_t cas) {
  return EncodeHeader(out, kBinaryReplyMagic, to, sizes, static_cast<uint16_t>(status), cas);
}

char* Append(char* out, std::string_view text) {
  if (text.empty()) return out;  // It may point nowhere, which memcpy does not take.
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

}  // namespace

char* EncodeBinaryStatus(char* out, BinaryTo to, BinaryStatus status, uint64_t cas) {
  if (status == BinaryStatus::kOk) return EncodeReply(out, to, {}, status, cas);
  return EncodeBinaryText(out, to, status, BinaryStatusText(status));
}

char* EncodeBinaryText(char* out, BinaryTo to, BinaryStatus status, std::string_view text) {
  out = EncodeReply(out, to, {.body = static_cast<uint32_t>(text.size())}, status, 0);
  return Append(out, text);
}

char* EncodeBinaryValue(char* out, BinaryTo to, std::string_view key, uint32_t client_flags,
                        uint32_t value_size, uint64_t cas) {
  CHECK_LE(key.size(), kKeyBytesMax);
  const Sizes sizes = {.body = static_cast<uint32_t>(4 + key.size() + value_size),
                       .key = static_cast<uint16_t>(key.size()),
                       .extras = 4};
  out = EncodeReply(out, to, sizes, BinaryStatus::kOk, cas);
  return Append(StoreBig(out, client_flags), key);
}

char* EncodeBinaryKeyMiss(char* out, BinaryTo to, std::string_view key) {
  CHECK_LE(key.size(), kKeyBytesMax);
  const Sizes sizes = {.body = static_cast<uint32_t>(key.size()),
                       .key = static_cast<uint16_t>(key.size())};
  return Append(EncodeReply(out, to, sizes, BinaryStatus::kNotFound, 0), key);
}

char* EncodeBinaryNumber(char* out, BinaryTo to, uint64_t number, uint64_t cas) {
  return StoreBig(EncodeReply(out, to, {.body = 8}, BinaryStatus::kOk, cas), number);
}

char* EncodeBinaryStat(char* out, BinaryTo to, std::string_view name, std::string_view text) {
  CHECK_LE(name.size(), UINT16_MAX);
  const Sizes sizes = {.body = static_cast<uint32_t>(name.size() + text.size()),
                       .key = static_cast<uint16_t>(name.size())};
  return Append(Append(EncodeReply(out, to, sizes, BinaryStatus::kOk, 0), name), text);
}

char* EncodeBinaryRequest(char* out, const BinaryRequest& request) {
  CHECK_LE(request.key.size(), kKeyBytesMax);
  char extras[20];
  char* end = extras;
  switch (request.opcode) {
    case Opcode::kSet:
    case Opcode::kSetQ:
    case Opcode::kAdd:
    case Opcode::kAddQ:
    case Opcode::kReplace:
    case Opcode::kReplaceQ:
      end = StoreBig(StoreBig(end, request.client_flags), request.exptime);
      break;
    case Opcode::kIncrement:
    case Opcode::kIncrementQ:
    case Opcode::kDecrement:
    case Opcode::kDecrementQ:
      end = StoreBig(StoreBig(StoreBig(end, request.delta), request.initial), request.exptime);
      break;
    case Opcode::kTouch:
    case Opcode::kGat:
    case Opcode::kGatQ:
    case Opcode::kGatK:
    case Opcode::kGatKQ:
      end = StoreBig(end, request.exptime);
      break;
    case Opcode::kFlush:
    case Opcode::kFlushQ:
      if (request.exptime != 0) end = StoreBig(end, request.exptime);
      break;
    default:
      break;
  }
  const size_t extras_size = static_cast<size_t>(end - extras);
  const Sizes sizes = {
      .body = static_cast<uint32_t>(extras_size + request.key.size() + request.value_size),
      .key = static_cast<uint16_t>(request.key.size()),
      .extras = static_cast<uint8_t>(extras_size)};
  out = EncodeHeader(out, kBinaryRequestMagic, {request.opaque, request.opcode}, sizes, 0,
                     request.cas);
  return Append(Append(out, {extras, extras_size}), request.key);
}

}  // namespace torc::proto
