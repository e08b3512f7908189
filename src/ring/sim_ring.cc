#include "src/ring/sim_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "src/base/assert.h"
#include "src/base/random.h"

namespace torc::ring {
namespace {

// Far above what a process can have open, so that a stray system call on one fails with EBADF.
constexpr int kListenerBase = 1 << 28;
constexpr int kConnectionBase = 1 << 29;
constexpr int kDatagramBase = 3 << 28;

constexpr size_t kSegmentBytes = 1448;

struct Connection {
  std::string to_server;
  std::string to_client;
  std::string corked;  // sent with more to follow: less than a segment, which waits for that
  size_t window_bytes = 0;
  bool client_ended = false;  // the client has half-closed
  bool broken = false;        // reset
  bool attached = false;      // a ring has it
  bool server_closed = false;
};

struct Listener {
  std::deque<size_t> waiting;  // connections
};

struct Datagram {
  uint16_t port = 0;  // the client's
  std::string bytes;
};

struct DatagramSocket {
  std::deque<Datagram> to_server;
  std::deque<Datagram> to_clients;
  bool receiving = false;  // until the last completion was delivered
};

class SimRing;

}  // namespace

struct SimState {
  SimState(uint64_t seed, const SimOptions& o) : options(o), random(seed) {}

  Listener& listener(int fd) {
    CHECK(fd >= kListenerBase &&
          static_cast<size_t>(fd) < size_t{kListenerBase} + listeners.size());
    return listeners[static_cast<size_t>(fd - kListenerBase)];
  }

  DatagramSocket& datagram_socket(int fd) {
    CHECK(fd >= kDatagramBase &&
          static_cast<size_t>(fd) < size_t{kDatagramBase} + datagram_sockets.size());
    return datagram_sockets[static_cast<size_t>(fd - kDatagramBase)];
  }

  SimOptions options;
  Random random;
  std::vector<std::unique_ptr<SimRing>> rings;
  std::vector<Listener> listeners;
  std::vector<DatagramSocket> datagram_sockets;
  std::vector<std::unique_ptr<Connection>> connections;
  size_t descriptors_unattached = 0;  // accepted, and no ring has them
  uint64_t operations = 0;            // numbers given to operations so far
  uint64_t fingerprint = 0xcbf29ce484222325;
  std::string* trace = nullptr;
};

namespace {

// What a socket number of one ring stands for. Numbers are not used again, so that a stale one is
// found.
struct Endpoint {
  Connection* connection = nullptr;
  bool receiving = false;  // until the last completion was delivered
  bool sending = false;
  bool shut = false;    // nothing but Close may follow
  bool closed = false;  // nothing may follow
};

struct Operation {
  uint64_t number = 0;
  Kind kind = Kind::kAccept;
  void* owner = nullptr;
  int32_t target = -1;  // socket number; listener for accept, descriptor for datagrams
  bool stopping = false;
  bool ended = false;      // its last completion is under way
  bool once = false;       // a receive that ends with what comes first
  std::span<char> memory;  // ReceiveInto
  // Send.
  std::span<const iovec> callers_pieces;  // before submission
  std::vector<iovec> pieces;              // after it
  bool more_follows = false;
  // Send, ReceiveInto: bytes in all, and those that have moved.
  size_t size = 0;
  size_t moved = 0;
  const sockaddr* to = nullptr;  // SendDatagram
  // The turn before which its next completion must not be delivered.
  uint64_t due_turn = 0;
};

struct Pending {
  uint64_t operation;
  uint64_t due_turn;
  int32_t target;
  Completion completion;
};

enum class BufferState : uint8_t { kFree, kFilled, kLent };

class SimRing final : public Ring {
 public:
  SimRing(SimState* world, size_t index)
      : world_(*world),
        index_(index),
        buffers_(world->options.buffer_count),
        datagrams_(world->options.datagram_buffer_count) {
    for (uint32_t i = 0; i < datagrams_.size(); ++i) {
      datagrams_free_.push_back(static_cast<BufferId>(i));
    }
    for (uint32_t i = 0; i < buffers_.size(); ++i) free_.push_back(static_cast<BufferId>(i));
  }

