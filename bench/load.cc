// The load generator: see --help (options.cc) for what it does, README.md for what its figures
// mean.
//
// It has to cost less than the servers it measures, or it measures itself: one thread, one ring,
// one system call a turn, one send for each batch, no completion for a send that went well, replies
// read in place in the receive buffers. That is why it has its own loop and its own reading of
// replies, and does not go through src/client.
//
//   turn:  submit and wait -> completions -> Consume replies -> batch answered? the connection is
//          idle -> idle connections, and requests to send? encode the next batches
//
// A reply that is cut by the end of a buffer waits in its connection's `partial` for the rest.

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/address.h"
#include "bench/die.h"
#include "bench/keyspace.h"
#include "bench/open_loop.h"
#include "bench/options.h"
#include "bench/outgoing.h"
#include "bench/process_usage.h"
#include "bench/protocol.h"
#include "bench/report.h"
#include "bench/requests.h"
#include "bench/ring.h"

namespace torc::bench {
namespace {

// A server that says nothing for so long is taken for hung.
constexpr int kSilenceSecondsMax = 10;

// Size of a batch while the key space is filled: enough to make a system call's cost small.
constexpr size_t kFillBatchBytes = 8192;

// How long requests of an open loop that were due in time may be answered after it. What is not
// answered by then was waiting for longer than any latency that is worth a distinction.
constexpr uint64_t kGraceNs = 1'000'000'000;

// An open loop does not sleep when a request is due so soon: to be woken takes longer.
constexpr uint64_t kNapNsMin = 20'000;

uint64_t NowNs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

struct Connection {
  Batch batch;
  Outgoing out;
  std::string partial;           // the beginning of a reply whose rest has not come
  uint64_t sent_ns = 0;          // when the batch was sent
  std::vector<uint64_t> due_ns;  // open loop: when each of its requests was due
  size_t sent_bytes = 0;         // of the batch, where it is sent in segments
};

class Load {
 public:
  Load(const Options& options, const Keyspace& keyspace, const Protocol& protocol)
      : options_(options),
        protocol_(protocol),
        keyspace_(keyspace),
        address_(options.unix_path, options.host, options.port),
        requests_(MixOf(options), keyspace, protocol, options.seed),
        fill_batch_(
            static_cast<uint32_t>(std::max<size_t>(1, kFillBatchBytes / requests_.SetSizeMax()))),
        out_size_max_(std::max(
            options.pipeline *
                std::max(requests_.NextSizeMax(),
                         options.set_on_miss ? options.multiget * requests_.SetSizeMax() : 0),
            options.fill ? fill_batch_ * requests_.SetSizeMax() : 0)),
        active_(static_cast<size_t>(
            std::max(1.0, std::ceil(options.active_share * options.connections)))),
        pick_(Mix(~options.seed)),
        ring_(RingConfig(options, active_)),
        connections_(options.connections) {
    if (!options_.churn) OpenConnections();
    for (size_t i = connections_.size(); i > 0; --i) idle_.push_back(i - 1);
    ArmSecond();
  }

  // Stores every key once.
  void Fill() {
    phase_ = Phase::kFill;
    RunUntilIdle();
  }

  // Loads the server for the warm-up and the counted time.
  Result Run() {
    phase_ = Phase::kRun;
    result_.options = options_;
    result_.server_is_measured = options_.server_pid != 0;
    begin_ns_ = NowNs();
    count_from_ns_ = begin_ns_ + static_cast<uint64_t>(options_.warmup_seconds * 1e9);
    count_to_ns_ = count_from_ns_ + static_cast<uint64_t>(options_.seconds * 1e9);
    if (options_.rate > 0) {
      // Timers may by default come 50 us late, which would be in every latency.
      prctl(PR_SET_TIMERSLACK, 1);
      open_loop_.emplace(Arrivals(options_.arrivals, options_.rate, begin_ns_, options_.seed),
                         count_from_ns_, count_to_ns_);
    }
    RunUntilIdle();
    if (open_loop_) {
      result_.offered = open_loop_->offered();
      result_.wait_ns = open_loop_->wait_ns();
    }
    return result_;
  }

 private:
  enum class Phase { kFill, kRun, kDrain };
  enum class Event : uint64_t { kReceive, kSend, kConnect, kClose, kSecond };

  static uint64_t Token(Event event, size_t connection) {
    return (static_cast<uint64_t>(event) << 32) | connection;
  }

  static RequestMix MixOf(const Options& options) {
    return {.set_share = options.set_share,
            .delete_share = options.delete_share,
            .keys_per_get = options.multiget,
            .popularity = options.popularity,
            .copy_values = options.segment_bytes != 0};
  }

