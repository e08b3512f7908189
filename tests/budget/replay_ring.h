// A ring that plays a client whose requests are written down beforehand: each turn delivers what it
// was given for that turn, and every send succeeds at once, whole. It does as little as a ring can,
// so that what a turn costs is the server's.
//
//   Deliver(n, bytes) ... Turn -> [sent completions of the last turn][receive completions]
//
// Owner: the driver. Affinity: one thread. Lifetime: outlives the shard. Invariant: connections are
// accepted once, by the first turn after an Accept, and never closed.
#ifndef TORC_TESTS_BUDGET_REPLAY_RING_H_
#define TORC_TESTS_BUDGET_REPLAY_RING_H_

#include <string>
#include <utility>
#include <vector>

#include "src/base/assert.h"
#include "src/ring/ring.h"

namespace torc::budget {

class ReplayRing final : public ring::Ring {
 public:
  // A turn has at most a send and a receive completion of each connection.
  explicit ReplayRing(uint32_t connections)
      : connections_(connections),
        completions_(2 * size_t{connections}),
        next_(2 * size_t{connections}) {}

  // Connection `n` receives `bytes` in the next turn; they stay until it is over. Once a turn.
  void Deliver(uint32_t n, std::string_view bytes) {
    CHECK(connections_[n].owner != nullptr);
    ring::Completion& completion = Next();
    completion.owner = connections_[n].owner;
    completion.kind = ring::Kind::kReceive;
    completion.data = bytes.data();
    completion.result = static_cast<int32_t>(bytes.size());
    completion.buffer = static_cast<ring::BufferId>(n);
    completion.more = true;
  }

  // Whether sends are kept, to be read by `sent`.
  void Keep(bool keep) { keep_ = keep; }
  std::string& sent(uint32_t n) { return connections_[n].sent; }

  void Accept(int, void* owner) override {
    for (uint32_t n = 0; n < connections_.size(); ++n) {
      ring::Completion& completion = Next();
      completion.owner = owner;
      completion.kind = ring::Kind::kAccept;
      completion.result = static_cast<int32_t>(n);
      completion.more = true;
    }
  }
  ring::Socket Attach(int fd) override { return {fd}; }
  void Receive(ring::Socket socket, void* owner) override {
    connections_[static_cast<size_t>(socket.value)].owner = owner;
  }
  void Send(ring::Socket socket, std::span<const iovec> pieces, bool, void* owner) override {
    ring::Completion& completion = Next();
    completion.owner = owner;
    completion.kind = ring::Kind::kSend;
    for (const iovec& piece : pieces) {
      completion.result += static_cast<int32_t>(piece.iov_len);
      if (keep_) {
        connections_[static_cast<size_t>(socket.value)].sent.append(
            static_cast<const char*>(piece.iov_base), piece.iov_len);
      }
    }
  }
  void ReturnBuffer(ring::BufferId) override {}
  std::span<const ring::Completion> Turn(int64_t) override {
    completions_.swap(next_);
    return {completions_.data(), std::exchange(next_size_, 0)};
  }

  // None of these happens.
  void ReceiveOnce(ring::Socket, void*) override { CHECK(!"a large value"); }
  void ReceiveInto(ring::Socket, std::span<char>, void*) override { CHECK(!"a large value"); }
  void Stop(ring::Kind, void*) override { CHECK(!"stopped"); }
  void Shutdown(ring::Socket) override { CHECK(!"shut down"); }
  void Close(ring::Socket, void*) override { CHECK(!"closed"); }
  void ReceiveDatagrams(int, void*) override { CHECK(!"a datagram"); }
  void SendDatagram(int, std::string_view, const sockaddr*, void*) override {
    CHECK(!"a datagram");
  }
  void ReturnDatagram(ring::BufferId) override { CHECK(!"a datagram"); }
  ring::WakeTarget wake_target() const override { return {}; }
  void Wake(const ring::WakeTarget&) override { CHECK(!"another shard"); }
  const ring::Counters& counters() const override { return counters_; }

 private:
  struct Connection {
    void* owner = nullptr;
    std::string sent;
  };
  ring::Completion& Next() {
    CHECK_LT(next_size_, next_.size());
    return next_[next_size_++] = {};
  }

  std::vector<Connection> connections_;
  std::vector<ring::Completion> completions_;
  std::vector<ring::Completion> next_;
  size_t next_size_ = 0;
  ring::Counters counters_;
  bool keep_ = false;
};

}  // namespace torc::budget

#endif  // TORC_TESTS_BUDGET_REPLAY_RING_H_
