// Which of several servers has a key: ketama's ring, point for point as libmemcached makes it, so
// that clients in other languages look for a key where this one put it.
//
//   0                                              2^32
//   |--b---a--c-------b--c---a------k........a--b--|      k: a key's hash; the next point's server,
//                                   `------->'             a, has it. Behind the last comes the
//                                   first.
//
// A server that goes takes its own points along and moves no key between the others: about one key
// in n changes its place, where `hash % n` would move nearly all.
//
// Owner: the client. Affinity: any, immutable once made. Lifetime: refers to nothing. Invariant:
// the points are sorted, by server where two are equal.
#ifndef TORC_SRC_CLIENT_KETAMA_H_
#define TORC_SRC_CLIENT_KETAMA_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace torc::client {

enum class Placement : uint8_t {
  // libketama's: MD5, 160 points for a server of average weight. libmemcached's and pylibmc's
  // KETAMA_WEIGHTED, twemproxy's `distribution: ketama` with `hash: md5`.
  kKetamaWeighted,
  // libmemcached's and pylibmc's plain KETAMA: Jenkins' one-at-a-time hash, 100 points for each
  // server. Weights are not looked at.
  kKetama,
};

class Ring {
 public:
  struct Server {
    std::string host;  // as the other clients' configurations spell it: it is what is hashed
    uint16_t port = 11211;
    uint32_t weight = 1;
  };

  // Requires at least one server, and that some weight is not 0.
  Ring(std::span<const Server> servers, Placement placement);

  // The index of the server that has `key`. O(log n).
  [[nodiscard]] size_t ServerOf(std::string_view key) const;

 private:
  struct Point {
    uint32_t hash;
    uint32_t server;
  };

  std::vector<Point> points_;
  Placement placement_;
};

}  // namespace torc::client

#endif  // TORC_SRC_CLIENT_KETAMA_H_