  static Ring::Config RingConfig(const Options& options, size_t active) {
    Ring::Config config;
    // Two buffers for each connection that awaits replies, within reason: a turn that finds none
    // left re-arms receives.
    config.buffer_count =
        std::clamp<uint32_t>(std::bit_ceil(static_cast<uint32_t>(active) * 2), 64, 4096);
    config.file_count = options.connections;
    return config;
  }

  void OpenConnections() {
    std::vector<int> fds;
    for (size_t i = 0; i < connections_.size(); ++i) fds.push_back(address_.Connect());
    const int rc = io_uring_register_files_update(ring_.raw(), 0, fds.data(),
                                                  static_cast<unsigned>(fds.size()));
    if (rc < 0) DieErrno("cannot register the connections", -rc);
    for (const int fd : fds) close(fd);  // the ring's table holds them now
    for (size_t i = 0; i < connections_.size(); ++i) {
      ring_.ReceiveMultishot(static_cast<int>(i), Token(Event::kReceive, i));
    }
  }

  // ---- Turns

  void RunUntilIdle() {
    now_ns_ = NowNs();
    StartBatches();
    while (busy_ != 0 || (phase_ == Phase::kRun && open_loop_)) {
      Wait();
      now_ns_ = NowNs();
      if (phase_ == Phase::kRun) KeepTime();
      ring_.ForEachCompletion([this](const io_uring_cqe& completion) { Handle(completion); });
      StartBatches();
      if (phase_ == Phase::kDrain && open_loop_ && now_ns_ > count_to_ns_ + kGraceNs) {
        GiveUp();
        break;
      }
    }
  }

  void Wait() {
    // In a closed loop there is nothing to do before a reply comes.
    if (!open_loop_ || phase_ == Phase::kFill) return ring_.SubmitAndWait();
    uint64_t nap_ns = busy_ >= active_ ? UINT64_MAX : open_loop_->NsUntilDue(now_ns_);
    // The end of the counted time is not to be slept over either.
    if (phase_ == Phase::kRun) nap_ns = std::min(nap_ns, count_to_ns_ - now_ns_);
    if (nap_ns == UINT64_MAX) return ring_.SubmitAndWait();
    ring_.SubmitAndWait(nap_ns < kNapNsMin ? 0 : nap_ns);
  }

  // Begins and ends the counted time.
  void KeepTime() {
    if (!counting_ && now_ns_ >= count_from_ns_) {
      counting_ = true;
      counted_from_ns_ = now_ns_;
      tally_ = {};
      connects_ = 0;
      result_.own = ReadProcessUsage(getpid());
      if (result_.server_is_measured) result_.server = ReadProcessUsage(options_.server_pid);
    } else if (counting_ && now_ns_ >= count_to_ns_) {
      counting_ = false;
      phase_ = Phase::kDrain;
      result_.seconds = static_cast<double>(now_ns_ - counted_from_ns_) / 1e9;
      result_.tally = tally_;
      result_.connects = connects_;
      result_.own = ReadProcessUsage(getpid()) - result_.own;
      if (result_.server_is_measured) {
        result_.server = ReadProcessUsage(options_.server_pid) - result_.server;
      }
      if (open_loop_) result_.waiting_at_end = open_loop_->CountWaiting(now_ns_);
    }
  }

