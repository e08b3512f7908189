#include "tests/simulation/run.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/simulation/client.h"
#include "tests/simulation/cluster.h"

namespace torc::simulation {
namespace {

// Steps without any progress of any client after which the run counts as stuck: far more than the
// longest pause of a client and the longest time that a suspended shard keeps the others waiting.
constexpr uint64_t kStuckSteps = 200'000;
constexpr uint32_t kCheckEvery = 5'000;
// Dead items are collected at a leisurely pace, so time is made to pass faster.
constexpr int64_t kCollectStepNs = 20'000'000;

// How rough the world of a run is.
enum class Weather : uint8_t { kCalm, kMixed, kRough, kBreaking };

ring::SimOptions RingOptions(Weather weather, Random* random) {
  ring::SimOptions options = ClusterOptions{}.ring;
  const auto up_to = [random](uint64_t most) {
    return static_cast<uint32_t>(random->Below(most + 1));
  };
  if (weather == Weather::kCalm) return options;
  if (weather == Weather::kRough) options = ring::SimOptions::Rough();
  // The worker counts on this many, and on no more bytes in each; with fewer bytes in a buffer more
  // are in use.
  options.buffer_count = server::kReceiveBuffers;
  options.buffer_size_bytes = std::min(64u << random->Below(9), server::kReceiveBufferBytes);
  options.completions_per_turn_max = 8u << random->Below(8);
  options.window_bytes = 512u << random->Below(9);
  if (weather == Weather::kMixed || weather == Weather::kBreaking) {
    options.delay_turns_max = up_to(3);
    options.hold_chance = up_to(300);
    options.split_chance = up_to(500);
    options.short_send_chance = up_to(300);
    options.no_buffers_chance = up_to(50);
    options.share_chance = up_to(50);
    options.stop_missed_chance = up_to(500);
    options.overflow_chance = up_to(50);
    options.file_limit_chance = up_to(100);
    options.wake_repeat_chance = up_to(200);
  }
  options.no_memory_chance = random->Chance(500) ? up_to(50) : 0;
  if (weather == Weather::kBreaking) options.reset_chance = 1;
  return options;
}

struct Plan {
  ClusterOptions cluster;
  EngineMishaps mishaps;
  EngineDelays delays;
  Commons commons;
  uint32_t clients = 1;
  uint32_t suspend_chance = 0;
  uint32_t jump_chance = 0;
  bool tiny = false;
};

Plan MakePlan(uint64_t seed, const RunOptions& options, Random* random) {
  Plan plan;
  const Weather weather = static_cast<Weather>(random->Below(4));
  plan.cluster.seed = seed;
  plan.cluster.shards = static_cast<uint32_t>(random->Between(1, 4));
  plan.cluster.ring = RingOptions(weather, random);
  plan.cluster.requests_per_turn =
      static_cast<uint32_t>(random->Chance(500) ? 20 : random->Between(1, 100));
  plan.tiny = random->Chance(350);
  plan.cluster.memory_bytes = uint64_t{256} << 20;
  if (plan.tiny) {
    plan.cluster.memory_bytes = random->Between(1, 8) << 20;
    plan.cluster.item_bytes_max = 32u << 10 << random->Below(5);
    plan.cluster.evict = !random->Chance(150);
  }
  plan.clients = static_cast<uint32_t>(random->Between(1, 30));
  plan.suspend_chance = static_cast<uint32_t>(random->Chance(300) ? random->Below(20) : 0);
  plan.jump_chance = static_cast<uint32_t>(random->Chance(400) ? random->Below(5) : 0);
  if (random->Chance(300)) {
    plan.mishaps.pin_refused_chance = static_cast<uint32_t>(random->Below(300));
    plan.mishaps.store_later_chance = static_cast<uint32_t>(random->Below(100));
    plan.mishaps.reserve_later_chance = static_cast<uint32_t>(random->Below(500));
  }
  plan.cluster.engine = options.engine;
  plan.cluster.delaying = options.delaying;
  if (options.delaying) {
    plan.delays.chance = static_cast<uint32_t>(random->Below(1001));
    plan.delays.turns_max = static_cast<uint32_t>(random->Chance(200) ? 100 : random->Below(6));
  }
  Commons& commons = plan.commons;
  commons.flushes = random->Chance(250);
  commons.leniency.lossy = plan.tiny || commons.flushes;
  commons.leniency.false_misses = plan.mishaps.pin_refused_chance != 0;
  commons.counters = !commons.leniency.lossy;
  commons.may_break = weather == Weather::kBreaking;
  commons.item_bytes_max = plan.cluster.item_bytes_max;
  commons.large_bytes_max = std::min<uint64_t>(plan.cluster.item_bytes_max, 400'000);
  commons.large_chance = static_cast<uint32_t>(plan.tiny ? random->Below(300) : random->Below(40));
  commons.value_bytes_max = plan.tiny ? 20'000 : 500;
  if (random->Chance(150)) {
    // Values that come in bulk: more than a window, which holds as much as shows that.
    plan.cluster.ring.window_bytes = 2 * server::kBulkBytesMin;
    commons.large_chance = static_cast<uint32_t>(random->Between(20, 100));
  }
  for (uint64_t i = random->Between(1, 5); i > 0; --i) {
    commons.shared.emplace_back("s" + std::to_string(commons.shared.size()));
  }
  for (uint64_t i = random->Between(1, 2); i > 0; --i) {
    commons.counted.emplace_back("n" + std::to_string(commons.counted.size()));
  }
  return plan;
}

class Runner {
 public:
  Runner(uint64_t seed, const RunOptions& options, std::FILE* trace)
      : random_(seed),
        plan_(MakePlan(seed, options, &random_)),
        cluster_(plan_.cluster),
        trace_(trace) {
    cluster_.engine().mishaps = plan_.mishaps;
    if (options.delaying) cluster_.delaying_engine().delays = plan_.delays;
    plan_.commons.leniency.start_wall_second = cluster_.start().ToWall(0);
    if (trace != nullptr) {
      plan_.commons.trace = &lines_;
      cluster_.world().TraceTo(&lines_);
    }
    for (uint32_t i = 0; i < plan_.clients; ++i) {
      clients_.push_back(std::make_unique<Client>(i, cluster_.Connect(), Script::Any(&random_),
                                                  random_.Fork(), &plan_.commons));
    }
  }

  void Serve() {
    uint64_t progress_tick = 0;
    for (uint64_t step = 0; !AllDone(); ++step) {
      if (ActSomeone()) progress_tick = step;
      Weather();
      cluster_.Step();
      Note();
      if (step % kCheckEvery == 0) cluster_.CheckInvariants();
      if (step - progress_tick > kStuckSteps) throw Mismatch("no progress: " + FirstWaiting());
    }
  }

  // All connections close, all that was lent comes back, the counters hold what was counted.
  void Finish() {
    for (ShardId shard = 0; shard < cluster_.shards(); ++shard) cluster_.Suspend(shard, false);
    Until([&] { return cluster_.connections() == 0; }, "connections stay open");
    Until([&] { return cluster_.engine().pins() == 0; }, "items stay pinned");
    Until([&] { return cluster_.engine().reservations() == 0; }, "reservations stay");
    for (const History& history : plan_.commons.shared) history.Check();
    if (plan_.commons.counters) CheckCounters();
    if (!plan_.tiny && cluster_.Totals().evictions != 0) {
      throw Mismatch("items were evicted though there was plenty of room");
    }
    if (random_.Chance(500)) Empty();
    Until([&] { return cluster_.world().Settled() && cluster_.connections() == 0; },
          "the rings do not come to rest");
    cluster_.RequestStop();
    Until([&] { return cluster_.Ended() && cluster_.world().Settled(); },
          "the server does not stop");
    cluster_.CheckEnded();
  }

  void FlushTrace() {
    if (trace_ == nullptr) return;
    std::fwrite(lines_.data(), 1, lines_.size(), trace_);
    std::fflush(trace_);
    lines_.clear();
  }

  uint64_t fingerprint() const { return cluster_.fingerprint(); }

  std::string Summary() {
    const engine::EngineTotals totals = cluster_.Totals();
    char text[300];
    std::snprintf(
        text, sizeof(text),
        "%u shards, %u clients, %llu turns, %llu commands, %llu hits, %llu misses, %llu "
        "evictions, %llu delayed stores, %llu full mailboxes, %llu without buffers, %llu KiB "
        "into items",
        cluster_.shards(), plan_.clients, Number(cluster_.turns()), Number(plan_.commons.commands),
        Number(plan_.commons.hits), Number(plan_.commons.misses), Number(totals.evictions),
        Number(cluster_.Failures(Cause::kStoreDelayed)), Number(cluster_.mailbox_full()),
        Number(cluster_.Failures(Cause::kReceiveNoBuffer)),
        Number(cluster_.Sum(&server::Counters::bytes_read_into_items) >> 10));
    std::string summary = text;
    if (plan_.cluster.delaying) {
      summary += ", " + std::to_string(cluster_.delaying_engine().delayed()) + " answered later";
    }
    return summary;
  }

 private:
  static unsigned long long Number(uint64_t n) { return n; }

  bool AllDone() const {
    return std::all_of(clients_.begin(), clients_.end(), [](const auto& c) { return c->done(); });
  }

  std::string FirstWaiting() const {
    for (const auto& client : clients_) {
      if (!client->done()) return client->Describe();
    }
    return "";
  }

  void Note() {
    plan_.commons.tick = cluster_.tick() * 2;
    plan_.commons.second = cluster_.start().Now(cluster_.clock().NowNs());
    FlushTrace();  // at once: a CHECK may end the process
  }

  bool ActSomeone() {
    Note();
    // Between the turns before and after it.
    ++plan_.commons.tick;
    return clients_[random_.Below(clients_.size())]->Act();
  }

  // A shard loses its core for a while, or time jumps.
  void Weather() {
    if (random_.Chance(plan_.suspend_chance)) {
      const ShardId shard = static_cast<ShardId>(random_.Below(cluster_.shards()));
      cluster_.Suspend(shard, random_.Chance(500));
    }
    if (random_.Chance(plan_.jump_chance)) {
      cluster_.clock().AdvanceSeconds(
          static_cast<int64_t>(random_.Below(random_.Chance(50) ? uint64_t{3} * 24 * 3600 : 60)));
    }
  }

  template <typename Condition>
  void Until(const Condition& condition, const char* what) {
    for (uint64_t step = 0; !condition(); ++step) {
      cluster_.Step();
      Note();
      if (step > kStuckSteps) {
        throw Mismatch(std::string(what) + " (" + std::to_string(cluster_.connections()) +
                       " connections, " + std::to_string(cluster_.Totals().items) + " items)");
      }
    }
  }

  // A client that asks one thing at a time.
  std::string Ask(ring::SimClient client, std::string_view question) {
    while (!question.empty()) {
      question.remove_prefix(client.Write(question));
      if (client.AtEnd()) return "";
      cluster_.Step();
    }
    std::string reply;
    Until(
        [&] {
          reply += client.Read();
          return client.AtEnd() || reply.ends_with("END\r\n") || reply.ends_with("OK\r\n");
        },
        "a question has no answer");
    return reply;
  }

  void CheckCounters() {
    const ring::SimClient client = cluster_.Connect();
    for (size_t i = 0; i < plan_.commons.counted.size(); ++i) {
      const std::string reply = Ask(client, "get n" + std::to_string(i) + "\r\n");
      const size_t line = reply.find('\n');
      uint64_t last = 0;
      const bool found = reply.starts_with("VALUE ");
      if (found) last = std::stoull(reply.substr(line + 1));
      plan_.commons.counted[i].Check(found ? &last : nullptr);
      if (reply.empty()) break;
    }
    ring::SimClient(client).CloseWrite();
  }

  // After a flush and time for it to be carried out nothing is left.
  void Empty() {
    ring::SimClient client = cluster_.Connect();
    const bool flushed = Ask(client, "flush_all\r\n") == "OK\r\n";
    client.CloseWrite();
    if (!flushed) return;
    Until(
        [&] {
          cluster_.clock().AdvanceNs(kCollectStepNs);
          return cluster_.Totals().items == 0;
        },
        "flushed items stay");
    if (cluster_.Totals().item_bytes != 0) throw Mismatch("no items, but bytes of them");
  }

  Random random_;
  Plan plan_;
  Cluster cluster_;
  std::FILE* const trace_;
  std::string lines_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace

RunResult Run(uint64_t seed, const RunOptions& options, std::FILE* trace) {
  Runner runner(seed, options, trace);
  RunResult result;
  try {
    runner.Serve();
    runner.Finish();
  } catch (const Mismatch& mismatch) {
    result.mismatch = mismatch.what();
  }
  runner.FlushTrace();
  result.summary = runner.Summary();
  result.fingerprint = runner.fingerprint();
  return result;
}

}  // namespace torc::simulation
