#include "bench/keyspace.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace torc::bench {
namespace {

std::string KeyOf(const Keyspace& keyspace, uint64_t id) {
  std::string key(keyspace.KeySize(id), '?');
  CHECK(keyspace.WriteKey(id, key.data()) == key.data() + key.size());
  return key;
}

std::string ValueOf(const Keyspace& keyspace, uint64_t id, uint32_t version = 0) {
  std::string value(keyspace.ValueSize(id), '?');
  CHECK(keyspace.WriteValue(id, version, value.data()) == value.data() + value.size());
  return value;
}

TEST_CASE("keyspace: keys are the prefix and the padded id") {
  const Keyspace keyspace("key:", 4'000'000, 12, 100);
  CHECK(KeyOf(keyspace, 0) == "key:00000000");
  CHECK(KeyOf(keyspace, 4711) == "key:00004711");
  CHECK(KeyOf(keyspace, 3'999'999) == "key:03999999");
  const Keyspace odd("k", 1000, 4, 0);
  CHECK(KeyOf(odd, 0) == "k000");
  CHECK(KeyOf(odd, 999) == "k999");
  const Keyspace bare("", 10, 1, 0);
  CHECK(KeyOf(bare, 7) == "7");
}

TEST_CASE("keyspace: ids come back from keys, and from nothing else") {
  const Keyspace keyspace("key:", 10'000, 12, 100);
  for (uint64_t id = 0; id < 10'000; id += 37) CHECK(keyspace.IdOf(KeyOf(keyspace, id)) == id);
  for (const char* other : {"", "key:", "key:0000471", "key:000004711", "kex:00004711",
                            "key:0000471x", "key:00010000"}) {
    CHECK_FALSE(keyspace.IdOf(other).has_value());
  }
}

TEST_CASE("keyspace: values differ, and are recognised byte for byte") {
  for (const size_t value_size : {0, 1, 15, 16, 17, 100, 100'000}) {
    const Keyspace keyspace("k", 1000, 12, value_size);
    const std::string value = ValueOf(keyspace, 5);
    CHECK(keyspace.IsValueOf(5, value));
    CHECK_FALSE(keyspace.IsValueOf(5, value + "x"));
    if (value_size == 0) continue;
    CHECK_FALSE(keyspace.IsValueOf(5, value.substr(1)));
    for (const size_t at : {size_t{0}, value_size / 2, value_size - 1}) {
      std::string changed = value;
      changed[at] ^= 1;
      CHECK_FALSE(keyspace.IsValueOf(5, changed));
    }
  }
  const Keyspace keyspace("k", 10'000, 12, 16);
  std::set<std::string> values;
  for (uint64_t id = 0; id < 10'000; ++id) values.insert(ValueOf(keyspace, id));
  CHECK(values.size() == 10'000);
}

TEST_CASE("keyspace: a value says its version") {
  const Keyspace keyspace("k", 1000, 12, 40);
  CHECK(ValueOf(keyspace, 5, 0).starts_with("00000000"));
  CHECK(ValueOf(keyspace, 5, 0xdeadbeef).starts_with("deadbeef"));
  CHECK(keyspace.IsValueOf(5, ValueOf(keyspace, 5, 0xdeadbeef)));
  // The head of one store with the rest of another, and a version that was tampered with.
  const std::string first = ValueOf(keyspace, 5, 1);
  const std::string second = ValueOf(keyspace, 5, 2);
  CHECK_FALSE(keyspace.IsValueOf(5, first.substr(0, 8) + second.substr(8)));
  CHECK_FALSE(keyspace.IsValueOf(5, first.substr(0, 24) + second.substr(24)));
  CHECK_FALSE(keyspace.IsValueOf(5, "DEADBEEF" + first.substr(8)));
  CHECK_FALSE(keyspace.IsValueOf(6, first));
}

TEST_CASE("keyspace: versions of short values") {
  for (const size_t size : {1, 2, 7, 15, 16, 23, 24}) {
    CAPTURE(size);
    const Keyspace keyspace("k", 1000, 12, size);
    for (const uint32_t version : {0u, 1u, 0x12345678u, 0xffffffffu}) {
      CHECK(keyspace.IsValueOf(7, ValueOf(keyspace, 7, version)));
    }
  }
}

TEST_CASE("keyspace: a value in two pieces is the value") {
  for (const size_t size : {0, 5, 24, 25, 70'000}) {
    const Keyspace keyspace("k", 1000, 12, size);
    std::string head(Keyspace::kValueHeadSizeMax, '?');
    char* end = head.data();
    const std::string_view rest = keyspace.WriteValueHead(9, 3, end);
    head.resize(static_cast<size_t>(end - head.data()));
    CHECK(head + std::string(rest) == ValueOf(keyspace, 9, 3));
  }
}

TEST_CASE("keyspace: sizes that differ from key to key") {
  const Keyspace keyspace("k", 10'000, "5-40", "lognormal:200,300");
  std::set<std::string> keys;
  for (uint64_t id = 0; id < 10'000; ++id) {
    const std::string key = KeyOf(keyspace, id);
    REQUIRE(key.size() >= 5);
    REQUIRE(key.size() <= 40);
    REQUIRE(keyspace.IdOf(key) == id);
    REQUIRE(keyspace.IsValueOf(id, ValueOf(keyspace, id, 1)));
    keys.insert(key);
  }
  CHECK(keys.size() == 10'000);
  // A key of another length than its own is no key.
  const std::string key = KeyOf(keyspace, 1);
  CHECK_FALSE(keyspace.IdOf("k0" + key.substr(1)).has_value());
}

TEST_CASE("keyspace: keys of a distribution are long enough for their ids") {
  const Keyspace keyspace("prefix:", 1'000'000, "usr", "2");
  for (uint64_t id = 0; id < 1'000'000; id += 997) {
    CHECK(keyspace.IdOf(KeyOf(keyspace, id)) == id);
  }
  const Keyspace shorter("a-long-prefix:", 1'000'000, "usr", "2");
  CHECK(shorter.key_sizes().min() == 20);
  CHECK(shorter.IdOf(KeyOf(shorter, 999'999)) == 999'999);
}

}  // namespace
}  // namespace torc::bench
