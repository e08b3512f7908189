#include "src/copy/format.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace torc::copy {
namespace {

using Result = Reader::Result;

struct Item {
  std::string key;
  std::string value;
  uint32_t client_flags = 0;
  int64_t exptime = 0;
  bool operator==(const Item&) const = default;
};

std::string Written(const std::vector<Item>& items) {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  Writer writer(file);
  REQUIRE(writer.Begin(1'700'000'000));
  for (const Item& item : items) {
    REQUIRE(writer.Add({item.key, item.value, item.client_flags, item.exptime}));
  }
  REQUIRE(writer.End());
  std::string bytes(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  REQUIRE(std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size());
  (void)std::fclose(file);
  return bytes;
}

struct ReadBack {
  std::vector<Item> items;
  std::string error;  // empty: the file is whole
};

ReadBack Read(const std::string& bytes) {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  REQUIRE(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  std::rewind(file);
  ReadBack back;
  Reader reader(file);
  Result result = reader.Begin();
  while (result == Result::kOk && (result = reader.NextBlock()) == Result::kOk) {
    Record record;
    while (reader.Next(&record)) {
      back.items.push_back({std::string(record.key), std::string(record.value), record.client_flags,
                            record.exptime});
    }
  }
  if (result == Result::kBroken) back.error = reader.error();
  (void)std::fclose(file);
  return back;
}

std::vector<Item> Some() {
  return {{"a", "", 0, 0},
          {"b", std::string("\r\n\0END\r\n", 8), 4294967295, 1'800'000'000},
          {std::string(250, 'k'), std::string(3'000'000, 'v'), 1, 0},
          {"c", "last", 2, 5}};
}

TEST_CASE("what is written is read") {
  CHECK(Read(Written({})).error.empty());
  CHECK(Read(Written({})).items.empty());
  const ReadBack back = Read(Written(Some()));
  CHECK(back.error.empty());
  CHECK(back.items == Some());
}

TEST_CASE("many small items take several blocks") {
  std::vector<Item> items;
  for (int i = 0; i < 50'000; ++i) items.push_back({"key" + std::to_string(i), "some value"});
  const std::string bytes = Written(items);
  CHECK(bytes.size() > 1 << 20);
  const ReadBack back = Read(bytes);
  CHECK(back.error.empty());
  CHECK(back.items == items);
}

TEST_CASE("a file that is cut off anywhere is not whole") {
  const std::string bytes = Written({{"key", "value"}, {"other", "value"}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(!Read(bytes.substr(0, size)).error.empty());
  }
}

TEST_CASE("a file with any byte changed is not believed, and gives no wrong item") {
  const std::vector<Item> items = {{"key", "value", 3, 4}, {"other", "value"}};
  const std::string bytes = Written(items);
  for (size_t at = 0; at < bytes.size(); ++at) {
    CAPTURE(at);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const ReadBack back = Read(changed);
    CHECK(!back.error.empty());
    CHECK((back.items.empty() || back.items == items));
  }
}

TEST_CASE("other files and later versions are told apart") {
  CHECK(Read("").error.find("too short") != std::string::npos);
  CHECK(Read("hello, I am no dump").error.find("begins otherwise") != std::string::npos);
  std::string later = Written(Some());
  later[8] = 2;
  CHECK(Read(later).error.find("version 2") != std::string::npos);
}

TEST_CASE("a block that was left out is missed") {
  std::vector<Item> items;
  for (int i = 0; i < 3; ++i)
    items.push_back({"key" + std::to_string(i), std::string(900'000, 'v')});
  const std::string bytes = Written(items);
  const size_t header = 32;
  const size_t block = 16 + 17 + 4 + 900'000;
  REQUIRE(bytes.size() == header + 3 * block + 24);
  const ReadBack back = Read(bytes.substr(0, header) + bytes.substr(header + block));
  CHECK(back.error.find("lost blocks") != std::string::npos);
}

}  // namespace
}  // namespace torc::copy
