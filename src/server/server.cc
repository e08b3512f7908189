#include "src/server/server.h"

#include <pthread.h>
#include <sched.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <vector>

#include "src/engine/loader.h"
#include "src/ring/probe.h"
#include "src/ring/uring_ring.h"
#include "src/server/listener.h"
#include "src/server/worker.h"

namespace torc::server {
namespace {

// The cores that this process may run on.
std::vector<int> AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

uint64_t PhysicalMemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  return pages > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE))
                   : 0;
}

class ShardedServer final : public Server {
 public:
  explicit ShardedServer(const Options& options)
      : options_(options),
        start_(clock_),
        shared_(options),
        epochs_(options.shards),
        mailboxes_(options.shards) {}

  ~ShardedServer() override { Stop(); }

  bool Open(uint32_t connections_max, const engine::Plugin& plugin, const Doors& doors,
            std::string* error) {
    shared_.users = doors.users;
    shared_.sasl = doors.sasl;
    // main waits for these: src/server/process.h.
    shared_.shut_down = [](bool graceful) { kill(getpid(), graceful ? SIGUSR1 : SIGINT); };
    const ring::Probe probe = ring::RunProbe();
    *error = ring::Refusal(probe);
    if (!error->empty()) return false;
    shared_.connections_max = connections_max;
    if (getrandom(&shared_.hash_seed, sizeof(shared_.hash_seed), 0) != sizeof(shared_.hash_seed)) {
      *error = "the kernel gives no random numbers to seed the key hash with";
      return false;
    }

    engine::EngineOptions engine_options;
    engine_options.shards = options_.shards;
    engine_options.memory_limit_bytes = options_.memory_bytes;
    // Locked memory is taken at once, all of it.
    if (!options_.lock_memory) engine_options.memory_limit_max_bytes = PhysicalMemoryBytes();
    engine_options.item_size_max_bytes = options_.item_bytes_max;
    engine_options.hash_seed = shared_.hash_seed;
    engine_options.evict = options_.evict;
    engine_options.preallocate = options_.large_pages;
    engine_options.huge_pages = options_.large_pages;
    engine_options.quiescence = &epochs_;
    engine_options.config = options_.engine_config;
    engine_ = engine::CreateEngine(plugin, engine_options, error);
    if (engine_ == nullptr) return false;

    ring::UringOptions ring_options;
    ring_options.buffer_count = kReceiveBuffers;
    ring_options.buffer_size_bytes = kReceiveBufferBytes;
    if (!options_.listen_udp.empty()) ring_options.datagram_buffer_count = kDatagramsMax;
    // Sockets beyond the table work as plain descriptors do.
    ring_options.direct_descriptors = std::min(connections_max, kDirectDescriptorsMax);
    ring_options.features = probe.found;
    for (ShardId id = 0; id < options_.shards; ++id) {
      rings_.push_back(ring::UringRing::Create(ring_options, error));
      if (rings_.back() == nullptr) return false;
      wake_targets_.push_back(rings_.back()->wake_target());
    }
    // The main thread has a ring of its own to wake shards with.
    ring::UringOptions small;
    small.submission_entries = 8;
    small.completion_entries = 64;
    small.buffer_count = 2;
    small.buffer_size_bytes = 4096;
    small.direct_descriptors = 0;
    small.features = probe.found;
    waker_ = ring::UringRing::Create(small, error);
    if (waker_ == nullptr) return false;

    for (ShardId id = 0; id < options_.shards; ++id) {
      shards_.push_back(std::make_unique<shard::Shard>(id, *rings_[id], *engine_, epochs_,
                                                       mailboxes_, wake_targets_, clock_, start_));
      workers_.push_back(std::make_unique<Worker>(*shards_[id], shared_));
      shared_.cores.push_back(&workers_[id]->core());
    }
    if (!listeners_.Open(options_, error)) return false;
    for (const Listeners::Socket& socket : listeners_.sockets()) {
      if (socket.datagram) {
        workers_[socket.shard]->AddDatagramSocket(socket.fd);
      } else {
        workers_[socket.shard]->AddListener(socket.fd, socket.protocol);
      }
    }
    return true;
  }

  void Start() override {
    const std::vector<int> cores = AllowedCores();
    // A thread tied to a core that it shares with another would only lose.
    const bool pin = cores.size() >= shards_.size();
    for (ShardId id = 0; id < shards_.size(); ++id) {
      threads_.emplace_back([this, id] { shards_[id]->Run(); });
      pthread_t const thread = threads_.back().native_handle();
      pthread_setname_np(thread, ("shard-" + std::to_string(id)).c_str());
      if (pin) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cores[id], &set);
        pthread_setaffinity_np(thread, sizeof(set), &set);
      }
    }
  }

  void Stop() override {
    if (threads_.empty()) return;
    for (const std::unique_ptr<shard::Shard>& shard : shards_) shard->RequestStop();
    for (const ring::WakeTarget& target : wake_targets_) waker_->Wake(target);
    (void)waker_->Turn(0);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  void CountAuthFileRefused() override {
    shared_.auth_files_refused.fetch_add(1, std::memory_order_relaxed);
  }

  uint16_t port() const override { return listeners_.port(); }

 private:
  const Options& options_;
  SystemClock clock_;
  const Epoch start_;
  Shared shared_;
  shard::Epochs epochs_;
  shard::Mailboxes mailboxes_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<std::unique_ptr<ring::UringRing>> rings_;
  std::unique_ptr<ring::UringRing> waker_;
  std::vector<ring::WakeTarget> wake_targets_;
  std::vector<std::unique_ptr<shard::Shard>> shards_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Listeners listeners_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Server> Server::Create(const Options& options, uint32_t connections_max,
                                       const engine::Plugin& plugin, const Doors& doors,
                                       std::string* error) {
  auto server = std::make_unique<ShardedServer>(options);
  if (!server->Open(connections_max, plugin, doors, error)) return nullptr;
  return server;
}

}  // namespace torc::server
