#include "tests/simulation/cluster.h"

#include <algorithm>

#include "src/base/assert.h"
#include "src/map/map_engine.h"
#include "src/server/worker.h"
#include "src/shard/epochs.h"
#include "src/shard/mailbox.h"
#include "src/shard/shard.h"
#include "src/slab/slab_engine.h"

namespace torc::simulation {
namespace {

// A simulated ring that can be asked whether it has something to say, without the shard's having a
// turn.
class PolledRing final : public ring::Ring {
 public:
  explicit PolledRing(ring::Ring& inner) : inner_(inner) {}

  // Whether the next Turn returns something.
  bool Poll() {
    if (polled_.empty()) {
      const auto completions = inner_.Turn(0);
      polled_.assign(completions.begin(), completions.end());
    }
    return !polled_.empty();
  }

  std::span<const ring::Completion> Turn(int64_t timeout_ns) override {
    if (polled_.empty()) return inner_.Turn(timeout_ns);
    returned_ = std::move(polled_);
    polled_.clear();
    return returned_;
  }

  void Accept(int listener_fd, void* owner) override { inner_.Accept(listener_fd, owner); }
  ring::Socket Attach(int fd) override { return inner_.Attach(fd); }
  void Receive(ring::Socket socket, void* owner) override { inner_.Receive(socket, owner); }
  void ReceiveOnce(ring::Socket socket, void* owner) override { inner_.ReceiveOnce(socket, owner); }
  void ReceiveInto(ring::Socket socket, std::span<char> memory, void* owner) override {
    inner_.ReceiveInto(socket, memory, owner);
  }
  void Stop(ring::Kind kind, void* owner) override { inner_.Stop(kind, owner); }
  void Send(ring::Socket socket, std::span<const iovec> pieces, bool more_follows,
            void* owner) override {
    inner_.Send(socket, pieces, more_follows, owner);
  }
  void ReceiveDatagrams(int fd, void* owner) override { inner_.ReceiveDatagrams(fd, owner); }
  void SendDatagram(int fd, std::string_view bytes, const sockaddr* to, void* owner) override {
    inner_.SendDatagram(fd, bytes, to, owner);
  }
  void ReturnDatagram(ring::BufferId buffer) override { inner_.ReturnDatagram(buffer); }
  void Shutdown(ring::Socket socket) override { inner_.Shutdown(socket); }
  void Close(ring::Socket socket, void* owner) override { inner_.Close(socket, owner); }
  void ReturnBuffer(ring::BufferId buffer) override { inner_.ReturnBuffer(buffer); }
  ring::WakeTarget wake_target() const override { return inner_.wake_target(); }
  void Wake(const ring::WakeTarget& target) override { inner_.Wake(target); }
  const ring::Counters& counters() const override { return inner_.counters(); }

 private:
  ring::Ring& inner_;
  std::vector<ring::Completion> polled_;
  std::vector<ring::Completion> returned_;
};

// Notes how long its worker would let the shard sleep.
class NotedService final : public shard::Service {
 public:
  explicit NotedService(shard::Service& inner) : inner_(inner) {}

  int64_t sleep_ns() const { return sleep_ns_; }

  void OnCompletion(const ring::Completion& completion) override {
    inner_.OnCompletion(completion);
  }
  bool CanTakeRequest() const override { return inner_.CanTakeRequest(); }
  void OnRequest(ShardId from, const shard::Message& message) override {
    inner_.OnRequest(from, message);
  }
  void OnAnswer(ShardId from, const shard::Message& message) override {
    inner_.OnAnswer(from, message);
  }
  int64_t OnTurn(int64_t now_ns) override { return sleep_ns_ = inner_.OnTurn(now_ns); }
  bool Finished() const override { return inner_.Finished(); }

 private:
  shard::Service& inner_;
  int64_t sleep_ns_ = 0;
};

// What a step takes of the simulated time, on average 10 us.
constexpr uint64_t kStepNsMax = 20'000;

}  // namespace

struct Cluster::Shards {
  Shards(const Options& options, server::FailureLog::Write say)
      : server(options, std::move(say)), epochs(options.shards), mailboxes(options.shards) {}

  server::Shared server;
  shard::Epochs epochs;
  shard::Mailboxes mailboxes;
  std::vector<ring::WakeTarget> wake_targets;
  std::vector<int> listeners;
  std::vector<int> datagram_sockets;
};

struct Cluster::Seat {
  Seat(ShardId shard_id, Cluster& cluster)
      : id(shard_id),
        ring(cluster.world_->ring(shard_id)),
        shard(shard_id, ring, *cluster.engine_, cluster.shared_->epochs, cluster.shared_->mailboxes,
              cluster.shared_->wake_targets, cluster.clock_, *cluster.start_),
        worker(shard, cluster.shared_->server),
        service(worker) {
    shard.SetService(&service);
  }

