// The version of torc, in one place.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: none.
#ifndef TORC_SRC_SERVER_VERSION_H_
#define TORC_SRC_SERVER_VERSION_H_

#include <string_view>

namespace torc {

// What `torc -V` says, and `stats` as torc_version.
inline constexpr std::string_view kVersion = "0.1.0";

// What clients read in the answer to `version` and in `stats`: the memcached whose behaviour torc
// reproduces. Nothing is added to it, because clients compare it and some take it apart into
// numbers (.NET's System.Version refuses "1.6.45-torc"); people tell the servers apart by
// torc_version.
inline constexpr std::string_view kMemcachedVersion = "1.6.45";

}  // namespace torc

#endif  // TORC_SRC_SERVER_VERSION_H_
