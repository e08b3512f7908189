// The ring on io_uring.
//
//   Create ---------------> created, disabled in the kernel: any one thread may Attach to it and
//   queue operations
//     | first Turn
//     v
//   running --------------> bound to the thread of that Turn (SINGLE_ISSUER): all further calls
//   come from there
//
// user_data of a submission, which comes back with its completions:
//
//   63                                                      3 2   0
//   +--------------------------------------------------------+-----+
//   | owner (8-aligned, so its low bits are free)            |kind |   an operation of the shard
//   +---------------------------------------------+----------+-----+
//   | argument: slot, event descriptor            | internal |  0  |   one of the ring's own
//   +---------------------------------------------+----------+-----+
//                                               6  5      3
//
// The one header of the real ring that other folders include; <liburing.h> stays inside
// uring_ring.cc.
//
// Owner: one shard.
// Affinity: shard (see above).
// Lifetime: as Ring.
// Invariant: a provided buffer is the kernel's or lent to the shard; a direct slot is free, or
// taken from Attach until the completion of Close.
#ifndef TORC_SRC_RING_URING_RING_H_
#define TORC_SRC_RING_URING_RING_H_

#include <cstdint>
#include <memory>
#include <string>

#include "src/ring/probe.h"
#include "src/ring/ring.h"

namespace torc::ring {

struct UringOptions {
  // Places in the submission queue. When more is asked for within a turn, the ring submits in
  // between.
  uint32_t submission_entries = 256;
  // Places in the completion queue. Past them the kernel sets completions aside, at a cost; nothing
  // is lost.
  uint32_t completion_entries = 4096;
  // Provided buffers for receiving: a power of two, at most 32,768, and their size.
  uint32_t buffer_count = 256;
  uint32_t buffer_size_bytes = 16 * 1024;
  // Buffers for datagrams, of kDatagramBufferBytes: a power of two, or 0 where none are received.
  uint32_t datagram_buffer_count = 0;
  // Places for direct descriptors; lowered to the limit of open files. Sockets past them stay plain
  // descriptors.
  uint32_t direct_descriptors = 4096;
  // What the kernel has, by RunProbe. Everything off works too, more slowly.
  Features features;
};

class UringRing : public Ring {
 public:
  // The most completions one Turn returns; the rest waits for the next. Bounds the time between two
  // looks at the clock.
  static constexpr size_t kCompletionsPerTurnMax = 512;

  // Makes a ring (after any fork: a ring does not survive one), or returns null and says in `error`
  // what failed and why. The ring belongs to the thread that calls Turn first. Descriptors given to
  // it must be blocking ones (no O_NONBLOCK): io_uring would hand EAGAIN through instead of waiting
  // for them.
  static std::unique_ptr<UringRing> Create(const UringOptions& options, std::string* error);
};

}  // namespace torc::ring

#endif  // TORC_SRC_RING_URING_RING_H_
