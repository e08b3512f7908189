// Every limit of the front end, in one place, each with its reason. All are fixed at start; their
// relations are asserted below.
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

// Direct descriptors per shard: 20 bytes of tables each.
inline constexpr uint32_t kDirectDescriptorsMax = 64 << 10;

// A block of replies, of a line that arrived in parts, or of input that had to leave its receive
// buffer.
inline constexpr uint32_t kBlockBytes = 16 << 10;
// A provided receive buffer: memcached reads 16 KiB at a time; a whole pipeline or a small value
// fits. Its contents fit a block.
inline constexpr uint32_t kReceiveBufferBytes = kBlockBytes - 64;
// Provided buffers per shard: 4 MiB. They follow the data in flight: each is parsed and given back
// in the turn that received it, so this many connections can have new data in one turn before one
// must wait for the next.
inline constexpr uint32_t kReceiveBuffers = 256;

// Blocks per shard, at most: 256 MiB for clients that do not read their replies. Short of that by a
// turn's worth, no further commands are read until blocks come back, and clients that take nothing
// are disconnected.
inline constexpr uint32_t kBlocksMax = 16 << 10;
inline constexpr uint32_t kOutNodesMax = 128 << 10;
inline constexpr uint32_t kInSegmentsMax = 64 << 10;

// Values up to this size are copied into the reply; larger ones are sent from where they lie,
// pinned. At 4 KiB the copy costs about as much as the extra pieces of a gathered send.
inline constexpr uint32_t kCopyValueBytesMax = 4 << 10;
// Values of other shards up to this size are copied; larger ones take a message to their owner, who
// alone may pin them.
inline constexpr uint32_t kCopyForeignValueBytesMax = 16 << 10;

// Values up to this size are copied where they cannot be pinned, because too many are.
inline constexpr uint32_t kCopyUnpinnedBytesMax = 64 << 10;

// A connection's replies that wait to be sent; above it, its commands wait. One turn may add
// kOperationsPerTurn copied values.
inline constexpr uint32_t kOutputBytesHigh = 256 << 10;
// The memory that they hold, likewise: many small replies take more than their bytes.
inline constexpr uint32_t kOutputHeldHigh = 256 << 10;
// A reply of another shard up to this size is copied next to its neighbours instead of holding a
// block of its own.
inline constexpr uint32_t kGapCopyBytesMax = 1 << 10;
// Where buffer memory is used up, a client that holds this much of it and has taken nothing for so
// long is disconnected.
inline constexpr uint32_t kSlowClientHeldMin = 32 << 10;
inline constexpr uint32_t kSlowClientSeconds = 5;
// Received buffers that a connection may hold before its receive stops.
inline constexpr uint32_t kInputSegmentsHigh = 4;
// Datagrams that a shard serves at a time: each takes up to 66 KiB while it is served, and its
// replies. What comes meanwhile waits in the kernel, in the socket.
inline constexpr uint32_t kDatagramsMax = 32;
// What a UDP socket asks for to hold what waits, in each direction; the system may give it less.
inline constexpr int kDatagramSocketBytes = 1 << 20;
// Keys that one connection may put into one turn: fairness. Its commands are limited by -R.
inline constexpr uint32_t kOperationsPerTurn = 128;
// Bytes of values arriving in parts that one turn copies into their items: of one connection, and
// of all. What is left stays in its buffers until a later turn, so that no small request waits for
// more than this, 0.1 ms of copying. The first must not be much larger than what a turn receives
// (512 KiB while large values arrive, see UringRing), or two uploads would wait for each other.
inline constexpr uint32_t kUploadBytesPerTurn = 256 << 10;
inline constexpr uint32_t kTurnUploadBytesMax = 512 << 10;
// A client sends in bulk if so much of a value came within one turn, and as much is still to come.
// From then on the kernel puts the rest of its large values straight into their items, which spares
// the copy; not where less than the latter is left, which a receive buffer holds anyway.
inline constexpr uint32_t kBulkBytesMin = 64 << 10;
inline constexpr uint32_t kFillBytesMin = kReceiveBufferBytes;
// Bytes of one such receive, and how many may be under way: together they bound what the kernel
// copies for them between two turns (1 MiB, 0.1 to 0.2 ms). With 64 KiB a value of a megabyte took
// 1.13 times the processor time. Clients beyond these are received into buffers; so a client that
// stops in the middle of a value costs others the copy, and no more. The kernel tries a receive 128
// times before it leaves it to a thread of its own: 128 KiB come in 91 full segments.
inline constexpr uint32_t kFillBytesMax = 128 << 10;
inline constexpr uint32_t kFillsMax = 8;
// Operations of one connection under way to other shards.
inline constexpr uint32_t kPendingTasksHigh = 128;