  void Accept(int listener_fd, void* owner) override {
    static_cast<void>(world_.listener(listener_fd));
    Queue(Kind::kAccept, listener_fd, owner);
  }
  Socket Attach(int fd) override;
  void Receive(Socket socket, void* owner) override { QueueReceive(socket, owner); }
  void ReceiveOnce(Socket socket, void* owner) override { QueueReceive(socket, owner).once = true; }
  void ReceiveInto(Socket socket, std::span<char> memory, void* owner) override {
    CHECK(!memory.empty());
    Operation& operation = QueueReceive(socket, owner);
    operation.memory = memory;
    operation.size = memory.size();
  }
  void Stop(Kind kind, void* owner) override;
  void Send(Socket socket, std::span<const iovec> pieces, bool more_follows, void* owner) override;
  void Shutdown(Socket socket) override;
  void Close(Socket socket, void* owner) override {
    Endpoint& end = Open(socket);
    CHECK(!end.receiving);
    CHECK(!end.sending);
    end.closed = true;
    Queue(Kind::kClose, socket.value, owner);
  }
  void ReceiveDatagrams(int fd, void* owner) override {
    DatagramSocket& socket = world_.datagram_socket(fd);
    CHECK(!socket.receiving);
    socket.receiving = true;
    Queue(Kind::kDatagram, fd, owner);
  }
  void SendDatagram(int fd, std::string_view bytes, const sockaddr* to, void* owner) override;
  void ReturnDatagram(BufferId buffer) override;
  void ReturnBuffer(BufferId buffer) override;
  WakeTarget wake_target() const override { return {static_cast<int32_t>(index_), -1}; }
  void Wake(const WakeTarget& target) override;
  std::span<const Completion> Turn(int64_t timeout_ns) override;
  const Counters& counters() const override { return counters_; }

  bool MayWrite(std::span<const char> memory) const;
  bool Settled() const;
  void CheckEnded() const;

 private:
  struct Buffer {
    BufferState state = BufferState::kFree;
    std::unique_ptr<char[]> bytes;  // exactly those received
    sockaddr_in peer;               // of a datagram
  };

  Random& random() { return world_.random; }
  const SimOptions& options() const { return world_.options; }
  Endpoint& Open(Socket socket) {
    CHECK(socket.valid());
    CHECK_LT(static_cast<size_t>(socket.value), endpoints_.size());
    Endpoint& end = endpoints_[static_cast<size_t>(socket.value)];
    CHECK(!end.closed);
    return end;
  }
  Endpoint& End(const Operation& operation) {
    return endpoints_[static_cast<size_t>(operation.target)];
  }

  Operation& Queue(Kind kind, int32_t target, void* owner);
  Operation& QueueReceive(Socket socket, void* owner);
  void Submit();
  void StopOne(Operation* operation);

  // Lets an operation do what it can, if chance does not hold it back.
  void Proceed(Operation* operation);
  void ProceedAccept(Operation* operation);
  bool HasBytesToTake(Operation* operation);
  void ProceedReceive(Operation* operation);
  void ProceedReceiveInto(Operation* operation);
  void ProceedSend(Operation* operation);
  void ProceedClose(Operation* operation);
  void ProceedDatagram(Operation* operation);
  void ProceedSendDatagram(Operation* operation);
  bool CanProceed(const Operation& operation) const;
  size_t Transfer(Operation* operation, Connection* connection);

  // Puts a completion on its way.
  void Post(Operation* operation, Completion completion);
  void Finish(Operation* operation, Status status, int system_error, int32_t result = 0);
  void FinishMoved(Operation* operation);
  void Fail(Operation* operation, Status status, int system_error);
  void PostWake();
  void Deliver();
  void Record(const Pending& pending);

