// The task desk: operations that other shards execute for this one's connections, those it executes
// for theirs, and those that its engine answers in a later turn.
//
//   this shard's connection                          the owner of the key
//     Send(task) ------- kExecute ---------------->    OnRequest: joins the owner's batch
//     Resolve: fills the gap   <----- answer -------   Answer: result, small value copied into
//     task.reply, large one pinned
//
//   executor                             engine
//     Await(connection's) -- kPending ->   has it for some turns
//     Await(task of another shard) ---->
//                   Collect <-----------   Pending: resolved as above, or answered to the asker
//
// Owner: the worker. Affinity: shard. Lifetime: as the worker. Invariant: connection.pending counts
// its tasks under way; awaiting() those that the engine has.
#ifndef TORC_SRC_SERVER_TASK_DESK_H_
#define TORC_SRC_SERVER_TASK_DESK_H_

#include <vector>

#include "src/server/core.h"

namespace torc::server {

class TaskDesk final : public PinHolder {
 public:
  explicit TaskDesk(Core& core);

  // Whether an operation of `c` on a key of `owner` must go by message: writes to others' keys,
  // reads of a key that has something under way (a client reads its own writes), and all where the
  // engine does not share reads.
  bool NeedsMessage(const Connection& c, ShardId owner, const engine::Op& op) const {
    if (owner == core_.self()) return false;
    const bool reads = op.verb == engine::Verb::kGet ||
                       (op.verb == engine::Verb::kExtended && op.extended->is_pure());
    return !reads || c.IsPending(op.hash) || !reads_are_shared_;
  }

  // A task for `op`, its key and extra copied. Null: none left, or no memory.
  [[nodiscard]] Task* New(Connection& c, const engine::Op& op, const Asked& asked,
                          const MetaAsked* meta);
  void Delete(Task* task);

  // Takes room for one task of `c` to shard `to`, and counts it as under way, for the key of that
  // hash if it is for one. False: no room now; nothing has changed.
  [[nodiscard]] bool ReserveSend(Connection& c, ShardId to, uint64_t hash = 0);
  void CancelSend(Connection& c, ShardId to);
  // Sends a task for which room was reserved to task->owner. Its gap, if it is to have one, is
  // placed before.
  void Send(Task* task, MessageKind kind, uint32_t argument = 0);
  // Sends an operation of `c` for which no room was reserved, as soon as there is room: tasks to
  // one owner leave in the order of Execute and ExecuteSoon.
  void ExecuteSoon(Connection& c, Task* task);
  // Sends an operation for which room was reserved.
  void Execute(Task* task);

  // A message of another shard: kExecute joins the batch, which must have room; the others are done
  // at once.
  void OnRequest(ShardId from, const shard::Message& message);
  void OnAnswer(const shard::Message& message);

  // One task less of `c` is under way, because it was answered: the connection may go on, and with
  // the last answer its replies wait no longer.
  void Settle(Connection& c);

  // Called by the executor for a request's result: hands the task back.
  void AnswerExecuted(Task* task, ShardId from, const engine::Op& result);

  // For an operation that Execute left pending: an entry of `c`, whose reply gets a gap. False: the
  // connection's memory was refused, and nobody waits for the answer.
  [[nodiscard]] bool Await(Connection& c, const Entry& entry, const engine::Op& op);
  // Likewise for another shard's request.
  void Await(Task* task, ShardId from, const engine::Op& op);
  // Takes what the engine has answered since.
  void Collect();
  // Operations that the engine still has to answer; and whether it has so many that no commands
  // should be read.
  uint32_t awaiting() const { return awaiting_; }
  bool crowded() const { return awaiting_ >= kAwaitedHigh; }

  // Goes on with what had to wait: reservations for memory, messages for room. Returns whether
  // something still waits.
  bool Retry();

  // Frees a reservation, wherever its memory is. The task may be under way afterwards.
  void AbandonUpload(Task* task);

  void ReleasePin(ShardId owner, const void* item) override;

 private:
  [[nodiscard]] Task* NewWithoutBlock(Connection& c, const engine::Op& op, const Asked& asked,
                                      const MetaAsked* meta);
  // Notes the result of an operation, executed here, in its task.
  void TakeResult(Task* task, const engine::Op& result);
  void Resolve(Task* task);
  [[nodiscard]] bool FillHit(Connection& c, Task& task);
  // False: memory must come free first.
  [[nodiscard]] bool Reserve(const shard::Message& message, ShardId from);
  // One task less is under way.
  static void Forget(Connection& c);

  struct Waiting {
    shard::Message message;
    ShardId shard = 0;
  };

  // Tasks to one owner that wait for room in its mailbox. Bounded: a connection with
  // kPendingTasksHigh tasks reads no further.
  struct Queue {
    Task* first = nullptr;
    Task* last = nullptr;
  };
  void Enqueue(Task* task);

  Core& core_;
  std::vector<Queue> queues_;  // by owner
  uint32_t queued_ = 0;
  uint32_t awaiting_ = 0;
  const bool reads_are_shared_ = core_.engine().reads_are_shared();
  // Messages without an answer that found no room (unpin, abandon), and requests to reserve that
  // wait for memory. Bounded by the pins, uploads and tasks there can be; grows outside the common
  // path.
  std::vector<Waiting> unsent_;
  std::vector<Waiting> reserving_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_TASK_DESK_H_
