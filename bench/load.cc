// The load generator: see --help (options.cc) for what it does, README.md for what its figures
// mean.
//
// It has to cost less than the servers it measures, or it measures itself: one thread, one ring,
// one system call a turn, one send for each batch, no completion for a send that went well, replies
// read in place in the receive buffers.
//
//   turn:  submit and wait -> completions -> Consume replies -> batch answered? encode the next one
//
// A reply that is cut by the end of a buffer waits in its connection's `partial` for the rest.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/die.h"
#include "bench/keyspace.h"
#include "bench/options.h"
#include "bench/process_cpu.h"
#include "bench/protocol.h"
#include "bench/report.h"
#include "bench/ring.h"

namespace torc::bench {
namespace {

// A server that says nothing for so long is taken for hung.
constexpr int kSilenceSecondsMax = 10;

// Size of a batch while the key space is filled: enough to make a system call's cost small.
constexpr uint32_t kFillBatchBytes = 8192;

uint64_t NowNs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

int Connect(const Options& options) {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  if (!options.unix_path.empty()) {
    auto* const local = reinterpret_cast<sockaddr_un*>(&address);
    if (options.unix_path.size() >= sizeof local->sun_path) Die("--unix: the path is too long");
    local->sun_family = AF_UNIX;
    std::memcpy(local->sun_path, options.unix_path.c_str(), options.unix_path.size() + 1);
    address_size = sizeof *local;
  } else if (auto* const v4 = reinterpret_cast<sockaddr_in*>(&address);
             inet_pton(AF_INET, options.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(options.port);
    address_size = sizeof *v4;
  } else if (auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address);
             inet_pton(AF_INET6, options.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(options.port);
    address_size = sizeof *v6;
  } else {
    Die("--host: '" + options.host + "' is not an address");
  }
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) DieErrno("cannot make a socket", errno);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), address_size) != 0) {
    DieErrno("cannot connect", errno);
  }
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

struct Connection {
  Batch batch;
  std::unique_ptr<char[]> send_buffer;
  std::string partial;  // the beginning of a reply whose rest has not come
  uint64_t sent_ns = 0;
};

class Load {
 public:
  Load(const Options& options, const Keyspace& keyspace, const Protocol& protocol)
      : options_(options),
        protocol_(protocol),
        keyspace_(keyspace),
        random_(Mix(options.seed)),
        fill_batch_(
            static_cast<uint32_t>(std::max<size_t>(1, kFillBatchBytes / protocol.SetSizeMax()))),
        ring_(RingConfig(options)),
        connections_(options.connections) {
    const size_t request_size_max =
        std::max(options.set_share > 0 ? protocol.SetSizeMax() : 0,
                 options.set_share < 1 ? protocol.GetSizeMax(options.multiget) : 0);
    const size_t send_size_max = std::max(options.pipeline * request_size_max,
                                          options.fill ? fill_batch_ * protocol.SetSizeMax() : 0);
    std::vector<int> fds;
    for (Connection& connection : connections_) {
      connection.send_buffer.reset(new char[send_size_max]);
      fds.push_back(Connect(options));
    }
    const int rc = io_uring_register_files_update(ring_.raw(), 0, fds.data(),
                                                  static_cast<unsigned>(fds.size()));
    if (rc < 0) DieErrno("cannot register the connections", -rc);
    for (const int fd : fds) close(fd);  // the ring's table holds them now
    for (size_t i = 0; i < connections_.size(); ++i) {
      ring_.ReceiveMultishot(static_cast<int>(i), Token(Event::kReceive, i));
    }
    ArmWatchdog();
  }

  // Stores every key once.
  void Fill() {
    phase_ = Phase::kFill;
    RunUntilIdle();
  }

