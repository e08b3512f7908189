// Each fault by itself: what must happen when buffers, mailboxes, descriptors or memory run out, a
// client does not read, or the server is told to stop in the midst of it all.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "proto/binary/encoder.h"
#include "proto/binary/parser.h"
#include "src/engine/engine.h"
#include "src/shard/mailbox.h"
#include "tests/simulation/cluster.h"
#include "third_party/doctest/doctest.h"

namespace torc::simulation {
namespace {

constexpr int kStepsMax = 300'000;

// Steps until `condition` holds. False: it does not come true.
template <typename Condition>
bool Until(Cluster& cluster, const Condition& condition) {
  for (int step = 0; step < kStepsMax; ++step) {
    if (condition()) return true;
    cluster.Step();
  }
  return condition();
}

// A client that says what it is told to.
class Talker {
 public:
  Talker(Cluster& cluster, ring::SimClient wire) : cluster_(cluster), wire_(wire) {}
  explicit Talker(Cluster& cluster) : Talker(cluster, cluster.Connect()) {}

  // Writes all of it, as the server takes it. False: it does not take it.
  bool Say(std::string_view bytes) {
    return Until(cluster_, [&] {
      bytes.remove_prefix(wire_.Write(bytes));
      return bytes.empty();
    });
  }
  // Writes what goes at once.
  size_t SaySome(std::string_view bytes) { return wire_.Write(bytes); }
  // Waits for as many bytes as `expected` has. Returns what came.
  std::string Hear(size_t size) {
    Until(cluster_, [&] {
      heard_ += wire_.Read();
      return heard_.size() >= size || wire_.AtEnd();
    });
    const std::string bytes = heard_.substr(0, size);
    heard_.erase(0, bytes.size());
    return bytes;
  }
  // Whether `expected` and nothing else is heard.
  bool Hears(std::string_view expected) { return Hear(expected.size()) == expected; }
  bool Asks(std::string_view question, std::string_view expected) {
    return Say(question) && Hears(expected);
  }
  // A reply of several lines.
  std::string AskLines(std::string_view question) {
    if (!Say(question)) return "";
    Until(cluster_, [&] {
      heard_ += wire_.Read();
      return heard_.ends_with("END\r\n") || wire_.AtEnd();
    });
    return std::exchange(heard_, "");
  }
  std::string Statistic(const std::string& name) {
    const std::string all = AskLines("stats\r\n");
    const size_t at = all.find("STAT " + name + " ");
    if (at == std::string::npos) return "";
    const size_t value = at + 6 + name.size();
    return all.substr(value, all.find('\r', value) - value);
  }
  bool Closed() {
    return Until(cluster_, [&] {
      heard_ += wire_.Read();
      return wire_.AtEnd();
    });
  }
  ring::SimClient& wire() { return wire_; }

