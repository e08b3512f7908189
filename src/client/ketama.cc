// The names that are hashed, "HOST-0" and on for memcached's own port and "HOST:PORT-0" for others,
// are libmemcached's (hosts.cc, update_continuum), and so is the share of points by weight, which
// is computed in single precision: another rounding would be another ring.
#include "src/client/ketama.h"

#include <md5.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <tuple>

#include "src/base/assert.h"

namespace torc::client {
namespace {

constexpr uint32_t kPointsPlain = 100;
constexpr uint32_t kPointsWeighted = 160;
constexpr uint32_t kPointsPerDigest = 4;
constexpr uint16_t kUnnamedPort = 11211;

// Bob Jenkins' one-at-a-time hash, of bytes with a sign as libhashkit has them on x86.
uint32_t OneAtATime(std::string_view text) {
  uint32_t hash = 0;
  for (const char c : text) {
    hash += static_cast<uint32_t>(static_cast<signed char>(c));
    hash += hash << 10;
    hash ^= hash >> 6;
  }
  hash += hash << 3;
  hash ^= hash >> 11;
  return hash + (hash << 15);
}

// Four numbers of the digest's bytes, each little-endian.
std::array<uint32_t, kPointsPerDigest> Md5(std::string_view text) {
  static_assert(std::endian::native == std::endian::little);
  std::array<uint8_t, MD5_DIGEST_LENGTH> digest;
  MD5_CTX state;
  MD5Init(&state);
  MD5Update(&state, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  MD5Final(digest.data(), &state);
  return std::bit_cast<std::array<uint32_t, kPointsPerDigest>>(digest);
}

std::string PointName(const Ring::Server& server, uint32_t number) {
  std::string name = server.host;
  if (server.port != kUnnamedPort) name += ":" + std::to_string(server.port);
  return name + "-" + std::to_string(number);
}

// How many digests give a server its points.
uint32_t DigestCount(uint32_t weight, uint64_t weight_total, size_t server_count) {
  const float share = static_cast<float>(weight) / static_cast<float>(weight_total);
  return static_cast<uint32_t>(
      std::floor(share * kPointsWeighted / kPointsPerDigest * static_cast<float>(server_count) +
                 0.0000000001F));
}

}  // namespace

Ring::Ring(std::span<const Server> servers, Placement placement) : placement_(placement) {
  uint64_t weight_total = 0;
  for (const Server& server : servers) weight_total += server.weight;
  CHECK_LT(0, weight_total);
  for (uint32_t index = 0; index < servers.size(); ++index) {
    const Server& server = servers[index];
    if (placement == Placement::kKetama) {
      for (uint32_t i = 0; i < kPointsPlain; ++i) {
        points_.push_back({OneAtATime(PointName(server, i)), index});
      }
      continue;
    }
    const uint32_t digest_count = DigestCount(server.weight, weight_total, servers.size());
    for (uint32_t i = 0; i < digest_count; ++i) {
      for (const uint32_t hash : Md5(PointName(server, i))) points_.push_back({hash, index});
    }
  }
  // The heaviest server has its share, at least 40 digests: this is for a rounding that says no.
  if (points_.empty()) points_.push_back({0, 0});
  std::sort(points_.begin(), points_.end(), [](const Point& a, const Point& b) {
    return std::tie(a.hash, a.server) < std::tie(b.hash, b.server);
  });
}

size_t Ring::ServerOf(std::string_view key) const {
  const uint32_t hash = placement_ == Placement::kKetama ? OneAtATime(key) : Md5(key)[0];
  const auto next = std::lower_bound(points_.begin(), points_.end(), hash,
                                     [](const Point& p, uint32_t h) { return p.hash < h; });
  return (next == points_.end() ? points_.front() : *next).server;
}

}  // namespace torc::client
