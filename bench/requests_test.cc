#include "bench/requests.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>

namespace torc::bench {
namespace {

// Requests of the text protocol over a small key space.
struct Fixture {
  explicit Fixture(const RequestMix& mix, size_t value_size = 10)
      : keyspace("k", 100, 4, value_size),
        protocol(MakeProtocol("text", keyspace, {})),
        requests(mix, keyspace, *protocol, 1) {
    out.Begin(requests.NextSizeMax() + requests.SetSizeMax());
  }

  // All that a send would carry.
  std::string Bytes() {
    if (out.is_whole()) return std::string(out.bytes());
    std::string bytes;
    const msghdr* message = out.Message();
    for (size_t i = 0; i < message->msg_iovlen; ++i) {
      bytes += std::string_view(static_cast<const char*>(message->msg_iov[i].iov_base),
                                message->msg_iov[i].iov_len);
    }
    return bytes;
  }

  Keyspace keyspace;
  std::unique_ptr<Protocol> protocol;
  Requests requests;
  Batch batch;
  Outgoing out;
};

TEST_CASE("requests: kinds come in their shares") {
  constexpr int kCount = 20'000;
  Fixture fixture({.set_share = 0.2, .delete_share = 0.1, .keys_per_get = 3});
  int sets = 0, deletes = 0;
  for (int i = 0; i < kCount; ++i) {
    fixture.batch.Clear();
    fixture.out.Begin(0);
    fixture.requests.AddNext(fixture.batch, fixture.out);
    REQUIRE(fixture.batch.requests.size() == 1);
    const RequestKind kind = fixture.batch.requests[0].kind;
    REQUIRE(fixture.batch.keys.size() == (kind == RequestKind::kGet ? 3 : 1));
    REQUIRE(fixture.out.bytes().size() <= fixture.requests.NextSizeMax());
    const std::string_view word = kind == RequestKind::kGet   ? "get "
                                  : kind == RequestKind::kSet ? "set "
                                                              : "delete ";
    REQUIRE(fixture.out.bytes().starts_with(word));
    sets += kind == RequestKind::kSet ? 1 : 0;
    deletes += kind == RequestKind::kDelete ? 1 : 0;
  }
  CHECK(sets == doctest::Approx(0.2 * kCount).epsilon(0.05));
  CHECK(deletes == doctest::Approx(0.1 * kCount).epsilon(0.05));
}

TEST_CASE("requests: every store has a version of its own") {
  Fixture fixture({});
  fixture.requests.AddSet(7, fixture.batch, fixture.out);
  fixture.requests.AddSet(7, fixture.batch, fixture.out);
  const std::string bytes = fixture.Bytes();
  const std::string first = bytes.substr(0, bytes.size() / 2);
  const std::string second = bytes.substr(bytes.size() / 2);
  CHECK(first.starts_with("set k007 0 0 10\r\n"));
  CHECK(second.starts_with("set k007 0 0 10\r\n"));
  CHECK(first != second);
  for (const std::string& each : {first, second}) {
    CHECK(fixture.keyspace.IsValueOf(7, each.substr(17, 10)));
  }
}

TEST_CASE("requests: large values are sent from where they are, and are the same bytes") {
  Fixture referring({.set_share = 1}, 100'000);
  Fixture copying({.set_share = 1, .copy_values = true}, 100'000);
  CHECK(referring.requests.SetSizeMax() < 20'000);
  CHECK(copying.requests.SetSizeMax() > 100'000);
  referring.requests.AddNext(referring.batch, referring.out);
  referring.requests.AddSet(5, referring.batch, referring.out);
  copying.requests.AddNext(copying.batch, copying.out);
  copying.requests.AddSet(5, copying.batch, copying.out);
  CHECK_FALSE(referring.out.is_whole());
  CHECK(copying.out.is_whole());
  CHECK(referring.Bytes() == copying.Bytes());
  CHECK(referring.batch.keys == copying.batch.keys);
}

}  // namespace
}  // namespace torc::bench
