// Base64 (RFC 4648, section 4) as memcached reads it in the keys of meta commands: leniently.
//
// Bytes outside the alphabet are skipped; what is left must be a multiple of four; the first group
// with a '=' ends the key, whatever follows. So one key has many spellings, and replies show the
// one that encoding gives. Clients that rely on any of this are broken, but they work today.
//
// Owner: none, these are functions. Affinity: any. Lifetime: results refer to nothing. Invariant:
// what Base64DecodedSize() measures is what DecodeBase64() writes, fewer bytes than it reads.
#ifndef TORC_PROTO_META_BASE64_H_
#define TORC_PROTO_META_BASE64_H_

#include <cstddef>
#include <string_view>

namespace torc::proto {

// Bytes that `text` decodes to: 0 if it does not.
[[nodiscard]] size_t Base64DecodedSize(std::string_view text);

// Decodes `text` to `out`, which may be where `text` begins. Returns one past the last byte.
// Requires Base64DecodedSize(text) > 0, and that much room.
char* DecodeBase64(char* out, std::string_view text);

// Bytes that EncodeBase64 writes for `size` bytes.
constexpr size_t Base64Size(size_t size) { return (size + 2) / 3 * 4; }

// Encodes `bytes` to `out`, which must not overlap. Returns one past the last byte.
char* EncodeBase64(char* out, std::string_view bytes);

}  // namespace torc::proto

#endif  // TORC_PROTO_META_BASE64_H_
