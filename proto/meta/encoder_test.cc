// Replies as memcached 1.6.45 was seen to write them.
#include "proto/meta/encoder.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <string_view>

#include "proto/meta/parser.h"
#include "proto/meta/reply.h"

namespace torc::proto {
namespace {

// What `encode` writes into a buffer that is filled with another byte: it must not write past what
// it returns.
template <typename Encoder>
std::string Written(Encoder encode) {
  char buffer[kMetaReplyBytesMax + 1];
  std::memset(buffer, '#', sizeof(buffer));
  const char* end = encode(buffer);
  REQUIRE(end >= buffer);
  REQUIRE(end < buffer + sizeof(buffer));
  CHECK(*end == '#');
  return std::string(buffer, static_cast<size_t>(end - buffer));
}

// The echo of a command with these flags.
MetaEcho Echo(std::string_view flags) {
  const std::string line = "mg Zm9v " + std::string(flags) + "\r\n";
  const MetaRequest request = ParseMetaLine(line);
  REQUIRE(request.error == MetaError::kNone);
  return request.echo;
}

std::string Hit(std::string_view flags, const MetaItem& item, MetaKey key = {"k", false}) {
  return Written([&](char* out) { return EncodeMetaHit(out, Echo(flags), key, item); });
}

TEST_CASE("mg: flags come back in the request's order") {
  MetaItem item;
  item.value_size = 3;
  item.ttl.before = 100;
  item.client_flags = 5;
  item.cas = 2;
  item.fetched = true;
  item.with_value = true;
  CHECK(Hit("s t f c h l k O123 v", item) == "VA 3 s3 t100 f5 c2 h1 l0 kk O123\r\n");
  CHECK(Hit("O123 k l h c f t s v", item) == "VA 3 O123 kk l0 h1 c2 f5 t100 s3\r\n");
  CHECK(Hit("v", item) == "VA 3\r\n");
  item.with_value = false;
  item.ttl.before = kTtlUnlimited;
  item.fetched = false;
  item.idle_seconds = 7;
  CHECK(Hit("", item) == "HD\r\n");
  CHECK(Hit("t h l O", item) == "HD t-1 h0 l7 O\r\n");
  CHECK(Hit("q u P1 L1 R5 C9 E5 F5 D5 J5 I x", item) == "HD\r\n");
}

TEST_CASE("mg: Z, X and W stand last, in this order") {
  MetaItem item;
  item.won = true;
  CHECK(Hit("c", item) == "HD c0 W\r\n");
  item.stale = true;
  CHECK(Hit("", item) == "HD X W\r\n");
  item.won = false;
  item.token_sent = true;
  CHECK(Hit("O1", item) == "HD O1 Z X\r\n");
  item.stale = false;
  CHECK(Hit("", item) == "HD Z\r\n");
}

TEST_CASE("mg: t shows the expiry that holds at its place") {
  MetaItem item;
  item.ttl = {.before = 100, .touched = 50};
  CHECK(Hit("t T50", item) == "HD t100\r\n");
  CHECK(Hit("T50 t", item) == "HD t50\r\n");
  CHECK(Hit("N30 t", item) == "HD t100\r\n");
  item.ttl = {.before = kTtlUnlimited, .touched = 60, .vivified = 30, .created = true};
  CHECK(Hit("t N30", item) == "HD t-1\r\n");
  CHECK(Hit("N30 t T60", item) == "HD t30\r\n");
  CHECK(Hit("N30 T60 t", item) == "HD t60\r\n");
  CHECK(Hit("T60 N30 t", item) == "HD t30\r\n");
  // Below zero is gone, not unlimited.
  item.ttl = {.before = -5};
  CHECK(Hit("t", item) == "HD t0\r\n");
}

TEST_CASE("a key in base64 says so, behind itself") {
  CHECK(Hit("k O1", {}, {"foo", true}) == "HD kZm9v b O1\r\n");
  CHECK(Hit("O1 k", {}, {"\r\n", true}) == "HD O1 kDQo= b\r\n");
  CHECK(Hit("b O1", {}, {"foo", true}) == "HD O1\r\n");
}

TEST_CASE("mg: a miss repeats key and opaque token alone") {
  CHECK(Written([](char* out) {
          return EncodeMetaMiss(out, Echo("s t v O1 k"), {"foo", false});
        }) == "EN O1 kfoo\r\n");
  CHECK(Written([](char* out) { return EncodeMetaMiss(out, Echo("k"), {"foo", true}); }) ==
        "EN kZm9v b\r\n");
}

TEST_CASE("ms: any result shows c and s") {
  const auto stored = [](std::string_view flags, MetaStatus status, uint64_t cas, uint32_t size) {
    return Written([&](char* out) {
      return EncodeMetaStored(out, Echo(flags), {"k", false}, status, cas, size);
    });
  };
  CHECK(stored("", MetaStatus::kOk, 1, 3) == "HD\r\n");
  CHECK(stored("k O123 c s t f h l v", MetaStatus::kOk, 19, 3) == "HD kk O123 c19 s3\r\n");
  CHECK(stored("O5 k s c", MetaStatus::kNotStored, 0, 3) == "NS O5 kk s3 c0\r\n");
  CHECK(stored("c s", MetaStatus::kNotFound, 0, 3) == "NF c0 s3\r\n");
  CHECK(stored("c s", MetaStatus::kExists, 0, 3) == "EX c0 s3\r\n");
}

TEST_CASE("md, and what ma has no number for: key and opaque token alone") {
  const auto done = [](MetaStatus status) {
    return Written([&](char* out) {
      return EncodeMetaDone(out, Echo("c s t h l f v k O1"), {"k", false}, status);
    });
  };
  CHECK(done(MetaStatus::kOk) == "HD kk O1\r\n");
  CHECK(done(MetaStatus::kNotFound) == "NF kk O1\r\n");
  CHECK(done(MetaStatus::kExists) == "EX kk O1\r\n");
  CHECK(done(MetaStatus::kNotStored) == "NS kk O1\r\n");
}

TEST_CASE("ma: the number is a value") {
  const auto number = [](std::string_view flags, uint64_t n, bool with_value, MetaTtl ttl) {
    return Written([&](char* out) {
      return EncodeMetaNumber(out, Echo(flags), {"n", false}, n, with_value, 97, ttl);
    });
  };
  CHECK(number("", 7, false, {}) == "HD\r\n");
  CHECK(number("v", 7, true, {}) == "VA 1\r\n7\r\n");
  CHECK(number("v c k O1 t", 7, true, {}) == "VA 1 c97 kn O1 t-1\r\n7\r\n");
  CHECK(number("s f h l v", 12, true, {}) == "VA 2\r\n12\r\n");
  CHECK(number("v", UINT64_MAX, true, {}) == "VA 20\r\n18446744073709551615\r\n");
  CHECK(number("t T50", 1, false, {.before = 100, .touched = 50}) == "HD t100\r\n");
  CHECK(number("N30 t T60", 1, false, {.touched = 60, .vivified = 30, .created = true}) ==
        "HD t30\r\n");
}

TEST_CASE("me") {
  const auto debug = [](MetaKey key, MetaDebugItem item) {
    return Written([&](char* out) { return EncodeMetaDebug(out, key, item); });
  };
  CHECK(debug({"k", false}, {.cas = 274, .ttl = 100, .size_class = 1, .size_bytes = 67}) ==
        "ME k exp=100 la=0 cas=274 fetch=no cls=1 size=67\r\n");
  CHECK(debug({"k", true},
              {.cas = 52, .idle_seconds = 9, .size_class = 1, .size_bytes = 63, .fetched = true}) ==
        "ME aw== exp=-1 la=9 cas=52 fetch=yes cls=1 size=63\r\n");
}

TEST_CASE("the longest reply fits") {
  const std::string key(kKeyBytesMax, '\xff');
  MetaItem item;
  item.cas = UINT64_MAX;
  item.value_size = item.client_flags = item.idle_seconds = UINT32_MAX;
  item.ttl.before = INT64_MAX;
  item.with_value = item.stale = item.token_sent = item.won = item.fetched = true;
  const std::string opaque(kOpaqueBytesMax, 'o');
  const std::string reply = Hit("s t f c h l k v O" + opaque, item, {key, true});
  CHECK(reply.size() <= kMetaReplyBytesMax);
  CHECK(reply.ends_with(" Z X W\r\n"));
}

TEST_CASE("replies read back") {
  MetaReply reply;
  REQUIRE(ParseMetaReply("VA 5 t30 Oabc W\r\n", &reply));
  CHECK(reply.status == MetaStatus::kOk);
  CHECK(reply.has_value);
  CHECK(reply.value_size == 5);
  char letter = 0;
  std::string_view token;
  REQUIRE(NextMetaFlag(&reply.flags, &letter, &token));
  CHECK(letter == 't');
  CHECK(token == "30");
  REQUIRE(NextMetaFlag(&reply.flags, &letter, &token));
  CHECK(letter == 'O');
  CHECK(token == "abc");
  REQUIRE(NextMetaFlag(&reply.flags, &letter, &token));
  CHECK(letter == 'W');
  CHECK(token.empty());
  CHECK_FALSE(NextMetaFlag(&reply.flags, &letter, &token));
  for (std::string_view line : {"HD", "MN\r\n", "VA\r\n", "VA x\r\n", "ERROR\r\n", "\r\n",
                                "CLIENT_ERROR bad command line format\r\n", "HDx\r\n"}) {
    CAPTURE(line);
    CHECK_FALSE(ParseMetaReply(line, &reply));
  }
}

}  // namespace
}  // namespace torc::proto