// Tasks to spare for those that wait for room in mailboxes: a large value of another shard is
// copied, or missed, without one.
inline constexpr uint32_t kTasksQueuedMax = 16 << 10;

// Operations of a shard that its engine may have to answer before it reads no further commands: far
// more than a device has under way at once, and what they take (a task each, and what the engine
// keeps) stays within a few megabytes.
inline constexpr uint32_t kAwaitedHigh = 8 << 10;

// Pieces of one gathered send (the kernel's UIO_MAXIOV is 1,024), and of all sends of one turn.
inline constexpr uint32_t kSendPiecesMax = 128;
inline constexpr uint32_t kTurnPiecesMax = 8 << 10;
// So many replies at the front of a connection's output become one piece, and up to so many bytes:
// a copy of a few hundred bytes costs less than the kernel's work for another ten pieces.
inline constexpr uint32_t kJoinNodesMin = 4;
inline constexpr uint32_t kJoinBytesMax = 2 << 10;
// Bytes of one send, and of the sends with which a turn begins no further one: the kernel copies
// them all before the call that submits them returns, 0.1 to 0.2 ms for each megabyte. In sends of
// 256 KiB a value of a megabyte took twice the processor time. Replies up to kSendSmallBytes are
// neither counted nor held back.
inline constexpr uint32_t kSendBytesMax = 1 << 20;
inline constexpr uint32_t kTurnSendBytesMax = 512 << 10;
inline constexpr uint32_t kSendSmallBytes = 16 << 10;
// Replies of a connection that has used up its share of a turn (-R, kOperationsPerTurn) wait for
// those of the next, up to so many bytes and for so many turns: a batch leaves in one send, which
// halves what it costs (docs/segments.md). Its first reply waits for at most eight turns' worth.
inline constexpr uint32_t kHeldBytesMax = 64 << 10;
inline constexpr uint32_t kHeldTurnsMax = 7;
// Replies before a gap wait so long for the answer that fills it: a few turns of a busy shard.
inline constexpr int64_t kAwaitAnswerNs = 500'000;

// Replies of one batch: every operation may be joined by others that need no engine.
inline constexpr uint32_t kBatchEntriesMax = 2 * engine::kBatchMax;

// Dumps (lru_crawler metadump and mgdump, stats cachedump, refs and sizes) that run at a time: each
// takes a slice of a shard's turns, and up to 600 KiB. memcached runs one.
inline constexpr uint32_t kDumpsMax = 8;

// How long the answer to a wrong password waits, in ticks of the shard's clock: one to two seconds.
// kSleepNsMax comes on top where a shard has nothing else to do.
inline constexpr uint32_t kAuthPenaltySeconds = 2;

// How long the loop sleeps at most: the clock's second must not be missed for long by background
// work.
inline constexpr int64_t kSleepNsMax = 500'000'000;
// How long to wait before accepting again when the process is out of file descriptors (memcached:
// 10 ms).
inline constexpr int64_t kAcceptPauseNs = 10'000'000;
// Of one step of SASL: mechanisms need some hundred. With a packet's head it fits a block.
inline constexpr uint32_t kSaslDataBytesMax = 8 << 10;
// How long a stopping server waits for clients to take their replies: for one that takes nothing
// meanwhile, and for all.
inline constexpr uint32_t kStopSilenceSeconds = 2;
inline constexpr int64_t kStopNsMax = 10'000'000'000;
// And then for sockets to close.
inline constexpr int64_t kStopCloseNsMax = 2'000'000'000;

static_assert(proto::kValueHeaderBytesMax + kCopyValueBytesMax + 7 <= kBlockBytes - 16,
              "a copied value and its frame fit one block");
static_assert(proto::kUnfinishedLineBytesMax <= kBlockBytes - 16, "a partial line fits one block");
static_assert(kReceiveBufferBytes <= kBlockBytes - 16, "input can move to a block");
static_assert((kDatagramsMax & (kDatagramsMax - 1)) == 0, "UringOptions::datagram_buffer_count");
static_assert(kReceiveBuffers < 0xFFFF, "buffer numbers are 16 bits");
static_assert(kUploadBytesPerTurn < kTurnUploadBytesMax, "one upload leaves room for another");
static_assert(kBulkBytesMin <= kUploadBytesPerTurn, "a turn can show that a client sends in bulk");
static_assert(kHeldBytesMax < kSendBytesMax && kHeldBytesMax < kOutputBytesHigh,
              "held replies leave in one send, and do not stop their connection");
static_assert(kSendSmallBytes < kTurnSendBytesMax);

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_LIMITS_H_
