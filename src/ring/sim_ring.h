// Simulated rings: N of them, sharing simulated listeners and sockets, all decided by one seed.
//
//   test's clients            SimWorld                     shards under test
//     Connect ------------->| listener's queue |<-- Accept --- ring(0)
//     Write --------------->| bytes to server  |<-- Receive --- ring(1)
//     Read <----------------| bytes to client  |<-- Send ------   ...
//
// A simulated ring does what the kernel may do, far more often than the kernel does: it splits
// receives at any byte, shortens sends, ends multishot operations early, runs out of buffers,
// breaks connections, holds operations back, reorders the completions of different operations,
// delays and repeats wakes. It never does what the kernel would not: completions of one operation
// stay in order, and each operation ends once. Only one thing is worse than there: a send that
// announces more keeps its last bytes, short of a segment, until that comes or the socket closes,
// where the kernel has a timer. A shard that announces what does not come hangs.
//
// It also watches the shards, with CHECK: one receive and one send per socket at a time, nothing
// under way at Close, nothing asked of a socket after Close, each buffer returned once. Received
// bytes lie in memory of exactly their size that is freed when the buffer returns, and bytes to be
// sent are read as late as possible, so AddressSanitizer sees a shard that reads too far, too late,
// or frees too early.
//
// The test drives: it calls each shard's loop in any order it likes, and the clients in between.
// Turn never blocks. The same seed and the same calls give the same run, byte for byte.
//
// Owner: the test.
// Affinity: one thread for all of it.
// Lifetime: outlives the shards and all SimClients.
// Invariant: a buffer is free, filled (its completion is under way) or lent.
#ifndef TORC_SRC_RING_SIM_RING_H_
#define TORC_SRC_RING_SIM_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/ring/ring.h"

namespace torc::ring {

struct SimOptions {
  uint32_t buffer_count = 16;
  uint32_t buffer_size_bytes = 2048;
  uint32_t datagram_buffer_count = 4;
  uint32_t completions_per_turn_max = 64;
  // What a connection holds in each direction between writer and reader.
  uint32_t window_bytes = 16 * 1024;

  // The chances of each mishap, out of 1,000, whenever there is an occasion. All 0: a kernel on its
  // best day.
  uint32_t delay_turns_max = 0;    // completions wait up to so many turns (not a chance)
  uint32_t hold_chance = 0;        // an operation that could proceed does not, in this turn
  uint32_t split_chance = 0;       // a receive brings fewer bytes than there are
  uint32_t short_send_chance = 0;  // a send ends before all is sent
  uint32_t no_buffers_chance = 0;  // a receive ends with kNoBuffers though there are buffers
  uint32_t share_chance = 0;       // likewise with kOk: others took this turn's; or one into memory
                                   // ends early
  uint32_t stop_missed_chance = 0;  // Stop, Shutdown miss what waits for bytes or room but once
  uint32_t overflow_chance =
      0;  // a full completion queue: counted, and the multishot operation ends
  uint32_t file_limit_chance =
      0;  // an accept ends with kFileLimit; the connection waits in the queue
  uint32_t no_memory_chance = 0;      // an accept, receive or send ends with kNoMemory
  uint32_t datagram_loss_chance = 0;  // one that is sent does not arrive
  uint32_t reset_chance = 0;          // a connection breaks, perhaps before it is accepted
  uint32_t rejected_chance = 0;       // an accept, receive or send ends with kRejected
  uint32_t wake_repeat_chance = 0;    // a wake comes twice

  // Every mishap often, except those that lose a connection.
  static SimOptions Rough();
};

class SimWorld;
struct SimState;  // what the rings share; inside sim_ring.cc

// The client's end of a connection: a handle, copied at will.
class SimClient {
 public:
  // Puts as many of `bytes` on the way as the window takes; returns their number (0 on a broken
  // connection).
  size_t Write(std::string_view bytes);
  // Takes up to `size_max` of the bytes that have arrived.
  std::string Read(size_t size_max = SIZE_MAX);
  // Bytes on the way to the server that it has not received, and to the client that Read has not
  // taken.
  size_t unreceived() const;
  size_t unread() const;
  // The server has closed, or the connection broke, and all that arrived was read.
  bool AtEnd() const;
  // Half-closes: the server receives what is on the way, then the end of the stream.
  void CloseWrite();
  // Breaks the connection in both directions.
  void Reset();

 private:
  friend class SimWorld;
  SimClient(SimWorld* world, size_t connection) : world_(world), connection_(connection) {}
  SimWorld* world_;
  size_t connection_;
};

class SimWorld {
 public:
  SimWorld(uint64_t seed, size_t rings, const SimOptions& options);
  ~SimWorld();

  Ring& ring(size_t index);

  // A new listener, to be given to Ring::Accept. All descriptors are numbers no system call knows.
  int Listen();
  // A connection in the queue of `listener`. `window_bytes` 0: as the options say.
  SimClient Connect(int listener, uint32_t window_bytes = 0);

  // A new datagram socket, to be given to Ring::ReceiveDatagrams and SendDatagram.
  int OpenDatagrams();
  // Puts a datagram in the queue of `socket`, from the client that has `port`.
  void SendTo(int socket, uint16_t port, std::string_view bytes);
  // What `socket` has sent to that client since.
  std::vector<std::string> TakeDatagrams(int socket, uint16_t port);

  // Another set of mishaps from here on. Buffers stay as they are.
  void SetOptions(const SimOptions& options);
  // Whether a receive that is under way may still write into this memory.
  bool MayWrite(std::span<const char> memory) const;
  // Nothing is under way: another Turn of any ring would return nothing unless a client or a shard
  // does something.
  bool Settled() const;
  // CHECKs that every operation has ended, every buffer came back, and every descriptor handed out
  // was attached and closed again.
  void CheckEnded() const;
  // A hash over every completion delivered so far, by ring, in order.
  uint64_t fingerprint() const;
  // Appends one line for each completion delivered from here on. Null: stop.
  void TraceTo(std::string* trace);

 private:
  friend class SimClient;
  std::unique_ptr<SimState> state_;
};

}  // namespace torc::ring

#endif  // TORC_SRC_RING_SIM_RING_H_