 private:
  Cluster& cluster_;
  ring::SimClient wire_;
  std::string heard_;
};

// A key that `shard` owns.
std::string KeyOf(const Cluster& cluster, ShardId shard, uint32_t number = 0) {
  for (uint32_t i = 0;; ++i) {
    std::string key = "key" + std::to_string(i);
    if (engine::OwnerOf(engine::HashKey(key), cluster.shards()) == shard && number-- == 0)
      return key;
  }
}

std::string Set(std::string_view key, std::string_view value) {
  return "set " + std::string(key) + " 0 0 " + std::to_string(value.size()) + "\r\n" +
         std::string(value) + "\r\n";
}

std::string ValueReply(std::string_view key, std::string_view value) {
  return "VALUE " + std::string(key) + " 0 " + std::to_string(value.size()) + "\r\n" +
         std::string(value) + "\r\n";
}

std::string Repeat(std::string_view text, size_t times) {
  std::string all;
  for (; times > 0; --times) all += text;
  return all;
}

// A value that shows where it was cut.
std::string Pattern(size_t size, uint64_t seed = 1) {
  std::string value;
  for (Random random(seed); value.size() < size;) value += std::to_string(random.Next()) + "\r\n";
  value.resize(size);
  return value;
}

// All clients gone, everything comes back and the server ends.
void CheckEnds(Cluster& cluster) {
  for (ShardId shard = 0; shard < cluster.shards(); ++shard) cluster.Suspend(shard, false);
  cluster.world().SetOptions(ClusterOptions{}.ring);
  cluster.RequestStop();
  // Those that do not read are waited for, but not for ever.
  REQUIRE(Until(cluster, [&] {
    cluster.clock().AdvanceNs(100'000);
    return cluster.Ended() && cluster.world().Settled();
  }));
  cluster.CheckEnded();
}

TEST_CASE("receives that find no buffer go on when there are some again") {
  Cluster cluster({});
  Talker first(cluster);
  CHECK(first.Asks(Set("k", "1"), "STORED\r\n"));
  ring::SimOptions options = ClusterOptions{}.ring;
  options.no_buffers_chance = 1000;
  cluster.world().SetOptions(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 20; ++i) talkers.emplace_back(cluster);
  for (Talker& talker : talkers) talker.SaySome("incr k 1\r\n");
  cluster.Steps(2000);
  CHECK(cluster.Failures(Cause::kReceiveNoBuffer) >= 20);
  CHECK(cluster.Sum(&server::Counters::incr_hits) == 0);
  cluster.world().SetOptions(ClusterOptions{}.ring);
  for (Talker& talker : talkers) CHECK(!talker.Hear(3).empty());
  CHECK(first.Asks("get k\r\n", ValueReply("k", "21") + "END\r\n"));
  CheckEnds(cluster);
}

// The ring offers more next turn: no failure, and nothing to wait for.
TEST_CASE("receives that find a turn's buffers used up go on in the next, and count nothing") {
  ClusterOptions options;
  options.ring.share_chance = 500;
  Cluster cluster(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 20; ++i) talkers.emplace_back(cluster);
  for (Talker& talker : talkers) CHECK(talker.Asks("mn\r\n", "MN\r\n"));
  const std::string value = Pattern(100'000);
  for (Talker& talker : talkers) {
    CHECK(talker.Asks(Set("k", value) + "get k\r\n",
                      "STORED\r\n" + ValueReply("k", value) + "END\r\n"));
  }
  CHECK(cluster.Failures(Cause::kReceiveNoBuffer) == 0);
  CheckEnds(cluster);
}

TEST_CASE("with a handful of buffers many clients are served") {
  ClusterOptions options;
  options.shards = 2;
  options.ring.buffer_count = 3;
  options.ring.buffer_size_bytes = 64;
  Cluster cluster(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 50; ++i) talkers.emplace_back(cluster);
  std::string question;
  std::string answer;
  for (int i = 0; i < 20; ++i) {
    question += Set("k" + std::to_string(i), "value") + "get k" + std::to_string(i) + "\r\n";
    answer += "STORED\r\n" + ValueReply("k" + std::to_string(i), "value") + "END\r\n";
  }
  for (Talker& talker : talkers) CHECK(talker.SaySome(question) == question.size());
  for (Talker& talker : talkers) CHECK(talker.Hears(answer));
  CHECK(cluster.Failures(Cause::kReceiveNoBuffer) > 0);
  CheckEnds(cluster);
}

// Each used to keep its received input, which held the list of keys, in the ring's buffers: a few
// dozen held them all.
TEST_CASE("clients that ask for much and read nothing keep no receive buffers") {
  ClusterOptions options;
  options.ring.window_bytes = 8 << 10;
  Cluster cluster(options);
  Talker first(cluster);
  CHECK(first.Asks(Set("k", Pattern(4000)), "STORED\r\n"));
  const std::string question = "get" + Repeat(" k", 1500) + "\r\n" + Repeat("get k k k k\r\n", 300);
  std::vector<Talker> silent;
  for (int i = 0; i < 2 * static_cast<int>(server::kReceiveBuffers); ++i) {
    silent.emplace_back(cluster);
    silent.back().SaySome(question);
  }
  cluster.Steps(5000);
  for (Talker& talker : silent) talker.SaySome(question);
  cluster.Steps(5000);
  CHECK(first.Asks("get k\r\n", ValueReply("k", Pattern(4000)) + "END\r\n"));
  Talker late(cluster);
  CHECK(late.Asks("mn\r\n", "MN\r\n"));
  CHECK(cluster.buffers_held(0) <= server::kReceiveBuffers / 2);
  for (Talker& talker : silent) talker.wire().Reset();
  CheckEnds(cluster);
}

TEST_CASE("a completion queue that is always full is counted and harmless") {
  ClusterOptions options;
  options.shards = 2;
  options.ring.overflow_chance = 1000;  // each multishot operation ends with each completion
  Cluster cluster(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 10; ++i) talkers.emplace_back(cluster);
  const std::string value = Pattern(30'000);
  for (Talker& talker : talkers) CHECK(talker.Asks(Set("k", value), "STORED\r\n"));
  for (Talker& talker : talkers)
    CHECK(talker.Asks("get k\r\n", ValueReply("k", value) + "END\r\n"));
  CHECK(cluster.overflows(0) + cluster.overflows(1) > 20);
  CHECK(cluster.Failures(Cause::kCompletionOverflow) > 20);
  CHECK(std::stoull(talkers[0].Statistic("ring_completion_overflows")) > 20);
  CheckEnds(cluster);
}

TEST_CASE("more writes than a mailbox takes wait, and none is lost") {
  ClusterOptions options;
  options.shards = 2;
  Cluster cluster(options);
  constexpr size_t kClients = 24;
  constexpr size_t kEach = 100;
  static_assert(kClients * kEach > 2 * shard::AnswersMax(2));
  std::vector<Talker> talkers;
  for (size_t i = 0; i < kClients; ++i) talkers.emplace_back(cluster, cluster.ConnectTo(0));
  Talker other(cluster, cluster.ConnectTo(0));
  const std::string near = KeyOf(cluster, 0);
  const std::string far = KeyOf(cluster, 1);
  CHECK(other.Asks(Set(far, "0"), "STORED\r\n"));

  cluster.Suspend(1, true);
  for (Talker& talker : talkers) {
    CHECK(talker.Say(Repeat("incr " + far + " 1\r\n", kEach) + "get " + far + "\r\n"));
  }
  cluster.Steps(1000);
  CHECK(cluster.mailbox_full() > 0);
  CHECK(cluster.Failures(Cause::kOperationStalled) > 0);
  CHECK(cluster.Sum(&server::Counters::incr_hits) == 0);
  // The shard's own keys, and reads of the others', know nothing of it.
  CHECK(other.Asks(Set(near, "x") + "get " + near + " " + far + "\r\n",
                   "STORED\r\n" + ValueReply(near, "x") + ValueReply(far, "0") + "END\r\n"));

  cluster.Suspend(1, false);
  const std::string total = std::to_string(kClients * kEach);
  REQUIRE(Until(cluster,
                [&] { return cluster.Sum(&server::Counters::incr_hits) == kClients * kEach; }));
  CHECK(other.Asks("get " + far + "\r\n", ValueReply(far, total) + "END\r\n"));
  for (Talker& talker : talkers) {
    // Their own numbers rise, and each reads at least what it wrote.
    uint64_t before = 0;
    for (size_t i = 0; i < kEach; ++i) {
      std::string line;
      while (!line.ends_with('\n')) {
        const std::string byte = talker.Hear(1);
        REQUIRE(byte.size() == 1);
        line += byte;
      }
      const uint64_t number = std::stoull(line);
      CHECK(number > before);
      before = number;
    }
    const std::string reply = talker.AskLines("");
    CHECK(std::stoull(reply.substr(reply.find('\n') + 1)) >= before);
  }
  CheckEnds(cluster);
}

TEST_CASE("out of descriptors, accepting pauses, and resumes by itself") {
  Cluster cluster({});
  Talker first(cluster);
  CHECK(first.Asks("mn\r\n", "MN\r\n"));
  ring::SimOptions options = ClusterOptions{}.ring;
  options.file_limit_chance = 1000;
  cluster.world().SetOptions(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 3; ++i) talkers.emplace_back(cluster);
  for (Talker& talker : talkers) talker.SaySome("mn\r\n");
  cluster.Steps(500);
  CHECK(cluster.Failures(Cause::kAcceptFileLimit) > 0);
  CHECK(cluster.connections() == 1);
  CHECK(first.Asks("mn\r\n", "MN\r\n"));
  CHECK(first.Statistic("accepting_conns") == "0");
  cluster.world().SetOptions(ClusterOptions{}.ring);
  for (Talker& talker : talkers) CHECK(talker.Hears("MN\r\n"));
  CHECK(first.Statistic("accepting_conns") == "1");
  CheckEnds(cluster);
}

TEST_CASE("a kernel without memory delays, and loses nothing") {
  ClusterOptions options;
  options.shards = 2;
  Cluster cluster(options);
  Talker talker(cluster);
  CHECK(talker.Asks("mn\r\n", "MN\r\n"));
  ring::SimOptions poor = options.ring;
  poor.no_memory_chance = 1000;
  cluster.world().SetOptions(poor);
  const std::string value = Pattern(50'000);
  const std::string question = Set("k", value) + "get k\r\n";
  talker.SaySome(question);
  cluster.Steps(1000);
  poor.no_memory_chance = 300;
  cluster.world().SetOptions(poor);
  CHECK(talker.Hears("STORED\r\n" + ValueReply("k", value) + "END\r\n"));
  CHECK(cluster.Failures(Cause::kReceiveNoMemory) > 0);

  // What is received in good times may have to be answered in bad ones.
  const uint64_t received = cluster.Sum(&server::Counters::bytes_read);
  talker.SaySome("mn\r\n");
  REQUIRE(Until(cluster, [&] { return cluster.Sum(&server::Counters::bytes_read) > received; }));
  poor.no_memory_chance = 1000;
  cluster.world().SetOptions(poor);
  CHECK(Until(cluster, [&] { return cluster.Failures(Cause::kSendNoMemory) > 0; }));
  cluster.world().SetOptions(options.ring);
  CHECK(talker.Hears("MN\r\n"));
  CheckEnds(cluster);
}

TEST_CASE("a client that does not read is held back, and others are served") {
  ClusterOptions options;
  options.ring.window_bytes = 4 << 10;
  Cluster cluster(options);
  const std::string value = Pattern(4000);
  Talker other(cluster);
  CHECK(other.Asks(Set("k", value), "STORED\r\n"));

  Talker silent(cluster);
  constexpr int kGets = 5000;
  const std::string question = Repeat("get k\r\n", kGets);
  std::string_view rest = question;
  uint64_t blocks_most = 0;
  for (int step = 0; step < 5000; ++step) {
    rest.remove_prefix(silent.SaySome(rest));
    cluster.Step();
    blocks_most = std::max(blocks_most, cluster.blocks_used(0));
  }
  CHECK(cluster.Failures(Cause::kOutputFull) > 0);
  // Its receive has stopped: the rest of its commands stays with it.
  CHECK(silent.wire().unreceived() == options.ring.window_bytes);
  CHECK(!rest.empty());
  // The limit, what one turn may add, and the input that was moved out of receive buffers.
  const uint64_t bytes_most = server::kOutputHeldHigh + server::kOperationsPerTurn * (4100 + 500);
  CHECK(blocks_most * server::kBlockBytes < bytes_most + (64 << 10));
  CHECK(other.Asks("get k\r\n", ValueReply("k", value) + "END\r\n"));

  // In the end it gets all of it.
  const std::string reply = ValueReply("k", value) + "END\r\n";
  int replies = 0;
  std::string heard;
  REQUIRE(Until(cluster, [&] {
    rest.remove_prefix(silent.SaySome(rest));
    heard += silent.wire().Read();
    for (; heard.size() >= reply.size(); heard.erase(0, reply.size()), ++replies) {
      REQUIRE(heard.starts_with(reply));
    }
    return replies == kGets;
  }));
  CheckEnds(cluster);
}

// A turn copies so much of the values that arrive, and of each connection's, and no more.
TEST_CASE("large uploads take turns, one after the other, and hold up nobody") {
  ClusterOptions options;
  options.ring.window_bytes = 1 << 20;  // all that is said is there to be received at once
  for (const size_t count : {1u, 8u}) {
    CAPTURE(count);
    Cluster cluster(options);
    const std::string value = Pattern(440'000);
    static_assert(8 * 440'000 < server::kReceiveBuffers * server::kReceiveBufferBytes);
    static_assert(440'000 > server::kUploadBytesPerTurn);
    Talker other(cluster);
    std::vector<Talker> talkers;
    for (size_t i = 0; i < count; ++i) talkers.emplace_back(cluster);
    CHECK(other.Asks("mn\r\n", "MN\r\n"));
    for (size_t i = 0; i < count; ++i) {
      const std::string set = Set("large" + std::to_string(i), value);
      CHECK(talkers[i].SaySome(set) == set.size());
    }
    other.SaySome("mn\r\n");

    const uint64_t start = cluster.turns();
    uint64_t served = 0;
    uint64_t first_stored = 0;
    REQUIRE(Until(cluster, [&] {
      const auto stored = [](Talker& talker) { return talker.wire().unread() != 0; };
      if (served == 0 && other.wire().unread() != 0) served = cluster.turns();
      if (first_stored == 0 && std::any_of(talkers.begin(), talkers.end(), stored)) {
        first_stored = cluster.turns();
      }
      return std::all_of(talkers.begin(), talkers.end(), stored);
    }));
    CHECK(served < first_stored);
    CHECK(cluster.turns() - start >= count * value.size() / server::kTurnUploadBytesMax);
    // Each had its first share before one had its second.
    CHECK(first_stored - start > count * server::kUploadBytesPerTurn / server::kTurnUploadBytesMax);
    for (size_t i = 0; i < count; ++i) {
      const std::string key = "large" + std::to_string(i);
      CHECK(talkers[i].Hears("STORED\r\n"));
      CHECK(other.Asks("get " + key + "\r\n",
                       (i == 0 ? "MN\r\n" : "") + ValueReply(key, value) + "END\r\n"));
    }
    CHECK(cluster.Failures(Cause::kReceiveNoBuffer) == 0);
    CheckEnds(cluster);
  }
}

// Likewise of what is sent.
TEST_CASE("large replies take turns, and hold up nobody") {
  ClusterOptions options;
  options.ring.window_bytes = 2 << 20;  // all of them could leave at once
  Cluster cluster(options);
  const std::string value = Pattern(1'000'000);
  Talker other(cluster);
  CHECK(other.Asks(Set("large", value), "STORED\r\n"));
  std::vector<Talker> talkers;
  for (int i = 0; i < 8; ++i) talkers.emplace_back(cluster);
  CHECK(other.Asks("mn\r\n", "MN\r\n"));
  const std::string reply = ValueReply("large", value) + "END\r\n";
  for (Talker& talker : talkers) talker.SaySome("get large\r\n");
  other.SaySome("mn\r\n");

  std::vector<size_t> arrived(talkers.size(), 0);
  size_t least = 0;
  bool served = false;
  REQUIRE(Until(cluster, [&] {
    size_t in_this_turn = 0;
    for (size_t i = 0; i < talkers.size(); ++i) {
      const size_t now = talkers[i].wire().unread();
      CHECK(now - arrived[i] <= server::kSendBytesMax);
      in_this_turn += now - arrived[i];
      arrived[i] = now;
    }
    CHECK(in_this_turn < server::kTurnSendBytesMax + server::kSendBytesMax);
    const auto [low, high] = std::minmax_element(arrived.begin(), arrived.end());
    CHECK(*high - *low <= 2 * server::kSendBytesMax);
    least = *low;
    if (other.wire().unread() != 0) served = true;
    if (*high == reply.size()) CHECK(served);
    return least == reply.size();
  }));
  for (Talker& talker : talkers) CHECK(talker.Hears(reply));
  CHECK(other.Hears("MN\r\n"));
  CheckEnds(cluster);
}

// A binary get, quiet, or with an empty key the no-op that ends a run of them.
std::string Packet(std::string_view key) {
  proto::BinaryRequest request;
  request.opcode = key.empty() ? proto::Opcode::kNoop : proto::Opcode::kGetQ;
  request.key = key;
  char head[proto::kBinaryHeadBytesMax];
  return {head, proto::EncodeBinaryRequest(head, request)};
}

// How many sends a question of `talker` is answered in, or what goes wrong: -1.
int SendsFor(Cluster& cluster, Talker& talker, std::string_view question, size_t reply_bytes) {
  if (talker.SaySome(question) != question.size()) return -1;
  std::string trace;
  cluster.world().TraceTo(&trace);
  const bool whole = talker.Hear(reply_bytes).size() == reply_bytes;
  cluster.Steps(10);
  cluster.world().TraceTo(nullptr);
  if (!whole || talker.wire().unread() != 0) return -1;
  const std::string kind = " kind " + std::to_string(static_cast<int>(ring::Kind::kSend)) + " ";
  int sends = 0;
  for (size_t at = trace.find(kind); at != std::string::npos; at = trace.find(kind, at + 1)) {
    ++sends;
  }
  return sends;
}

TEST_CASE("a batch that takes several turns leaves in one send") {
  ClusterOptions options;
  options.ring.window_bytes = 4 << 20;
  Cluster cluster(options);
  Talker talker(cluster);
  CHECK(talker.Asks(Set("key", Pattern(1000)), "STORED\r\n"));
  const size_t hit_bytes = ValueReply("key", Pattern(1000)).size();
  CHECK(SendsFor(cluster, talker, Repeat("get key\r\n", 50), 50 * (hit_bytes + 5)) == 1);
  CHECK(SendsFor(cluster, talker, Repeat("mn\r\n", 8 * 20), 8 * 20 * 4) == 1);
  const uint32_t keys = server::kOperationsPerTurn + 10;
  CHECK(talker.Asks(Set("k", "v"), "STORED\r\n"));
  CHECK(SendsFor(cluster, talker, "get" + Repeat(" k", keys) + "\r\n",
                 keys * ValueReply("k", "v").size() + 5) == 1);
  // One that is longer than that begins to leave before it is all done: after eight turns, or where
  // a turn's replies make it more than is held.
  CHECK(SendsFor(cluster, talker, Repeat("mn\r\n", 20 * 20), 20 * 20 * 4) == 3);
  CHECK(SendsFor(cluster, talker, Repeat("get key\r\n", 200), 200 * (hit_bytes + 5)) == 3);

  Talker binary(cluster);
  const size_t packet_bytes = proto::kBinaryHeaderBytes + 4 + 1000;
  CHECK(SendsFor(cluster, binary, Repeat(Packet("key"), 50) + Packet(""),
                 50 * packet_bytes + proto::kBinaryHeaderBytes) == 1);
  CheckEnds(cluster);
}

TEST_CASE("what is said last has an answer at once, whatever the turn had before it") {
  const std::string value = Pattern(100);
  const std::string reply = ValueReply("key", value) + "END\r\n";
  const std::string packet_ends[] = {Packet(""), Packet("absent"), std::string(1, '\x80'), "x"};
  const std::string_view text_ends[] = {"",         "get ke",     "mg absent q\r\n",
                                        "quit\r\n", "set other ", "set other 0 0 10\r\n1234"};
  for (const uint32_t hits : {1u, 19u, 20u, 21u, 39u, 40u, 41u, 159u, 160u, 161u, 180u}) {
    CAPTURE(hits);
    Cluster cluster(ClusterOptions{});
    Talker other(cluster);
    CHECK(other.Asks(Set("key", value), "STORED\r\n"));
    for (const std::string_view end : text_ends) {
      CAPTURE(end);
      Talker talker(cluster);
      cluster.Steps(10);
      const uint64_t before = cluster.turns();
      CHECK(talker.Asks(Repeat("get key\r\n", hits) + std::string(end), Repeat(reply, hits)));
      // It takes a turn to receive them, one for every 20, one to see that there is no more, and
      // one to send.
      CHECK(cluster.turns() - before <= 1 + hits / 20 + 1 + 1);
    }
    for (const std::string& end : packet_ends) {
      Talker talker(cluster);
      CHECK(talker.Say(Repeat(Packet("key"), hits) + end));
      const size_t bytes = hits * (proto::kBinaryHeaderBytes + 4 + value.size());
      CHECK(talker.Hear(bytes).size() == bytes);
    }
    CheckEnds(cluster);
  }
}

TEST_CASE("replies before one of another shard do not wait for it, the long ones neither") {
  for (const size_t value_bytes :
       {size_t{100}, size_t{4'000}, size_t{300'000}, size_t{1'000'000}}) {
    CAPTURE(value_bytes);
    ClusterOptions options;
    options.shards = 2;
    Cluster cluster(options);
    Talker talker(cluster, cluster.ConnectTo(0));
    const std::string here = KeyOf(cluster, 0);
    const std::string there = KeyOf(cluster, 1);
    const std::string value = Pattern(value_bytes);
    CHECK(talker.Asks(Set(here, value), "STORED\r\n"));
    cluster.Suspend(1, true);
    const std::string reply = ValueReply(here, value) + "END\r\n";
    CHECK(talker.Asks("get " + here + "\r\n" + Set(there, "x") + "get " + here + "\r\n", reply));
    cluster.Suspend(1, false);
    CHECK(talker.Hears("STORED\r\n" + reply));
    // Silent, with the end of a long reply before it and nothing behind.
    cluster.Suspend(1, true);
    CHECK(talker.Asks("get " + here + "\r\ndelete " + there + " noreply\r\n", reply));
    CheckEnds(cluster);
  }
}

TEST_CASE("an upload that dies gives its memory back") {
  for (const uint32_t shards : {1u, 2u}) {
    for (ShardId owner = 0; owner < shards; ++owner) {
      for (const bool reset : {false, true}) {
        for (const uint32_t size : {100u, 5'000u, 300'000u}) {
          CAPTURE(shards);
          CAPTURE(owner);
          CAPTURE(reset);
          CAPTURE(size);
          ClusterOptions options;
          options.shards = shards;
          Cluster cluster(options);
          Talker talker(cluster, cluster.ConnectTo(0));
          const std::string key = KeyOf(cluster, owner);
          CHECK(talker.Asks(Set(key, "old"), "STORED\r\n"));
          const std::string set = Set(key, Pattern(size));
          // Up to the \r of its end.
          CHECK(talker.Say(set.substr(0, set.size() - 1)));
          REQUIRE(Until(cluster, [&] { return cluster.engine().reservations() == 1; }));
          Talker other(cluster);
          CHECK(other.Asks("get " + key + "\r\n", ValueReply(key, "old") + "END\r\n"));
          if (reset) {
            talker.wire().Reset();
          } else {
            talker.wire().CloseWrite();
          }
          CHECK(Until(cluster, [&] { return cluster.engine().reservations() == 0; }));
          CHECK(cluster.Failures(Cause::kValueCutOff) == 1);
          CHECK(cluster.Failures(Cause::kConnectionReset) == (reset ? 1 : 0));
          CHECK(other.Asks("get " + key + "\r\n", ValueReply(key, "old") + "END\r\n"));
          CheckEnds(cluster);
        }
      }
    }
  }
}

// One whose clients can send much at once.
ClusterOptions ForBulk(uint32_t shards = 1, EngineKind engine = EngineKind::kSlab) {
  ClusterOptions options;
  options.shards = shards;
  options.engine = engine;
  options.ring.window_bytes = 1 << 20;
  options.item_bytes_max = 8 << 20;
  return options;
}

uint64_t BytesReadIntoItems(const Cluster& cluster) {
  return cluster.Sum(&server::Counters::bytes_read_into_items);
}

TEST_CASE(
    "values sent in bulk are received into their items, and all that is between them is read") {
  for (const EngineKind engine : {EngineKind::kSlab, EngineKind::kMap}) {
    for (const uint32_t shards : {1u, 2u}) {
      CAPTURE(shards);
      Cluster cluster(ForBulk(shards, engine));
      Talker talker(cluster, cluster.ConnectTo(0));
      const std::string small = Pattern(100);
      uint64_t into_items = 0;
      for (uint32_t i = 0; i < 6; ++i) {
        const std::string here = KeyOf(cluster, 0, i);
        const std::string there = KeyOf(cluster, shards - 1, i + 10);
        const std::string value = Pattern(1'000'000 + i, i);
        CHECK(talker.Asks(Set(here, value) + Set("k", small) + Set(there, value) + "get k\r\n",
                          "STORED\r\nSTORED\r\nSTORED\r\n" + ValueReply("k", small) + "END\r\n"));
        CHECK(talker.Asks("get " + here + " " + there + "\r\n",
                          ValueReply(here, value) + ValueReply(there, value) + "END\r\n"));
        into_items = BytesReadIntoItems(cluster) - into_items;
        CHECK(into_items > value.size() / 2);  // most of the second one
        into_items = BytesReadIntoItems(cluster);
      }
      CHECK(talker.Statistic("bytes_read_into_items") == std::to_string(into_items));
      // With small ones it is received into buffers, as others are: many at once.
      CHECK(talker.Asks(Repeat("get k\r\n", 2'000),
                        Repeat(ValueReply("k", small) + "END\r\n", 2'000)));
      CHECK(BytesReadIntoItems(cluster) == into_items);
      CheckEnds(cluster);
    }
  }
}

TEST_CASE("values that come in parts, but slowly or of moderate size, are received into buffers") {
  Cluster cluster(ForBulk());
  Talker talker(cluster);
  const std::string value = Pattern(100'000);
  for (int i = 0; i < 10; ++i) CHECK(talker.Asks(Set("k", value), "STORED\r\n"));
  const std::string large = Pattern(1'000'000);
  const std::string set = Set("k", large);
  for (size_t at = 0; at < set.size(); at += 20'000) {
    CHECK(talker.Say(set.substr(at, 20'000)));
    cluster.Steps(10);
  }
  CHECK(talker.Hears("STORED\r\n"));
  CHECK(talker.Asks("get k\r\n", ValueReply("k", large) + "END\r\n"));
  CHECK(BytesReadIntoItems(cluster) == 0);
  CheckEnds(cluster);
}

TEST_CASE("clients that stop in the midst of large values do not keep others from storing theirs") {
  enum class Then { kGoOn, kLeave, kStay };
  for (const Then then : {Then::kGoOn, Then::kLeave, Then::kStay}) {
    for (const uint32_t shards : {1u, 2u}) {
      CAPTURE(static_cast<int>(then));
      CAPTURE(shards);
      ClusterOptions options = ForBulk(shards);
      options.memory_bytes = 256 << 20;
      Cluster cluster(options);
      const std::string value = Pattern(4'000'000);
      std::vector<Talker> stalled;
      // More than there may be receives into items.
      for (uint32_t i = 0; i < server::kFillsMax + 4; ++i) {
        stalled.emplace_back(cluster, cluster.ConnectTo(0));
        const std::string key = KeyOf(cluster, i % shards, i);
        CHECK(stalled.back().Say(Set(key, value).substr(0, 2'000'000)));
      }
      cluster.Steps(100);
      const uint64_t into_items = BytesReadIntoItems(cluster);
      CHECK(into_items > 0);
      Talker talker(cluster, cluster.ConnectTo(0));
      const std::string other = KeyOf(cluster, shards - 1, 50);
      CHECK(talker.Asks(Set(other, value) + "get " + other + "\r\n",
                        "STORED\r\n" + ValueReply(other, value) + "END\r\n"));
      CHECK(BytesReadIntoItems(cluster) == into_items);
      for (uint32_t i = 0; i < stalled.size() && then == Then::kGoOn; ++i) {
        const std::string key = KeyOf(cluster, i % shards, i);
        CHECK(stalled[i].Asks(Set(key, value).substr(2'000'000), "STORED\r\n"));
        CHECK(stalled[i].Asks("get " + key + "\r\n", ValueReply(key, value) + "END\r\n"));
      }
      if (then == Then::kLeave) {
        for (size_t i = 0; i < stalled.size(); ++i) {
          i % 2 == 0 ? stalled[i].wire().Reset() : stalled[i].wire().CloseWrite();
        }
        CHECK(Until(cluster, [&] { return cluster.engine().reservations() == 0; }));
        CHECK(talker.Asks(Set(other, value), "STORED\r\n"));
        CHECK(BytesReadIntoItems(cluster) > into_items);  // there is room again
      }
      CheckEnds(cluster);
    }
  }
}

TEST_CASE(
    "an item is not given back before the kernel is done with it, however often it is asked") {
  for (const EngineKind engine : {EngineKind::kSlab, EngineKind::kMap}) {
    for (const uint32_t shards : {1u, 2u}) {
      CAPTURE(shards);
      Cluster cluster(ForBulk(shards, engine));
      const std::string held = KeyOf(cluster, 0, 1);
      const std::string key = KeyOf(cluster, shards - 1);
      const std::string reply = Pattern(200'000);
      const std::string value = Pattern(4'000'000);
      Talker talker(cluster, cluster.ConnectTo(0, 128 << 10));
      CHECK(talker.Asks(Set(held, reply), "STORED\r\n"));
      CHECK(talker.Asks(Set(key, "old"), "STORED\r\n"));
      // Its reply is not read: a send is under way, too, and breaks.
      CHECK(talker.Say("get " + held + "\r\n" + Set(key, value).substr(0, 1'500'000)));
      REQUIRE(Until(cluster, [&] { return cluster.engine().reservations() == 1; }));
      cluster.Steps(50);
      CHECK(BytesReadIntoItems(cluster) > 0);
      // From here on nothing that is under way ends at once, and more of the value arrives.
      ring::SimOptions slow = ForBulk().ring;
      slow.hold_chance = 800;
      slow.delay_turns_max = 20;
      slow.stop_missed_chance = 700;
      cluster.world().SetOptions(slow);
      talker.SaySome(value.substr(1'500'000, 100'000));
      talker.wire().Reset();
      CHECK(Until(cluster, [&] { return cluster.engine().reservations() == 0; }));
      Talker other(cluster);
      CHECK(other.Asks("get " + key + "\r\n", ValueReply(key, "old") + "END\r\n"));
      CheckEnds(cluster);
    }
  }
}

TEST_CASE("a server that stops ends what waits for bytes or room, though the kernel may miss it") {
  Cluster cluster(ForBulk(2));
  const std::string key = KeyOf(cluster, 1);
  const std::string value = Pattern(4'000'000);
  Talker silent(cluster, cluster.ConnectTo(0));
  CHECK(silent.Say(Set(key, value).substr(0, 2'000'000)));
  Talker deaf(cluster, cluster.ConnectTo(1));
  CHECK(deaf.Asks(Set("k", value), "STORED\r\n"));
  CHECK(deaf.Say("get k\r\n"));
  cluster.Steps(100);
  CHECK(cluster.engine().reservations() == 1);
  CHECK(BytesReadIntoItems(cluster) > 0);
  ring::SimOptions missing = ForBulk().ring;
  missing.stop_missed_chance = 900;
  cluster.world().SetOptions(missing);
  cluster.RequestStop();
  REQUIRE(Until(cluster, [&] { return cluster.Ended() && cluster.world().Settled(); }));
  cluster.CheckEnded();
}

TEST_CASE("an upload ended by other bytes stores nothing and gives its memory back") {
  ClusterOptions options;
  options.shards = 2;
  Cluster cluster(options);
  for (ShardId owner = 0; owner < 2; ++owner) {
    Talker talker(cluster, cluster.ConnectTo(0));
    const std::string key = KeyOf(cluster, owner);
    CHECK(talker.Asks(Set(key, "old"), "STORED\r\n"));
    std::string set = Set(key, Pattern(200'000));
    set.replace(set.size() - 2, 2, "xy");
    CHECK(talker.Asks(set + "get " + key + "\r\n",
                      "CLIENT_ERROR bad data chunk\r\n" + ValueReply(key, "old") + "END\r\n"));
    CHECK(Until(cluster, [&] { return cluster.engine().reservations() == 0; }));
  }
  CHECK(cluster.Failures(Cause::kBadDataChunk) == 2);
  CHECK(cluster.Failures(Cause::kValueCutOff) == 0);
  CheckEnds(cluster);
}

TEST_CASE("told to stop, the server answers what it has received") {
  ClusterOptions options;
  options.shards = 3;
  options.ring.window_bytes = 1 << 20;
  Cluster cluster(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 9; ++i) talkers.emplace_back(cluster);
  for (Talker& talker : talkers) CHECK(talker.Asks("mn\r\n", "MN\r\n"));
  std::string question;
  std::string answer;
  for (uint32_t i = 0; i < 10; ++i) {
    const std::string key = KeyOf(cluster, i % 3, i);
    question += Set(key, Pattern(100, i)) + "get " + key + "\r\n";
    answer += "STORED\r\n" + ValueReply(key, Pattern(100, i)) + "END\r\n";
  }
  for (Talker& talker : talkers) CHECK(talker.SaySome(question) == question.size());
  // Received by every shard, and answered by none that needs another.
  for (ShardId shard = 0; shard < 3; ++shard) {
    cluster.TryTurn(shard);
    cluster.TryTurn(shard);
  }
  cluster.RequestStop();
  for (Talker& talker : talkers) {
    CHECK(talker.Hears(answer));
    CHECK(talker.Closed());
  }
  CHECK(Until(cluster, [&] { return cluster.Ended() && cluster.world().Settled(); }));
  cluster.CheckEnded();
}

TEST_CASE("told to stop, the server does not wait for ever for those that do not read") {
  Cluster cluster({.ring = [] {
    ring::SimOptions ring = ClusterOptions{}.ring;
    ring.window_bytes = 1024;
    return ring;
  }()});
  Talker silent(cluster);
  CHECK(silent.Asks(Set("k", Pattern(100'000)), "STORED\r\n"));
  silent.SaySome("get k\r\nget k\r\n");
  REQUIRE(Until(cluster, [&] { return cluster.engine().pins() == 1; }));
  cluster.RequestStop();
  cluster.Steps(1000);
  CHECK(!cluster.Ended());
  CHECK(cluster.Failures(Cause::kStopCutOff) == 0);
  cluster.clock().AdvanceNs(server::kStopNsMax + 1);
  CHECK(Until(cluster, [&] { return cluster.Ended() && cluster.world().Settled(); }));
  cluster.CheckEnded();
  CHECK(cluster.Failures(Cause::kStopCutOff) == 1);
}

TEST_CASE("a store that waits for memory is answered once the readers are gone") {
  ClusterOptions options;
  options.shards = 2;
  options.memory_bytes = 2 << 20;
  options.item_bytes_max = 128 << 10;
  Cluster cluster(options);
  Talker talker(cluster, cluster.ConnectTo(0));
  // Shard 1 stands still in the midst of a turn: what shard 0 unlinks may be read there, and must
  // not be used again.
  cluster.Suspend(1, true);
  constexpr uint32_t kSets = 60;
  std::string question;
  for (uint32_t i = 0; i < kSets; ++i) {
    question += Set(KeyOf(cluster, 0, i), Pattern(60'000, i));
  }
  std::string_view rest = question;
  for (int step = 0; step < 20'000; ++step) {
    rest.remove_prefix(talker.SaySome(rest));
    cluster.Step();
  }
  const uint64_t stored = cluster.Sum(&server::Counters::cmd_set);
  CHECK(stored > 5);
  CHECK(stored < kSets);
  CHECK(!rest.empty());
  cluster.Suspend(1, false);
  CHECK(talker.Say(rest));
  CHECK(talker.Hears(Repeat("STORED\r\n", kSets)));
  CHECK(cluster.Totals().evictions > 0);
  CHECK(cluster.Totals().store_no_memory == 0);
  CHECK(cluster.Failures(Cause::kStoreDelayed) + cluster.Failures(Cause::kValueDelayed) > 0);
  const std::string last = KeyOf(cluster, 0, kSets - 1);
  CHECK(talker.Asks("get " + last + "\r\n",
                    ValueReply(last, Pattern(60'000, kSets - 1)) + "END\r\n"));
  CheckEnds(cluster);
}

TEST_CASE("a large value that is being sent stays as it was, whatever becomes of its key") {
  for (const ShardId owner : {0u, 1u}) {
    for (const std::string_view fate : {"replace", "delete", "flush", "expire", "append", "none"}) {
      CAPTURE(owner);
      CAPTURE(fate);
      ClusterOptions options;
      options.shards = 2;
      options.memory_bytes = 4 << 20;
      options.ring.window_bytes = 4 << 10;
      Cluster cluster(options);
      const std::string key = KeyOf(cluster, owner);
      const std::string value = Pattern(300'000);
      Talker other(cluster);
      CHECK(other.Asks(Set(key, value), "STORED\r\n"));
      Talker slow(cluster, cluster.ConnectTo(0));
      CHECK(slow.Say("get " + key + "\r\n"));
      REQUIRE(Until(cluster, [&] { return cluster.engine().pins() == 1; }));
      if (fate == "replace") {
        CHECK(other.Asks(Set(key, "short"), "STORED\r\n"));
      } else if (fate == "delete") {
        CHECK(other.Asks("delete " + key + "\r\n", "DELETED\r\n"));
      } else if (fate == "flush") {
        CHECK(other.Asks("flush_all\r\n", "OK\r\n"));
        CHECK(other.Asks("get " + key + "\r\n", "END\r\n"));
      } else if (fate == "expire") {
        CHECK(other.Asks("touch " + key + " 10\r\n", "TOUCHED\r\n"));
        cluster.clock().AdvanceSeconds(11);
        CHECK(other.Asks("get " + key + "\r\n", "END\r\n"));
      } else if (fate == "append") {
        CHECK(other.Asks("append " + key + " 0 0 3\r\nend\r\n", "STORED\r\n"));
      }
      // Much memory is used again meanwhile.
      for (uint32_t i = 1; i < 60; ++i) {
        CHECK(other.Asks(Set(KeyOf(cluster, owner, i), Pattern(100'000, i)), "STORED\r\n"));
      }
      CHECK(slow.Hears(ValueReply(key, value) + "END\r\n"));
      CHECK(Until(cluster, [&] { return cluster.engine().pins() == 0; }));
      CheckEnds(cluster);
    }
  }
}

TEST_CASE("a client that goes away in the midst of a large value leaves no pin") {
  for (const ShardId owner : {0u, 1u}) {
    ClusterOptions options;
    options.shards = 2;
    options.ring.window_bytes = 4 << 10;
    Cluster cluster(options);
    const std::string key = KeyOf(cluster, owner);
    Talker slow(cluster, cluster.ConnectTo(0));
    CHECK(slow.Asks(Set(key, Pattern(300'000)), "STORED\r\n"));
    CHECK(slow.Say("get " + key + " " + key + "\r\nget " + key + "\r\n"));
    REQUIRE(Until(cluster, [&] { return cluster.engine().pins() == 1; }));
    slow.wire().Reset();
    CHECK(Until(cluster, [&] { return cluster.engine().pins() == 0; }));
    // Seen by the receive or by the send, whichever hears of it first.
    CHECK(cluster.Failures(Cause::kConnectionReset) + cluster.Failures(Cause::kSendReset) == 1);
    CheckEnds(cluster);
  }
}

TEST_CASE("statistics and flush_all reach every shard, however slow their messages") {
  ClusterOptions options;
  options.shards = 4;
  options.ring = ring::SimOptions::Rough();
  options.ring.buffer_count = server::kReceiveBuffers;
  Cluster cluster(options);
  Talker writer(cluster);
  Talker reader(cluster);
  Talker flusher(cluster);
  std::string keys;
  std::string values;
  for (ShardId shard = 0; shard < 4; ++shard) {
    const std::string key = KeyOf(cluster, shard);
    CHECK(writer.Asks(Set(key, "v"), "STORED\r\n"));
    keys += " " + key;
    values += ValueReply(key, "v");
  }
  CHECK(reader.Asks("get" + keys + "\r\n", values + "END\r\n"));
  CHECK(reader.Statistic("curr_items") == "4");
  CHECK(reader.Statistic("cmd_set") == "4");
  CHECK(reader.Statistic("get_hits") == "4");
  CHECK(reader.Statistic("curr_connections") == "3");

  // One shard is slow: the answer waits for it, and other clients do not.
  cluster.Suspend(3, true);
  flusher.SaySome("flush_all\r\nget" + keys + "\r\n");
  cluster.Steps(3000);
  CHECK(flusher.wire().unread() == 0);
  cluster.Suspend(3, false);
  CHECK(flusher.Hears("OK\r\nEND\r\n"));
  CHECK(reader.Asks("get" + keys + "\r\n", "END\r\n"));

  // What is stored after it stays; what a delayed one names goes in its time.
  CHECK(writer.Asks(Set(KeyOf(cluster, 2), "new"), "STORED\r\n"));
  const std::string present = ValueReply(KeyOf(cluster, 2), "new") + "END\r\n";
  CHECK(reader.Asks("get" + keys + "\r\n", present));
  CHECK(flusher.Asks("flush_all 10\r\n", "OK\r\n"));
  CHECK(reader.Asks("get" + keys + "\r\n", present));
  cluster.clock().AdvanceSeconds(12);
  cluster.Steps(100);
  CHECK(reader.Asks("get" + keys + "\r\n", "END\r\n"));

  CHECK(writer.Asks("stats reset\r\n", "RESET\r\n"));
  CHECK(reader.Statistic("cmd_set") == "0");
  CHECK(reader.Statistic("get_hits") == "0");
  CheckEnds(cluster);
}

TEST_CASE("connections spread over the shards, wherever they come in") {
  ClusterOptions options;
  options.shards = 4;
  Cluster cluster(options);
  std::vector<Talker> talkers;
  for (int i = 0; i < 40; ++i) talkers.emplace_back(cluster);
  for (Talker& talker : talkers) CHECK(talker.Asks("mn\r\n", "MN\r\n"));
  for (ShardId shard = 0; shard < 4; ++shard) {
    CHECK(cluster.counters(shard).connections_open.Get() >= 8);
    CHECK(cluster.counters(shard).connections_open.Get() <= 12);
  }
  CheckEnds(cluster);
}

TEST_CASE("ten thousand commands in one write, and one byte at a time") {
  ClusterOptions options;
  options.shards = 2;
  options.ring.window_bytes = 4 << 20;
  Cluster cluster(options);
  Talker talker(cluster);
  const std::string far = KeyOf(cluster, 0) + " " + KeyOf(cluster, 1);
  const std::string two =
      Set(KeyOf(cluster, 0), "a") + Set(KeyOf(cluster, 1), "b") + "get " + far + "\r\n";
  const std::string answer = "STORED\r\nSTORED\r\n" + ValueReply(KeyOf(cluster, 0), "a") +
                             ValueReply(KeyOf(cluster, 1), "b") + "END\r\n";
  CHECK(talker.SaySome(Repeat(two, 3334)) == two.size() * 3334);
  CHECK(talker.Hears(Repeat(answer, 3334)));
  for (const char byte : Repeat(two, 20)) {
    REQUIRE(talker.SaySome({&byte, 1}) == 1);
    cluster.Steps(3);
  }
  CHECK(talker.Hears(Repeat(answer, 20)));
  CheckEnds(cluster);
}

// A chained item's references once took room that depended on their number, which depends on the
// room: for some sizes just below a whole number of pages more bytes were sent than the value has.
TEST_CASE("values of all sizes around a page come back whole") {
  ClusterOptions options;
  options.memory_bytes = 4 << 20;  // pages of 16 KiB
  Cluster cluster(options);
  Talker talker(cluster);
  const std::string pattern = Pattern(36'000);
  for (const size_t begin : {size_t{16'000}, size_t{34'000}}) {
    for (size_t size = begin; size < begin + 2'000; ++size) {
      const std::string_view value = std::string_view(pattern).substr(0, size);
      REQUIRE(talker.Asks(Set("k", value) + "get k\r\n",
                          "STORED\r\n" + ValueReply("k", value) + "END\r\n"));
    }
  }
  CheckEnds(cluster);
}

// A set that finds no memory removes what the key held: memcached leaves no stale value behind.
// That must come after the stores of the same connection that are still in the batch.
TEST_CASE("a refused upload also removes what was stored just before it") {
  for (const int variant : {0, 1, 2, 3}) {
    CAPTURE(variant);
    const ShardId owner = variant % 2;
    ClusterOptions options;
    options.shards = 2;
    options.memory_bytes = 4 << 20;
    options.evict = false;
    options.delaying = variant >= 2;
    options.ring.window_bytes = 2 << 20;
    Cluster cluster(options);
    Talker talker(cluster, cluster.ConnectTo(0));
    for (uint32_t i = 1;; ++i) {
      REQUIRE(i < 100);
      CHECK(talker.Say(Set(KeyOf(cluster, owner, i), Pattern(200'000))));
      if (talker.Hear(8) != "STORED\r\n") break;
    }
    Talker fresh(cluster, cluster.ConnectTo(0));
    const std::string key = KeyOf(cluster, owner);
    // The first store may also take some turns.
    if (options.delaying) cluster.delaying_engine().delays = {.chance = 1000, .turns_max = 20};
    CHECK(fresh.Asks(Set(key, "x") + Set(key, Pattern(900'000)) + "get " + key + "\r\n",
                     "STORED\r\nSERVER_ERROR out of memory storing object\r\nEND\r\n"));
    CHECK(cluster.Failures(Cause::kStoreNoEviction) == 2);
    CheckEnds(cluster);
  }
}

// Causes of src/base/cause.h that nothing above has come across.

TEST_CASE("what the kernel rejects is counted, and costs that connection alone") {
  Cluster cluster({});
  Talker sender(cluster);
  Talker receiver(cluster);
  Talker other(cluster);
  for (Talker* talker : {&sender, &receiver, &other}) CHECK(talker->Asks("mn\r\n", "MN\r\n"));
  ring::SimOptions rejecting = ClusterOptions{}.ring;
  rejecting.rejected_chance = 1000;

  // Received while the kernel takes all; the reply is on its way when it does not.
  const uint64_t received = cluster.Sum(&server::Counters::bytes_read);
  sender.SaySome("mn\r\n");
  REQUIRE(Until(cluster, [&] { return cluster.Sum(&server::Counters::bytes_read) > received; }));
  cluster.world().SetOptions(rejecting);
  CHECK(sender.Closed());
  CHECK(cluster.Failures(Cause::kSendFailed) == 1);
  receiver.SaySome("mn\r\n");
  CHECK(receiver.Closed());
  CHECK(cluster.Failures(Cause::kReceiveFailed) == 1);
  Talker late(cluster);
  late.SaySome("mn\r\n");
  CHECK(Until(cluster, [&] { return cluster.Failures(Cause::kAcceptFailed) > 0; }));

  cluster.world().SetOptions(ClusterOptions{}.ring);
  CHECK(late.Hears("MN\r\n"));
  CHECK(other.Asks("mn\r\n", "MN\r\n"));
  CHECK(other.Statistic("listen_disabled_num") ==
        std::to_string(cluster.Failures(Cause::kAcceptFailed)));
  CheckEnds(cluster);
}

TEST_CASE("a kernel without memory for new connections makes accepting pause") {
  Cluster cluster({});
  Talker first(cluster);
  CHECK(first.Asks("mn\r\n", "MN\r\n"));
  ring::SimOptions options = ClusterOptions{}.ring;
  options.no_memory_chance = 1000;
  cluster.world().SetOptions(options);
  Talker late(cluster);
  cluster.Steps(500);
  CHECK(cluster.Failures(Cause::kAcceptNoMemory) > 0);
  cluster.world().SetOptions(ClusterOptions{}.ring);
  CHECK(late.Asks("mn\r\n", "MN\r\n"));
  CheckEnds(cluster);
}

TEST_CASE("a client that leaves before it is accepted is counted, and accepting goes on") {
  Cluster cluster({});
  ring::SimOptions options = ClusterOptions{}.ring;
  options.reset_chance = 1000;
  cluster.world().SetOptions(options);
  for (int i = 0; i < 3; ++i) {
    Talker talker(cluster);
    CHECK(talker.Closed());
  }
  CHECK(cluster.Failures(Cause::kAcceptAborted) == 3);
  cluster.world().SetOptions(ClusterOptions{}.ring);
  Talker late(cluster);
  CHECK(late.Asks("mn\r\n", "MN\r\n"));
  CHECK(late.Statistic("listen_disabled_num") == "0");
  CheckEnds(cluster);
}

TEST_CASE("a large value that cannot be pinned is copied, and a larger one missed") {
  for (const ShardId owner : {0u, 1u}) {
    CAPTURE(owner);
    ClusterOptions options;
    options.shards = 2;
    Cluster cluster(options);
    Talker talker(cluster, cluster.ConnectTo(0));
    const std::string key = KeyOf(cluster, owner);
    cluster.engine().mishaps.pin_refused_chance = 1000;
    const std::string large = Pattern(10'000);
    CHECK(talker.Asks(Set(key, large) + "get " + key + "\r\n",
                      "STORED\r\n" + ValueReply(key, large) + "END\r\n"));
    // Another shard's is copied up to 16 KiB in any case.
    CHECK(cluster.Failures(Cause::kPinsFullCopied) == (owner == 0 ? 1 : 0));
    CHECK(talker.Asks(Set(key, Pattern(100'000)) + "get " + key + "\r\n", "STORED\r\nEND\r\n"));
    CHECK(cluster.Failures(Cause::kPinsFullMissed) == 1);
    CHECK(talker.Statistic("response_obj_oom") == "1");
    CheckEnds(cluster);
  }
}

TEST_CASE("a value that waits for room while it arrives is counted, and stored") {
  for (const ShardId owner : {0u, 1u}) {
    ClusterOptions options;
    options.shards = 2;
    Cluster cluster(options);
    cluster.engine().mishaps.reserve_later_chance = 900;
    Talker talker(cluster, cluster.ConnectTo(0));
    for (uint32_t i = 0; i < 10; ++i) {
      CHECK(talker.Asks(Set(KeyOf(cluster, owner, i), Pattern(100'000)), "STORED\r\n"));
    }
    CHECK(cluster.Failures(Cause::kValueDelayed) > 0);
    CheckEnds(cluster);
  }
}

TEST_CASE("stores without memory are told apart by why there is none") {
  ClusterOptions options;
  options.memory_bytes = 4 << 20;
  options.item_bytes_max = 16 << 20;
  Cluster cluster(options);
  Talker talker(cluster);
  const std::string refusal = "SERVER_ERROR out of memory storing object\r\n";
  CHECK(talker.Asks(Set("k", Pattern(6 << 20)), refusal));
  CHECK(cluster.Failures(Cause::kStoreExceedsShard) == 1);
  CHECK(talker.Asks(Set("k", Pattern(17 << 20)), "SERVER_ERROR object too large for cache\r\n"));
  CHECK(cluster.Failures(Cause::kValueTooLarge) == 1);

  // Values that arrive and do not end hold all the memory there is.
  std::vector<Talker> uploads;
  while (cluster.Failures(Cause::kStoreNothingToEvict) == 0) {
    REQUIRE(uploads.size() < 10);
    uploads.emplace_back(cluster);
    CHECK(uploads.back().Say("set up 0 0 1500000\r\n"));
    cluster.Steps(3000);
  }
  CHECK(talker.Statistic("store_no_memory") == "2");
  CHECK(talker.Statistic("store_too_large") == "1");
  for (Talker& upload : uploads) upload.wire().Reset();
  CheckEnds(cluster);
}

TEST_CASE("appends and counts that fail are told apart from those that have nothing to work on") {
  ClusterOptions options;
  options.memory_bytes = 4 << 20;
  options.evict = false;
  Cluster cluster(options);
  Talker talker(cluster);
  CHECK(talker.Asks(Set("a", Pattern(600'000)) + "append a 0 0 3\r\nend\r\n",
                    "STORED\r\nSTORED\r\n"));
  const std::string half = Pattern(600'000);
  CHECK(talker.Asks("append a 0 0 600000\r\n" + half + "\r\n", "NOT_STORED\r\n"));
  CHECK(cluster.Failures(Cause::kConcatTooLarge) == 1);
  CHECK(talker.Asks("append none 0 0 1\r\nx\r\n", "NOT_STORED\r\n"));
  CHECK(talker.Asks("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"));

  CHECK(talker.Asks(Set("n", "99") + Set("word", "x"), "STORED\r\nSTORED\r\n"));
  // First all pages, then what is free in the pages of the smallest items.
  uint64_t refused = 0;
  struct Round {
    uint32_t first_key;
    std::string_view value;
  };
  for (const auto& [first_key, value] :
       {Round{10'000, "12345678"}, Round{10'000, "123"}, Round{10'000, "12"}, Round{10'000, "1"},
        Round{10'000, ""}, Round{100, ""}}) {
    for (uint32_t i = first_key, in_a_row = 0; in_a_row < 50; ++i) {
      REQUIRE(i < 200'000);
      CHECK(talker.Say("add " + std::to_string(i) + " 0 0 " + std::to_string(value.size()) +
                       "\r\n" + std::string(value) + "\r\n"));
      const std::string line = talker.Hear(8);
      if (line.starts_with("SERVER")) {
        talker.Hear(std::string_view("SERVER_ERROR out of memory storing object\r\n").size() - 8);
        ++refused;
        ++in_a_row;
      } else if (line.starts_with("NOT")) {
        talker.Hear(std::string_view("NOT_STORED\r\n").size() - 8);
      } else {
        in_a_row = 0;
      }
    }
  }
  CHECK(talker.Asks("incr n 1\r\n", "SERVER_ERROR out of memory\r\n"));
  CHECK(cluster.Failures(Cause::kOutOfMemoryCounting) == 1);
  CHECK(talker.Asks("append n 0 0 1\r\n5\r\n", "NOT_STORED\r\n"));
  CHECK(cluster.Failures(Cause::kConcatNoMemory) == 1);
  CHECK(talker.Asks("incr word 1\r\n",
                    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"));
  CHECK(cluster.Failures(Cause::kNotANumber) == 1);
  CHECK(cluster.Failures(Cause::kConcatTooLarge) == 1);
  CHECK(cluster.Failures(Cause::kStoreNoEviction) == refused);
  CheckEnds(cluster);
}

// With noreply too, and wherever the key lives: the client is told nothing, the operator is.
TEST_CASE("a failure counts with noreply as without") {
  for (const ShardId owner : {0u, 1u}) {
    ClusterOptions options;
    options.shards = 2;
    Cluster cluster(options);
    Talker talker(cluster, cluster.ConnectTo(0));
    const std::string key = KeyOf(cluster, owner);
    CHECK(talker.Asks(Set(key, "x") + "incr " + key + " 1 noreply\r\nmn\r\n", "STORED\r\nMN\r\n"));
    CHECK(cluster.Failures(Cause::kNotANumber) == 1);
    CheckEnds(cluster);
  }
}

TEST_CASE("a shard that stands still fills its mailbox: what cannot be sent is kept or done here") {
  ClusterOptions options;
  options.shards = 2;
  options.connections_max = 4000;
  options.ring.window_bytes = 4 << 10;
  Cluster cluster(options);
  const std::string far = KeyOf(cluster, 1);
  Talker slow(cluster, cluster.ConnectTo(0));
  CHECK(slow.Asks(Set(far, Pattern(300'000)), "STORED\r\n"));
  CHECK(slow.Say("get " + far + "\r\n"));
  REQUIRE(Until(cluster, [&] { return cluster.engine().pins() == 1; }));

  cluster.Suspend(1, true);
  std::vector<Talker> talkers;
  while (cluster.Failures(Cause::kHandoverRefused) == 0) {
    REQUIRE(talkers.size() < 3900);
    talkers.emplace_back(cluster, cluster.ConnectAt(0));
    cluster.Steps(20);
  }
  // The mailbox is full: the pin of a client that goes away is given back later.
  slow.wire().Reset();
  CHECK(Until(cluster, [&] { return cluster.Failures(Cause::kReleaseDelayed) == 1; }));
  CHECK(cluster.engine().pins() == 1);
  cluster.Suspend(1, false);
  CHECK(Until(cluster, [&] { return cluster.engine().pins() == 0; }));
  for (Talker& talker : talkers) CHECK(talker.Asks("mn\r\n", "MN\r\n"));
  CheckEnds(cluster);
}

TEST_CASE("replies before another shard's answer leave with it, or after a while without it") {
  ClusterOptions options;
  options.shards = 2;
  Cluster cluster(options);
  Talker talker(cluster, cluster.ConnectTo(0));
  const std::string near = KeyOf(cluster, 0);
  const std::string far = KeyOf(cluster, 1);
  CHECK(talker.Asks(Set(near, "x") + Set(far, "0"), "STORED\r\nSTORED\r\n"));
  const std::string near_reply = ValueReply(near, "x") + "END\r\n";

  // The other shard answers: one send.
  const uint64_t written = cluster.counters(0).bytes_written.Get();
  CHECK(talker.Say("get " + near + "\r\nincr " + far + " 1\r\nget " + near + "\r\n"));
  Until(cluster, [&] { return cluster.counters(0).bytes_written.Get() != written; });
  CHECK(cluster.counters(0).bytes_written.Get() - written == 2 * near_reply.size() + 3);
  CHECK(talker.Hears(near_reply + "1\r\n" + near_reply));

  // It does not: what stands before the gap comes, not at once.
  cluster.Suspend(1, true);
  const int64_t asked_ns = cluster.clock().NowNs();
  CHECK(talker.Say("get " + near + "\r\nincr " + far + " 1\r\n"));
  CHECK(talker.Hears(near_reply));
  CHECK(cluster.clock().NowNs() - asked_ns >= server::kAwaitAnswerNs - 1000);
  CHECK(cluster.clock().NowNs() - asked_ns < 10 * server::kAwaitAnswerNs);
  cluster.Suspend(1, false);
  CHECK(talker.Hears("2\r\n"));
  CheckEnds(cluster);
}

// The answer that they wait for does not come.
TEST_CASE("replies that wait for an answer leave when the client quits, or when they get long") {
  ClusterOptions options;
  options.shards = 2;
  options.ring.window_bytes = 1 << 20;
  Cluster cluster(options);
  const std::string near = KeyOf(cluster, 0);
  const std::string far = KeyOf(cluster, 1);
  Talker setter(cluster, cluster.ConnectTo(0));
  const std::string value = Pattern(4000);
  CHECK(setter.Asks(Set(near, value) + Set(far, "0"), "STORED\r\nSTORED\r\n"));
  const std::string near_reply = ValueReply(near, value) + "END\r\n";
  Talker quitter(cluster, cluster.ConnectTo(0));
  Talker reader(cluster, cluster.ConnectTo(0));
  cluster.Suspend(1, true);

  int64_t asked_ns = cluster.clock().NowNs();
  const std::string get = "get " + near + "\r\n";
  CHECK(reader.Say(get + "incr " + far + " 1\r\n" + Repeat(get, 76)));
  CHECK(reader.Hears(near_reply));
  CHECK(cluster.clock().NowNs() - asked_ns < server::kAwaitAnswerNs / 2);

  asked_ns = cluster.clock().NowNs();
  CHECK(quitter.Say(get + "incr " + far + " 1\r\nquit\r\n"));
  CHECK(quitter.Hears(near_reply));
  CHECK(cluster.clock().NowNs() - asked_ns < server::kAwaitAnswerNs / 2);

  cluster.Suspend(1, false);
  CHECK(reader.Hears("1\r\n" + Repeat(near_reply, 76)));
  CHECK(quitter.Hears("2\r\n"));
  CHECK(quitter.Closed());
  CheckEnds(cluster);
}

TEST_CASE("a get goes by message only behind a write of its own key") {
  ClusterOptions options;
  options.shards = 2;
  Cluster cluster(options);
  Talker talker(cluster, cluster.ConnectTo(0));
  const std::string far = KeyOf(cluster, 1);
  // Of the same shard, and told apart by Connection::pending_keys.
  std::string second;
  for (uint32_t i = 1; second.empty() || engine::HashKey(second) % 64 == engine::HashKey(far) % 64;
       ++i) {
    second = KeyOf(cluster, 1, i);
  }
  CHECK(talker.Asks(Set(far, "1") + Set(second, "s"), "STORED\r\nSTORED\r\n"));
  const uint64_t sent = cluster.messages_sent(0);
  CHECK(talker.Asks(
      "incr " + far + " 1\r\nget " + second + "\r\nget " + far + "\r\n",
      "2\r\n" + ValueReply(second, "s") + "END\r\n" + ValueReply(far, "2") + "END\r\n"));
  CHECK(cluster.messages_sent(0) - sent == 2);
  CheckEnds(cluster);
}

TEST_CASE("a connection with many operations under way to another shard waits for answers") {
  ClusterOptions options;
  options.shards = 2;
  Cluster cluster(options);
  Talker talker(cluster, cluster.ConnectTo(0));
  const std::string far = KeyOf(cluster, 1);
  CHECK(talker.Asks(Set(far, "0"), "STORED\r\n"));
  cluster.Suspend(1, true);
  std::string question, answer;
  for (uint32_t i = 1; i <= server::kPendingTasksHigh + 20; ++i) {
    question += "incr " + far + " 1\r\n";
    answer += std::to_string(i) + "\r\n";
  }
  CHECK(talker.Say(question));
  CHECK(Until(cluster, [&] { return cluster.Failures(Cause::kPendingFull) > 0; }));
  cluster.Suspend(1, false);
  CHECK(talker.Hears(answer));
  CheckEnds(cluster);
}

// As many clients as it takes to hold all of a shard's blocks, 256 MiB.
TEST_CASE("when replies that nobody reads take all memory, all wait, and those who hold it go") {
  constexpr uint32_t kClients = server::kBlocksMax * server::kBlockBytes / server::kOutputHeldHigh;
  ClusterOptions options;
  options.ring.window_bytes = 4 << 10;
  Cluster cluster(options);
  Talker other(cluster);
  const std::string value = Pattern(4000);
  CHECK(other.Asks(Set("k", value), "STORED\r\n"));
  std::vector<Talker> silent;
  for (uint32_t i = 0; i < kClients; ++i) {
    silent.emplace_back(cluster);
    silent.back().SaySome(Repeat("get k\r\n", 200));
  }
  REQUIRE(Until(cluster, [&] { return cluster.Failures(Cause::kBuffersShort) > 0; }));
  CHECK(cluster.Failures(Cause::kSlowClientDropped) == 0);
  other.SaySome("get k\r\n");
  cluster.Steps(100);
  CHECK(other.wire().unread() == 0);

  cluster.clock().AdvanceSeconds(server::kSlowClientSeconds + 2);
  CHECK(other.Hears(ValueReply("k", value) + "END\r\n"));
  CHECK(cluster.Failures(Cause::kSlowClientDropped) > 0);
  CHECK(cluster.Failures(Cause::kReplyNoMemory) == 0);
  CHECK(other.Statistic("slow_clients_dropped") ==
        std::to_string(cluster.Failures(Cause::kSlowClientDropped)));
  for (Talker& talker : silent) talker.wire().Reset();
  CheckEnds(cluster);
}

TEST_CASE(
    "-v says what fails, once a second; stats failures has every cause, and reset zeroes it") {
  ClusterOptions options;
  options.shards = 2;
  options.verbosity = 1;
  Cluster cluster(options);
  Talker talker(cluster);
  CHECK(talker.Asks(Repeat("bogus\r\n", 10), Repeat("ERROR\r\n", 10)));
  const std::string line = "torc: unknown_command: a command that torc does not know";
  REQUIRE(cluster.said().size() == 1);
  CHECK(cluster.said()[0] == line + "\n");
  cluster.clock().AdvanceSeconds(2);
  cluster.Steps(10);
  CHECK(talker.Asks("bogus\r\n", "ERROR\r\n"));
  REQUIRE(cluster.said().size() == 2);
  CHECK(cluster.said()[1] == line + ", and 9 more\n");
  CHECK(talker.Asks("verbosity 0\r\n", "OK\r\n"));
  cluster.clock().AdvanceSeconds(2);
  cluster.Steps(10);
  CHECK(talker.Asks("bogus\r\n", "ERROR\r\n"));
  CHECK(cluster.said().size() == 2);

  std::string wanted;
  for (const CauseRow& row : kCauses) {
    if (row.cause == Cause::kNone) continue;
    wanted += "STAT " + std::string(row.counter) +
              (row.cause == Cause::kUnknownCommand ? " 12\r\n" : " 0\r\n");
  }
  CHECK(talker.Asks("stats failures\r\n", wanted + "END\r\n"));
  CHECK(talker.Asks("stats reset\r\n", "RESET\r\n"));
  CHECK(cluster.Failures(Cause::kUnknownCommand) == 0);
  CheckEnds(cluster);
}

ClusterOptions DelayingOptions(uint32_t shards) {
  ClusterOptions options;
  options.shards = shards;
  options.delaying = true;
  options.ring.window_bytes = 1 << 20;
  return options;
}

TEST_CASE("answers that come later keep their place among those that do not") {
  for (const ShardId owner : {0u, 1u}) {
    CAPTURE(owner);
    Cluster cluster(DelayingOptions(2));
    Talker talker(cluster, cluster.ConnectTo(0));
    const std::string key = KeyOf(cluster, owner);
    const std::string large = Pattern(100'000);
    CHECK(talker.Asks(Set(key, "one"), "STORED\r\n"));
    DelayingEngine& engine = cluster.delaying_engine();
    engine.delays = {.chance = 1000, .turns_max = 0, .hold = true};
    const std::string get = "get " + key + "\r\n";
    CHECK(talker.Say(get + Set(key, "two") + "mn\r\n" + "incr " + key + " 1\r\n" + get + "delete " +
                     key + " noreply\r\n" + get + "mn\r\n"));
    Talker other(cluster, cluster.ConnectTo(0));
    CHECK(other.Asks("mn\r\n", "MN\r\n"));
    CHECK(Until(cluster, [&] { return engine.waiting() == 6; }));
    CHECK(talker.wire().Read() == "");  // nothing overtakes the first get
    engine.delays.hold = false;
    const int64_t released_ns = cluster.clock().NowNs();
    CHECK(talker.Hears(ValueReply(key, "one") + "END\r\nSTORED\r\nMN\r\n" +
                       "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n" +
                       ValueReply(key, "two") + "END\r\nEND\r\nMN\r\n"));
    // The shard looked for the answers, rather than sleep for as long as it may.
    CHECK(cluster.clock().NowNs() - released_ns < 5'000'000);
    // Values that arrive in parts, and are sent from where they lie.
    CHECK(talker.Asks(Set(key, large) + get, "STORED\r\n" + ValueReply(key, large) + "END\r\n"));
    CheckEnds(cluster);
  }
}

// The front end takes no more commands than it has room for the answers of.
TEST_CASE("a shard whose engine has much to answer reads no further, and loses nothing") {
  Cluster cluster(DelayingOptions(1));
  constexpr size_t kTalkers = 150;
  std::vector<Talker> talkers;
  for (size_t i = 0; i < kTalkers; ++i) talkers.emplace_back(cluster);
  CHECK(talkers[0].Asks(Set("k", "v"), "STORED\r\n"));
  DelayingEngine& engine = cluster.delaying_engine();
  engine.delays = {.chance = 1000, .turns_max = 3, .hold = true};
  const std::string question = Repeat("get k\r\n", 200);
  for (Talker& talker : talkers) CHECK(talker.SaySome(question) == question.size());
  cluster.Steps(5'000);
  CHECK(engine.waiting() >= server::kAwaitedHigh);
  CHECK(engine.waiting() <= server::kAwaitedHigh + engine::kBatchMax);
  engine.delays.hold = false;
  const std::string answer = Repeat(ValueReply("k", "v") + "END\r\n", 200);
  for (Talker& talker : talkers) CHECK(talker.Hears(answer));
  CHECK(cluster.Failures(Cause::kTaskNoMemory) == 0);
  CheckEnds(cluster);
}

TEST_CASE("clients that go away while the engine has their operations leave nothing behind") {
  Cluster cluster(DelayingOptions(2));
  DelayingEngine& engine = cluster.delaying_engine();
  std::vector<Talker> talkers;
  for (ShardId shard = 0; shard < 2; ++shard) {
    for (int i = 0; i < 5; ++i) talkers.emplace_back(cluster, cluster.ConnectTo(shard));
  }
  const std::string large = Pattern(100'000);
  CHECK(talkers[0].Asks(Set(KeyOf(cluster, 0), large) + Set(KeyOf(cluster, 1), large),
                        "STORED\r\nSTORED\r\n"));
  engine.delays = {.chance = 1000, .turns_max = 0, .hold = true};
  for (Talker& talker : talkers) {
    for (const ShardId owner : {0u, 1u}) {
      const std::string key = KeyOf(cluster, owner);
      CHECK(talker.Say("gat 100 " + key + "\r\n" + Set(KeyOf(cluster, owner, 1), "x")));
    }
  }
  CHECK(Until(cluster, [&] { return engine.waiting() == talkers.size() * 4; }));
  const uint32_t open = cluster.connections();
  for (size_t i = 0; i < talkers.size(); ++i) {
    i % 2 == 0 ? talkers[i].wire().Reset() : talkers[i].wire().CloseWrite();
  }
  cluster.Steps(2'000);
  CHECK(cluster.connections() == open);  // none is freed that an answer names
  engine.delays.hold = false;
  CHECK(Until(cluster, [&] {
    for (Talker& talker : talkers) talker.wire().Read();
    return cluster.connections() == open - talkers.size();
  }));
  CHECK(engine.waiting() == 0);
  CheckEnds(cluster);
}

TEST_CASE("told to stop, the server waits for what the engine has") {
  Cluster cluster(DelayingOptions(2));
  DelayingEngine& engine = cluster.delaying_engine();
  Talker talker(cluster, cluster.ConnectTo(0));
  const std::string near = KeyOf(cluster, 0);
  const std::string far = KeyOf(cluster, 1);
  engine.delays = {.chance = 1000, .turns_max = 0, .hold = true};
  CHECK(talker.Say(Set(near, "a") + Set(far, "b") + "get " + near + " " + far + "\r\n"));
  CHECK(Until(cluster, [&] { return engine.waiting() == 4; }));
  cluster.RequestStop();
  cluster.Steps(1'000);
  CHECK(!cluster.Ended());
  engine.delays.hold = false;
  CHECK(talker.Hears("STORED\r\nSTORED\r\n" + ValueReply(near, "a") + ValueReply(far, "b") +
                     "END\r\n"));
  CHECK(talker.Closed());
  CHECK(Until(cluster, [&] { return cluster.Ended() && cluster.world().Settled(); }));
  cluster.CheckEnded();
}

}  // namespace
}  // namespace torc::simulation
