// UDP on simulated rings: replies are whole and in order whatever the ring does, only whole ones
// are missing, and everything comes back.
#include <string>
#include <string_view>
#include <vector>

#include "proto/udp/frame.h"
#include "tests/simulation/cluster.h"
#include "third_party/doctest/doctest.h"

namespace torc::simulation {
namespace {

constexpr int kStepsMax = 300'000;
constexpr uint16_t kPort = 40'000;

template <typename Condition>
bool Until(Cluster& cluster, const Condition& condition) {
  for (int step = 0; step < kStepsMax; ++step) {
    if (condition()) return true;
    cluster.Step();
  }
  return condition();
}

std::string Datagram(uint16_t id, std::string_view payload) {
  std::string bytes(proto::kUdpHeaderBytes, '\0');
  proto::EncodeUdpHeader({id, 0, 1, 0}, bytes.data());
  return bytes.append(payload);
}

// A client of one shard, on a port of its own: one request at a time.
class Asker {
 public:
  Asker(Cluster& cluster, ShardId shard, uint16_t port)
      : cluster_(cluster), socket_(cluster.datagram_socket(shard)), port_(port) {}

  // What comes until `size` bytes have; less, if they do not.
  std::string Ask(std::string_view payload, size_t size) {
    cluster_.world().SendTo(socket_, port_, Datagram(++id_, payload));
    std::string heard;
    expected_ = 0;
    Until(cluster_, [&] {
      for (const std::string& bytes : cluster_.world().TakeDatagrams(socket_, port_)) {
        Take(bytes, &heard);
      }
      return heard.size() >= size;
    });
    return heard;
  }

 private:
  void Take(const std::string& bytes, std::string* heard) {
    REQUIRE(bytes.size() > proto::kUdpHeaderBytes);
    REQUIRE(bytes.size() <= proto::kUdpDatagramBytesMax);
    const proto::UdpHeader header = proto::DecodeUdpHeader(bytes.data());
    REQUIRE(header.request_id == id_);
    REQUIRE(header.sequence == expected_);
    if (header.sequence + 1 < header.datagrams) {
      REQUIRE(bytes.size() == proto::kUdpDatagramBytesMax);
    }
    expected_ = header.sequence + 1 == header.datagrams ? 0 : expected_ + 1;
    heard->append(bytes, proto::kUdpHeaderBytes);
  }

  Cluster& cluster_;
  const int socket_;
  const uint16_t port_;
  uint16_t id_ = 0;
  int expected_ = 0;
};

void StopAndCheck(Cluster& cluster) {
  cluster.RequestStop();
  REQUIRE(Until(cluster, [&] { return cluster.Ended(); }));
  cluster.CheckEnded();
}

std::string Text(std::string_view key, std::string_view value) {
  return "VALUE " + std::string(key) + " 0 " + std::to_string(value.size()) + "\r\n" +
         std::string(value) + "\r\n";
}

TEST_CASE("commands by datagram, on one shard and on several, on a rough ring") {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    CAPTURE(seed);
    ClusterOptions options;
    options.seed = seed;
    options.udp = true;
    options.shards = 1 + seed % 3;
    options.delaying = seed % 4 == 0;
    options.engine = seed % 2 == 0 ? EngineKind::kMap : EngineKind::kSlab;
    if (seed > 3) {
      options.ring = ring::SimOptions::Rough();
      options.ring.buffer_count = 64;
    }
    Cluster cluster(options);
    const std::string small = "value";
    const std::string large(30'000 + seed, 'x');
    for (ShardId shard = 0; shard < options.shards; ++shard) {
      Asker asker(cluster, shard, static_cast<uint16_t>(kPort + shard));
      for (const std::string& key : {std::string("a"), std::string("bb"), std::string("key")}) {
        for (const std::string& value : {small, large}) {
          const std::string set =
              "set " + key + " 0 0 " + std::to_string(value.size()) + "\r\n" + value + "\r\n";
          CHECK(asker.Ask(set, 8) == "STORED\r\n");
          const std::string hit = Text(key, value) + "END\r\n";
          CHECK(asker.Ask("get " + key + "\r\n", hit.size()) == hit);
          const std::string twice = Text(key, value) + Text(key, value) + "END\r\nMN\r\n";
          CHECK(asker.Ask("get " + key + " " + key + "\r\nmn\r\n", twice.size()) == twice);
          CHECK(asker.Ask("delete " + key + " noreply\r\nget " + key + "\r\n", 5) == "END\r\n");
        }
      }
      // Not all there: no answer, nothing stored, nothing held.
      CHECK(asker.Ask("mn\r\nset a 0 0 50000\r\n" + large, 4) == "MN\r\n");
      CHECK(asker.Ask("mn\r\nget a", 4) == "MN\r\n");
      CHECK(asker.Ask("get a\r\n", 5) == "END\r\n");
      CHECK(asker.Ask("flush_all\r\n", 4) == "OK\r\n");
    }
    StopAndCheck(cluster);
  }
}

TEST_CASE("told to stop in the midst of many requests, and with sends that fail, it ends clean") {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    CAPTURE(seed);
    ClusterOptions options;
    options.seed = seed;
    options.udp = true;
    options.shards = 1 + seed % 3;
    options.ring = ring::SimOptions::Rough();
    options.ring.buffer_count = 64;
    options.ring.datagram_loss_chance = 100;
    options.ring.no_memory_chance = 30;
    options.ring.rejected_chance = 30;
    Cluster cluster(options);
    const std::string value(5000, 'v');
    for (uint16_t i = 0; i < 200; ++i) {
      const ShardId shard = static_cast<ShardId>(i % options.shards);
      const std::string key = std::to_string(i % 7);
      const std::string request =
          i % 3 == 0 ? "set " + key + " 0 0 5000\r\n" + value + "\r\n"
                     : "get " + key + "\r\nset " + key + " 0 0 1\r\nx\r\nget " + key + "\r\n";
      cluster.world().SendTo(cluster.datagram_socket(shard), kPort, Datagram(i, request));
      cluster.Steps(static_cast<uint32_t>(seed % 5));
    }
    cluster.Steps(static_cast<uint32_t>(20 * seed));
    StopAndCheck(cluster);
  }
}

}  // namespace
}  // namespace torc::simulation
