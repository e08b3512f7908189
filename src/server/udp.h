// UDP: each datagram a conversation of its own, which ends when its commands are answered.
//
//   socket --> datagram buffer --> Conversation (a Connection whose input is the payload)
//                                     |  Reader, batch, Executor: as for any connection
//                                     v
//   client <-- datagrams of 1,400 <-- output, cut reply by reply (proto/udp/frame.h)
//
// A conversation reads until its payload ends; a command that is not all there is dropped without
// an answer. Replies leave when all commands are executed, or as many as fill the output, one
// datagram at a time: so they leave in order, and a conversation's copy of what is under way is one
// datagram. A reply that cannot be sent is dropped with all behind it, and counted: there is nobody
// who could be told.
//
// Memory is bounded by kDatagramsMax conversations of a shard. What arrives meanwhile waits in the
// socket and is dropped there when that is full; the kernel's count of it is taken over.
//
// Owner: the worker. Affinity: shard; AddSocket before its thread starts. Lifetime: as the worker.
// Invariant: a conversation has one datagram buffer, from its datagram to its end.
#ifndef TORC_SRC_SERVER_UDP_H_
#define TORC_SRC_SERVER_UDP_H_

#include <netinet/in.h>

#include <array>
#include <deque>

#include "proto/udp/frame.h"
#include "src/base/pool.h"
#include "src/server/core.h"
#include "src/server/reader.h"
#include "src/server/task_desk.h"

namespace torc::server {

class Udp {
 public:
  Udp(Core& core, TaskDesk& desk, Reader& reader)
      : core_(core), desk_(desk), reader_(reader), conversations_(kDatagramsMax) {}
  ~Udp();

  // Receives from a bound datagram socket, which stays the caller's.
  void AddSocket(int fd);
  bool empty() const { return sockets_.empty(); }

  // Completions of kDatagram and kSendDatagram.
  void OnDatagram(const ring::Completion& completion);
  void OnSent(const ring::Completion& completion);

  // Arms what is not armed, if there is a buffer for what it would receive. Once a turn, at its
  // end.
  void Receive();
  // Whether all that should be armed is.
  bool receiving() const;
  // For a dirty connection that is a conversation: sends, or ends it. True: look again next turn.
  bool Flush(Connection& c);

  // No more is received; conversations go on to their end. Done: there are none, nor receives.
  void StartStopping();
  bool Done() const;
  // Ends all conversations as soon as nothing is under way for them: their replies are lost.
  void CutOff();

 private:
  struct alignas(8) Socket {
    int fd = -1;
    bool armed = false;
    uint32_t dropped = 0;                      // by the kernel, as last seen
    int64_t resume_ns = 0;                     // do not receive before; 0: at once
    RelativeSeconds command_at = kClockStart;  // when a datagram last came
  };
  struct Conversation final : Connection {
    Socket* from = nullptr;
    ring::BufferId buffer = ring::kNoBuffer;
    uint16_t request_id = 0;
    uint16_t sequence = 0;    // of the next datagram of the reply, and how many it has
    uint16_t datagrams = 0;   // 0: the next one has not begun
    uint64_t reply_left = 0;  // bytes of the reply that are not in a datagram yet
    sockaddr_in6 peer{};      // of either family
    std::array<char, proto::kUdpDatagramBytesMax> frame;
  };

  void Begin(Socket& socket, const ring::Completion& completion);
  // Sends the next datagram, if there is one.
  void Send(Conversation& c);
  [[nodiscard]] bool BeginReply(Conversation& c);
  void End(Conversation& c);
  void CountDrops(Socket& socket);

  Core& core_;
  TaskDesk& desk_;
  Reader& reader_;
  std::deque<Socket> sockets_;
  Pool<Conversation> conversations_;
  AllList open_;  // the conversations
  bool stopping_ = false;
  RelativeSeconds drops_counted_ = 0;  // at most once a second: it takes a system call
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_UDP_H_