  SimState& world_;
  size_t index_;
  uint64_t turn_ = 0;
  std::vector<Endpoint> endpoints_;
  std::vector<Operation> queued_;  // until the next turn
  std::vector<Operation> active_;
  std::vector<Pending> pending_;  // of one operation: in order
  std::vector<Completion> completions_;
  std::vector<Buffer> buffers_;
  std::deque<BufferId> free_;
  std::vector<Buffer> datagrams_;
  std::deque<BufferId> datagrams_free_;
  Counters counters_;
};

// ---- asking

Operation& SimRing::Queue(Kind kind, int32_t target, void* owner) {
  CHECK_EQ(reinterpret_cast<uintptr_t>(owner) % 8, 0);  // as the real ring needs it
  Operation& operation = queued_.emplace_back();
  operation.number = ++world_.operations;
  operation.kind = kind;
  operation.owner = owner;
  operation.target = target;
  return operation;
}

Operation& SimRing::QueueReceive(Socket socket, void* owner) {
  Endpoint& end = Open(socket);
  CHECK(!end.shut);
  CHECK(!end.receiving);
  end.receiving = true;
  return Queue(Kind::kReceive, socket.value, owner);
}

Socket SimRing::Attach(int fd) {
  const auto index = static_cast<size_t>(fd - kConnectionBase);
  CHECK(fd >= kConnectionBase);
  CHECK_LT(index, world_.connections.size());
  Connection& connection = *world_.connections[index];
  CHECK(!connection.attached);
  connection.attached = true;
  --world_.descriptors_unattached;
  endpoints_.push_back({.connection = &connection});
  return Socket{static_cast<int32_t>(endpoints_.size()) - 1};
}

void SimRing::Send(Socket socket, std::span<const iovec> pieces, bool more_follows, void* owner) {
  Endpoint& end = Open(socket);
  CHECK(!end.shut);
  CHECK(!end.sending);
  CHECK(!pieces.empty());
  end.sending = true;
  Operation& operation = Queue(Kind::kSend, socket.value, owner);
  operation.callers_pieces = pieces;
  operation.more_follows = more_follows;
}

void SimRing::Stop(Kind kind, void* owner) {
  for (auto* operations : {&active_, &queued_}) {
    for (Operation& operation : *operations) {
      if (operation.kind == kind && operation.owner == owner) StopOne(&operation);
    }
  }
}

void SimRing::Shutdown(Socket socket) {
  Open(socket).shut = true;
  for (auto* operations : {&active_, &queued_}) {
    for (Operation& operation : *operations) {
      if (operation.kind != Kind::kAccept && operation.target == socket.value) StopOne(&operation);
    }
  }
}

// Of what completes but once the kernel finds nothing to stop while it is on its way from waiting
// to being tried again.
void SimRing::StopOne(Operation* operation) {
  const bool is_multishot =
      operation->kind == Kind::kAccept || operation->kind == Kind::kDatagram ||
      (operation->kind == Kind::kReceive && !operation->once && operation->memory.empty());
  if (!is_multishot && random().Chance(options().stop_missed_chance)) return;
  operation->stopping = true;
}

void SimRing::SendDatagram(int fd, std::string_view bytes, const sockaddr* to, void* owner) {
  static_cast<void>(world_.datagram_socket(fd));
  Operation& operation = Queue(Kind::kSendDatagram, fd, owner);
  operation.pieces.push_back({const_cast<char*>(bytes.data()), bytes.size()});
  operation.size = bytes.size();
  operation.to = to;
}

void SimRing::ReturnDatagram(BufferId buffer) {
  CHECK_LT(buffer, datagrams_.size());
  CHECK(datagrams_[buffer].state == BufferState::kLent);
  datagrams_[buffer].state = BufferState::kFree;
  datagrams_[buffer].bytes.reset();
  datagrams_free_.push_back(buffer);
}

void SimRing::ReturnBuffer(BufferId buffer) {
  CHECK_LT(buffer, buffers_.size());
  CHECK(buffers_[buffer].state == BufferState::kLent);
  buffers_[buffer].state = BufferState::kFree;
  buffers_[buffer].bytes.reset();
  counters_.buffers_lent.Subtract(1);
  free_.push_back(buffer);
}

void SimRing::Wake(const WakeTarget& target) {
  counters_.wakes_sent.Add(1);
  CHECK_LT(static_cast<size_t>(target.ring_fd), world_.rings.size());
  SimRing& other = *world_.rings[static_cast<size_t>(target.ring_fd)];
  other.PostWake();
  if (random().Chance(options().wake_repeat_chance)) other.PostWake();
}

void SimRing::PostWake() {
  const uint64_t delay = random().Below(options().delay_turns_max + 1);
  pending_.push_back({++world_.operations, turn_ + delay, -1, {.kind = Kind::kWake}});
}

// ---- the turn

std::span<const Completion> SimRing::Turn(int64_t timeout_ns) {
  ++turn_;
  counters_.turns.Add(1);
  counters_.enters.Add(1);
  if (timeout_ns != 0) counters_.waits.Add(1);
  completions_.clear();
  Submit();
  // Who goes first changes from turn to turn: operations compete for buffers.
  const size_t first = active_.empty() ? 0 : random().Below(active_.size());
  for (size_t i = 0; i < active_.size(); ++i) Proceed(&active_[(first + i) % active_.size()]);
  std::erase_if(active_, [](const Operation& operation) { return operation.ended; });
  Deliver();
  return completions_;
}

void SimRing::Submit() {
  counters_.submissions.Add(queued_.size());
  for (Operation& operation : queued_) {
    for (const iovec& piece : operation.callers_pieces) {
      operation.pieces.push_back(piece);
      operation.size += piece.iov_len;
    }
    operation.callers_pieces = {};
    active_.push_back(std::move(operation));
  }
  queued_.clear();
}

void SimRing::Proceed(Operation* operation) {
  if (random().Chance(options().hold_chance)) return;
  switch (operation->kind) {
    case Kind::kAccept:
      return ProceedAccept(operation);
    case Kind::kReceive:
      return operation->memory.empty() ? ProceedReceive(operation) : ProceedReceiveInto(operation);
    case Kind::kSend:
      return ProceedSend(operation);
    case Kind::kClose:
      return ProceedClose(operation);
    case Kind::kDatagram:
      return ProceedDatagram(operation);
    case Kind::kSendDatagram:
      return ProceedSendDatagram(operation);
    case Kind::kWake:
      break;
  }
  CHECK(false);
}

void SimRing::ProceedAccept(Operation* operation) {
  Listener& listener = world_.listener(operation->target);
  while (!operation->ended && !listener.waiting.empty() && !operation->stopping) {
    if (random().Chance(options().file_limit_chance)) {
      return Finish(operation, Status::kFileLimit, EMFILE);
    }
    if (random().Chance(options().no_memory_chance)) {
      return Finish(operation, Status::kNoMemory, ENOMEM);
    }
    if (random().Chance(options().rejected_chance)) {
      return Finish(operation, Status::kRejected, EINVAL);
    }
    const size_t connection = listener.waiting.front();
    listener.waiting.pop_front();
    if (random().Chance(options().reset_chance)) {
      world_.connections[connection]->broken = true;
      return Finish(operation, Status::kReset, ECONNABORTED);
    }
    ++world_.descriptors_unattached;
    const bool last = random().Chance(options().overflow_chance);
    if (last) counters_.completion_overflows.Add(1);
    operation->ended = last;
    Post(operation, {.owner = operation->owner,
                     .result = kConnectionBase + static_cast<int32_t>(connection),
                     .kind = Kind::kAccept,
                     .more = !last});
  }
  if (operation->stopping && !operation->ended) Finish(operation, Status::kCancelled, ECANCELED);
}

// Of a receive in whichever form. False: it has failed, or there is nothing yet.
bool SimRing::HasBytesToTake(Operation* operation) {
  const Connection& connection = *End(*operation).connection;
  // A stop or a reset may come before or after bytes that are there already.
  const bool bytes_first = !connection.to_server.empty() && random().Below(2) == 0;
  if (operation->stopping && !bytes_first) {
    Fail(operation, Status::kCancelled, ECANCELED);
  } else if (connection.broken && !bytes_first) {
    Fail(operation, Status::kReset, ECONNRESET);
  } else if (connection.to_server.empty()) {
    if (connection.client_ended) Fail(operation, Status::kEndOfStream, 0);
    return false;
  } else if (random().Chance(options().no_memory_chance)) {
    Fail(operation, Status::kNoMemory, ENOMEM);
  } else if (random().Chance(options().rejected_chance)) {
    Fail(operation, Status::kRejected, EINVAL);
  }
  return !operation->ended;
}

void SimRing::ProceedReceive(Operation* operation) {
  Connection& connection = *End(*operation).connection;
  if (random().Chance(options().reset_chance)) connection.broken = true;
  while (!operation->ended && HasBytesToTake(operation)) {
    if (!free_.empty() && random().Chance(options().share_chance)) {
      return Finish(operation, Status::kOk, 0);
    }
    if (free_.empty() || random().Chance(options().no_buffers_chance)) {
      counters_.buffers_exhausted.Add(1);
      return Finish(operation, Status::kNoBuffers, ENOBUFS);
    }
    size_t size = std::min<size_t>(connection.to_server.size(), options().buffer_size_bytes);
    if (random().Chance(options().split_chance)) size = 1 + random().Below(size);
    const BufferId id = free_.front();
    free_.pop_front();
    Buffer& buffer = buffers_[id];
    buffer.state = BufferState::kFilled;
    buffer.bytes = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(buffer.bytes.get(), connection.to_server.data(), size);
    connection.to_server.erase(0, size);
    const bool overflow = !operation->once && random().Chance(options().overflow_chance);
    if (overflow) counters_.completion_overflows.Add(1);
    const bool last = operation->once || overflow;
    operation->ended = last;
    Post(operation, {.owner = operation->owner,
                     .data = buffer.bytes.get(),
                     .result = static_cast<int32_t>(size),
                     .buffer = id,
                     .kind = Kind::kReceive,
                     .more = !last});
  }
}

// The memory may be written to in any turn until the completion: who gives it away too early finds
// it changed.
void SimRing::ProceedReceiveInto(Operation* operation) {
  Connection& connection = *End(*operation).connection;
  if (random().Chance(options().reset_chance)) connection.broken = true;
  if (!HasBytesToTake(operation)) return;
  size_t size = std::min(connection.to_server.size(), operation->size - operation->moved);
  if (random().Chance(options().split_chance)) size = 1 + random().Below(size);
  std::memcpy(operation->memory.data() + operation->moved, connection.to_server.data(), size);
  connection.to_server.erase(0, size);
  operation->moved += size;
  if (operation->moved == operation->size || random().Chance(options().share_chance)) {
    FinishMoved(operation);
  }
}

// Moves bytes towards the client, as the window allows. Returns how many. What does not fill a
// segment stays behind where more is to follow, and for ever if nothing does: the kernel would send
// it after 200 ms, which hides the mistake.
size_t SimRing::Transfer(Operation* operation, Connection* connection) {
  const size_t under_way = connection->to_client.size() + connection->corked.size();
  const size_t room = connection->window_bytes - std::min(connection->window_bytes, under_way);
  size_t budget = std::min(room, operation->size - operation->moved);
  if (budget > 1 && random().Chance(options().short_send_chance)) {
    budget = 1 + random().Below(budget);
  }
  const size_t moved = budget;
  size_t skip = operation->moved;
  for (const iovec& piece : operation->pieces) {
    if (budget == 0) break;
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    const size_t part = std::min(piece.iov_len - skip, budget);
    connection->corked.append(static_cast<const char*>(piece.iov_base) + skip, part);
    budget -= part;
    skip = 0;
  }
  operation->moved += moved;
  const size_t size = connection->corked.size();
  // As in the kernel, a full window lets everything go, and no bytes push none.
  const bool all = connection->to_client.size() + size >= connection->window_bytes ||
                   (moved > 0 && !operation->more_follows);
  const size_t leaving = all ? size : size - size % kSegmentBytes;
  connection->to_client.append(connection->corked, 0, leaving);
  connection->corked.erase(0, leaving);
  return moved;
}

void SimRing::ProceedSend(Operation* operation) {
  Connection& connection = *End(*operation).connection;
  if (random().Chance(options().reset_chance)) connection.broken = true;
  if (connection.broken) return Fail(operation, Status::kReset, ECONNRESET);
  if (operation->stopping) return Fail(operation, Status::kCancelled, ECANCELED);
  if (random().Chance(options().no_memory_chance)) {
    return Fail(operation, Status::kNoMemory, ENOMEM);
  }
  if (operation->moved == 0 && random().Chance(options().rejected_chance)) {
    return Finish(operation, Status::kRejected, EINVAL);
  }
  const size_t moved = Transfer(operation, &connection);
  const bool all = operation->moved == operation->size;
  if (all || (moved > 0 && random().Chance(options().short_send_chance))) FinishMoved(operation);
}

void SimRing::ProceedClose(Operation* operation) {
  Connection& connection = *End(*operation).connection;
  connection.server_closed = true;
  connection.to_client += std::exchange(connection.corked, {});  // the end of the stream pushes it
  Finish(operation, Status::kOk, 0);
}

void SimRing::ProceedDatagram(Operation* operation) {
  DatagramSocket& socket = world_.datagram_socket(operation->target);
  while (!operation->ended) {
    if (operation->stopping) return Finish(operation, Status::kCancelled, ECANCELED);
    if (socket.to_server.empty()) return;
    if (random().Chance(options().no_memory_chance)) {
      return Finish(operation, Status::kNoMemory, ENOMEM);
    }
    if (datagrams_free_.empty() || random().Chance(options().no_buffers_chance)) {
      return Finish(operation, Status::kNoBuffers, ENOBUFS);
    }
    const Datagram datagram = std::move(socket.to_server.front());
    socket.to_server.pop_front();
    const BufferId id = datagrams_free_.front();
    datagrams_free_.pop_front();
    Buffer& buffer = datagrams_[id];
    buffer.state = BufferState::kFilled;
    buffer.bytes = std::make_unique_for_overwrite<char[]>(datagram.bytes.size());
    std::memcpy(buffer.bytes.get(), datagram.bytes.data(), datagram.bytes.size());
    buffer.peer = {};
    buffer.peer.sin_family = AF_INET;
    buffer.peer.sin_port = htons(datagram.port);
    const bool last = random().Chance(options().overflow_chance);
    if (last) counters_.completion_overflows.Add(1);
    operation->ended = last;
    Post(operation, {.owner = operation->owner,
                     .data = buffer.bytes.get(),
                     .result = static_cast<int32_t>(datagram.bytes.size()),
                     .buffer = id,
                     .kind = Kind::kDatagram,
                     .more = !last,
                     .peer = reinterpret_cast<const sockaddr*>(&buffer.peer)});
  }
}

void SimRing::ProceedSendDatagram(Operation* operation) {
  if (random().Chance(options().no_memory_chance)) {
    return Finish(operation, Status::kNoMemory, ENOMEM);
  }
  if (random().Chance(options().rejected_chance)) {
    return Finish(operation, Status::kRejected, EINVAL);
  }
  const iovec& piece = operation->pieces.front();
  const auto& to = *reinterpret_cast<const sockaddr_in*>(operation->to);
  CHECK_EQ(to.sin_family, AF_INET);
  if (!random().Chance(options().datagram_loss_chance)) {
    world_.datagram_socket(operation->target)
        .to_clients.push_back(
            {ntohs(to.sin_port),
             std::string(static_cast<const char*>(piece.iov_base), piece.iov_len)});
  }
  Finish(operation, Status::kOk, 0, static_cast<int32_t>(operation->size));
}

bool SimRing::CanProceed(const Operation& operation) const {
  if (operation.stopping || operation.kind == Kind::kClose ||
      operation.kind == Kind::kSendDatagram) {
    return true;
  }
  if (operation.kind == Kind::kDatagram) {
    return !world_.datagram_socket(operation.target).to_server.empty();
  }
  if (operation.kind == Kind::kAccept) {
    return !world_.listener(operation.target).waiting.empty();
  }
  const Connection& c = *endpoints_[static_cast<size_t>(operation.target)].connection;
  if (c.broken) return true;
  if (operation.kind == Kind::kReceive) return !c.to_server.empty() || c.client_ended;
  return operation.moved == operation.size || c.to_client.size() < c.window_bytes;
}

void SimRing::Post(Operation* operation, Completion completion) {
  const uint64_t delay = random().Below(options().delay_turns_max + 1);
  operation->due_turn = std::max(operation->due_turn, turn_ + delay);
  pending_.push_back({operation->number, operation->due_turn, operation->target, completion});
}

void SimRing::Finish(Operation* operation, Status status, int system_error, int32_t result) {
  operation->ended = true;
  Post(operation, {.owner = operation->owner,
                   .result = result,
                   .system_error = system_error,
                   .kind = operation->kind,
                   .status = status});
}

void SimRing::FinishMoved(Operation* operation) {
  Finish(operation, Status::kOk, 0, static_cast<int32_t>(operation->moved));
}

// As in the kernel, what was moved before a failure is reported first.
void SimRing::Fail(Operation* operation, Status status, int system_error) {
  if (operation->moved > 0) return FinishMoved(operation);
  Finish(operation, status, system_error);
}

// Takes the completions that are due in a random order that keeps those of each operation in
// sequence.
void SimRing::Deliver() {
  std::vector<size_t> due;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i].due_turn <= turn_) due.push_back(i);
  }
  std::vector<bool> delivered(pending_.size());
  const bool shuffle = options().delay_turns_max > 0;
  while (!due.empty() && completions_.size() < options().completions_per_turn_max) {
    const uint64_t operation = pending_[due[shuffle ? random().Below(due.size()) : 0]].operation;
    const auto first = std::find_if(due.begin(), due.end(),
                                    [&](size_t i) { return pending_[i].operation == operation; });
    delivered[*first] = true;
    Record(pending_[*first]);
    due.erase(first);
  }
  size_t kept = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!delivered[i]) pending_[kept++] = pending_[i];
  }
  pending_.resize(kept);
  counters_.completions.Add(completions_.size());
}

