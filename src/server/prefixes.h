// Counts by the prefix of keys, for `stats detail`: what a shard executed while it was on.
//
//   "user:17", delimiter ':'  ->  "user"  {gets, hits, sets, deletes}
//
// A key without the delimiter has no prefix and is not counted. The first kPrefixesMax prefixes of
// a shard are; others are not, until `stats reset` forgets them all.
//
// Owner: the worker's Core. Affinity: shard. Lifetime: as the worker. Invariant: at most
// kPrefixesMax.
#ifndef TORC_SRC_SERVER_PREFIXES_H_
#define TORC_SRC_SERVER_PREFIXES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace torc::server {

// About 150 bytes each, and a client may make up as many as it likes.
inline constexpr size_t kPrefixesMax = 1024;

struct PrefixCounts {
  uint64_t gets = 0;
  uint64_t hits = 0;
  uint64_t sets = 0;
  uint64_t deletes = 0;

  PrefixCounts& operator+=(const PrefixCounts& other) {
    gets += other.gets;
    hits += other.hits;
    sets += other.sets;
    deletes += other.deletes;
    return *this;
  }
  friend bool operator==(const PrefixCounts&, const PrefixCounts&) = default;
};

class Prefixes {
 public:
  using Map = std::map<std::string, PrefixCounts, std::less<>>;

  void Count(std::string_view key, char delimiter, const PrefixCounts& counts);
  void Clear() { map_.clear(); }
  const Map& map() const { return map_; }

 private:
  Map map_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_PREFIXES_H_
