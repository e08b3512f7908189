// What goes out, byte for byte, and what is made of what comes back, in one piece and byte by byte.
#include "src/client/exchange.h"

#include <string>
#include <string_view>
#include <vector>

#include "proto/binary/encoder.h"
#include "proto/binary/protocol.h"
#include "third_party/doctest/doctest.h"

namespace torc::client {
namespace {

using Step = Exchange::Step;

// A batch, and the answer to it.
class Batch {
 public:
  Batch(Protocol protocol, std::vector<Operation> operations)
      : protocol_(protocol), operations_(std::move(operations)) {
    Begin();
  }

  const std::string& request() const { return exchange_->request(); }
  const std::vector<Result>& results() const { return results_; }

  // Reads `reply` cut at every byte, and then in one piece, which must come out the same; the last
  // step.
  Step Read(std::string_view reply) {
    std::string shown;
    Step step = Step::kNeedMore;
    for (size_t cut = 0; cut <= reply.size(); ++cut) {
      Begin();
      size_t used = 0, wanted = 0;
      step = exchange_->Read(reply.substr(0, cut), &used, &wanted);
      CHECK(used <= cut);
      if (step == Step::kNeedMore) {
        CHECK(wanted > cut - used);
        const size_t before = used;
        step = exchange_->Read(reply.substr(before), &used, &wanted);
        used += before;
      }
      used_ = used;
      if (cut > 0) CHECK(Shown() == shown);
      shown = Shown();
    }
    Begin();
    size_t at = 0;
    for (size_t end = 0; end <= reply.size(); ++end) {
      size_t used = 0, wanted = 0;
      if (exchange_->Read(reply.substr(at, end - at), &used, &wanted) == Step::kBroken) break;
      at += used;
    }
    CHECK(Shown() == shown);
    return step;
  }

  size_t used() const { return used_; }
  void Finish(Status status, std::string_view text) { exchange_->Finish(status, text); }

  std::string Shown() const {
    std::string out;
    for (const Result& result : results_) {
      if (!out.empty()) out += "; ";
      out += Name(result.status);
      if (!result.value.empty()) out += " '" + result.value + "'";
      if (result.client_flags != 0) out += " flags " + std::to_string(result.client_flags);
      if (result.cas != 0) out += " cas " + std::to_string(result.cas);
      if (result.number != 0) out += " number " + std::to_string(result.number);
      if (!result.text.empty()) out += " (" + result.text + ")";
    }
    return out;
  }

 private:
  void Begin() {
    results_.assign(operations_.size(), {});
    indices_.resize(operations_.size());
    for (size_t i = 0; i < indices_.size(); ++i) indices_[i] = i;
    exchange_ = MakeExchange(protocol_, operations_, indices_, results_);
  }

