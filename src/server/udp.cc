#include "src/server/udp.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace torc::server {

using ring::Completion;
using ring::Kind;
using ring::Status;

Udp::~Udp() {
  while (Connection* const c = open_.PopFront()) {
    conversations_.Delete(static_cast<Conversation*>(c));
  }
}

void Udp::AddSocket(int fd) {
  Socket& socket = sockets_.emplace_back();
  socket.fd = fd;
  core_.roster.AddListener({.fd = fd, .command_at = &socket.command_at});
}

// Receiving.

void Udp::Receive() {
  if (stopping_) return;
  const bool count = core_.shard.now() != drops_counted_;
  drops_counted_ = core_.shard.now();
  for (Socket& socket : sockets_) {
    if (count) CountDrops(socket);
    if (socket.armed || conversations_.used() == kDatagramsMax ||
        core_.shard.now_ns() < socket.resume_ns) {
      continue;
    }
    core_.shard.ring().ReceiveDatagrams(socket.fd, &socket);
    socket.armed = true;
  }
}

bool Udp::receiving() const {
  return stopping_ || std::all_of(sockets_.begin(), sockets_.end(),
                                  [](const Socket& socket) { return socket.armed; });
}

// What the kernel dropped because the socket was full.
void Udp::CountDrops(Socket& socket) {
  uint32_t figures[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof(figures);
  if (getsockopt(socket.fd, SOL_SOCKET, SO_MEMINFO, figures, &size) != 0) return;
  const uint32_t dropped = figures[SK_MEMINFO_DROPS] - socket.dropped;
  if (dropped == 0) return;
  socket.dropped += dropped;
  core_.failures.Count(Cause::kDatagramDropped, dropped - 1);
  core_.Fail(Cause::kDatagramDropped);
}

void Udp::OnDatagram(const Completion& completion) {
  Socket& socket = *static_cast<Socket*>(completion.owner);
  if (completion.buffer != ring::kNoBuffer) Begin(socket, completion);
  if (completion.more) return;
  socket.armed = false;
  switch (completion.status) {
    case Status::kOk:
    case Status::kCancelled:
      return;
    case Status::kNoBuffers:
      return core_.Fail(Cause::kDatagramsWait);
    case Status::kNoMemory:
      core_.Fail(Cause::kReceiveNoMemory, completion.system_error);
      break;
    default:
      core_.Fail(Cause::kDatagramReceiveFailed, completion.system_error);
      break;
  }
  socket.resume_ns = core_.shard.now_ns() + kAcceptPauseNs;
}

void Udp::Begin(Socket& socket, const Completion& completion) {
  core_.counters.bytes_read.Add(static_cast<uint64_t>(completion.result));
  socket.command_at = core_.shard.now();
  const std::optional<proto::UdpRequest> request =
      proto::ParseUdpRequest({completion.data, static_cast<size_t>(completion.result)});
  if (!request.has_value()) {
    core_.Fail(Cause::kDatagramNoRequest);
    return core_.shard.ring().ReturnDatagram(completion.buffer);
  }
  InSegment* const segment = stopping_ ? nullptr : core_.buffers.NewSegment();
  Conversation* const c = segment == nullptr ? nullptr : conversations_.New();
  if (c == nullptr) {
    if (segment != nullptr) core_.buffers.Release(segment);
    if (!stopping_) core_.Fail(Cause::kInputNoMemory);
    return core_.shard.ring().ReturnDatagram(completion.buffer);
  }
  segment->data = request->payload.data();
  segment->size = static_cast<uint32_t>(request->payload.size());
  c->datagram = true;
  c->read_closed = true;  // nothing follows the payload
  c->in_head = c->in_tail = segment;
  c->in_count = 1;
  c->command_at = c->sent_at = core_.shard.now();
  c->from = &socket;
  c->buffer = completion.buffer;
  c->request_id = request->id;
  std::memcpy(&c->peer, completion.peer, ring::SizeOf(completion.peer));
  open_.PushBack(*c);
  core_.MarkReady(*c);
}

// Sending and ending.

bool Udp::Flush(Connection& connection) {
  Conversation& c = static_cast<Conversation&>(connection);
  if (c.sending) return false;
  // What is left over of the batch names it.
  if (c.batch == core_.batch.serial()) return true;
  if (!c.broken) Send(c);
  if (c.broken) c.out.Clear(core_.buffers, desk_);
  if (c.state != ConnectionState::kClosing) return false;
  reader_.DropInput(c);
  if (!c.sending && c.out.empty() && c.pending == 0) End(c);
  return false;
}

// Finds the next reply. False: there is none, or not all of it.
bool Udp::BeginReply(Conversation& c) {
  // All at once, if they fit: so where a reply ends does not depend on when it was executed.
  if (c.out.has_gap() || (c.state != ConnectionState::kClosing && !c.out.full())) return false;
  proto::UdpReplyScanner scanner;
  c.out.Show(core_.engine(), [&](std::string_view piece) { return scanner.Take(piece); });
  c.reply_left = scanner.size() != 0 ? scanner.size() : c.out.bytes();
  if (c.reply_left == 0) {
    core_.DropSent(c, desk_, 0);  // empty stretches
    return false;
  }
  if (c.reply_left > proto::kUdpReplyBytesMax) {
    core_.Break(c, Cause::kDatagramReplyLost);
    return false;
  }
  c.sequence = 0;
  c.datagrams = proto::UdpDatagramsOf(c.reply_left);
  return true;
}

void Udp::Send(Conversation& c) {
  if (c.reply_left == 0 && !BeginReply(c)) return;
  proto::EncodeUdpHeader({c.request_id, c.sequence, c.datagrams, 0}, c.frame.data());
  const size_t payload = std::min<uint64_t>(c.reply_left, proto::kUdpPayloadBytesMax);
  char* to = c.frame.data() + proto::kUdpHeaderBytes;
  size_t room = payload;
  c.out.Show(core_.engine(), [&](std::string_view piece) {
    const size_t size = std::min(room, piece.size());
    std::memcpy(to, piece.data(), size);
    to += size;
    room -= size;
    return room != 0;
  });
  CHECK_EQ(room, 0);
  core_.DropSent(c, desk_, payload);
  c.reply_left -= payload;
  ++c.sequence;
  core_.shard.ring().SendDatagram(c.from->fd, {c.frame.data(), proto::kUdpHeaderBytes + payload},
                                  reinterpret_cast<const sockaddr*>(&c.peer), &c);
  c.sending = true;
}

void Udp::OnSent(const Completion& completion) {
  Conversation& c = *static_cast<Conversation*>(completion.owner);
  c.sending = false;
  core_.MarkDirty(c);
  if (completion.status == Status::kOk) {
    core_.counters.bytes_written.Add(static_cast<uint64_t>(completion.result));
    c.sent_at = core_.shard.now();
  } else {
    core_.Break(c, Cause::kDatagramReplyLost, completion.system_error);
  }
}

void Udp::End(Conversation& c) {
  CHECK(!c.sending && c.pending == 0 && c.out.empty());
  CHECK(c.in_head == nullptr && c.carry == nullptr && c.upload == nullptr);
  if (ReadyList::Linked(c)) ReadyList::Remove(c);
  if (DirtyList::Linked(c)) DirtyList::Remove(c);
  AllList::Remove(c);
  core_.shard.ring().ReturnDatagram(c.buffer);
  conversations_.Delete(&c);
}

// Stopping.

void Udp::StartStopping() {
  stopping_ = true;
  for (Socket& socket : sockets_) {
    if (socket.armed) core_.shard.ring().Stop(Kind::kDatagram, &socket);
  }
}

bool Udp::Done() const {
  return conversations_.used() == 0 &&
         std::none_of(sockets_.begin(), sockets_.end(),
                      [](const Socket& socket) { return socket.armed; });
}

void Udp::CutOff() {
  open_.ForEach([&](Connection& c) {
    if (!c.broken) core_.Break(c, Cause::kStopCutOff);
  });
}

}  // namespace torc::server
