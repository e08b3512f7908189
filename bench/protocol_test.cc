// Replies are read whole, cut at every byte, and wrong in each way that would spoil a figure.

#include "bench/protocol.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "proto/binary/encoder.h"

namespace torc::bench {
namespace {

constexpr size_t kValueSize = 20;

// A protocol over a small key space, and the replies a right server would give.
struct Fixture {
  explicit Fixture(const std::string& name, bool verify = true)
      : Fixture(name, ProtocolOptions{.verify = verify}) {}
  Fixture(const std::string& name, const ProtocolOptions& options, size_t value_size = kValueSize)
      : keyspace("k", 100, 6, value_size), protocol(MakeProtocol(name, keyspace, options)) {}

  std::string Key(uint64_t id) const {
    std::string key(keyspace.KeySize(id), '?');
    keyspace.WriteKey(id, key.data());
    return key;
  }

  std::string Value(uint64_t id) const {
    std::string value(keyspace.ValueSize(id), '?');
    keyspace.WriteValue(id, 7, value.data());
    return value;
  }

  std::string TextHit(uint64_t id) const {
    return "VALUE " + Key(id) + " 0 20\r\n" + Value(id) + "\r\n";
  }

  void AskGet(std::initializer_list<uint64_t> ids) {
    batch.keys.insert(batch.keys.end(), ids);
    batch.requests.push_back({RequestKind::kGet, static_cast<uint32_t>(batch.keys.size())});
  }

  void AskSet(uint64_t id) {
    batch.keys.push_back(id);
    batch.requests.push_back({RequestKind::kSet, static_cast<uint32_t>(batch.keys.size())});
  }

  void AskDelete(uint64_t id) {
    batch.keys.push_back(id);
    batch.requests.push_back({RequestKind::kDelete, static_cast<uint32_t>(batch.keys.size())});
  }

  // Feeds the replies in two pieces, as the load generator does; returns what is wrong with them.
  std::string Feed(std::string_view replies, size_t cut) {
    std::string error;
    const size_t used = protocol->Consume(replies.substr(0, cut), batch, tally, error);
    if (error.empty()) protocol->Consume(replies.substr(used), batch, tally, error);
    return error;
  }