void SimRing::Record(const Pending& pending) {
  const Completion& completion = pending.completion;
  completions_.push_back(completion);
  if (completion.kind == Kind::kDatagram) {
    if (completion.buffer != kNoBuffer) {
      CHECK(datagrams_[completion.buffer].state == BufferState::kFilled);
      datagrams_[completion.buffer].state = BufferState::kLent;
    }
    if (!completion.more) world_.datagram_socket(pending.target).receiving = false;
  } else if (completion.buffer != kNoBuffer) {
    CHECK(buffers_[completion.buffer].state == BufferState::kFilled);
    buffers_[completion.buffer].state = BufferState::kLent;
    counters_.buffers_lent.Add(1);
  }
  if (!completion.more && pending.target >= 0) {
    if (completion.kind == Kind::kReceive) {
      endpoints_[static_cast<size_t>(pending.target)].receiving = false;
    }
    if (completion.kind == Kind::kSend) {
      endpoints_[static_cast<size_t>(pending.target)].sending = false;
    }
  }
  char line[160];
  const int size = std::snprintf(
      line, sizeof(line), "ring %zu turn %llu operation %llu kind %d status %d result %d%s\n",
      index_, static_cast<unsigned long long>(turn_),
      static_cast<unsigned long long>(pending.operation), static_cast<int>(completion.kind),
      static_cast<int>(completion.status), completion.result, completion.more ? " more" : "");
  const std::string_view text(line, static_cast<size_t>(size));
  for (const char c : text) {  // FNV-1a
    world_.fingerprint = (world_.fingerprint ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  if (world_.trace != nullptr) world_.trace->append(text);
}

bool SimRing::MayWrite(std::span<const char> memory) const {
  const auto may = [memory](const Operation& operation) {
    const std::span<char> own = operation.memory;
    return own.data() < memory.data() + memory.size() && memory.data() < own.data() + own.size();
  };
  return std::any_of(queued_.begin(), queued_.end(), may) ||
         std::any_of(active_.begin(), active_.end(), may);
}

bool SimRing::Settled() const {
  return queued_.empty() && pending_.empty() &&
         std::none_of(active_.begin(), active_.end(),
                      [this](const Operation& operation) { return CanProceed(operation); });
}

void SimRing::CheckEnded() const {
  CHECK_EQ(queued_.size(), 0);
  CHECK_EQ(active_.size(), 0);
  CHECK_EQ(pending_.size(), 0);
  CHECK_EQ(free_.size(), buffers_.size());
  CHECK_EQ(datagrams_free_.size(), datagrams_.size());
  for (const Endpoint& end : endpoints_) CHECK(end.closed);
}

}  // namespace

// ---- the world

SimOptions SimOptions::Rough() {
  SimOptions options;
  options.buffer_count = 8;
  options.buffer_size_bytes = 512;
  options.completions_per_turn_max = 16;
  options.window_bytes = 4096;
  options.delay_turns_max = 4;
  options.hold_chance = 200;
  options.split_chance = 300;
  options.short_send_chance = 200;
  options.no_buffers_chance = 50;
  options.share_chance = 50;
  options.stop_missed_chance = 300;
  options.overflow_chance = 50;
  options.file_limit_chance = 50;
  options.wake_repeat_chance = 200;
  return options;
}

SimWorld::SimWorld(uint64_t seed, size_t rings, const SimOptions& options)
    : state_(std::make_unique<SimState>(seed, options)) {
  for (size_t i = 0; i < rings; ++i) {
    state_->rings.push_back(std::make_unique<SimRing>(state_.get(), i));
  }
}

SimWorld::~SimWorld() = default;

Ring& SimWorld::ring(size_t index) {
  CHECK_LT(index, state_->rings.size());
  return *state_->rings[index];
}

int SimWorld::Listen() {
  state_->listeners.emplace_back();
  return kListenerBase + static_cast<int>(state_->listeners.size()) - 1;
}

SimClient SimWorld::Connect(int listener, uint32_t window_bytes) {
  auto connection = std::make_unique<Connection>();
  connection->window_bytes = window_bytes != 0 ? window_bytes : state_->options.window_bytes;
  const size_t index = state_->connections.size();
  state_->connections.push_back(std::move(connection));
  state_->listener(listener).waiting.push_back(index);
  return SimClient(this, index);
}

int SimWorld::OpenDatagrams() {
  state_->datagram_sockets.emplace_back();
  return kDatagramBase + static_cast<int>(state_->datagram_sockets.size()) - 1;
}

void SimWorld::SendTo(int socket, uint16_t port, std::string_view bytes) {
  state_->datagram_socket(socket).to_server.push_back({port, std::string(bytes)});
}

std::vector<std::string> SimWorld::TakeDatagrams(int socket, uint16_t port) {
  std::deque<Datagram>& waiting = state_->datagram_socket(socket).to_clients;
  std::vector<std::string> taken;
  for (const Datagram& datagram : waiting) {
    if (datagram.port == port) taken.push_back(datagram.bytes);
  }
  std::erase_if(waiting, [port](const Datagram& datagram) { return datagram.port == port; });
  return taken;
}

void SimWorld::SetOptions(const SimOptions& options) { state_->options = options; }

bool SimWorld::MayWrite(std::span<const char> memory) const {
  return std::any_of(state_->rings.begin(), state_->rings.end(),
                     [memory](const auto& ring) { return ring->MayWrite(memory); });
}

bool SimWorld::Settled() const {
  return std::all_of(state_->rings.begin(), state_->rings.end(),
                     [](const auto& ring) { return ring->Settled(); });
}

void SimWorld::CheckEnded() const {
  CHECK_EQ(state_->descriptors_unattached, 0);
  for (const auto& ring : state_->rings) ring->CheckEnded();
}

uint64_t SimWorld::fingerprint() const { return state_->fingerprint; }
void SimWorld::TraceTo(std::string* trace) { state_->trace = trace; }

// ---- the client

size_t SimClient::Write(std::string_view bytes) {
  Connection& c = *world_->state_->connections[connection_];
  CHECK(!c.client_ended);
  if (c.broken || c.server_closed) return 0;
  const size_t room = c.window_bytes - std::min(c.window_bytes, c.to_server.size());
  const size_t size = std::min(room, bytes.size());
  c.to_server.append(bytes.substr(0, size));
  return size;
}

std::string SimClient::Read(size_t size_max) {
  Connection& c = *world_->state_->connections[connection_];
  std::string bytes = c.to_client.substr(0, size_max);
  c.to_client.erase(0, bytes.size());
  return bytes;
}

size_t SimClient::unreceived() const {
  return world_->state_->connections[connection_]->to_server.size();
}

size_t SimClient::unread() const {
  return world_->state_->connections[connection_]->to_client.size();
}

bool SimClient::AtEnd() const {
  const Connection& c = *world_->state_->connections[connection_];
  return c.to_client.empty() && (c.broken || c.server_closed);
}

void SimClient::CloseWrite() { world_->state_->connections[connection_]->client_ended = true; }
void SimClient::Reset() { world_->state_->connections[connection_]->broken = true; }

}  // namespace torc::ring
