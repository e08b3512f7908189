#include "src/server/worker.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "src/server/statistics.h"

namespace torc::server {

using ring::Completion;
using ring::Kind;
using ring::Status;
using State = ConnectionState;

namespace {

// How long to sleep while something waits for another shard or for memory whose readers are other
// shards: they need a turn, and most send a wake-up when they have had it. Or for the engine, which
// sends none: a device that answers it takes about as long.
constexpr int64_t kRetryNs = 50'000;

// Of a handed-over connection's message. -c is at most 2^30 with them: see RaiseFileLimit.
constexpr uint32_t kProtocolBits = 2;

// Builds of the bench's send each turn's replies by themselves, joined by the ring or not at all
// (--config=join-none and its like): what the other ways cost. Not for service: the ring is told
// that more follows where that is likely, and a batch that ends otherwise waits for a timer.
#if defined(TORC_JOIN_NONE) || defined(TORC_JOIN_MORE) || defined(TORC_JOIN_CORK)
constexpr bool kHoldsReplies = false;
#else
constexpr bool kHoldsReplies = true;
#endif

// Connections that a turn looks at in search of idle ones: some microseconds.
constexpr uint32_t kIdleSlice = 256;

}  // namespace

Worker::Worker(shard::Shard& shard, Shared& shared)
    : core_(shard, shared),
      desk_(core_),
      operators_(core_, desk_),
      executor_(core_, desk_),
      reader_(core_, desk_, operators_, *this),
      udp_(core_, desk_, reader_),
      connections_(shared.connections_max + 1) {
  shard.SetService(this);
  core_.counters.accepting.Set(1);
}

Worker::~Worker() {
  all_.ForEach([&](Connection& c) {
    AllList::Remove(c);
    connections_.Delete(&c);
  });
}

void Worker::AddListener(int fd, Protocol protocol) {
  CountAsAccepting();
  Acceptor acceptor;
  acceptor.fd = fd;
  acceptor.protocol = protocol;
  acceptors_.push_back(acceptor);
  core_.roster.AddListener({.fd = fd});
}

void Worker::AddDatagramSocket(int fd) {
  CountAsAccepting();
  udp_.AddSocket(fd);
}

void Worker::CountAsAccepting() {
  if (!accepting_) ++core_.shared.accepting;
  accepting_ = true;
}

// Completions.

void Worker::OnCompletion(const Completion& completion) {
  switch (completion.kind) {
    case Kind::kAccept:
      OnAccept(*static_cast<Acceptor*>(completion.owner), completion);
      break;
    case Kind::kReceive:
      OnReceive(*static_cast<Connection*>(completion.owner), completion);
      break;
    case Kind::kSend:
      OnSend(*static_cast<Connection*>(completion.owner), completion);
      break;
    case Kind::kClose:
      if (completion.status != Status::kOk) {
        core_.Fail(Cause::kCloseFailed, completion.system_error);
      }
      Free(*static_cast<Connection*>(completion.owner));
      break;
    case Kind::kDatagram:
      udp_.OnDatagram(completion);
      break;
    case Kind::kSendDatagram:
      udp_.OnSent(completion);
      break;
    case Kind::kWake:
      break;
  }
}

void Worker::OnAccept(Acceptor& acceptor, const Completion& completion) {
  if (!completion.more) acceptor.armed = false;
  Cause cause = Cause::kAcceptFailed;
  switch (completion.status) {
    case Status::kOk:
      return Accepted(completion.result, acceptor.protocol);
    case Status::kCancelled:
      return;
    case Status::kReset:
      return core_.Fail(Cause::kAcceptAborted);
    case Status::kFileLimit:
      cause = Cause::kAcceptFileLimit;
      break;
    case Status::kNoMemory:
      cause = Cause::kAcceptNoMemory;
      break;
    default:
      break;
  }
  // Connections wait in the backlog until one closes, or a little.
  core_.Fail(cause, completion.system_error);
  core_.counters.listen_disabled_us.Add(kAcceptPauseNs / 1000);
  acceptor.resume_ns = core_.shard.now_ns() + kAcceptPauseNs;
}

void Worker::Accepted(int fd, Protocol protocol) {
  Shared& shared = core_.shared;
  if (stopping_) {
    close(fd);
    return;
  }
  if (shared.connections.fetch_add(1, std::memory_order_relaxed) >= shared.connections_max) {
    shared.connections.fetch_sub(1, std::memory_order_relaxed);
    const std::string_view text = core_.FailureReply(Cause::kTooManyConnections);
    // A new socket has room for a line; a client that is gone already does not read it.
    [[maybe_unused]] const ssize_t sent =
        send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    return;
  }
  core_.counters.connections_total.Add(1);
  // To the shard that has the fewest; the kernel spreads connections over listeners by a hash,
  // which is not even.
  const auto assigned = [&](ShardId id) {
    return shared.assigned[id].connections.load(std::memory_order_relaxed);
  };
  ShardId to = core_.self();
  for (ShardId id = 0; id < core_.shard.shards(); ++id) {
    if (assigned(id) < assigned(to)) to = id;
  }
  shared.assigned[to].connections.fetch_add(1, std::memory_order_relaxed);
  if (to != core_.self()) {
    // A descriptor and a protocol in one number: descriptors have 31 bits, and far fewer in use.
    const uint32_t argument =
        static_cast<uint32_t>(fd) << kProtocolBits | static_cast<uint32_t>(protocol);
    const shard::Message message{static_cast<uint32_t>(MessageKind::kAdopt), argument, nullptr};
    if (core_.shard.Post(to, message)) {
      core_.counters.connections_handed_over.Add(1);
      return;
    }
    core_.Fail(Cause::kHandoverRefused);
    shared.assigned[to].connections.fetch_sub(1, std::memory_order_relaxed);
    shared.assigned[core_.self()].connections.fetch_add(1, std::memory_order_relaxed);
  }
  Adopt(fd, protocol);
}

void Worker::Uncount() {
  core_.shared.assigned[core_.self()].connections.fetch_sub(1, std::memory_order_relaxed);
  core_.shared.connections.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::Adopt(int fd, Protocol protocol) {
  Connection* const c = stopping_ ? nullptr : connections_.New();
  if (c == nullptr) {
    if (!stopping_) core_.Fail(Cause::kConnectionNoMemory);
    close(fd);
    Uncount();
    return;
  }
  c->place = core_.roster.Add(c, fd);
  c->socket = core_.shard.ring().Attach(fd);
  c->command_at = core_.shard.now();
  c->protocol = protocol;
  c->unauthenticated = core_.shared.users != nullptr || core_.shared.options.sasl;
  all_.PushBack(*c);
  core_.counters.connections_open.Add(1);
  if (connections_.used() > core_.counters.connections_peak.Get()) {
    core_.counters.connections_peak.Set(connections_.used());
  }
  KeepReceiving(*c);
}

void Worker::Free(Connection& c) {
  CHECK(c.closing_socket && !c.receiving && !c.sending && c.pending == 0);
  CHECK(c.in_head == nullptr && c.carry == nullptr && c.upload == nullptr && c.out.empty());
  const auto unlink = [&]<typename Tag>(IntrusiveList<Connection, Tag>*) {
    if (IntrusiveList<Connection, Tag>::Linked(c)) IntrusiveList<Connection, Tag>::Remove(c);
  };
  unlink(&core_.ready);
  unlink(&core_.dirty);
  unlink(&starved_);
  unlink(&holding_);
  unlink(&all_);
  if (!core_.sasl_sessions.empty()) core_.sasl_sessions.erase(c.place);
  core_.roster.Remove(c.place);
  connections_.Delete(&c);
  core_.counters.connections_open.Subtract(1);
  Uncount();
}

void Worker::OnReceive(Connection& c, const Completion& completion) {
  if (completion.buffer != ring::kNoBuffer) {
    core_.counters.bytes_read.Add(static_cast<uint64_t>(completion.result));
    InSegment* const segment = c.state == State::kClosing ? nullptr : core_.buffers.NewSegment();
    if (segment == nullptr) {
      core_.shard.ring().ReturnBuffer(completion.buffer);
      if (c.state != State::kClosing) core_.Break(c, Cause::kInputNoMemory);
    } else {
      segment->data = completion.data;
      segment->size = static_cast<uint32_t>(completion.result);
      segment->buffer = completion.buffer;
      core_.buffers.BufferHeld();
      (c.in_tail != nullptr ? c.in_tail->next : c.in_head) = segment;
      c.in_tail = segment;
      ++c.in_count;
      core_.MarkReady(c);
    }
  }
  if (completion.more) return;
  if (c.filling) {
    core_.counters.bytes_read.Add(static_cast<uint64_t>(completion.result));
    if (c.state != State::kClosing) reader_.Filled(c, static_cast<uint32_t>(completion.result));
    --fills_;
  }
  c.receiving = c.filling = c.stop_receive = false;
  switch (completion.status) {
    case Status::kOk:
    case Status::kCancelled:
      break;
    case Status::kEndOfStream:
      c.read_closed = true;
      break;
    case Status::kNoBuffers:
    case Status::kNoMemory:
      core_.Fail(completion.status == Status::kNoBuffers ? Cause::kReceiveNoBuffer
                                                         : Cause::kReceiveNoMemory);
      if (!StarvedList::Linked(c)) starved_.PushBack(c);
      break;
    case Status::kReset:
      core_.Break(c, Cause::kConnectionReset, completion.system_error);
      break;
    default:
      core_.Break(c, Cause::kReceiveFailed, completion.system_error);
      break;
  }
  // To be armed again, or to be closed, once what was received is read. If that is nothing, others
  // took all the buffers: it comes before them.
  if (c.state == State::kClosing) {
    core_.MarkDirty(c);
  } else {
    if (c.in_head == nullptr) KeepReceiving(c);
    core_.MarkReady(c);
  }
}

void Worker::OnSend(Connection& c, const Completion& completion) {
  c.sending = false;
  core_.MarkDirty(c);
  switch (completion.status) {
    case Status::kOk:
      core_.counters.bytes_written.Add(static_cast<uint64_t>(completion.result));
      c.sent_at = core_.shard.now();
      core_.DropSent(c, desk_, static_cast<uint64_t>(completion.result));
      break;
    case Status::kCancelled:
      break;
    case Status::kNoMemory:
      core_.Fail(Cause::kSendNoMemory);  // and is tried again
      break;
    case Status::kReset:
      core_.Break(c, Cause::kSendReset, completion.system_error);
      break;
    default:
      core_.Break(c, Cause::kSendFailed, completion.system_error);
      break;
  }
}

// Messages.

void Worker::OnRequest(ShardId from, const shard::Message& message) {
  if (static_cast<MessageKind>(message.kind) == MessageKind::kAdopt) {
    Adopt(static_cast<int>(message.argument >> kProtocolBits),
          static_cast<Protocol>(message.argument & ((1U << kProtocolBits) - 1)));
  } else if (static_cast<MessageKind>(message.kind) == MessageKind::kJob) {
    operators_.OnRequest(from, message);
  } else {
    desk_.OnRequest(from, message);
  }
}

void Worker::OnAnswer(ShardId, const shard::Message& message) {
  if (static_cast<MessageKind>(message.kind) == MessageKind::kJob) {
    operators_.OnAnswer(message);
  } else {
    desk_.OnAnswer(message);
  }
}

// The turn.

int64_t Worker::OnTurn(int64_t now_ns) {
  if (core_.shard.stopping() && !stopping_) StartStopping();
  core_.ready.Splice(later_);
  if (!penalized_.empty()) [[unlikely]]
    EndPenalties();
  reader_.BeginTurn();
  const bool waiting = desk_.Retry();
  desk_.Collect();
  // What is left over from the last turn, and the requests of other shards; their connections' next
  // commands join the same batch.
  stalled_ = !executor_.Run() || !ReadReady();
  if (!holding_.empty()) RelieveBuffers();
  ResumeReceiving();
  ResumeAccepting();
  if (!core_.buffers.plenty() && core_.shard.now() != slow_clients_looked_at_) {
    slow_clients_looked_at_ = core_.shard.now();
    DropSlowClients();
  }
  const bool more_idle = core_.shared.options.idle_timeout_seconds != 0 && CloseIdle();
  Flush();
  pieces_used_ = send_bytes_ = 0;
  udp_.Receive();
  NoteRingFailures();

  if (stopping_) {
    // Conversations count as well: they may be waiting for other shards.
    if (accepting_ && udp_.Done() &&
        std::none_of(acceptors_.begin(), acceptors_.end(),
                     [](const Acceptor& acceptor) { return acceptor.armed; })) {
      accepting_ = false;
      --core_.shared.accepting;
    }
    CutOffSlowClients(now_ns > stop_deadline_ns_);
  }
  if (!core_.ready.empty() || !passed_over_.empty() || !core_.dirty.empty() || more_idle) return 0;
  // Memory comes free as soon as the other shards have had a turn: at once, if there are none. Else
  // not by spinning: they may need this core for it.
  if (stalled_) return core_.shard.shards() == 1 ? 0 : kRetryNs;
  if (waiting || desk_.awaiting() != 0 || !later_.empty() || !starved_.empty()) return kRetryNs;
  if (!awaiting_.empty()) return std::max(AwaitsLeftUs(), 1U) * int64_t{1000};
  if (stopping_) return kAcceptPauseNs;
  for (const Acceptor& acceptor : acceptors_) {
    if (!acceptor.armed) return kAcceptPauseNs;
  }
  if (!udp_.receiving()) return kAcceptPauseNs;
  return kSleepNsMax;
}

bool Worker::ReadReady() {
  ReadyList reading;
  reading.Splice(passed_over_);
  reading.Splice(core_.ready);
  while (!reading.empty()) {
    if (desk_.crowded()) [[unlikely]] {
      later_.Splice(reading);
      break;
    }
    Connection* const c = reading.PopFront();
    const Reader::Step stop = reader_.Read(*c);
    if (stop == Reader::Step::kBatch) {
      // On with it at once, in a fresh batch, unless memory must come free first.
      reading.PushBack(*c);
      if (!executor_.Run()) {
        core_.ready.Splice(reading);
        return false;
      }
      continue;
    }
    AfterRead(*c, stop);
  }
  return executor_.Run();
}

void Worker::AfterRead(Connection& c, Reader::Step stop) {
  c.goes_on = false;
  if (c.awaits_answer && c.out.too_long_to_wait()) [[unlikely]]
    core_.EndAwait(c);
  switch (stop) {
    case Reader::Step::kInput:
      if (c.read_closed) {
        // What is incomplete now stays so.
        c.state = State::kClosing;
        core_.MarkDirty(c);
      }
      break;
    case Reader::Step::kShare:
      c.goes_on = c.state == State::kCommand || c.state == State::kKeys;
      core_.MarkReady(c);
      break;
    case Reader::Step::kTurn:
      if (!ReadyList::Linked(c)) passed_over_.PushBack(c);
      break;
    case Reader::Step::kLater:
      if (!ReadyList::Linked(c)) later_.PushBack(c);
      break;
    case Reader::Step::kPenalty:
      if (!ReadyList::Linked(c)) penalized_.PushBack(c);
      break;
    case Reader::Step::kBlocked:
      break;
    case Reader::Step::kGoOn:
    case Reader::Step::kBatch:
    case Reader::Step::kClosing:
      core_.MarkDirty(c);
      return;
  }
  const bool was_bulk = c.bulk;
  // What it was when its receive was chosen, it stays while that is under way.
  if (!was_bulk) {
    c.bulk = fills_ < kFillsMax && Reader::SendsInBulk(c);
  } else if (!c.receiving) {
    c.bulk = Reader::SendsInBulk(c);
  }
  if (c.in_count >= kInputSegmentsHigh || (c.bulk && !was_bulk)) StopReceiving(c);
  if (c.in_head != nullptr && !c.datagram && !HoldingList::Linked(c)) holding_.PushBack(c);
  KeepReceiving(c);
}

void Worker::KeepReceiving(Connection& c) {
  if (c.receiving || c.read_closed || c.state == State::kClosing ||
      c.in_count >= kInputSegmentsHigh || StarvedList::Linked(c)) {
    return;
  }
  ring::Ring& ring = core_.shard.ring();
  if (!c.bulk) [[likely]] {
    ring.Receive(c.socket, &c);
  } else if (c.in_head != nullptr) {
    return;  // where what comes next belongs is known once this is read
  } else if (const std::span<char> room = reader_.RoomToFill(c); room.empty()) {
    ring.ReceiveOnce(c.socket, &c);
  } else if (fills_ < kFillsMax) {
    ring.ReceiveInto(c.socket, room, &c);
    c.filling = true;
    ++fills_;
  } else {
    c.bulk = false;  // for now
    ring.Receive(c.socket, &c);
  }
  c.receiving = true;
}

void Worker::StopReceiving(Connection& c) {
  if (!c.receiving || c.stop_receive) return;
  core_.shard.ring().Stop(Kind::kReceive, &c);
  c.stop_receive = true;
}

// A connection that does not read all that it received, for its share, its output or another shard,
// must not keep others from receiving: a client that sends much may have dozens of the ring's
// buffers. Runs after the batch, which points into them.
void Worker::RelieveBuffers() {
  HoldingList holding;
  holding.Splice(holding_);
  const bool scarce = core_.buffers.buffers_held() > kReceiveBuffers / 4;
  while (Connection* const c = holding.PopFront()) {
    if (c->in_head == nullptr || c->state == State::kClosing) continue;
    if (c->batch == core_.batch.serial()) {
      holding_.PushBack(*c);  // part of the batch is left over: next turn
    } else if (scarce && !(c->state == State::kUpload && ReadyList::Linked(*c))) {
      MoveInputToBlocks(*c);  // but for what waits only for its next turn: copying is what it is
                              // spared
    } else if (!ReadyList::Linked(*c)) {
      holding_.PushBack(*c);  // nobody looks at it until it can go on: it may become scarce before
    }
  }
}

// Copies what a connection has received out of the ring's buffers. Requires that no entry of the
// batch points into them.
void Worker::MoveInputToBlocks(Connection& c) {
  if ((c.state == State::kHeld || c.state == State::kKeys) && c.carry == nullptr) {
    Block* const line = core_.buffers.NewBlock();
    if (line == nullptr) return core_.Fail(Cause::kReliefNoMemory);
    CHECK_LE(c.held.size(), sizeof(line->bytes));
    std::memcpy(line->bytes, c.held.data(), c.held.size());
    line->used = static_cast<uint32_t>(c.held.size());
    c.held = {line->bytes, line->used};
    c.carry = line;
  }
  for (InSegment* segment = c.in_head; segment != nullptr; segment = segment->next) {
    if (segment->buffer == ring::kNoBuffer || segment->refs != 1) continue;
    if (segment->size != 0) {
      Block* const block = core_.buffers.NewBlock();
      if (block == nullptr) return core_.Fail(Cause::kReliefNoMemory);
      CHECK_LE(segment->size, sizeof(block->bytes));
      std::memcpy(block->bytes, segment->data, segment->size);
      block->used = segment->size;
      segment->block = block;
      segment->data = block->bytes;
    }
    core_.buffers.BufferMoved(segment->buffer);
    segment->buffer = ring::kNoBuffer;
  }
}

// Buffer memory is used up: those who hold it and take nothing have to go, so that the others can
// go on.
void Worker::DropSlowClients() {
  all_.ForEach([&](Connection& c) {
    const uint64_t held_bytes = c.out.held_bytes() + uint64_t{c.in_count} * kBlockBytes;
    if (!c.broken && c.sending && held_bytes >= kSlowClientHeldMin &&
        core_.shard.now() >= c.sent_at + kSlowClientSeconds) {
      core_.Break(c, Cause::kSlowClientDropped);
    }
  });
}

// The sleep of a shard without work is short enough to need no timer here.
void Worker::EndPenalties() {
  while (!penalized_.empty()) {
    Connection& first = *penalized_.Front();
    if (core_.shard.now() < first.penalty_end && !stopping_) break;
    core_.ready.PushBack(*penalized_.PopFront());
  }
}

void Worker::ResumeReceiving() {
  if (starved_.empty() || core_.buffers.buffers_held() > kReceiveBuffers / 2) return;
  StarvedList starved;
  starved.Splice(starved_);
  while (Connection* const c = starved.PopFront()) KeepReceiving(*c);
}

void Worker::ResumeAccepting() {
  if (stopping_) return;
  bool all_armed = true;
  for (Acceptor& acceptor : acceptors_) {
    if (!acceptor.armed && core_.shard.now_ns() >= acceptor.resume_ns) {
      core_.shard.ring().Accept(acceptor.fd, &acceptor);
      acceptor.armed = true;
    }
    all_armed = all_armed && acceptor.armed;
  }
  core_.counters.accepting.Set(all_armed ? 1 : 0);
}

// -o idle_timeout: once a second all connections are looked at, a slice a turn. Who waits for torc
// is not idle, nor is one whose replies are not all taken: DropSlowClients is about those; nor, as
// in memcached, is one that owes the rest of a value. True: on with it in the next turn.
bool Worker::CloseIdle() {
  const RelativeSeconds now = core_.shard.now();
  if (idle_left_ == 0) {
    if (now == idle_looked_for_) return false;
    idle_looked_for_ = now;
    idle_left_ = static_cast<uint32_t>(core_.counters.connections_open.Get());
  }
  // From the front to the back of the list: who comes or goes meanwhile may be missed, until the
  // next second.
  const uint32_t count = std::min(idle_left_, kIdleSlice);
  for (uint32_t i = 0; i < count && !all_.empty(); ++i) {
    Connection& c = *all_.PopFront();
    all_.PushBack(c);
    const bool awaits_command = c.state == State::kCommand || c.state == State::kSkipLine;
    if (!awaits_command || c.in_head != nullptr || c.sending || c.pending != 0 || !c.out.empty() ||
        now - c.command_at <= core_.shared.options.idle_timeout_seconds) {
      continue;
    }
    core_.Fail(Cause::kIdleTimeout);
    c.state = State::kClosing;
    core_.MarkDirty(c);
  }
  idle_left_ -= count;
  return idle_left_ != 0;
}

// Sending and closing.

void Worker::Flush() {
  if (!awaiting_.empty()) EndAwaits();
  DirtyList again;
  while (Connection* const c = core_.dirty.PopFront()) {
    if (!c->datagram && AwaitAnswer(*c)) continue;
    bool again_next_turn = false;
    if (c->datagram) {
      again_next_turn = udp_.Flush(*c);
    } else if (HoldReplies(*c)) {
      again_next_turn = true;
    } else if (!Send(*c)) {
      again_next_turn = true;
      c->held_turns = kHeldTurnsMax;  // it has waited
    } else {
      again_next_turn = CloseIfDone(*c);
    }
    if (again_next_turn) again.PushBack(*c);
  }
  core_.dirty.Splice(again);
}

// Replies before a gap leave with those behind it: another shard answers within a turn of its own,
// and a second send costs more than that. Not for long, since some writes are slow; not where the
// engine takes its time; and not what follows a send that said so. The last answer ends it
// (TaskDesk::Settle), or its time (EndAwaits), or that it grows too long (AfterRead).
bool Worker::AwaitAnswer(Connection& c) {
  if (!c.out.has_gap()) [[likely]]
    return false;
  if (!others_answer_soon_ || desk_.awaiting() != 0 || !c.out.sendable() || c.out.half_sent() ||
      c.out.too_long_to_wait() || c.sending || c.broken || c.state == State::kClosing ||
      c.held_turns == kHeldTurnsMax) {
    return false;
  }
  c.goes_on = false;
  c.held_turns = kHeldTurnsMax;  // once
  c.awaits_answer = true;
  c.awaits_until_us = NowUs() + static_cast<uint32_t>(kAwaitAnswerNs / 1000);
  awaiting_.PushBack(c);
  return true;
}

// How long the first of them waits, in microseconds of a clock that wraps; 0: its time is over, as
// after a time longer than any wait.
uint32_t Worker::AwaitsLeftUs() {
  const uint32_t left_us = awaiting_.Front()->awaits_until_us - NowUs();
  return left_us <= kAwaitAnswerNs / 1000 ? left_us : 0;
}

void Worker::EndAwaits() {
  while (!awaiting_.empty() && AwaitsLeftUs() == 0) core_.EndAwait(*awaiting_.Front());
}

// Only from a turn that used up its share to the next, in which it is read again: whatever ends
// that, its replies leave in the same turn.
bool Worker::HoldReplies(Connection& c) {
  const bool hold = kHoldsReplies && c.goes_on && c.held_turns < kHeldTurnsMax && !c.broken &&
                    c.out.bytes() <= kHeldBytesMax;
  if (kHoldsReplies) c.goes_on = false;
  c.held_turns = hold ? (c.held_turns + 1) & kHeldTurnsMax : 0;
  return hold;
}

bool Worker::Send(Connection& c) {
  if (c.sending || c.broken || !c.out.sendable()) return true;
  const size_t room = std::min<size_t>(kSendPiecesMax, kTurnPiecesMax - pieces_used_);
  if (room == 0) return false;
  const bool small = c.out.bytes() <= kSendSmallBytes;
  if (!small && send_bytes_ >= kTurnSendBytesMax) return false;
  if (c.out.joinable()) core_.JoinReplies(c);
  const std::span<iovec> pieces(&pieces_[pieces_used_], room);
  uint64_t bytes = 0;
  bool more_follows = false;
  const size_t count = c.out.Gather(core_.engine(), pieces, kSendBytesMax, &bytes, &more_follows);
  if (count == 0) {
    // Nothing but empty stretches before a gap.
    core_.DropSent(c, desk_, 0);
    return true;
  }
  pieces_used_ += static_cast<uint32_t>(count);
  if (!small) send_bytes_ += static_cast<uint32_t>(bytes);
  if (!kHoldsReplies) {
    more_follows |= c.goes_on;
    c.goes_on = false;
  }
  if (more_follows) c.held_turns = kHeldTurnsMax;
  core_.shard.ring().Send(c.socket, pieces.first(count), more_follows, &c);
  c.sending = true;
  c.sent_at = core_.shard.now();
  return true;
}

bool Worker::CloseIfDone(Connection& c) {
  if (c.state != State::kClosing || c.closing_socket) return false;
  if (c.broken) {
    if (c.sending) {
      core_.shard.ring().Shutdown(c.socket);  // ends the send
      return true;                            // unless it misses it
    }
    c.out.Clear(core_.buffers, desk_);
  }
  // Entries left over from this turn name it: they run next turn.
  if (c.batch == core_.batch.serial()) return true;
  // At once: its replies may take long to leave.
  reader_.DropInput(c);
  const bool waits = c.sending || !c.out.empty() || c.pending != 0;
  if (c.receiving && (!waits || c.filling)) {
    if (c.bulk) c.stop_receive = false;  // a stop may miss one of its receives: again each turn
    StopReceiving(c);
    return c.bulk;
  }
  if (waits || c.receiving) return false;
  if (ReadyList::Linked(c)) ReadyList::Remove(c);
  core_.shard.ring().Close(c.socket, &c);
  c.closing_socket = true;
  return false;
}

// What the ring met by itself; its counters are not reset, these are.
void Worker::NoteRingFailures() {
  const ring::Counters& now = core_.shard.ring_counters();
  const auto note = [&](Cause cause, const Counter& counter, uint64_t* seen) {
    const uint64_t count = counter.Get();
    if (count == *seen) [[likely]]
      return;
    core_.failures.Count(cause, count - *seen - 1);
    core_.Fail(cause);
    *seen = count;
  };
  note(Cause::kCompletionOverflow, now.completion_overflows, &ring_failures_seen_.overflows);
  note(Cause::kCompletionLost, now.completions_lost, &ring_failures_seen_.lost);
  note(Cause::kSubmissionRefused, now.submissions_refused, &ring_failures_seen_.submissions);
  note(Cause::kWakeRefused, now.wakes_refused, &ring_failures_seen_.wakes);
  const uint32_t refused = core_.shared.auth_files_refused.load(std::memory_order_relaxed);
  for (; core_.self() == 0 && auth_files_refused_seen_ != refused; ++auth_files_refused_seen_) {
    core_.Fail(Cause::kAuthFileRefused);
  }
}

// Stopping: no new connections, no new input; what was received is served, replies leave, sockets
// close.

void Worker::StartStopping() {
  stopping_ = true;
  stop_deadline_ns_ = core_.shard.now_ns() + kStopNsMax;
  for (Acceptor& acceptor : acceptors_) {
    if (acceptor.armed) core_.shard.ring().Stop(Kind::kAccept, &acceptor);
  }
  udp_.StartStopping();
  all_.ForEach([&](Connection& c) {
    c.read_closed = true;
    c.sent_at = core_.shard.now();
    StopReceiving(c);
    if (c.state != State::kClosing) core_.MarkReady(c);
  });
}

// Those that have taken nothing for long, or all.
void Worker::CutOffSlowClients(bool all) {
  if (all) udp_.CutOff();
  all_.ForEach([&](Connection& c) {
    if (!c.broken && (all || core_.shard.now() > c.sent_at + kStopSilenceSeconds)) {
      core_.Break(c, Cause::kStopCutOff);
    }
  });
}

bool Worker::Finished() const {
  if (!stopping_) return false;
  // Whatever is still open then stays so.
  if (core_.shard.now_ns() > stop_deadline_ns_ + kStopCloseNsMax) return true;
  return core_.shared.accepting == 0 &&
         core_.shared.connections.load(std::memory_order_relaxed) == 0;
}

void Worker::OnStats(Connection& c, std::string_view arguments, const Asked& asked) {
  WriteStatistics(core_, operators_, c, arguments, asked);
}

void Worker::OnOperator(Connection& c, const proto::Request& request) {
  operators_.Execute(c, request);
}

void Worker::CheckInvariants() const {
  uint32_t fills = 0;
  const_cast<AllList&>(all_).ForEach([&](Connection& c) {
    uint32_t segments = 0;
    for (const InSegment* s = c.in_head; s != nullptr; s = s->next) {
      ++segments;
      CHECK(s->refs > 0);
      if (s->next == nullptr) CHECK(s == c.in_tail);
    }
    CHECK_EQ(segments, c.in_count);
    CHECK(core_.roster.entries()[c.place].connection == &c);
    CHECK(c.pending > 0 || c.pending_keys.none());
    CHECK(!c.filling || (c.receiving && c.bulk && c.upload != nullptr));
    fills += c.filling ? 1 : 0;
    CHECK(!c.awaits_answer || (DirtyList::Linked(c) && !c.sending && !c.closing_socket));
    CHECK((c.upload != nullptr) == (c.state == State::kUpload || c.state == State::kReserving) ||
          c.state == State::kClosing);
  });
  CHECK_EQ(fills, fills_);
}

}  // namespace torc::server
