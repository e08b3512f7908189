#include "bench/keyspace.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace torc::bench {
namespace {

std::string KeyOf(const Keyspace& keyspace, uint64_t id) {
  std::string key(keyspace.key_size(), '?');
  CHECK(keyspace.WriteKey(id, key.data()) == key.data() + key.size());
  return key;
}

std::string ValueOf(const Keyspace& keyspace, uint64_t id) {
  std::string value(keyspace.value_size(), '?');
  CHECK(keyspace.WriteValue(id, value.data()) == value.data() + value.size());
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

TEST_CASE("random: uniform, and the same from the same seed") {
  Random random(1);
  Random again(1);
  int counts[10] = {};
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t number = random.Below(10);
    CHECK(number == again.Below(10));
    ++counts[number];
  }
  for (const int count : counts) CHECK(count == doctest::Approx(10'000).epsilon(0.05));
}

}  // namespace
}  // namespace torc::bench