  // Loads the server for the warm-up and the counted time.
  Result Run() {
    phase_ = Phase::kRun;
    result_.server_is_measured = options_.server_pid != 0;
    count_from_ns_ = NowNs() + static_cast<uint64_t>(options_.warmup_seconds * 1e9);
    seconds_ns_ = static_cast<uint64_t>(options_.seconds * 1e9);
    RunUntilIdle();
    return result_;
  }

 private:
  enum class Phase { kFill, kRun, kDrain };
  enum class Event : uint64_t { kReceive, kSend, kWatchdog };

  static uint64_t Token(Event event, size_t connection) {
    return (static_cast<uint64_t>(event) << 32) | connection;
  }

  static Ring::Config RingConfig(const Options& options) {
    Ring::Config config;
    // Two buffers for each connection, within reason: a turn that finds none left re-arms receives.
    config.buffer_count = std::clamp<uint32_t>(std::bit_ceil(options.connections * 2), 64, 4096);
    config.file_count = options.connections;
    return config;
  }

  void RunUntilIdle() {
    now_ns_ = NowNs();
    for (size_t i = 0; i < connections_.size(); ++i) SendNextBatch(i);
    while (busy_ != 0) {
      ring_.SubmitAndWait();
      now_ns_ = NowNs();
      if (phase_ == Phase::kRun) KeepTime();
      ring_.ForEachCompletion([this](const io_uring_cqe& completion) { Handle(completion); });
    }
  }

  // Begins and ends the counted time.
  void KeepTime() {
    if (!counting_ && now_ns_ >= count_from_ns_) {
      counting_ = true;
      count_from_ns_ = now_ns_;
      tally_ = {};
      result_.own = ReadProcessCpu(getpid());
      if (result_.server_is_measured) result_.server = ReadProcessCpu(options_.server_pid);
    } else if (counting_ && now_ns_ >= count_from_ns_ + seconds_ns_) {
      counting_ = false;
      phase_ = Phase::kDrain;
      result_.seconds = static_cast<double>(now_ns_ - count_from_ns_) / 1e9;
      result_.tally = tally_;
      result_.own = ReadProcessCpu(getpid()) - result_.own;
      if (result_.server_is_measured) {
        result_.server = ReadProcessCpu(options_.server_pid) - result_.server;
      }
    }
  }

  void Handle(const io_uring_cqe& completion) {
    const auto event = static_cast<Event>(completion.user_data >> 32);
    const auto index = static_cast<size_t>(completion.user_data & UINT32_MAX);
    switch (event) {
      case Event::kReceive:
        HandleReceive(completion, index);
        break;
      case Event::kSend:  // only a send that failed has a completion
        DieErrno("a send failed", completion.res < 0 ? -completion.res : EPIPE);
      case Event::kWatchdog:
        if (++silent_seconds_ >= kSilenceSecondsMax) {
          Die("the server has not answered for " + std::to_string(silent_seconds_) + " seconds");
        }
        ArmWatchdog();
        break;
    }
  }

  void HandleReceive(const io_uring_cqe& completion, size_t index) {
    if (completion.res > 0) {
      silent_seconds_ = 0;
      Connection& connection = connections_[index];
      const std::string_view bytes = ring_.ReceivedBytes(completion);
      if (connection.partial.empty()) {
        const size_t used = Answer(connection, bytes);
        connection.partial.assign(bytes.substr(used));
      } else {
        connection.partial.append(bytes);
        connection.partial.erase(0, Answer(connection, connection.partial));
      }
      ring_.ReturnBuffer(completion);
      if (connection.batch.Done()) {
        if (!connection.partial.empty()) {
          Die("bytes after the last reply: " + Printable(connection.partial));
        }
        --busy_;
        SendNextBatch(index);
      }
    } else if (completion.res == 0) {
      Die("the server closed a connection");
    } else if (completion.res != -ENOBUFS) {
      DieErrno("a receive failed", -completion.res);
    }
    if ((completion.flags & IORING_CQE_F_MORE) == 0) {
      ring_.ReceiveMultishot(static_cast<int>(index), Token(Event::kReceive, index));
    }
  }

