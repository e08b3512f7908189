#include "src/engine/engine.h"

#include <xxhash.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace torc::engine {
namespace {

// What memcached counts of an item against -I besides key and value: its header (48), the CAS
// unique (8), the key's end (1) and the value's line end (2). Seen to hold to the byte on 1.6.45
// with -I 1m, 2m and 64m; client flags count 4 more.
constexpr uint64_t kPeerOverheadBytes = 59;
constexpr uint64_t kPeerFlagsBytes = 4;
// memcached stores items above its slab_chunk_max in pieces.
constexpr uint64_t kPeerChunkMaxBytes = uint64_t{512} << 10;

}  // namespace

uint64_t HashKey(std::string_view key, uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

uint64_t ValueSizeMaxOf(uint64_t item_size_max_bytes, size_t key_size, uint32_t client_flags) {
  const uint64_t overhead =
      kPeerOverheadBytes + key_size + (client_flags != 0 ? kPeerFlagsBytes : 0);
  return item_size_max_bytes > overhead
             ? std::min<uint64_t>(item_size_max_bytes - overhead, UINT32_MAX)
             : 0;
}

bool IsCountable(size_t key_size, uint64_t value_size) {
  return value_size + key_size + kPeerOverheadBytes <= kPeerChunkMaxBytes;
}

bool CountOn(const Op& op, const std::string& value, uint64_t* number, std::string* counted) {
  if (!IsCountable(op.key_size, value.size())) return false;
  // memcached's safe_strtoull, by the function that it calls.
  errno = 0;
  char* end = nullptr;
  const unsigned long long read = std::strtoull(value.c_str(), &end, 10);
  if (errno == ERANGE || end == value.c_str()) return false;
  if (*end != '\0' && std::isspace(static_cast<unsigned char>(*end)) == 0) return false;
  if (static_cast<long long>(read) < 0 && std::strchr(value.c_str(), '-') != nullptr) return false;
  const uint64_t delta = op.verb == Verb::kExtended ? op.extended->delta : op.number;
  const bool up = VerbOf(op) == Verb::kIncrement;
  *number = up ? read + delta : (delta > read ? 0 : read - delta);
  *counted = std::to_string(*number);
  // It writes in place where it can.
  if (counted->size() < value.size()) counted->resize(value.size(), ' ');
  return true;
}

size_t Engine::Collect(ShardId, std::span<Pending*>) { return 0; }

void StatSink::Put(std::string_view name, uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  Put(name, std::string_view(digits, static_cast<size_t>(end - digits)));
}

}  // namespace torc::engine