  Keyspace keyspace;
  std::unique_ptr<Protocol> protocol;
  Batch batch;
  Tally tally;
};

std::string Encoded(const Fixture& fixture, std::initializer_list<uint64_t> get_ids) {
  std::string out(fixture.protocol->GetSizeMax(get_ids.size()), '?');
  out.resize(static_cast<size_t>(
      fixture.protocol->EncodeGet(get_ids.begin(), get_ids.size(), out.data()) - out.data()));
  return out;
}

std::string EncodedSet(const Fixture& fixture, uint64_t id) {
  std::string out(fixture.protocol->SetFrameSizeMax() + fixture.keyspace.ValueSize(id), '?');
  out.resize(static_cast<size_t>(fixture.protocol->EncodeSet(id, 7, out.data()) - out.data()));
  return out;
}

// What is wrong with `replies` to a get of the keys 1, 2 and 3.
std::string ErrorOf(const std::string& replies, bool verify = true) {
  Fixture fixture("text", verify);
  fixture.AskGet({1, 2, 3});
  return fixture.Feed(replies, replies.size());
}

TEST_CASE("a store that is refused for want of memory is an error, or counted where it may be") {
  const std::string replies = "SERVER_ERROR out of memory storing object\r\nSTORED\r\n";
  for (size_t cut = 0; cut <= replies.size(); ++cut) {
    Fixture lenient("text", {.may_refuse = true});
    lenient.AskSet(1);
    lenient.AskSet(2);
    CHECK(lenient.Feed(replies, cut) == "");
    CHECK(lenient.batch.Done());
    CHECK(lenient.tally.sets == 2);
    CHECK(lenient.tally.refused == 1);

    Fixture strict("text");
    strict.AskSet(1);
    strict.AskSet(2);
    CHECK(strict.Feed(replies, cut) == "expected STORED");
  }
  Fixture lenient("text", {.may_refuse = true});
  lenient.AskSet(1);
  CHECK(lenient.Feed("SERVER_ERROR object too large for cache\r\n", 40) == "expected STORED");
}

TEST_CASE("protocol: there is no other than text, binary and meta") {
  const Keyspace keyspace("k", 1, 2, 1);
  CHECK(MakeProtocol("ascii", keyspace, {}) == nullptr);
}

// As a right server writes them.
std::string BinaryHit(const Fixture& fixture, uint64_t id, bool quiet) {
  const proto::BinaryTo to = {0, quiet ? proto::Opcode::kGetKQ : proto::Opcode::kGet};
  std::string packet(proto::kBinaryValueHeadBytesMax, '?');
  const std::string key = fixture.Key(id);
  packet.resize(static_cast<size_t>(
      proto::EncodeBinaryValue(packet.data(), to, quiet ? key : "", 0, kValueSize, 5) -
      packet.data()));
  return packet + fixture.Value(id);
}
std::string BinaryAnswer(proto::Opcode opcode, proto::BinaryStatus status) {
  std::string packet(proto::kBinaryStatusBytesMax, '?');
  packet.resize(static_cast<size_t>(proto::EncodeBinaryStatus(packet.data(), {0, opcode}, status) -
                                    packet.data()));
  return packet;
}

TEST_CASE("binary: replies, cut at every byte") {
  const Fixture model("binary");
  const auto noop = BinaryAnswer(proto::Opcode::kNoop, proto::BinaryStatus::kOk);
  const std::string replies = BinaryAnswer(proto::Opcode::kSet, proto::BinaryStatus::kOk) +
                              BinaryHit(model, 1, true) + BinaryHit(model, 3, true) + noop +
                              BinaryAnswer(proto::Opcode::kGet, proto::BinaryStatus::kNotFound) +
                              BinaryHit(model, 5, false);
  for (size_t cut = 0; cut <= replies.size(); ++cut) {
    CAPTURE(cut);
    Fixture fixture("binary");
    fixture.AskSet(9);
    fixture.AskGet({1, 2, 3});
    fixture.AskGet({4});
    fixture.AskGet({5});
    CHECK(fixture.Feed(replies, cut) == "");
    CHECK(fixture.batch.Done());
    CHECK(fixture.tally.requests == 4);
    CHECK(fixture.tally.gets == 5);
    CHECK(fixture.tally.hits == 3);
  }
}

TEST_CASE("binary: wrong replies") {
  const Fixture model("binary");
  const auto error_of = [](const std::string& replies) {
    Fixture fixture("binary");
    fixture.AskGet({1, 2});
    return fixture.Feed(replies, replies.size());
  };
  CHECK(error_of(BinaryHit(model, 3, true)) != "");
  CHECK(error_of(BinaryHit(model, 2, true) + BinaryHit(model, 1, true)) != "");
  CHECK(error_of(BinaryAnswer(proto::Opcode::kGetKQ, proto::BinaryStatus::kNoMemory)) != "");
  CHECK(error_of(BinaryAnswer(proto::Opcode::kSet, proto::BinaryStatus::kOk)) != "");
  CHECK(error_of(std::string(24, 'x')) == "expected a packet");
}

TEST_CASE("text: requests") {
  const Fixture fixture("text");
  CHECK(Encoded(fixture, {7}) == "get k00007\r\n");
  CHECK(Encoded(fixture, {7, 42}) == "get k00007 k00042\r\n");
  CHECK(EncodedSet(fixture, 7) == "set k00007 0 0 20\r\n" + fixture.Value(7) + "\r\n");
}

TEST_CASE("meta: requests") {
  const Fixture fixture("meta");
  CHECK(Encoded(fixture, {7}) == "mg k00007 v\r\n");
  CHECK(Encoded(fixture, {7, 42}) == "mg k00007 k q v\r\nmg k00042 k q v\r\nmn\r\n");
  CHECK(EncodedSet(fixture, 7) == "ms k00007 20\r\n" + fixture.Value(7) + "\r\n");
}

std::string EncodedDelete(const Fixture& fixture, uint64_t id) {
  std::string out(fixture.protocol->DeleteSizeMax(), '?');
  out.resize(static_cast<size_t>(fixture.protocol->EncodeDelete(id, out.data()) - out.data()));
  return out;
}

TEST_CASE("requests that expire, and deletes") {
  const ProtocolOptions expiring{.ttl_seconds = 60};
  const Fixture text("text", expiring);
  CHECK(EncodedSet(text, 7) == "set k00007 0 60 20\r\n" + text.Value(7) + "\r\n");
  CHECK(EncodedDelete(text, 7) == "delete k00007\r\n");
  const Fixture meta("meta", expiring);
  CHECK(EncodedSet(meta, 7) == "ms k00007 20 T60\r\n" + meta.Value(7) + "\r\n");
  CHECK(EncodedDelete(meta, 7) == "md k00007\r\n");
  const Fixture binary("binary", expiring);
  const std::string set = EncodedSet(binary, 7);
  CHECK(set.substr(24, 8) == std::string("\0\0\0\0\0\0\0\x3c", 8));  // flags, expiry
  CHECK(EncodedDelete(binary, 7).size() == 24 + 6);
}

// Replies to three deletes: done, not found, done.
void DeletesAreCounted(const std::string& name, const std::string& replies) {
  for (size_t cut = 0; cut <= replies.size(); ++cut) {
    CAPTURE(cut);
    Fixture fixture(name);
    for (const uint64_t id : {1, 2, 3}) fixture.AskDelete(id);
    CHECK(fixture.Feed(replies, cut) == "");
    CHECK(fixture.batch.Done());
    CHECK(fixture.tally.deletes == 3);
    CHECK(fixture.tally.deleted == 2);
    CHECK(fixture.tally.gets == 0);
    CHECK(fixture.tally.hits == 0);
  }
}

TEST_CASE("deletes, cut at every byte") {
  DeletesAreCounted("text", "DELETED\r\nNOT_FOUND\r\nDELETED\r\n");
  DeletesAreCounted("meta", "HD\r\nNF\r\nHD\r\n");
  const auto binary = [](proto::BinaryStatus status) {
    return BinaryAnswer(proto::Opcode::kDelete, status);
  };
  DeletesAreCounted("binary", binary(proto::BinaryStatus::kOk) +
                                  binary(proto::BinaryStatus::kNotFound) +
                                  binary(proto::BinaryStatus::kOk));
}

TEST_CASE("replies that are no replies to a delete") {
  for (const std::string name : {"text", "meta", "binary"}) {
    CAPTURE(name);
    for (const std::string wrong :
         {"STORED\r\n", "EN\r\n", "END\r\n", "ERROR\r\n........................"}) {
      Fixture fixture(name);
      fixture.AskDelete(1);
      const std::string error = fixture.Feed(wrong, wrong.size());
      CHECK((error != "" || !fixture.batch.Done()));
      if (name == "text") CHECK(error == "expected DELETED or NOT_FOUND");
    }
  }
}

TEST_CASE("misses are tracked, without verification too") {
  const ProtocolOptions tracking{.track_misses = true};
  for (const bool quiet : {false, true}) {
    Fixture fixture(quiet ? "binary" : "text", tracking);
    fixture.AskGet({1, 2, 3, 4});
    const std::string replies =
        quiet ? BinaryHit(fixture, 2, true) +
                    BinaryAnswer(proto::Opcode::kNoop, proto::BinaryStatus::kOk)
              : fixture.TextHit(2) + "END\r\n";
    CHECK(fixture.Feed(replies, 10) == "");
    CHECK(fixture.batch.missed == std::vector<uint64_t>{1, 3, 4});
  }
  Fixture meta("meta", tracking);
  meta.AskGet({1});
  meta.AskGet({2});
  meta.AskGet({3});
  CHECK(meta.Feed("EN\r\nVA 20\r\n" + meta.Value(2) + "\r\nEN\r\n", 9) == "");
  CHECK(meta.batch.missed == std::vector<uint64_t>{1, 3});
}

// A reply in pieces of `step` bytes, with what was not used coming again, as the load does it;
// returns the most bytes that came again.
size_t FeedInSteps(Fixture& fixture, std::string_view replies, size_t step) {
  std::string left;
  size_t left_max = 0;
  for (size_t at = 0; at < replies.size(); at += step) {
    left += replies.substr(at, step);
    std::string error;
    left.erase(0, fixture.protocol->Consume(left, fixture.batch, fixture.tally, error));
    REQUIRE(error == "");
    left_max = std::max(left_max, left.size());
  }
  CHECK(left.empty());
  return left_max;
}

TEST_CASE("large values are not kept") {
  constexpr size_t kLarge = 300'000;
  for (const std::string name : {"text", "meta"}) {
    for (const size_t step : {1000, 4093, 16384}) {
      Fixture fixture(name, {}, kLarge);
      const std::string replies =
          name == "text" ? "VALUE k00001 0 300000\r\n" + fixture.Value(1) +
                               "\r\nVALUE k00002 0 300000\r\n" + fixture.Value(2) + "\r\nEND\r\n"
                         : "VA 300000\r\n" + fixture.Value(1) + "\r\nVA 300000\r\n" +
                               fixture.Value(2) + "\r\n";
      if (name == "text") {
        fixture.AskGet({1, 2});
      } else {
        fixture.AskGet({1});
        fixture.AskGet({2});
      }
      CHECK(FeedInSteps(fixture, replies, step) < 100);
      CHECK(fixture.batch.Done());
      CHECK(fixture.tally.hits == 2);
    }
  }
}

TEST_CASE("large values are judged by their line end") {
  Fixture fixture("text", {}, 300'000);
  fixture.AskGet({1});
  const std::string reply = "VALUE k00001 0 300000\r\n" + fixture.Value(1) + "xx";
  CHECK(fixture.Feed(reply, 100'000) == "expected a line end behind a value");
}

TEST_CASE("text: replies, cut at every byte") {
  const Fixture model("text");
  const std::string replies = "STORED\r\n" + model.TextHit(1) + model.TextHit(3) + "END\r\n" +
                              "END\r\n" + model.TextHit(5) + model.TextHit(5) + "END\r\n";
  for (size_t cut = 0; cut <= replies.size(); ++cut) {
    CAPTURE(cut);
    Fixture fixture("text");
    fixture.AskSet(9);
    fixture.AskGet({1, 2, 3});
    fixture.AskGet({4});
    fixture.AskGet({5, 5});
    CHECK(fixture.Feed(replies, cut) == "");
    CHECK(fixture.batch.Done());
    CHECK(fixture.tally.requests == 4);
    CHECK(fixture.tally.keys == 7);
    CHECK(fixture.tally.gets == 6);
    CHECK(fixture.tally.hits == 4);
  }
}

TEST_CASE("meta: replies, cut at every byte") {
  const Fixture model("meta");
  const std::string replies =
      "HD\r\nVA 20\r\n" + model.Value(1) + "\r\nEN\r\nVA 20\r\n" + model.Value(3) + "\r\n";
  for (size_t cut = 0; cut <= replies.size(); ++cut) {
    CAPTURE(cut);
    Fixture fixture("meta");
    fixture.AskSet(9);
    fixture.AskGet({1});
    fixture.AskGet({2});
    fixture.AskGet({3});
    CHECK(fixture.Feed(replies, cut) == "");
    CHECK(fixture.batch.Done());
    CHECK(fixture.tally.requests == 4);
    CHECK(fixture.tally.hits == 2);
  }
}

TEST_CASE("text: bytes behind the last reply are left") {
  Fixture fixture("text");
  fixture.AskSet(1);
  std::string error;
  CHECK(fixture.protocol->Consume("STORED\r\nEND\r\n", fixture.batch, fixture.tally, error) == 8);
  CHECK(error == "");
}

TEST_CASE("text: replies that are no replies") {
  const Fixture model("text");
  const std::string hit = model.TextHit(1);
  for (const std::string& wrong :
       {std::string("ERROR\r\n"), std::string("SERVER_ERROR out of memory\r\n"),
        std::string("STORED\r\n"), std::string("\r\n"), std::string("END\n"),
        std::string("VALUE k00001 0\r\n"), std::string("VALUE k00001 0 x\r\n"),
        std::string("VALUE k00001 0 20 1 2\r\n"), std::string("VALUE k00001 0 20\n"),
        "VALUE " + std::string(600, 'k'), hit.substr(0, hit.size() - 2) + "xx"}) {
    CAPTURE(wrong);
    CHECK(ErrorOf(wrong, false) != "");
    CHECK(ErrorOf(hit + wrong, false) != "");
  }
}

TEST_CASE("text: a set that is not stored") {
  for (const std::string wrong :
       {"NOT_STORED\r\n", "SERVER_ERROR object too large\r\n", "END\r\n"}) {
    Fixture fixture("text");
    fixture.AskSet(1);
    CHECK(fixture.Feed(wrong, wrong.size()) == "expected STORED");
  }
}

TEST_CASE("text: more values than keys") {
  const Fixture model("text");
  const std::string four =
      model.TextHit(1) + model.TextHit(2) + model.TextHit(3) + model.TextHit(3);
  CHECK(ErrorOf(four, false) == "more values than keys were asked for");
}

TEST_CASE("text: verification finds the wrong key, order, flags and bytes") {
  const Fixture model("text");
  std::string wrong_byte = model.TextHit(1);
  wrong_byte[wrong_byte.size() - 3] ^= 1;
  std::string wrong_flags = model.TextHit(1);
  wrong_flags[wrong_flags.find(" 0 ") + 1] = '1';
  const std::string shorter = "VALUE k00001 0 19\r\n" + model.Value(1).substr(1) + "\r\n";
  for (const std::string& wrong :
       {model.TextHit(4), model.TextHit(2) + model.TextHit(1), wrong_byte, wrong_flags, shorter}) {
    CAPTURE(wrong);
    CHECK(ErrorOf(wrong) != "");
    CHECK(ErrorOf(wrong, false) == "");
  }
}

TEST_CASE("meta: replies to a get of many keys, cut at every byte") {
  const Fixture model("meta");
  const auto hit = [&](uint64_t id) {
    return "VA 20 k" + model.Key(id) + "\r\n" + model.Value(id) + "\r\n";
  };
  const std::string replies = hit(1) + hit(3) + "MN\r\nMN\r\nEN\r\n";
  for (size_t cut = 0; cut <= replies.size(); ++cut) {
    CAPTURE(cut);
    Fixture fixture("meta");
    fixture.AskGet({1, 2, 3});
    fixture.AskGet({4, 5});
    fixture.AskGet({6});
    CHECK(fixture.Feed(replies, cut) == "");
    CHECK(fixture.batch.Done());
    CHECK(fixture.tally.requests == 3);
    CHECK(fixture.tally.gets == 6);
    CHECK(fixture.tally.hits == 2);
  }
}

TEST_CASE("meta: wrong replies to a get of many keys") {
  const Fixture model("meta");
  const std::string body = "\r\n" + model.Value(1) + "\r\n";
  // A value of another key, without its key, with some other flag, and the end of a single get.
  for (const std::string& wrong : {"VA 20 k" + model.Key(4) + body, "VA 20" + body,
                                   "VA 20 f" + model.Key(1) + body, std::string("EN\r\n")}) {
    CAPTURE(wrong);
    Fixture fixture("meta");
    fixture.AskGet({1, 2});
    CHECK(fixture.Feed(wrong, wrong.size()) != "");
  }
}

TEST_CASE("meta: replies that are no replies") {
  const Fixture model("meta");
  std::string wrong_byte = "VA 20\r\n" + model.Value(1) + "\r\n";
  wrong_byte[10] ^= 1;
  for (const std::string& wrong : {std::string("CLIENT_ERROR bad command line format\r\n"),
                                   std::string("HD\r\n"), std::string("VA x\r\n"), wrong_byte}) {
    CAPTURE(wrong);
    Fixture fixture("meta");
    fixture.AskGet({1});
    CHECK(fixture.Feed(wrong, wrong.size()) != "");
  }
}

}  // namespace
}  // namespace torc::bench
