// The items a run works on: key number `id` has one key, a function of the id, and values that are
// functions of the id and a version.
//
//   key    prefix, then the id in decimal, padded with zeros to the key's size:  k00000004711
//   value  8 hex digits of the version, 16 of a hash of id and version, then bytes of a fixed pool
//          from an offset that the hash gives; cut to the value's size
//
// A value shorter than 16 bytes divides what it has between version and hash. So a value says of
// itself which store it is from, and each of its bytes can be judged: bytes of two stores in one
// value, or of another key, do not pass. Whether it is the latest store's it does not say: with
// more than one connection no client can know (tests/consistency judges that).
//
// Nothing is kept per key: a table of 4,000,000 encoded keys would cost the load generator a cache
// miss for each request, more than encoding the key anew.
//
// Owner: main. Affinity: any (immutable). Lifetime: the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/random.h"
#include "bench/sizes.h"

namespace torc::bench {

class Keyspace {
 public:
  static constexpr size_t kKeySizeMax = 250;
  // Of any value, and of those of a distribution: memcached's default limit, less its header.
  static constexpr size_t kValueSizeMax = size_t{1} << 30;
  static constexpr size_t kValueSizeMaxDrawn = 1'000'000;

  // Sizes as Sizes reads them. Ends the program if keys of the smallest size do not hold the prefix
  // and every id below `key_count`; keys of a distribution are made as long as that takes.
  Keyspace(std::string prefix, uint64_t key_count, const std::string& key_size,
           const std::string& value_size);
  // All keys and all values of one size.
  Keyspace(std::string prefix, uint64_t key_count, size_t key_size, size_t value_size);

  uint64_t key_count() const { return key_count_; }
  const Sizes& key_sizes() const { return key_sizes_; }
  const Sizes& value_sizes() const { return value_sizes_; }

  size_t KeySize(uint64_t id) const {
    return key_sizes_.is_fixed() ? key_sizes_.max() : key_sizes_.Of(Mix(id ^ kKeySalt));
  }
  size_t ValueSize(uint64_t id) const {
    return value_sizes_.is_fixed() ? value_sizes_.max() : value_sizes_.Of(Mix(id ^ kValueSalt));
  }

  // Writes exactly KeySize(id) bytes and returns the end.
  char* WriteKey(uint64_t id, char* out) const;

  // Writes exactly ValueSize(id) bytes and returns the end.
  char* WriteValue(uint64_t id, uint32_t version, char* out) const;

  // The same in two pieces: writes the first bytes of the value, at most kValueHeadSizeMax, and
  // returns the others, which stay for as long as the key space. So a value of a megabyte can be
  // sent without a copy of it.
  static constexpr size_t kValueHeadSizeMax = 24;
  std::string_view WriteValueHead(uint64_t id, uint32_t version, char*& out) const;

  // The id of a key of this key space; nothing for any other bytes.
  std::optional<uint64_t> IdOf(std::string_view key) const;

  // Whether `value` is a value of key `id`, of whatever version, byte for byte.
  bool IsValueOf(uint64_t id, std::string_view value) const;

 private:
  static constexpr uint64_t kKeySalt = 0x6b65795f73697a65;
  static constexpr uint64_t kValueSalt = 0x76616c5f73697a65;

  struct Parts;
  Parts PartsOf(uint64_t id, uint32_t version, size_t size) const;

  std::string prefix_;
  uint64_t key_count_;
  Sizes key_sizes_;
  Sizes value_sizes_;
  std::string pool_;
};

}  // namespace torc::bench
