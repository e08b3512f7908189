// A task: an operation that is not over within its turn, because another shard executes it, because
// the engine answers it later, or because its value has not arrived. It travels to the owner of the
// key as a message's payload and comes back as the answer.
//
//   kinds of message                 payload     answer
//     kExecute    op                 Task        op with its result; for a hit, `reply` or a pin
//     kReserve    op without value   Task        `reserved`, op.item
//     kAbandon    op.item            Task        done: the task comes home to its pool
//     kUnpin                         item        none
//     kAdopt      argument: fd       none        none
//     kFlush      argument: when     Task        done
//     kReset                         Task        done
//     kJob                           Job         a slice of it is done (operators.h)
//
// Owner: the worker of the connection. Affinity: the sender's shard, or the owner's between request
// and answer. Lifetime: until answered. Invariant: `key` holds what op.key points to.
#ifndef TORC_SRC_SERVER_TASK_H_
#define TORC_SRC_SERVER_TASK_H_

#include <cstring>

#include "src/engine/engine.h"
#include "src/server/asked.h"
#include "src/server/buffers.h"

namespace torc::server {

struct Connection;

enum class MessageKind : uint8_t {
  kExecute = 1,
  kReserve,
  kAbandon,
  kUnpin,
  kAdopt,
  kFlush,
  kReset,
  kJob,
};

struct Task {
  Task() {}  // NOLINT(modernize-use-equals-default): does not clear `key`

  engine::Op op;
  Asked asked;
  Connection* connection = nullptr;
  OutNode* gap = nullptr;        // where the reply goes; null: nowhere
  Task* next = nullptr;          // in the desk's queue
  InSegment* segment = nullptr;  // keeps op.value's bytes until the answer
  Block* reply =
      nullptr;  // made by the sender, filled by the owner with a hit's value, up to its size
  uint32_t received = 0;  // an upload's bytes so far, of text with the closing \r\n
  ShardId owner = 0;
  ShardId asker = 0;  // while the engine has it: the shard that it is to be told to
  engine::Engine::ReserveResult reserved = engine::Engine::ReserveResult::kLater;
  engine::Shortage shortage = engine::Shortage::kNone;  // with `reserved` kNoMemory: why
  bool answered = false;                                // an upload's kReserve is answered
  bool pinned = false;         // the answer to a hit is op.item, pinned by the owner
  bool reserved_send = false;  // room in the owner's mailbox is taken for it
  bool sent = false;           // it is under way, or answered
  char tail[2] = {0, 0};       // an upload's last two bytes: must be \r\n
  Extra extra;
  char key[engine::kKeySizeMax];  // not initialised beyond op.key_size

  // `meta`: of style kMeta, else not looked at.
  void SetOperation(const engine::Op& operation, const Asked& to_tell, const MetaAsked* meta) {
    op = operation;
    std::memcpy(key, operation.key, operation.key_size);
    op.key = key;
    asked = to_tell;
    if (asked.style == ReplyStyle::kMeta) extra.meta = *meta;
    if (op.verb == engine::Verb::kExtended) {
      extra.extended = *operation.extended;
      op.extended = &extra.extended;
    }
  }
  // The operation as the engine left it, of which the key is void.
  void SetResult(const engine::Op& result) {
    const char* const own_key = op.key;
    op = result;
    op.key = own_key;
    if (op.verb == engine::Verb::kExtended && op.extended != &extra.extended) {
      extra.extended = *op.extended;
      op.extended = &extra.extended;
    }
  }
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_TASK_H_
