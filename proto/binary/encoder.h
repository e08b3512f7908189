// Writes packets of the binary protocol into a buffer that the caller has made large enough.
//
//   get     | header | flags | value ...          EncodeBinaryValue; the value is the caller's
//   getk    | header | flags | key | value ...    the same, given a key
//   getk    | header | key                        EncodeBinaryKeyMiss
//   incr    | header | number                     EncodeBinaryNumber
//   stat    | header | name | text                EncodeBinaryStat, and EncodeBinaryStatus(kOk)
//   last others  | header | text                       EncodeBinaryStatus, EncodeBinaryText
//
// All take opcode and opaque from the request they answer (To()). Whether a reply is sent at all,
// IsSilent() says.
//
// Each Encode function returns one past the last byte it wrote.
//
// Owner: none, these are functions. Affinity: any. Lifetime: constants are static. Invariant: no
// function writes more than its ...BytesMax, or what its comment says.
#ifndef TORC_PROTO_BINARY_ENCODER_H_
#define TORC_PROTO_BINARY_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/binary/protocol.h"
#include "proto/binary/request.h"
#include "proto/text/request.h"

namespace torc::proto {

// What a reply repeats of its request. Eight bytes, to travel with the operation.
struct BinaryTo {
  uint32_t opaque = 0;
  Opcode opcode = Opcode::kGet;
};
static_assert(sizeof(BinaryTo) == 8);

inline BinaryTo To(const BinaryRequest& request) { return {request.opaque, request.opcode}; }

inline constexpr size_t kBinaryValueHeadBytesMax = kBinaryHeaderBytes + 4 + kKeyBytesMax;
inline constexpr size_t kBinaryNumberBytes = kBinaryHeaderBytes + 8;
// An error: header and the longest text.
inline constexpr size_t kBinaryStatusBytesMax = kBinaryHeaderBytes + 46;

// A status without anything: the CAS unique of what was stored with kOk, or an error's text, which
// memcached never gives a CAS.
char* EncodeBinaryStatus(char* out, BinaryTo to, BinaryStatus status, uint64_t cas = 0);

// A status with any text: version (kOk), kNoMemory's, SASL. kBinaryHeaderBytes + text.size() bytes.
char* EncodeBinaryText(char* out, BinaryTo to, BinaryStatus status, std::string_view text);

// A hit of get and gat, up to the value; `key` is empty where the opcode returns none. Of touch:
// the same with value_size 0. Requires key.size() <= kKeyBytesMax.
char* EncodeBinaryValue(char* out, BinaryTo to, std::string_view key, uint32_t client_flags,
                        uint32_t value_size, uint64_t cas);

// A miss of getk and gatk: the key in place of the text.
char* EncodeBinaryKeyMiss(char* out, BinaryTo to, std::string_view key);

// The new number of incr and decr.
char* EncodeBinaryNumber(char* out, BinaryTo to, uint64_t number, uint64_t cas);

// One statistic: kBinaryHeaderBytes + name.size() + text.size() bytes. After the last comes
// EncodeBinaryStatus(kOk).
char* EncodeBinaryStat(char* out, BinaryTo to, std::string_view name, std::string_view text);

// The client's side: a request's head, of kBinaryHeadBytesMax at most; value_size bytes follow.
// Writes the extras that the opcode takes, from the fields that it uses (of flush: an expiry unless
// it is 0). Requires a known opcode.
char* EncodeBinaryRequest(char* out, const BinaryRequest& request);

}  // namespace torc::proto

#endif  // TORC_PROTO_BINARY_ENCODER_H_
