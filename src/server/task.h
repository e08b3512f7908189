// A task: an operation that is not over within its turn, because another shard executes it or
// because its value has not arrived. It travels to the owner of the key as a message's payload and
// comes back as the answer.
//
//   kinds of message                 payload     answer
//     kExecute    op                 Task        op with its result; for a hit, `reply` or a pin
//     kReserve    op without value   Task        `reserved`, op.item
//     kAbandon    op.item            Task        done: the task comes home to its pool
//     kUnpin                         item        none
//     kAdopt      argument: fd       none        none
//     kFlush      argument: when     Task        done
//     kReset                         Task        done
//
// Owner: the worker of the connection. Affinity: the sender's shard, or the owner's between request
// and answer. Lifetime: until answered. Invariant: `key` holds what op.key points to.
#ifndef TORC_SRC_SERVER_TASK_H_
#define TORC_SRC_SERVER_TASK_H_

#include <cstring>

#include "src/engine/engine.h"
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
};

// How the result of an operation is told to the client.
enum class ReplyStyle : uint8_t {
  kUncounted,     // not at all, nor in the statistics: a removal on the side
  kSilent,        // not at all: noreply
  kValue,         // VALUE key flags size, nothing for a miss
  kValueWithCas,  // likewise with the CAS unique
  kStore,         // STORED, NOT_STORED, EXISTS, NOT_FOUND, SERVER_ERROR ...
  kDelete,        // DELETED, NOT_FOUND
  kTouch,         // TOUCHED, NOT_FOUND
  kNumber,        // the number, NOT_FOUND, CLIENT_ERROR ...
};

struct Task {
  Task() {}  // NOLINT(modernize-use-equals-default): does not clear `key`

  engine::Op op;
  Connection* connection = nullptr;
  OutNode* gap = nullptr;        // where the reply goes; null: nowhere
  Task* next = nullptr;          // in the desk's queue
  InSegment* segment = nullptr;  // keeps op.value's bytes until the answer
  Block* reply =
      nullptr;  // made by the sender, filled by the owner with a hit's value, up to its size
  uint32_t received = 0;  // an upload's bytes so far, the closing \r\n included
  ShardId owner = 0;
  ReplyStyle style = ReplyStyle::kSilent;
  engine::Engine::ReserveResult reserved = engine::Engine::ReserveResult::kLater;
  bool ends_command = false;      // END follows
  bool answered = false;          // an upload's kReserve is answered
  bool pinned = false;            // the answer to a hit is op.item, pinned by the owner
  bool reserved_send = false;     // room in the owner's mailbox is taken for it
  bool sent = false;              // it is under way, or answered
  char tail[2] = {0, 0};          // an upload's last two bytes: must be \r\n
  char key[engine::kKeySizeMax];  // not initialised beyond op.key_size

  bool told() const { return style > ReplyStyle::kSilent; }

  void SetOperation(const engine::Op& operation) {
    op = operation;
    std::memcpy(key, operation.key, operation.key_size);
    op.key = key;
  }
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_TASK_H_