  const ShardId id;
  PolledRing ring;
  shard::Shard shard;
  server::Worker worker;
  NotedService service;
  bool asleep = false;
  bool suspended = false;
  bool ended = false;
  int64_t wake_ns = 0;
};

Cluster::Cluster(const ClusterOptions& options) : options_(options), random_(options.seed) {
  server_options_.shards = options.shards;
  server_options_.memory_bytes = options.memory_bytes;
  server_options_.item_bytes_max = options.item_bytes_max;
  server_options_.evict = options.evict;
  server_options_.verbosity = options.verbosity;
  server_options_.requests_per_turn = options.requests_per_turn;
  start_ = std::make_unique<Epoch>(clock_);
  world_ = std::make_unique<ring::SimWorld>(random_.Fork(), options.shards, options.ring);
  shared_ = std::make_unique<Shards>(server_options_,
                                     [this](std::string_view line) { said_.emplace_back(line); });
  shared_->server.connections_max = options.connections_max;
  shared_->server.process_use = [] { return server::ProcessUse{}; };

  engine::EngineOptions engine_options;
  engine_options.shards = options.shards;
  engine_options.memory_limit_bytes = options.memory_bytes;
  engine_options.item_size_max_bytes = options.item_bytes_max;
  engine_options.evict = options.evict;
  engine_options.quiescence = &shared_->epochs;
  std::unique_ptr<engine::Engine> engine;
  if (options.engine == EngineKind::kMap) {
    engine = std::make_unique<map::MapEngine>(engine_options);
  } else {
    // So little that the values of a simulation are copied in slices. Never where another engine
    // stands before it that answers late: it expects answers at once.
    const uint64_t copy_slice_bytes = options.delaying ? UINT64_MAX : 4096;
    engine = std::make_unique<slab::SlabEngine>(engine_options, copy_slice_bytes);
  }
  const uint64_t engine_seed = random_.Fork();
  if (options.delaying) {
    auto delaying =
        std::make_unique<DelayingEngine>(std::move(engine), options.shards, random_.Fork());
    delaying_engine_ = delaying.get();
    engine = std::move(delaying);
  }
  engine_ = std::make_unique<WatchedEngine>(std::move(engine), *world_, engine_seed);

  for (ShardId id = 0; id < options.shards; ++id) {
    shared_->wake_targets.push_back(world_->ring(id).wake_target());
  }
  for (ShardId id = 0; id < options.shards; ++id) {
    seats_.push_back(std::make_unique<Seat>(id, *this));
    shared_->server.cores.push_back(&seats_[id]->worker.core());
  }
  for (const std::unique_ptr<Seat>& seat : seats_) {
    shared_->listeners.push_back(world_->Listen());
    seat->worker.AddListener(shared_->listeners.back());
    if (!options.udp) continue;
    shared_->datagram_sockets.push_back(world_->OpenDatagrams());
    seat->worker.AddDatagramSocket(shared_->datagram_sockets.back());
  }
}

Cluster::~Cluster() = default;

uint32_t Cluster::shards() const { return options_.shards; }

ring::SimClient Cluster::Connect(uint32_t window_bytes) {
  return ConnectAt(static_cast<ShardId>(random_.Below(shards())), window_bytes);
}

ring::SimClient Cluster::ConnectAt(ShardId shard, uint32_t window_bytes) {
  return world_->Connect(shared_->listeners[shard], window_bytes);
}

int Cluster::datagram_socket(ShardId shard) const { return shared_->datagram_sockets[shard]; }

ring::SimClient Cluster::ConnectTo(ShardId shard, uint32_t window_bytes) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const uint64_t before = counters(shard).connections_open.Get();
    const uint32_t open = connections();
    ring::SimClient client = ConnectAt(shard, window_bytes);
    // Handed over, it is counted before the other shard has it.
    for (int step = 0; step < 10'000; ++step) {
      uint64_t placed = 0;
      for (ShardId id = 0; id < shards(); ++id) placed += counters(id).connections_open.Get();
      if (placed == open + 1) break;
      Step();
    }
    if (counters(shard).connections_open.Get() > before) return client;
  }
  CHECK(!"no connection stays with the shard");
  return Connect();
}

