// The work whose instructions tests/budget/run counts: whole turns of a shard, from received bytes
// to replies handed to the ring (Shard, Worker, Reader, Executor, the slab engine, Output), for
// fixed batches of requests. The ring is one that costs nothing, and is not counted.
//
// For each case: some turns to warm up, whose replies are held against what they must be; then
// MeasuredRounds, which callgrind counts. Prints, in the order in which they run,
//
//   compiler gcc 12
//   case NAME OPERATIONS
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/server/worker.h"
#include "src/shard/epochs.h"
#include "src/shard/mailbox.h"
#include "src/shard/shard.h"
#include "src/slab/slab_engine.h"
#include "tests/budget/replay_ring.h"

namespace torc::budget {
namespace {

// As bench/bench.py measures: 10,000 keys of 12 bytes, values of 100.
constexpr uint32_t kKeys = 10'000;
constexpr uint32_t kValueBytes = 100;
constexpr uint32_t kConnections = 16;  // that send in a turn
constexpr uint32_t kWarmRounds = 10;
constexpr uint32_t kMeasuredRounds = 20;
constexpr int64_t kTurnNs = 20'000;

// What a connection sends in a turn, and what it must be answered.
struct Exchange {
  std::string request;
  std::string reply;
};

// A connection speaks the protocol of its first byte for good.
enum class Speaks : uint8_t { kText, kBinary };

struct Case {
  std::string name;
  Speaks speaks;
  uint32_t operations;  // of an exchange
  // Adds an exchange about the keys that `next_key` gives.
  std::function<Exchange(const std::function<uint32_t()>& next_key)> make;
};

std::string Key(uint32_t id, char first = 'k') {
  char text[16];
  std::snprintf(text, sizeof(text), "%c%011u", first, id);
  return text;
}

std::string Value(uint32_t id) {
  std::string value(kValueBytes, 'v');
  value.replace(0, 12, Key(id));
  return value;
}

// Fixed, and over all keys before one comes twice: 7,919 and 10,000 have no common divisor.
uint32_t KeyAt(uint32_t n) { return static_cast<uint32_t>(uint64_t{n} * 7'919 % kKeys); }

// Of the binary protocol (protocol_binary.txt): 24 bytes, numbers with the highest byte first. The
// CAS of a reply is not compared: see SameReply.
std::string Packet(uint8_t magic, uint8_t opcode, uint16_t status, std::string_view extras,
                   std::string_view key, std::string_view value) {
  std::string packet(24, '\0');
  const auto put = [&](size_t at, size_t bytes, uint64_t number) {
    for (size_t i = 0; i < bytes; ++i) {
      packet[at + i] = static_cast<char>(number >> (8 * (bytes - 1 - i)));
    }
  };
  put(0, 1, magic);
  put(1, 1, opcode);
  put(2, 2, key.size());
  put(4, 1, extras.size());
  put(6, 2, status);
  put(8, 4, extras.size() + key.size() + value.size());
  packet.append(extras).append(key).append(value);
  return packet;
}
constexpr uint8_t kRequest = 0x80, kReply = 0x81;
constexpr uint8_t kGet = 0x00, kGetQuiet = 0x09, kNoop = 0x0a;
const std::string kNoFlags(4, '\0');

std::vector<Case> Cases() {
  using Next = std::function<uint32_t()>;
  // `one` adds a request and its reply.
  const auto repeat = [](uint32_t count, void (*one)(Exchange&, uint32_t)) {
    return [=](const Next& next_key) {
      Exchange exchange;
      for (uint32_t i = 0; i < count; ++i) one(exchange, next_key());
      return exchange;
    };
  };
  const auto get = [](Exchange& e, uint32_t id) {
    e.request += "get " + Key(id) + "\r\n";
    e.reply += "VALUE " + Key(id) + " 0 100\r\n" + Value(id) + "\r\nEND\r\n";
  };
  const auto get_miss = [](Exchange& e, uint32_t id) {
    e.request += "get " + Key(id, 'm') + "\r\n";
    e.reply += "END\r\n";
  };
  const auto set = [](Exchange& e, uint32_t id) {
    e.request += "set " + Key(id) + " 0 0 100\r\n" + Value(id) + "\r\n";
    e.reply += "STORED\r\n";
  };
  const auto meta_get = [](Exchange& e, uint32_t id) {
    e.request += "mg " + Key(id) + " v\r\n";
    e.reply += "VA 100\r\n" + Value(id) + "\r\n";
  };
  const auto meta_get_miss = [](Exchange& e, uint32_t id) {
    e.request += "mg " + Key(id, 'm') + " v\r\n";
    e.reply += "EN\r\n";
  };
  const auto meta_set = [](Exchange& e, uint32_t id) {
    e.request += "ms " + Key(id) + " 100\r\n" + Value(id) + "\r\n";
    e.reply += "HD\r\n";
  };
  const auto binary_get = [](Exchange& e, uint32_t id) {
    e.request += Packet(kRequest, kGet, 0, {}, Key(id), {});
    e.reply += Packet(kReply, kGet, 0, kNoFlags, {}, Value(id));
  };
  const auto get_multi = [](char first) {
    return [first](const Next& next_key) {
      Exchange exchange;
      exchange.request = "get";
      for (int i = 0; i < 50; ++i) {
        const uint32_t id = next_key();
        exchange.request += ' ' + Key(id, first);
        if (first == 'k') {
          exchange.reply += "VALUE " + Key(id) + " 0 100\r\n" + Value(id) + "\r\n";
        }
      }
      exchange.request += "\r\n";
      exchange.reply += "END\r\n";
      return exchange;
    };
  };
  const auto getq_multi = [](char first) {
    return [first](const Next& next_key) {
      Exchange exchange;
      for (int i = 0; i < 50; ++i) {
        const uint32_t id = next_key();
        exchange.request += Packet(kRequest, kGetQuiet, 0, {}, Key(id, first), {});
        if (first == 'k') {
          exchange.reply += Packet(kReply, kGetQuiet, 0, kNoFlags, {}, Value(id));
        }
      }
      exchange.request += Packet(kRequest, kNoop, 0, {}, {}, {});
      exchange.reply += Packet(kReply, kNoop, 0, {}, {}, {});
      return exchange;
    };
  };
  return {
      {"get-one", Speaks::kText, 1, repeat(1, get)},
      {"get-pipeline", Speaks::kText, 16, repeat(16, get)},
      {"get-pipeline-miss", Speaks::kText, 16, repeat(16, get_miss)},
      {"get-multi", Speaks::kText, 50, get_multi('k')},
      {"get-multi-miss", Speaks::kText, 50, get_multi('m')},
      {"set-one", Speaks::kText, 1, repeat(1, set)},
      {"set-pipeline", Speaks::kText, 16, repeat(16, set)},
      {"binary-get-pipeline", Speaks::kBinary, 16, repeat(16, binary_get)},
      {"binary-getq-multi", Speaks::kBinary, 50, getq_multi('k')},
      {"binary-getq-multi-miss", Speaks::kBinary, 50, getq_multi('m')},
      {"meta-get-pipeline", Speaks::kText, 16, repeat(16, meta_get)},
      {"meta-get-pipeline-miss", Speaks::kText, 16, repeat(16, meta_get_miss)},
      {"meta-set-pipeline", Speaks::kText, 16, repeat(16, meta_set)},
  };
}

// A shard with its worker and engine, as server.cc puts them together, and its clients.
class Subject {
 public:
  Subject()
      : start_(clock_),
        shared_(options_),
        epochs_(1),
        mailboxes_(1),
        ring_(2 * kConnections),
        engine_(EngineOptions(epochs_)),
        shard_(0, ring_, engine_, epochs_, mailboxes_, wake_targets_, clock_, start_),
        worker_(shard_, shared_) {
    shared_.cores.push_back(&worker_.core());
    worker_.AddListener(/*fd=*/0);
    for (int turn = 0; turn < 3; ++turn) shard_.RunTurn(/*wait=*/false);
  }

  // What the `n`th connection of those that speak it was sent since the last call.
  std::string TakeSent(Speaks speaks, uint32_t n) {
    return std::exchange(ring_.sent(ConnectionOf(speaks, n)), {});
  }
  void KeepSent(bool keep) { ring_.Keep(keep); }

  // The connections of a protocol send a request each, and are answered.
  void Play(Speaks speaks, const std::vector<Exchange>& exchanges) {
    for (uint32_t n = 0; n < kConnections; ++n) {
      ring_.Deliver(ConnectionOf(speaks, n), exchanges[n].request);
    }
    // One turn, or three for 50 packets: a connection's share of a turn are 20 commands.
    do {
      clock_.AdvanceNs(kTurnNs);
      shard_.RunTurn(/*wait=*/false);
    } while (!worker_.core().ready.empty());
  }

 private:
  static uint32_t ConnectionOf(Speaks speaks, uint32_t n) {
    return speaks == Speaks::kText ? n : kConnections + n;
  }
  static engine::EngineOptions EngineOptions(shard::Epochs& epochs) {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = 64 << 20;
    options.quiescence = &epochs;
    return options;
  }

  const Options options_;
  ManualClock clock_;
  const Epoch start_;
  server::Shared shared_;
  shard::Epochs epochs_;
  shard::Mailboxes mailboxes_;
  const std::vector<ring::WakeTarget> wake_targets_{ring::WakeTarget{}};
  ReplayRing ring_;
  slab::SlabEngine engine_;
  shard::Shard shard_;
  server::Worker worker_;
};

// Byte for byte, but for the CAS of binary replies: bytes 16 to 23 of each packet.
bool SameReply(std::string got, const std::string& wanted) {
  if (wanted[0] == static_cast<char>(kReply)) {
    for (size_t at = 0; at + 24 <= got.size() && at + 24 <= wanted.size();) {
      got.replace(at + 16, 8, 8, '\0');
      const auto byte = [&](size_t i) {
        return static_cast<uint32_t>(static_cast<unsigned char>(wanted[at + i]));
      };
      at += 24 + (byte(8) << 24 | byte(9) << 16 | byte(10) << 8 | byte(11));
    }
  }
  return got == wanted;
}

}  // namespace

// By its name callgrind knows where to begin and where to end: it must not be inlined, or its name
// be mangled.
extern "C" void MeasuredRounds(Subject* subject, Speaks speaks,
                               const std::vector<std::vector<Exchange>>* rounds);
extern "C" [[gnu::noinline]] void MeasuredRounds(Subject* subject, Speaks speaks,
                                                 const std::vector<std::vector<Exchange>>* rounds) {
  for (const std::vector<Exchange>& exchanges : *rounds) subject->Play(speaks, exchanges);
}

namespace {

int Run() {
  const auto subject = std::make_unique<Subject>();
  uint32_t keys_used = 0;
  const auto make_rounds = [&](const Case& work, uint32_t count) {
    std::vector<std::vector<Exchange>> rounds(count);
    for (std::vector<Exchange>& exchanges : rounds) {
      for (uint32_t n = 0; n < kConnections; ++n) {
        exchanges.push_back(work.make([&] { return KeyAt(keys_used++); }));
      }
    }
    return rounds;
  };
  const auto play_checked = [&](const Case& work, uint32_t count) {
    subject->KeepSent(true);
    for (const std::vector<Exchange>& exchanges : make_rounds(work, count)) {
      subject->Play(work.speaks, exchanges);
      for (uint32_t n = 0; n < kConnections; ++n) {
        const std::string sent = subject->TakeSent(work.speaks, n);
        if (!SameReply(sent, exchanges[n].reply)) {
          std::fprintf(stderr, "case %s: connection %u was answered\n%s\nfor\n%s\n",
                       work.name.c_str(), n, sent.c_str(), exchanges[n].request.c_str());
          std::exit(1);
        }
      }
    }
    subject->KeepSent(false);
  };

#if defined(__clang__)
  std::printf("compiler clang %d\n", __clang_major__);
#else
  std::printf("compiler gcc %d\n", __GNUC__);
#endif
  const std::vector<Case> cases = Cases();
  for (const Case& work : cases) {
    // Every key is there before the first get.
    if (&work == &cases.front()) {
      for (const Case& fill : cases) {
        if (fill.name == "set-pipeline") play_checked(fill, kKeys / (16 * kConnections) + 1);
      }
    }
    play_checked(work, kWarmRounds);
    const std::vector<std::vector<Exchange>> rounds = make_rounds(work, kMeasuredRounds);
    MeasuredRounds(subject.get(), work.speaks, &rounds);
    std::printf("case %s %u\n", work.name.c_str(),
                kMeasuredRounds * kConnections * work.operations);
  }
  return 0;
}

}  // namespace
}  // namespace torc::budget

int main() { return torc::budget::Run(); }
