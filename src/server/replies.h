// Results into reply bytes and into statistics: the same for an operation executed here and one
// executed by another shard.
//
// Owner: none, functions. Affinity: shard. Lifetime: static. Invariant: every result of every style
// has exactly one reply.
#ifndef TORC_SRC_SERVER_REPLIES_H_
#define TORC_SRC_SERVER_REPLIES_H_

#include <string_view>

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

// Counts an executed operation and its failure. Once for each, by the worker of its connection.
void CountResult(const engine::Op& op, Core& core);

// The reply to a result other than a hit; empty where nothing is said (a get's miss, kSilent).
// kNumber is not constant: it is written to `digits`.
inline constexpr size_t kDigitsMax = proto::kNumberLineBytesMax;
// `digits` has room for kDigitsMax bytes.
std::string_view ReplyText(const engine::Op& op, char* digits);

// Writes "VALUE key flags size[ cas]\r\n" for a hit; at most proto::kValueHeaderBytesMax bytes.
// Returns the end.
inline char* WriteValueHeader(char* to, ReplyStyle style, const engine::Op& op) {
  return style == ReplyStyle::kValueWithCas
             ? proto::EncodeValueHeader(to, op.key_view(), op.client_flags, op.value_size, op.cas)
             : proto::EncodeValueHeader(to, op.key_view(), op.client_flags, op.value_size);
}

// Copies a hit's value to `to`. Returns the end.
char* CopyValue(char* to, const engine::Op& op, const engine::Engine& engine);

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_REPLIES_H_
