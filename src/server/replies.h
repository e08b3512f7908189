// Results into reply bytes and into statistics: the same for an operation executed here and one
// executed by another shard.
//
// Owner: none, functions. Affinity: shard. Lifetime: static. Invariant: every result of every style
// has exactly one reply.
#ifndef TORC_SRC_SERVER_REPLIES_H_
#define TORC_SRC_SERVER_REPLIES_H_

#include <algorithm>
#include <cstring>
#include <string_view>

#include "proto/binary/encoder.h"
#include "proto/meta/encoder.h"
#include "proto/text/encoder.h"
#include "src/server/core.h"
#include "src/server/task.h"

namespace torc::server {

using proto::kEnd;
using proto::kLineEnd;

// How an executed operation failed; kNone: it did not.
Cause CauseOf(const engine::Op& op);

// Why a store fails for which Reserve or Execute found no memory.
Cause CauseOf(engine::Shortage shortage);

namespace internal {
void CountAnyResult(const engine::Op& op, const Asked& asked, const MetaAsked* meta, Core& core);
}  // namespace internal

// Counts an executed operation and its failure. Once for each, by the worker of its connection.
inline void CountResult(const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                        Core& core) {
  // Most operations by far, in place. Those of meta have a verb of their own.
  const bool hit = op.result == engine::Result::kHit;
  if (op.verb == engine::Verb::kGet &&
      (hit || (op.result == engine::Result::kMiss && op.miss == engine::Miss::kAbsent)))
      [[likely]] {
    core.counters.cmd_get.Add(1);
    (hit ? core.counters.get_hits : core.counters.get_misses).Add(1);
    return;
  }
  if (op.verb == engine::Verb::kSet && op.result == engine::Result::kStored &&
      op.miss == engine::Miss::kAbsent) {
    core.counters.cmd_set.Add(1);
    return;
  }
  internal::CountAnyResult(op, asked, meta, core);
}

// The reply to a result other than a hit; empty where nothing is said (a get's miss, quiet
// commands). It is constant, or written to `scratch`, which has room for kReplyBytesMax bytes.
// `meta`, here and below: of style kMeta, else not looked at.
inline constexpr size_t kReplyBytesMax =
    std::max({proto::kNumberLineBytesMax, proto::kBinaryValueHeadBytesMax,
              proto::kBinaryStatusBytesMax, proto::kMetaReplyBytesMax});
std::string_view ReplyText(const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                           RelativeSeconds now, char* scratch);

// The reply to a hit: a head, as much of the value as is asked for (all or nothing), and a tail.
inline constexpr size_t kHeadBytesMax = std::max(
    {proto::kValueHeaderBytesMax, proto::kBinaryValueHeadBytesMax, proto::kMetaReplyBytesMax});
namespace internal {
char* WriteMetaHead(char* to, const engine::Op& op, const MetaAsked& meta, RelativeSeconds now);
bool ShowsValue(const engine::Op& op, const MetaAsked& meta);
}  // namespace internal

// Writes "VALUE key flags size[ cas]\r\n", or what binary or meta has for it; at most kHeadBytesMax
// bytes. Returns the end.
inline char* WriteHead(char* to, const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                       RelativeSeconds now) {
  switch (asked.style) {
    case ReplyStyle::kBinary:
      return proto::EncodeBinaryValue(to, asked.to(),
                                      asked.with_key ? op.key_view() : std::string_view{},
                                      op.client_flags, op.value_size, op.cas);
    case ReplyStyle::kMeta:
      return internal::WriteMetaHead(to, op, *meta, now);
    case ReplyStyle::kValueWithCas:
      return proto::EncodeValueHeader(to, op.key_view(), op.client_flags, op.value_size, op.cas);
    default:
      return proto::EncodeValueHeader(to, op.key_view(), op.client_flags, op.value_size);
  }
}
// Bytes of the value that follow.
inline uint32_t ValueBytes(const engine::Op& op, const Asked& asked, const MetaAsked* meta) {
  const bool shown = asked.style != ReplyStyle::kMeta || internal::ShowsValue(op, *meta);
  return shown ? op.value_size : 0;
}
// What follows the value. Constant, at most kTailBytesMax bytes.
inline constexpr size_t kTailBytesMax = kLineEnd.size() + kEnd.size();
namespace internal {
inline constexpr std::string_view kLineEndAndEnd = "\r\nEND\r\n";
}  // namespace internal
inline std::string_view TailOf(const engine::Op& op, const Asked& asked, const MetaAsked* meta) {
  switch (asked.style) {
    case ReplyStyle::kBinary:
      return "";  // not null: it is copied
    case ReplyStyle::kMeta:
      return internal::ShowsValue(op, *meta) ? kLineEnd : "";
    default:
      return asked.ends_command ? internal::kLineEndAndEnd : kLineEnd;
  }
}
// Writes it. Returns the end; up to kTailBytesMax bytes behind `to` may have been written to.
inline char* WriteTail(char* to, const engine::Op& op, const Asked& asked, const MetaAsked* meta) {
  switch (asked.style) {
    case ReplyStyle::kBinary:
      return to;
    case ReplyStyle::kMeta:
      return proto::Encode(to, TailOf(op, asked, meta));
    default:
      // Whole, with END or without: copying as much as is wanted takes longer.
      std::memcpy(to, internal::kLineEndAndEnd.data(), internal::kLineEndAndEnd.size());
      return to + (asked.ends_command ? internal::kLineEndAndEnd : kLineEnd).size();
  }
}
// Of a hit that is answered as a miss, for want of room: what the client reads.
inline std::string_view MissText(const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                                 RelativeSeconds now, char* scratch) {
  engine::Op miss = op;
  miss.result = engine::Result::kMiss;
  return ReplyText(miss, asked, meta, now, scratch);
}

namespace internal {
char* CopyPieces(char* to, const engine::Op& op, const engine::Engine& engine);
}  // namespace internal

// Copies a hit's value to `to`. Returns the end.
inline char* CopyValue(char* to, const engine::Op& op, const engine::Engine& engine) {
  if (op.value == nullptr) [[unlikely]]
    return internal::CopyPieces(to, op, engine);
  std::memcpy(to, op.value, op.value_size);
  return to + op.value_size;
}

// Writes the whole reply: kHeadBytesMax + `value_bytes` + kTailBytesMax bytes at most, with
// `value_bytes` as ValueBytes says. Returns the end.
inline char* WriteHit(char* to, const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                      uint32_t value_bytes, RelativeSeconds now, const engine::Engine& engine) {
  to = WriteHead(to, op, asked, meta, now);
  if (value_bytes != 0) to = CopyValue(to, op, engine);
  return WriteTail(to, op, asked, meta);
}

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_REPLIES_H_
