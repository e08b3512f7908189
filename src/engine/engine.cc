#include "src/engine/engine.h"

#include <xxhash.h>

#include <charconv>

namespace torc::engine {

uint64_t HashKey(std::string_view key, uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

void StatSink::Put(std::string_view name, uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  Put(name, std::string_view(digits, static_cast<size_t>(end - digits)));
}

}  // namespace torc::engine