void Cluster::RunTurn(Seat& seat) {
  ++turns_;
  seat.asleep = false;
  // Never allowed to sleep inside the turn: that is simulated here, where other shards can run
  // meanwhile.
  seat.shard.RunTurn(/*wait=*/false);
  if (seat.shard.stopping()) {
    if (seat.worker.Finished()) {
      seat.ended = true;
      shared_->epochs.Sleep(seat.id);
    }
    return;
  }
  if (seat.service.sleep_ns() == 0 || engine_->background_waiting()) return;
  shared_->epochs.Sleep(seat.id);
  if (shared_->mailboxes.Waiting(seat.id)) return;
  seat.asleep = true;
  seat.wake_ns = clock_.NowNs() + seat.service.sleep_ns();
}

bool Cluster::TryTurn(ShardId shard) {
  Seat& seat = *seats_[shard];
  ++tick_;
  if (seat.ended) {
    seat.ring.Poll();
    return false;
  }
  if (seat.asleep && !seat.ring.Poll() && clock_.NowNs() < seat.wake_ns) return false;
  RunTurn(seat);
  return true;
}

void Cluster::Step() {
  clock_.AdvanceNs(static_cast<int64_t>(random_.Below(kStepNsMax)));
  const ShardId shard = static_cast<ShardId>(random_.Below(shards()));
  if (!seats_[shard]->suspended && TryTurn(shard)) return;
  int64_t first_ns = INT64_MAX;
  for (const std::unique_ptr<Seat>& seat : seats_) {
    if (seat->suspended || seat->ended) continue;
    if (!seat->asleep) return;
    first_ns = std::min(first_ns, seat->wake_ns);
  }
  if (first_ns == INT64_MAX || !world_->Settled()) return;
  // All sleep, nothing will wake them but the time: whoever has mail was not told.
  for (const std::unique_ptr<Seat>& seat : seats_) {
    CHECK(seat->suspended || seat->ended || !shared_->mailboxes.Waiting(seat->id));
  }
  if (first_ns > clock_.NowNs()) clock_.AdvanceNs(first_ns - clock_.NowNs());
}

void Cluster::Suspend(ShardId shard, bool suspended) {
  Seat& seat = *seats_[shard];
  seat.suspended = suspended;
  if (!suspended || !seat.asleep) return;
  // Loses its core while it is awake: for the epochs it may hold references.
  seat.asleep = false;
  ++turns_;
  seat.shard.RunTurn(/*wait=*/false);
}

void Cluster::RequestStop() {
  for (const std::unique_ptr<Seat>& seat : seats_) {
    seat->shard.RequestStop();
    // The server wakes them with a ring of its own.
    seat->asleep = false;
  }
}

bool Cluster::Ended() const {
  return std::all_of(seats_.begin(), seats_.end(), [](const auto& seat) { return seat->ended; });
}

uint32_t Cluster::connections() const {
  return shared_->server.connections.load(std::memory_order_relaxed);
}

const server::Counters& Cluster::counters(ShardId shard) const {
  return seats_[shard]->worker.core().counters;
}

uint64_t Cluster::Sum(Counter server::Counters::* counter) const {
  uint64_t sum = 0;
  for (ShardId id = 0; id < shards(); ++id) sum += (counters(id).*counter).Get();
  return sum;
}

uint64_t Cluster::Failures(Cause cause) const {
  uint64_t sum = 0;
  for (const auto& seat : seats_) sum += seat->worker.core().failures.Get(cause);
  return sum;
}

uint64_t Cluster::messages_sent(ShardId shard) const {
  return seats_[shard]->shard.counters().messages_sent.Get();
}

uint64_t Cluster::mailbox_full() const {
  uint64_t sum = 0;
  for (const auto& seat : seats_) sum += seat->shard.counters().mailbox_full.Get();
  return sum;
}

uint64_t Cluster::blocks_used(ShardId shard) const {
  return seats_[shard]->worker.core().buffers.blocks_used();
}

uint64_t Cluster::overflows(ShardId shard) const {
  return seats_[shard]->shard.ring_counters().completion_overflows.Get();
}

uint32_t Cluster::buffers_held(ShardId shard) const {
  return seats_[shard]->worker.core().buffers.buffers_held();
}

void Cluster::CheckInvariants() const {
  for (const auto& seat : seats_) {
    seat->worker.CheckInvariants();
    engine_->CheckInvariants(seat->id);
  }
}

void Cluster::CheckEnded() const {
  CHECK(Ended());
  CHECK_EQ(connections(), 0);
  CHECK_EQ(engine_->pins(), 0);
  CHECK_EQ(engine_->reservations(), 0);
  for (const auto& seat : seats_) {
    CHECK_EQ(blocks_used(seat->id), 0);
    CHECK_EQ(buffers_held(seat->id), 0);
    CHECK_EQ(seat->worker.core().tasks.used(), 0);
  }
  world_->CheckEnded();
  CheckInvariants();
}

}  // namespace torc::simulation
