// MD5 (RFC 1321), which ketama hashes by. It keeps nothing secret: for that it is broken.
//
// Owner: none. Affinity: any. Lifetime: results refer to nothing. Invariant: none.
#ifndef TORC_SRC_CLIENT_MD5_H_
#define TORC_SRC_CLIENT_MD5_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace torc::client {

// The digest as four numbers, each read from its four bytes in little-endian order: what ketama
// takes its points from, and the digest's own bytes on a little-endian machine.
[[nodiscard]] std::array<uint32_t, 4> Md5(std::string_view text);

}  // namespace torc::client

#endif  // TORC_SRC_CLIENT_MD5_H_
