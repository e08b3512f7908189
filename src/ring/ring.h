// The ring: how a shard asks the kernel for work and hears of it, hidden behind an interface so
// that the whole shard also runs against a simulated one (src/ring/sim_ring.h). UringRing
// (src/ring/uring_ring.h) is the real one.
//
//   shard                        Ring                         kernel
//     | Receive(socket, owner) -->| queues a submission          |
//     | Send(socket, iovecs)   -->| queues a submission          |
//     | Turn(wait)             -->| submits all, waits if asked ->|
//     |<-- span of Completion ----| reaps                      <-|
//     | ReturnBuffer(id)       -->| buffer back to the kernel    |
//
// Operations queue up and run at Turn; their completions are returned by a later Turn, never from
// inside a call, so nothing recurses. errno stops here: completions carry a Status.
//
// Owner: one shard.
// Affinity: shard (create it on, or hand it over to, the shard's thread before its first Turn).
// Lifetime: outlives its operations; an owner named in one outlives its last completion.
// Invariant: each operation has exactly one final completion (`more` false).
#ifndef TORC_SRC_RING_RING_H_
#define TORC_SRC_RING_RING_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "src/base/types.h"

namespace torc::ring {

// A socket as this ring knows it: a direct descriptor (an index in the ring's own table) where the
// kernel has them, a plain descriptor otherwise. Only the ring that attached it can use it.
struct Socket {
  int32_t value = -1;
  bool valid() const { return value >= 0; }
};

enum class Kind : uint8_t {
  kAccept = 1,    // `result` is a plain file descriptor, owned by the receiver of the completion
  kReceive = 2,   // `result` bytes: `data`, in provided buffer `buffer`; or where ReceiveInto says
  kSend = 3,      // `result` bytes were sent, perhaps fewer than asked
  kWake = 4,      // another thread called Wake; `owner` is null
  kClose = 5,     // the socket is closed
  kDatagram = 6,  // `data`, `result` bytes from `peer`, in datagram buffer `buffer`
  kSendDatagram = 7,  // it left, whole
};

// Why an operation ended, where it did not end well.
enum class Status : uint8_t {
  kOk,
  kEndOfStream,  // receive: the peer has shut down its side (result 0)
  kReset,        // the connection is broken (ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ...)
  kNoBuffers,  // receive: all provided buffers are in use (ENOBUFS); arm it again when one is back
  kFileLimit,  // accept: no file descriptor left (EMFILE, ENFILE)
  kNoMemory,   // the kernel refused memory (ENOMEM, ENOBUFS elsewhere than in receive)
  kCancelled,  // the operation was stopped (ECANCELED, EINTR)
  kRejected,   // the kernel rejects the request itself: a bug or a missing feature (EINVAL, ...)
};

using BufferId = uint16_t;
inline constexpr BufferId kNoBuffer = 0xFFFF;

// A datagram buffer holds any datagram there can be (65,507 bytes), and its sender's address.
inline constexpr uint32_t kDatagramBufferBytes = 68 << 10;

// The size of an address of the internet, by its family.
inline socklen_t SizeOf(const sockaddr* address) {
  return address->sa_family == AF_INET6 ? 28 : 16;
}

struct Completion {
  void* owner = nullptr;  // as given with the operation
  // kReceive into a buffer, kDatagram: the bytes, valid until ReturnBuffer, ReturnDatagram(buffer).
  const char* data = nullptr;
  int32_t result = 0;           // by kind; 0 where status is not kOk
  int32_t system_error = 0;     // the errno behind status, for logs only
  BufferId buffer = kNoBuffer;  // likewise: to be given back so, once
  Kind kind = Kind::kWake;
  Status status = Status::kOk;
  bool more = false;  // a multishot operation goes on; false: this was its last completion
  const sockaddr* peer = nullptr;  // kDatagram: who sent it; lies in the buffer, too
};

// What another thread needs to wake a ring.
struct WakeTarget {
  int32_t ring_fd = -1;   // for MSG_RING, or the index of a simulated ring
  int32_t event_fd = -1;  // for the fallback
};

// Figures of one ring; single writer, readable by any thread.
struct Counters {
  Counter turns;                 // calls of Turn
  Counter enters;                // io_uring_enter system calls
  Counter waits;                 // turns that were allowed to sleep
  Counter submissions;           // operations submitted
  Counter completions;           // completions reaped
  Counter completion_overflows;  // times the kernel set completions aside: the queue was full
  Counter completions_lost;      // it had no memory to set them aside: operations that never end
  Counter submissions_refused;   // system calls that submitted nothing: the kernel had no memory
  Counter buffers_lent;          // provided buffers the shard holds at this moment
  Counter buffers_exhausted;     // receives that ended with kNoBuffers
  Counter wakes_sent;            // Wake calls
  Counter wakes_refused;  // of these, those that took the way of the event descriptor instead
};

// An `owner` is handed back with each completion of the operation. It is null or aligned to 8 bytes
// (the real ring keeps the kind of the operation in the bits below).
class Ring {
 public:
  virtual ~Ring() = default;