  Protocol protocol_;
  std::vector<Operation> operations_;
  std::vector<size_t> indices_;
  std::vector<Result> results_;
  std::unique_ptr<Exchange> exchange_;
  size_t used_ = 0;
};

Operation Key(Verb verb, std::string_view key) { return {.verb = verb, .key = key}; }

// One of each verb of a key.
const std::vector<Operation> kEachVerb = {
    Key(Verb::kGet, "a"),
    Key(Verb::kGet, "b"),
    Key(Verb::kGets, "c"),
    {.verb = Verb::kGat, .key = "d", .exptime = 60},
    {.verb = Verb::kTouch, .key = "e", .exptime = -1},
    {.verb = Verb::kSet, .key = "f", .value = "x\r\ny", .client_flags = 7, .exptime = 60},
    {.verb = Verb::kSet, .key = "g", .value = "", .cas = 42},
    {.verb = Verb::kAdd, .key = "h", .value = "1"},
    {.verb = Verb::kReplace, .key = "i", .value = "2"},
    {.verb = Verb::kAppend, .key = "j", .value = "3"},
    {.verb = Verb::kPrepend, .key = "k", .value = "4"},
    Key(Verb::kDelete, "l"),
    {.verb = Verb::kIncrement, .key = "m", .delta = 5},
    {.verb = Verb::kDecrement, .key = "n"},
};

TEST_CASE("text: a batch goes out as lines, its gets in one") {
  Batch batch(Protocol::kText, kEachVerb);
  CHECK(batch.request() ==
        "get a b\r\ngets c\r\ngats 60 d\r\ntouch e -1\r\nset f 7 60 4\r\nx\r\ny\r\n"
        "cas g 0 0 0 42\r\n\r\nadd h 0 0 1\r\n1\r\nreplace i 0 0 1\r\n2\r\nappend j 0 0 1\r\n3\r\n"
        "prepend k 0 0 1\r\n4\r\ndelete l\r\nincr m 5\r\ndecr n 1\r\n");
  CHECK(batch.Read("VALUE b 3 2\r\nB!\r\nEND\r\nVALUE c 0 0 9\r\n\r\nEND\r\nEND\r\nTOUCHED\r\n"
                   "STORED\r\nEXISTS\r\nNOT_STORED\r\nSTORED\r\nNOT_STORED\r\nSTORED\r\nDELETED\r\n"
                   "15\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n") ==
        Step::kDone);
  CHECK(batch.Shown() ==
        "not found; ok 'B!' flags 3; ok cas 9; not found; ok; ok; exists with another CAS; "
        "not stored; ok; not stored; ok; ok; ok number 15; not a number (CLIENT_ERROR cannot "
        "increment or decrement non-numeric value)");
}

TEST_CASE("text: the same key twice, and many keys") {
  Batch twice(Protocol::kText, {Key(Verb::kGet, "a"), Key(Verb::kGet, "a"), Key(Verb::kGet, "b")});
  CHECK(twice.Read("VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n") == Step::kDone);
  CHECK(twice.Shown() == "ok 'x'; ok 'x'; not found");
  Batch many(Protocol::kText, std::vector<Operation>(1000, Key(Verb::kGet, "k")));
  size_t lines = 0;
  for (const char c : many.request()) lines += c == '\n';
  CHECK(lines == 3);
  CHECK(many.Read("END\r\nEND\r\nEND\r\n") == Step::kDone);
}

TEST_CASE("text: an error answers the whole list of keys, and the next command is in step") {
  Batch batch(Protocol::kText,
              {Key(Verb::kGet, "a"), Key(Verb::kGet, "b"), Key(Verb::kDelete, "c")});
  CHECK(batch.Read("SERVER_ERROR out of memory writing get response\r\nNOT_FOUND\r\n") ==
        Step::kDone);
  CHECK(batch.Shown() ==
        "the server has no memory for it (SERVER_ERROR out of memory writing get response); "
        "the server has no memory for it (SERVER_ERROR out of memory writing get response); "
        "not found");
}

TEST_CASE("meta: a batch goes out with opaque tokens, its gets quiet, mn behind") {
  Batch batch(Protocol::kMeta, kEachVerb);
  CHECK(batch.request() ==
        "mg a f O0 q v\r\nmg b f O1 q v\r\nmg c c f O2 q v\r\nmg d T60 c f O3 q v\r\n"
        "mg e T-1 O4\r\nms f 4 c T60 O5 F7\r\nx\r\ny\r\nms g 0 c O6 C42\r\n\r\n"
        "ms h 1 c O7 ME\r\n1\r\nms i 1 c O8 MR\r\n2\r\nms j 1 c O9 MA\r\n3\r\n"
        "ms k 1 c O10 MP\r\n4\r\nmd l O11\r\nma m O12 v D5\r\nma n O13 v D1 MD\r\nmn\r\n");
  CHECK(batch.Read("VA 2 f3 O1\r\nB!\r\nVA 0 c9 f0 O2\r\n\r\nHD O4\r\nHD c10 O5\r\nEX c0 O6\r\n"
                   "NS c0 O7\r\nHD c11 O8\r\nNS c0 O9\r\nHD c12 O10\r\nNF O11\r\nVA 2 O12\r\n15\r\n"
                   "CLIENT_ERROR cannot increment or decrement non-numeric value\r\nMN\r\n") ==
        Step::kDone);
  CHECK(batch.Shown() ==
        "not found; ok 'B!' flags 3; ok cas 9; not found; ok; ok cas 10; exists with another CAS; "
        "not stored; ok cas 11; not stored; ok cas 12; not found; ok number 15; not a number "
        "(CLIENT_ERROR cannot increment or decrement non-numeric value)");
}

TEST_CASE("meta: an error among quiet gets is nobody's miss") {
  Batch batch(Protocol::kMeta, {Key(Verb::kGet, "a"), Key(Verb::kGet, "b"), Key(Verb::kDelete, "c"),
                                Key(Verb::kGet, "d")});
  CHECK(batch.Read("SERVER_ERROR x\r\nHD O2\r\nMN\r\n") == Step::kDone);
  CHECK(batch.Shown() ==
        "refused by the server (SERVER_ERROR x); refused by the server (SERVER_ERROR x); ok; "
        "not found");
}

TEST_CASE("meta: keys that a line cannot carry go in base64, and counters are made") {
  Batch blank(Protocol::kMeta, {Key(Verb::kGet, "a b")});
  CHECK(blank.request() == "mg YSBi f b v\r\n");
  CHECK(blank.Read("EN\r\n") == Step::kDone);
  CHECK(blank.Shown() == "not found");
  Batch made(Protocol::kMeta,
             {{.verb = Verb::kIncrement, .key = "n", .initial = 5, .makes = true, .exptime = 60}});
  CHECK(made.request() == "ma n N60 v D1 J5\r\n");
  CHECK(made.Read("VA 1\r\n5\r\n") == Step::kDone);
  CHECK(made.Shown() == "ok number 5");
}

// Packets of the server.
std::string Packet(proto::Opcode opcode, uint32_t opaque, proto::BinaryStatus status,
                   uint64_t cas = 0) {
  char out[proto::kBinaryStatusBytesMax];
  return std::string(out, proto::EncodeBinaryStatus(out, {opaque, opcode}, status, cas));
}
std::string Hit(proto::Opcode opcode, uint32_t opaque, std::string_view value, uint32_t flags,
                uint64_t cas) {
  char out[proto::kBinaryValueHeadBytesMax];
  const auto size = static_cast<uint32_t>(value.size());
  return std::string(out, proto::EncodeBinaryValue(out, {opaque, opcode}, "", flags, size, cas))
      .append(value);
}
std::string Number(proto::Opcode opcode, uint32_t opaque, uint64_t number) {
  char out[proto::kBinaryNumberBytes];
  return std::string(out, proto::EncodeBinaryNumber(out, {opaque, opcode}, number, 3));
}
std::string Words(proto::Opcode opcode, std::string_view text) {
  std::string out(proto::kBinaryHeaderBytes + text.size(), 0);
  proto::EncodeBinaryText(out.data(), {0, opcode}, proto::BinaryStatus::kOk, text);
  return out;
}
std::string Statistic(std::string_view name, std::string_view text) {
  std::string out(proto::kBinaryHeaderBytes + name.size() + text.size(), 0);
  proto::EncodeBinaryStat(out.data(), {0, proto::Opcode::kStat}, name, text);
  return out;
}

// The opcodes of a stream of requests.
std::string OpcodesIn(std::string_view stream) {
  std::string out;
  while (!stream.empty()) {
    REQUIRE(stream.size() >= proto::kBinaryHeaderBytes);
    CHECK(static_cast<uint8_t>(stream[0]) == proto::kBinaryRequestMagic);
    const auto opcode = static_cast<uint8_t>(stream[1]);
    out += "0123456789abcdef"[opcode >> 4];
    out += "0123456789abcdef"[opcode & 15];
    out += ' ';
    stream.remove_prefix(proto::kBinaryHeaderBytes +
                         proto::internal::LoadBig<uint32_t>(stream.data() + 8));
  }
  return out;
}

TEST_CASE("binary: a batch goes out quiet, with a no-op behind") {
  using enum proto::Opcode;
  using proto::BinaryStatus;
  Batch batch(Protocol::kBinary, kEachVerb);
  CHECK(OpcodesIn(batch.request()) == "09 09 09 1e 1c 11 11 12 13 19 1a 14 05 06 0a ");
  const std::string reply =
      Hit(kGetQ, 1, "B!", 3, 8) + Hit(kGetQ, 2, "", 0, 9) + Hit(kTouch, 4, "", 0, 9) +
      Packet(kSetQ, 6, BinaryStatus::kExists) + Packet(kAddQ, 7, BinaryStatus::kExists) +
      Packet(kAppendQ, 9, BinaryStatus::kNotStored) +
      Packet(kDeleteQ, 11, BinaryStatus::kNotFound) + Number(kIncrement, 12, 15) +
      Packet(kDecrement, 13, BinaryStatus::kNotANumber) + Packet(kNoop, 14, BinaryStatus::kOk);
  CHECK(batch.Read(reply) == Step::kDone);
  CHECK(batch.Shown() ==
        "not found; ok 'B!' flags 3 cas 8; ok cas 9; not found; ok cas 9; ok; "
        "exists with another CAS (Data exists for key.); not stored (Data exists for key.); ok; "
        "not stored (Not stored.); ok; not found (Not found); ok cas 3 number 15; not a number "
        "(Non-numeric server-side value for incr or decr)");
}

TEST_CASE("binary: one alone is plain, and its answer has the CAS") {
  using proto::BinaryStatus;
  Batch set(Protocol::kBinary, {{.verb = Verb::kSet, .key = "k", .value = "v", .exptime = -1}});
  CHECK(OpcodesIn(set.request()) == "01 ");
  // What is negative is a time that is over, not one far ahead.
  CHECK(set.request().substr(28, 4) == std::string("\x00\x27\x8d\x01", 4));
  CHECK(set.Read(Packet(proto::Opcode::kSet, 0, BinaryStatus::kOk, 5)) == Step::kDone);
  CHECK(set.Shown() == "ok cas 5");
  Batch get(Protocol::kBinary, {Key(Verb::kGet, "k")});
  CHECK(OpcodesIn(get.request()) == "00 ");
  CHECK(get.Read(Packet(proto::Opcode::kGet, 0, BinaryStatus::kNotFound)) == Step::kDone);
  CHECK(get.Shown() == "not found (Not found)");
}

TEST_CASE("what is asked of a server") {
  for (const Protocol protocol : {Protocol::kText, Protocol::kMeta}) {
    Batch version(protocol, {{.verb = Verb::kVersion}});
    CHECK(version.request() == "version\r\n");
    CHECK(version.Read("VERSION 1.6.45\r\n") == Step::kDone);
    CHECK(version.Shown() == "ok '1.6.45'");
    Batch stats(protocol, {Key(Verb::kStats, "items")});
    CHECK(stats.request() == "stats items\r\n");
    CHECK(stats.Read("STAT a 1\r\nSTAT b x y\r\nEND\r\n") == Step::kDone);
    CHECK(stats.Shown() == "ok 'a 1\nb x y\n'");
    Batch flush(protocol, {{.verb = Verb::kFlushAll, .exptime = 5}});
    CHECK(flush.request() == "flush_all 5\r\n");
    CHECK(flush.Read("OK\r\n") == Step::kDone);
    Batch noop(protocol, {{.verb = Verb::kNoop}});
    CHECK(noop.request() == "mn\r\n");
    CHECK(noop.Read("MN\r\n") == Step::kDone);
  }
  using proto::BinaryStatus;
  using proto::Opcode;
  Batch version(Protocol::kBinary, {{.verb = Verb::kVersion}});
  CHECK(version.Read(Words(Opcode::kVersion, "1.6.45")) == Step::kDone);
  CHECK(version.Shown() == "ok '1.6.45'");
  Batch stats(Protocol::kBinary, {{.verb = Verb::kStats}});
  CHECK(stats.Read(Statistic("a", "1") + Statistic("b", "x y") +
                   Packet(Opcode::kStat, 0, BinaryStatus::kOk)) == Step::kDone);
  CHECK(stats.Shown() == "ok 'a 1\nb x y\n'");
}

TEST_CASE("what answers nothing that was asked breaks the exchange") {
  const std::vector<Operation> get = {Key(Verb::kGet, "a")};
  for (const std::string_view reply : {"STORED\r\n", "VALUE b 0 1\r\nx\r\n", "junk\r\n", "MN\r\n",
                                       "STAT a b\r\n", "VERSION 1\r\n"}) {
    CAPTURE(reply);
    CHECK(Batch(Protocol::kText, get).Read(reply) == Step::kBroken);
  }
  for (const std::string_view reply : {"STORED\r\n", "MN\r\n", "VA 1 c\r\nx\r\n", "HD fx\r\n"}) {
    CAPTURE(reply);
    CHECK(Batch(Protocol::kMeta, get).Read(reply) == Step::kBroken);
  }
  const std::vector<Operation> two = {Key(Verb::kGet, "a"), Key(Verb::kDelete, "b")};
  for (const std::string_view reply : {"HD\r\n", "HD O2\r\n", "HD Ox\r\n", "MN\r\n"}) {
    CAPTURE(reply);
    CHECK(Batch(Protocol::kMeta, two).Read(reply) == Step::kBroken);
  }
  using proto::BinaryStatus;
  using proto::Opcode;
  CHECK(Batch(Protocol::kBinary, two).Read(Packet(Opcode::kGetQ, 3, BinaryStatus::kNotFound)) ==
        Step::kBroken);
  CHECK(Batch(Protocol::kBinary, two).Read(Packet(Opcode::kGetQ, 1, BinaryStatus::kNotFound)) ==
        Step::kBroken);
  CHECK(Batch(Protocol::kBinary, get).Read(Packet(Opcode::kGet, 0, BinaryStatus::kOk)) ==
        Step::kBroken);
  const std::vector<Operation> count = {Key(Verb::kIncrement, "a"), Key(Verb::kDelete, "b")};
  CHECK(Batch(Protocol::kBinary, count).Read(Packet(Opcode::kNoop, 2, BinaryStatus::kOk)) ==
        Step::kBroken);
}

TEST_CASE("bytes behind the last reply are left, and what has no reply gets the end's status") {
  Batch get(Protocol::kText, {Key(Verb::kGet, "a"), Key(Verb::kDelete, "b")});
  CHECK(get.Read("END\r\nDELETED\r\nSTORED\r\n") == Step::kDone);
  CHECK(get.used() == 14);
  Batch cut(Protocol::kText, {Key(Verb::kGet, "a"), Key(Verb::kDelete, "b")});
  CHECK(cut.Read("END\r\nDELE") == Step::kNeedMore);
  CHECK(cut.Shown() == "not found; connection lost");
  cut.Finish(Status::kTimedOut, "late");
  CHECK(cut.Shown() == "not found; timed out (late)");
}

TEST_CASE("what a protocol cannot say is refused before anything is sent") {
  const std::string longest(250, 'k'), too_long(251, 'k'), blanks(250, ' ');
  for (const Protocol protocol : {Protocol::kText, Protocol::kMeta, Protocol::kBinary}) {
    CHECK(Check(protocol, Key(Verb::kGet, "a")) == Status::kOk);
    CHECK(Check(protocol, Key(Verb::kGet, longest)) == Status::kOk);
    CHECK(Check(protocol, Key(Verb::kGet, too_long)) == Status::kBadKey);
    CHECK(Check(protocol, Key(Verb::kGet, "")) == Status::kBadKey);
    const bool is_binary = protocol == Protocol::kBinary;
    CHECK(Check(protocol, Key(Verb::kGet, blanks)) == (is_binary ? Status::kOk : Status::kBadKey));
    const bool is_text = protocol == Protocol::kText;
    for (const std::string_view key : {"a b", "a\r\nb", "\t", "\x7f"}) {
      CHECK(Check(protocol, Key(Verb::kGet, key)) == (is_text ? Status::kBadKey : Status::kOk));
    }
    const Operation made = {.verb = Verb::kIncrement, .key = "k", .makes = true};
    CHECK(Check(protocol, made) == (is_text ? Status::kUnsupported : Status::kOk));
    const Operation compared = {.verb = Verb::kDelete, .key = "k", .cas = 1};
    CHECK(Check(protocol, compared) == (is_text ? Status::kUnsupported : Status::kOk));
  }
}

}  // namespace
}  // namespace torc::client
