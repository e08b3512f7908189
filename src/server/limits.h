// Every limit of the front end, in one place, each with its reason. All are fixed at start; their relations are asserted below.
//
// Owner: none. Affinity: any. Lifetime: constants. Invariant: the static_asserts.
#ifndef TORC_SRC_SERVER_LIMITS_H_
#define TORC_SRC_SERVER_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "proto/text/encoder.h"
#include "proto/text/parser.h"
#include "src/engine/engine.h"

namespace torc::server {

// A provided receive buffer. memcached reads 16 KiB at a time; a whole pipeline or a small value fits.
inline constexpr uint32_t kReceiveBufferBytes = 16 << 10;
// Provided buffers per shard: 4 MiB. They follow the data in flight: each is parsed and given back in the turn that received it, so
// this many connections can have new data in one turn before one must wait for the next.
inline constexpr uint32_t kReceiveBuffers = 256;

// A block of replies, or of a line that arrived in parts. Large enough for a get of 50 keys of 100 bytes.
inline constexpr uint32_t kBlockBytes = 8 << 10;
// Blocks per shard, at most: 256 MiB for clients that do not read their replies. Above kBlocksReserved short of that no further
// commands are read until blocks come back.
inline constexpr uint32_t kBlocksMax = 32 << 10;
inline constexpr uint32_t kOutNodesMax = 128 << 10;
inline constexpr uint32_t kInSegmentsMax = 64 << 10;

// Values up to this size are copied into the reply; larger ones are sent from where they lie, pinned. At 4 KiB the copy costs about
// as much as the extra pieces of a gathered send.
inline constexpr uint32_t kCopyValueBytesMax = 4 << 10;
// Values of other shards up to this size are copied; larger ones take a message to their owner, who alone may pin them.
inline constexpr uint32_t kCopyForeignValueBytesMax = 16 << 10;

// A connection's replies that wait to be sent; above it, its commands wait. One turn may add kOperationsPerTurn copied values.
inline constexpr uint32_t kOutputBytesHigh = 256 << 10;
// Received buffers that a connection may hold before its receive stops.
inline constexpr uint32_t kInputSegmentsHigh = 4;
// Keys that one connection may put into one turn, unless its last command began before: fairness. Commands are limited by -R.
inline constexpr uint32_t kOperationsPerTurn = 128;
// Operations of one connection under way to other shards.
inline constexpr uint32_t kPendingTasksHigh = 128;

// Pieces of one gathered send (the kernel's UIO_MAXIOV is 1,024), and of all sends of one turn.
inline constexpr uint32_t kSendPiecesMax = 128;
inline constexpr uint32_t kTurnPiecesMax = 8 << 10;

// Replies of one batch: every operation may be joined by others that need no engine.
inline constexpr uint32_t kBatchEntriesMax = 2 * engine::kBatchMax;

// Operations of a shard that other shards execute, and uploads, at once.
inline constexpr uint32_t kTasksMax = 16 << 10;

// How long the loop sleeps at most: the clock's second must not be missed for long by background work.
inline constexpr int64_t kSleepNsMax = 500'000'000;
// How long to wait before accepting again when the process is out of file descriptors (memcached: 10 ms).
inline constexpr int64_t kAcceptPauseNs = 10'000'000;
// How long a stopping server waits for clients to take their replies.
inline constexpr int64_t kStopNsMax = 2'000'000'000;

static_assert(proto::kValueHeaderBytesMax + kCopyValueBytesMax + 7 <= kBlockBytes - 16,
              "a copied value and its frame fit one block");
static_assert(proto::kUnfinishedLineBytesMax <= kBlockBytes - 16, "a partial line fits one block");
static_assert(kReceiveBuffers < 0xFFFF, "buffer numbers are 16 bits");

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_LIMITS_H_