  // Checks and counts the replies in `bytes`, and returns how many bytes they were.
  size_t Answer(Connection& connection, std::string_view bytes) {
    const uint64_t answered_before = tally_.requests;
    std::string error;
    const size_t used = protocol_.Consume(bytes, connection.batch, tally_, error);
    if (!error.empty()) {
      Die("unexpected reply: " + error + ", got: " + Printable(bytes.substr(used)));
    }
    if (counting_) {
      result_.latency_ns.Record(now_ns_ - connection.sent_ns, tally_.requests - answered_before);
    }
    return used;
  }

  void SendNextBatch(size_t index) {
    Connection& connection = connections_[index];
    connection.batch.Clear();
    char* const begin = connection.send_buffer.get();
    char* end = begin;
    if (phase_ == Phase::kFill) {
      end = EncodeFill(connection.batch, end);
    } else if (phase_ == Phase::kRun) {
      end = EncodeWork(connection.batch, end);
    }
    if (end == begin) return;
    ++busy_;
    connection.sent_ns = now_ns_;
    // A batch that is answered was sent, so a send that went well needs no completion.
    ring_
        .Send(static_cast<int>(index), begin, static_cast<size_t>(end - begin),
              Token(Event::kSend, index))
        ->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }

  char* EncodeFill(Batch& batch, char* out) {
    for (uint32_t i = 0; i < fill_batch_ && fill_next_ < keyspace_.key_count(); ++i) {
      out = protocol_.EncodeSet(fill_next_, out);
      batch.keys.push_back(fill_next_++);
      batch.requests.push_back({RequestKind::kSet, static_cast<uint32_t>(batch.keys.size())});
    }
    return out;
  }

  char* EncodeWork(Batch& batch, char* out) {
    for (uint32_t i = 0; i < options_.pipeline; ++i) {
      const bool is_set = options_.set_share == 1 ||
                          (options_.set_share > 0 && random_.Fraction() < options_.set_share);
      const size_t key_begin = batch.keys.size();
      const uint32_t key_count = is_set ? 1 : options_.multiget;
      for (uint32_t k = 0; k < key_count; ++k) {
        batch.keys.push_back(random_.Below(keyspace_.key_count()));
      }
      const uint64_t* const ids = batch.keys.data() + key_begin;
      out = is_set ? protocol_.EncodeSet(*ids, out) : protocol_.EncodeGet(ids, key_count, out);
      batch.requests.push_back({is_set ? RequestKind::kSet : RequestKind::kGet,
                                static_cast<uint32_t>(batch.keys.size())});
    }
    return out;
  }

  void ArmWatchdog() {
    io_uring_sqe* const entry = ring_.NextEntry();
    io_uring_prep_timeout(entry, &watchdog_period_, 0, 0);
    entry->user_data = Token(Event::kWatchdog, 0);
  }

  const Options& options_;
  const Protocol& protocol_;
  const Keyspace& keyspace_;
  Random random_;
  const uint32_t fill_batch_;
  Ring ring_;
  std::vector<Connection> connections_;

  Phase phase_ = Phase::kDrain;
  size_t busy_ = 0;  // connections that await replies
  uint64_t fill_next_ = 0;
  uint64_t now_ns_ = 0;  // read once a turn
  uint64_t count_from_ns_ = 0;
  uint64_t seconds_ns_ = 0;
  bool counting_ = false;
  int silent_seconds_ = 0;
  __kernel_timespec watchdog_period_{.tv_sec = 1, .tv_nsec = 0};
  Tally tally_;
  Result result_;
};

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  const Keyspace keyspace(options.key_prefix, options.key_count, options.key_size,
                          options.value_size);
  const std::unique_ptr<Protocol> protocol =
      MakeProtocol(options.protocol, keyspace, options.verify);
  Load load(options, keyspace, *protocol);
  if (options.fill) load.Fill();
  if (options.seconds > 0) Print(load.Run());
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