  // Accepts connections on a listening descriptor until the operation fails or is cancelled
  // (multishot). Completions: kAccept with `more` true for each connection. As with Receive, a
  // connection may come with `more` false: arm it again.
  virtual void Accept(int listener_fd, void* owner) = 0;

  // Takes over a connected plain descriptor. Afterwards only the returned Socket is used; the plain
  // descriptor belongs to the ring. Cannot fail: where the direct table is full or missing it stays
  // a plain descriptor.
  virtual Socket Attach(int fd) = 0;

  // Receives into provided buffers until the stream ends, fails, is stopped, or buffers run out
  // (multishot). It may end with kOk, with bytes (the kernel ends a multishot operation when its
  // completion queue is full) or without (others took all that is received in one turn): arm it
  // again. What one turn receives is bounded, but not each operation's share of it. At most one
  // receive per socket, of whichever form, may be under way: the caller sees to it.
  virtual void Receive(Socket socket, void* owner) = 0;

  // Likewise, but ends with what comes first, in one buffer: where the bytes behind it are likely
  // to be asked for by ReceiveInto.
  virtual void ReceiveOnce(Socket socket, void* owner) = 0;

  // Receives the next `memory.size()` bytes of the stream, at least one, into `memory`, which must
  // stay until the completion. The kernel is asked to wait for all (MSG_WAITALL); a shorter result
  // is possible all the same, and comes first where the stream ends, breaks or is stopped: the next
  // receive says so then, or of a broken one that it has ended.
  virtual void ReceiveInto(Socket socket, std::span<char> memory, void* owner) = 0;

  // Asks an armed receive of any form, ReceiveDatagrams or Accept of this `owner` to end; its last
  // completion tells when it has (kCancelled, or whatever came first). It may miss a ReceiveOnce or
  // ReceiveInto that is just being armed: ask again after a turn.
  virtual void Stop(Kind kind, void* owner) = 0;

  // Sends the bytes of `pieces` in order. The iovec array must stay until the next Turn returns,
  // the bytes until the completion. `more_follows`: another send comes as soon as this one is done,
  // whose bytes the caller has already; what does not fill a segment may wait for it. At most one
  // send per socket may be under way: the caller sees to it. The kernel is asked to send all
  // (MSG_WAITALL); a shorter result is possible all the same.
  virtual void Send(Socket socket, std::span<const iovec> pieces, bool more_follows,
                    void* owner) = 0;

  // Ends both directions: operations under way on the socket complete soon, with what came first
  // (kCancelled, kEndOfStream, kReset or a result). It may miss what is just being armed: ask again
  // after a turn. Afterwards nothing but this, Stop and Close may be asked for on this socket.
  virtual void Shutdown(Socket socket) = 0;

  // Closes the socket; no other operation may be under way on it. One completion of kClose.
  virtual void Close(Socket socket, void* owner) = 0;

  // Receives from a datagram socket of the internet, a plain descriptor that stays the caller's,
  // into the ring's datagram buffers, until it fails, is stopped, or these run out (multishot; ends
  // as Receive may, and always with kNoBuffers in a ring without any). What finds no buffer waits
  // in the socket, and is dropped there when that is full.
  virtual void ReceiveDatagrams(int fd, void* owner) = 0;

  // Sends one datagram. The bytes and the address must stay until the completion. Several may be
  // under way, but then arrive in any order.
  virtual void SendDatagram(int fd, std::string_view bytes, const sockaddr* to, void* owner) = 0;

  // Gives a datagram buffer back. The bytes are gone from here on.
  virtual void ReturnDatagram(BufferId buffer) = 0;

  // Gives a provided buffer back to the kernel. The bytes are gone from here on.
  virtual void ReturnBuffer(BufferId buffer) = 0;

  // How another ring wakes this one. Constant after construction; any thread.
  virtual WakeTarget wake_target() const = 0;

  // Makes the other ring's Turn return with a kWake completion. Called on this ring's thread; sent
  // at once or with the next Turn.
  virtual void Wake(const WakeTarget& target) = 0;

  // Submits all that is queued and reaps completions. If none is ready, sleeps up to `timeout_ns`
  // (0: does not sleep, negative: no limit). May return early and empty-handed. The span stays
  // valid until the next call.
  virtual std::span<const Completion> Turn(int64_t timeout_ns) = 0;

  virtual const Counters& counters() const = 0;
};

}  // namespace torc::ring

#endif  // TORC_SRC_RING_RING_H_