  // An open loop that was too much: what was not sent or not answered in time has waited at least
  // until now.
  void GiveUp() {
    open_loop_->GiveUp(now_ns_, result_.latency_ns);
    result_.given_up = open_loop_->given_up();
    for (const Connection& connection : connections_) {
      for (size_t i = connection.batch.answered; i < connection.due_ns.size(); ++i) {
        if (!open_loop_->IsCounted(connection.due_ns[i])) continue;
        result_.latency_ns.Record(now_ns_ - connection.due_ns[i], 1);
        ++result_.given_up;
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
      case Event::kSend:  // of a send that went well there is one only if more segments follow
        if (completion.res <= 0 || options_.segment_bytes == 0) {
          DieErrno("a send failed", completion.res < 0 ? -completion.res : EPIPE);
        }
        SendSegment(index);
        break;
      case Event::kConnect:
        // The links of a chain that broke follow with ECANCELED; the first says why.
        if (completion.res == -EADDRNOTAVAIL) {
          Die("no port is free: closed connections keep theirs for a minute "
              "(net.ipv4.tcp_tw_reuse=1 helps, or a UNIX socket)");
        }
        DieErrno("cannot connect", -completion.res);
      case Event::kClose:
        DieErrno("cannot close a connection", -completion.res);
      case Event::kSecond:
        silent_seconds_ = busy_ == 0 ? 0 : silent_seconds_ + 1;
        if (silent_seconds_ >= kSilenceSecondsMax) {
          Die("the server has not answered for " + std::to_string(silent_seconds_) + " seconds");
        }
        if (options_.progress) PrintProgress();
        ArmSecond();
        break;
    }
  }

  void HandleReceive(const io_uring_cqe& completion, size_t index) {
    Connection& connection = connections_[index];
    if (completion.res > 0) {
      silent_seconds_ = 0;
      const std::string_view bytes = ring_.ReceivedBytes(completion);
      if (connection.partial.empty()) {
        const size_t used = Answer(connection, bytes);
        if (used != bytes.size()) connection.partial.assign(bytes.substr(used));
      } else {
        connection.partial.append(bytes);
        connection.partial.erase(0, Answer(connection, connection.partial));
      }
      ring_.ReturnBuffer(completion);
      if (connection.batch.Done()) {
        EndBatch(index);
        if (options_.churn) return;
      }
    } else if (completion.res == 0) {
      Die("the server closed a connection");
    } else if (completion.res != -ENOBUFS) {
      DieErrno("a receive failed", -completion.res);
    }
    if (options_.churn) {
      ring_.Receive(static_cast<int>(index), Token(Event::kReceive, index));
    } else if ((completion.flags & IORING_CQE_F_MORE) == 0) {
      ring_.ReceiveMultishot(static_cast<int>(index), Token(Event::kReceive, index));
    }
  }

  // Checks and counts the replies in `bytes`, and returns how many bytes they were.
  size_t Answer(Connection& connection, std::string_view bytes) {
    const size_t answered_before = connection.batch.answered;
    std::string error;
    const size_t used = protocol_.Consume(bytes, connection.batch, tally_, error);
    if (!error.empty()) {
      Die("unexpected reply: " + error + ", got: " + Printable(bytes.substr(used)));
    }
    if (!connection.due_ns.empty()) {
      for (size_t i = answered_before; i < connection.batch.answered; ++i) {
        if (open_loop_->IsCounted(connection.due_ns[i])) {
          result_.latency_ns.Record(now_ns_ - connection.due_ns[i], 1);
        }
      }
    } else if (counting_) {
      result_.latency_ns.Record(now_ns_ - connection.sent_ns,
                                connection.batch.answered - answered_before);
    }
    return used;
  }

  // ---- Batches

  void EndBatch(size_t index) {
    Connection& connection = connections_[index];
    if (!connection.partial.empty()) {
      Die("bytes after the last reply: " + Printable(connection.partial));
    }
    --busy_;
    if (options_.churn) Close(index);
    if (connection.batch.missed.empty() || phase_ != Phase::kRun) {
      idle_.push_back(index);
    } else {
      missed_.swap(connection.batch.missed);
      BeginBatch(connection);
      for (const uint64_t id : missed_) requests_.AddSet(id, connection.batch, connection.out);
      Send(index);
    }
  }

  // Gives idle connections what there is to send.
  void StartBatches() {
    switch (phase_) {
      case Phase::kFill:
        while (!idle_.empty() && fill_next_ < keyspace_.key_count()) StartBatch(fill_batch_);
        break;
      case Phase::kRun:
      case Phase::kDrain:
        if (open_loop_) {
          while (busy_ < active_ && open_loop_->IsDue(now_ns_)) StartBatch(options_.pipeline);
        } else if (phase_ == Phase::kRun) {
          while (busy_ < active_) StartBatch(options_.pipeline);
        }
        break;
    }
  }

  void StartBatch(uint32_t request_count_max) {
    const size_t index = TakeIdle();
    Connection& connection = connections_[index];
    BeginBatch(connection);
    if (phase_ == Phase::kFill) {
      for (uint32_t i = 0; i < request_count_max && fill_next_ < keyspace_.key_count(); ++i) {
        requests_.AddSet(fill_next_++, connection.batch, connection.out);
      }
    } else if (open_loop_) {
      for (uint32_t i = 0; i < request_count_max && open_loop_->IsDue(now_ns_); ++i) {
        connection.due_ns.push_back(open_loop_->Take(now_ns_));
        requests_.AddNext(connection.batch, connection.out);
      }
    } else {
      for (uint32_t i = 0; i < request_count_max; ++i) {
        requests_.AddNext(connection.batch, connection.out);
      }
    }
    Send(index);
  }

  // The connection that became idle last; or any, where most are idle all the time.
  size_t TakeIdle() {
    if (active_ < connections_.size()) std::swap(idle_[pick_.Below(idle_.size())], idle_.back());
    const size_t index = idle_.back();
    idle_.pop_back();
    return index;
  }

  void BeginBatch(Connection& connection) {
    connection.batch.Clear();
    connection.due_ns.clear();
    connection.out.Begin(out_size_max_);
  }

  void Send(size_t index) {
    Connection& connection = connections_[index];
    ++busy_;
    connection.sent_ns = now_ns_;
    if (options_.churn) QueueConnect(index);
    if (options_.segment_bytes != 0) {
      connection.sent_bytes = 0;
      return SendSegment(index);
    }
    const auto file = static_cast<int>(index);
    const uint64_t token = Token(Event::kSend, index);
    io_uring_sqe* const entry =
        connection.out.is_whole()
            ? ring_.Send(file, connection.out.bytes().data(), connection.out.bytes().size(), token)
            : ring_.SendPieces(file, connection.out.Message(), token);
    // A batch that is answered was sent, so a send that went well needs no completion.
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (options_.churn) {
      entry->flags |= IOSQE_IO_LINK;
      ring_.Receive(file, Token(Event::kReceive, index));
    }
  }

  void SendSegment(size_t index) {
    Connection& connection = connections_[index];
    const std::string_view rest = connection.out.bytes().substr(connection.sent_bytes);
    const size_t size = std::min<size_t>(rest.size(), options_.segment_bytes);
    connection.sent_bytes += size;
    io_uring_sqe* const entry =
        ring_.Send(static_cast<int>(index), rest.data(), size, Token(Event::kSend, index));
    if (size == rest.size()) entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }

  // ---- Connections that live for one batch: a chain of links makes, connects, sends and receives.

  void QueueConnect(size_t index) {
    constexpr unsigned kChainLength = 4;
    ring_.ReserveEntries(kChainLength);
    ++connects_;
    io_uring_sqe* entry = ring_.NextEntry();
    io_uring_prep_socket_direct(entry, address_.family(), SOCK_STREAM, 0,
                                static_cast<unsigned>(index), 0);
    entry->user_data = Token(Event::kConnect, index);
    entry->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    entry = ring_.NextEntry();
    io_uring_prep_connect(entry, static_cast<int>(index), address_.data(), address_.size());
    entry->user_data = Token(Event::kConnect, index);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  }

  void Close(size_t index) {
    io_uring_sqe* const entry = ring_.NextEntry();
    io_uring_prep_close_direct(entry, static_cast<unsigned>(index));
    entry->user_data = Token(Event::kClose, index);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }

  // ---- Every second

  void ArmSecond() {
    io_uring_sqe* const entry = ring_.NextEntry();
    io_uring_prep_timeout(entry, &second_, 0, 0);
    entry->user_data = Token(Event::kSecond, 0);
  }

  void PrintProgress() {
    PrintProgressLine({.seconds = static_cast<double>(now_ns_ - begin_ns_) / 1e9,
                       .phase = phase_ == Phase::kFill  ? "fill"
                                : counting_             ? "counted"
                                : phase_ == Phase::kRun ? "warm-up"
                                                        : "end",
                       .before = tally_before_,
                       .tally = tally_,
                       .latency_ns = result_.latency_ns});
    tally_before_ = tally_;
  }

  const Options& options_;
  const Protocol& protocol_;
  const Keyspace& keyspace_;
  const Address address_;
  Requests requests_;
  const uint32_t fill_batch_;  // requests
  const size_t out_size_max_;
  const size_t active_;  // connections that may await replies at a time
  Random pick_;
  Ring ring_;
  std::vector<Connection> connections_;
  std::vector<size_t> idle_;
  std::vector<uint64_t> missed_;  // kept for its memory

  Phase phase_ = Phase::kDrain;
  size_t busy_ = 0;  // connections that await replies
  uint64_t fill_next_ = 0;
  std::optional<OpenLoop> open_loop_;
  uint64_t now_ns_ = NowNs();  // read once a turn
  uint64_t begin_ns_ = now_ns_;
  uint64_t count_from_ns_ = 0;
  uint64_t count_to_ns_ = 0;
  uint64_t counted_from_ns_ = 0;
  bool counting_ = false;
  int silent_seconds_ = 0;
  __kernel_timespec second_{.tv_sec = 1, .tv_nsec = 0};
  Tally tally_;
  Tally tally_before_;  // a second ago
  uint64_t connects_ = 0;
  Result result_;
};

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  const Keyspace keyspace(options.key_prefix, options.key_count, options.key_size,
                          options.value_size);
  const std::unique_ptr<Protocol> protocol = MakeProtocol(options.protocol, keyspace,
                                                          {.verify = options.verify,
                                                           .track_misses = options.set_on_miss,
                                                           .ttl_seconds = options.ttl_seconds,
                                                           .may_refuse = options.may_refuse});
  Load load(options, keyspace, *protocol);
  if (options.fill) load.Fill();
  if (options.seconds > 0) Print(load.Run());
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
