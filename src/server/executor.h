// The executor: hands the batch to the engine and turns its entries into replies.
//
// Owner: the worker. Affinity: shard. Lifetime: as the worker. Invariant: replies are appended in
// the order of the entries.
#ifndef TORC_SRC_SERVER_EXECUTOR_H_
#define TORC_SRC_SERVER_EXECUTOR_H_

#include "src/server/core.h"
#include "src/server/task_desk.h"

namespace torc::server {

class Executor {
 public:
  Executor(Core& core, TaskDesk& desk) : core_(core), desk_(desk) {}

  // Executes the batch and replies. False: the rest of the batch waits for memory that comes free
  // within turns; call again next turn.
  [[nodiscard]] bool Run();

 private:
  // Of the first `executed` operations of the batch, for `stats detail`.
  void CountPrefixes(uint32_t executed);
  void Handle(const Entry& entry);
  void Request(const Entry& entry, const engine::Op& op);
  void Reply(const Entry& entry, const engine::Op& op);
  // Return false if the connection's memory was refused.
  [[nodiscard]] bool Tell(Connection& c, const Entry& entry, const engine::Op& op);
  [[nodiscard]] bool ReplyHit(Connection& c, const Entry& entry, const engine::Op& op);
  [[nodiscard]] bool ReplyLargeHit(Connection& c, const Entry& entry, const engine::Op& op);
  [[nodiscard]] bool ReplyInPieces(Connection& c, const Entry& entry, const engine::Op& op);
  [[nodiscard]] bool AskOwner(Connection& c, const Entry& entry, const engine::Op& op, bool* fits);

  Core& core_;
  TaskDesk& desk_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_EXECUTOR_H_
