// A whole server in one thread: the shards, their workers and an engine, as server.cc puts them
// together, on simulated rings and a clock that moves when it is told to.
//
//   test
//    | Connect, Write, Read     SimWorld (src/ring/sim_ring.h)
//    | Step ------------------> picks a shard, runs one turn of it
//                               shard -- Worker -- WatchedEngine [-- DelayingEngine] -- engine
//
// Sleep is simulated too: a shard that would wait in the kernel announces it to the epochs and runs
// again only when its ring has a completion (a wake-up is one) or its time has come. A wake-up that
// is lost, or a wait that is too long, shows as a test that makes no progress.
//
// Owner: the test. Affinity: one thread. Lifetime: outlives the clients' handles. Invariant: a
// shard marked asleep is asleep for the epochs.
#ifndef TORC_TESTS_SIMULATION_CLUSTER_H_
#define TORC_TESTS_SIMULATION_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "src/base/cause.h"
#include "src/base/clock.h"
#include "src/base/random.h"
#include "src/ring/sim_ring.h"
#include "src/server/counters.h"
#include "src/server/limits.h"
#include "src/server/options.h"
#include "tests/simulation/delaying_engine.h"
#include "tests/simulation/watched_engine.h"

namespace torc::simulation {

enum class EngineKind : uint8_t { kSlab, kMap };

struct ClusterOptions {
  uint64_t seed = 1;
  uint32_t shards = 1;
  uint64_t memory_bytes = 64 << 20;
  uint32_t item_bytes_max = 1 << 20;
  bool evict = true;
  uint32_t verbosity = 0;
  EngineKind engine = EngineKind::kSlab;
  bool udp = false;       // a datagram socket for each shard
  bool delaying = false;  // a DelayingEngine around it
  uint32_t requests_per_turn = 20;
  uint32_t connections_max = 32 << 10;
  // A kernel on its best day, but for buffers: as many as the worker expects, of its size.
  ring::SimOptions ring{.buffer_count = server::kReceiveBuffers,
                        .buffer_size_bytes = server::kReceiveBufferBytes,
                        .completions_per_turn_max = 4096,
                        .window_bytes = 64 << 10};
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // A connection in the queue of a listener chosen by chance. `window_bytes` 0: as the options say.
  ring::SimClient Connect(uint32_t window_bytes = 0);
  // Likewise, of the listener of `shard`.
  ring::SimClient ConnectAt(ShardId shard, uint32_t window_bytes = 0);
  // A connection that `shard` serves. Runs the cluster, and opens others on the way if the shards
  // share them out.
  ring::SimClient ConnectTo(ShardId shard, uint32_t window_bytes = 0);

  // The datagram socket of `shard`. Requires the option `udp`.
  int datagram_socket(ShardId shard) const;

  // Lets one shard have a turn, if it is awake or has a reason to wake up. False: it sleeps on.
  bool TryTurn(ShardId shard);
  // One step of the world: a shard chosen by chance has its turn. If all sleep and nothing is under
  // way, the clock moves to the time when the first wants to wake.
  void Step();
  void Steps(uint32_t count) {
    while (count-- > 0) Step();
  }
  // A suspended shard gets no turns from Step, as if its core were taken away in the midst of a
  // turn.
  void Suspend(ShardId shard, bool suspended);

  // Asks all shards to stop. Connections that nobody has accepted must not be waiting.
  void RequestStop();
  // All shards have ended their loops.
  bool Ended() const;

  uint32_t shards() const;
  ring::SimWorld& world() { return *world_; }
  uint64_t fingerprint() const { return world_->fingerprint(); }
  ManualClock& clock() { return clock_; }
  const Epoch& start() const { return *start_; }
  WatchedEngine& engine() { return *engine_; }
  // Requires the option `delaying`.
  DelayingEngine& delaying_engine() { return *delaying_engine_; }
  engine::EngineTotals Totals() const { return engine_->Totals(); }
  // Steps so far: the time of happenings.
  uint64_t tick() const { return tick_; }
  uint64_t turns() const { return turns_; }
  // Open connections of the whole server.
  uint32_t connections() const;
  const server::Counters& counters(ShardId shard) const;
  uint64_t Sum(Counter server::Counters::* counter) const;
  uint64_t Failures(Cause cause) const;
  // What -v printed.
  const std::vector<std::string>& said() const { return said_; }
  // Requests and answers that a shard has sent to others.
  uint64_t messages_sent(ShardId shard) const;
  // Requests that found no room in a mailbox.
  uint64_t mailbox_full() const;
  // Blocks and provided buffers that a shard's connections hold.
  uint64_t blocks_used(ShardId shard) const;
  uint32_t buffers_held(ShardId shard) const;
  // Times that a completion queue was full.
  uint64_t overflows(ShardId shard) const;

  void CheckInvariants() const;
  // Dies unless everything came back: no connection, pin, reservation, block, operation or buffer
  // is left. Requires Ended().
  void CheckEnded() const;

 private:
  struct Seat;  // one shard with all that is its own

  void RunTurn(Seat& seat);

  const ClusterOptions options_;
  Random random_;
  Options server_options_;
  ManualClock clock_;
  std::unique_ptr<Epoch> start_;
  std::unique_ptr<ring::SimWorld> world_;
  std::unique_ptr<WatchedEngine> engine_;
  DelayingEngine* delaying_engine_ = nullptr;
  struct Shards;  // what all shards share
  std::unique_ptr<Shards> shared_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<std::string> said_;
  uint64_t tick_ = 0;
  uint64_t turns_ = 0;
};

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_CLUSTER_H_
