#include "src/server/task_desk.h"

#include <array>
#include <span>

#include "src/server/replies.h"

namespace torc::server {

using engine::Engine;
using engine::Op;
using engine::Result;
using engine::Verb;

namespace {

shard::Message MakeMessage(MessageKind kind, void* payload, uint32_t argument = 0) {
  return {static_cast<uint32_t>(kind), argument, payload};
}

}  // namespace

TaskDesk::TaskDesk(Core& core) : core_(core), queues_(core.shard.shards()) {
  reserving_.reserve(size_t{core.shard.shards()} * core.shard.answers_max());
}

Task* TaskDesk::New(Connection& c, const Op& op, const Asked& asked, const MetaAsked* meta) {
  Task* const task = NewWithoutBlock(c, op, asked, meta);
  // Null is fine: the owner pins the value then.
  if (task != nullptr && (VerbOf(op) == Verb::kGet || op.verb == Verb::kGetAndTouch)) {
    task->reply = core_.buffers.NewBlock();
  }
  return task;
}

Task* TaskDesk::NewWithoutBlock(Connection& c, const Op& op, const Asked& asked,
                                const MetaAsked* meta) {
  Task* const task = core_.tasks.New();
  if (task == nullptr) [[unlikely]] {
    core_.Fail(Cause::kTaskNoMemory);
    return nullptr;
  }
  task->SetOperation(op, asked, meta);
  task->connection = &c;
  task->owner = engine::OwnerOf(op.hash, core_.shard.shards());
  return task;
}

void TaskDesk::Delete(Task* task) {
  if (task->segment != nullptr) core_.buffers.Release(task->segment);
  if (task->reply != nullptr) core_.buffers.Release(task->reply);
  core_.tasks.Delete(task);
}

bool TaskDesk::ReserveSend(Connection& c, ShardId to, uint64_t hash) {
  if (queues_[to].first != nullptr || !core_.shard.ReserveSend(to)) {
    core_.Fail(Cause::kOperationStalled);
    return false;
  }
  c.NotePending(hash);
  return true;
}

void TaskDesk::CancelSend(Connection& c, ShardId to) {
  core_.shard.CancelSend(to);
  Forget(c);
}

void TaskDesk::Send(Task* task, MessageKind kind, uint32_t argument) {
  core_.shard.Send(task->owner, MakeMessage(kind, task, argument));
}

void TaskDesk::Execute(Task* task) {
  if (queues_[task->owner].first == nullptr) [[likely]] {
    Send(task, MessageKind::kExecute);
  } else {
    task->reserved_send = true;
    Enqueue(task);
  }
}

void TaskDesk::ExecuteSoon(Connection& c, Task* task) {
  c.NotePending(task->op.hash);
  if (queues_[task->owner].first == nullptr && core_.shard.ReserveSend(task->owner)) {
    Send(task, MessageKind::kExecute);
  } else {
    core_.Fail(Cause::kOperationStalled);
    Enqueue(task);
  }
}

void TaskDesk::Enqueue(Task* task) {
  Queue& queue = queues_[task->owner];
  (queue.last != nullptr ? queue.last->next : queue.first) = task;
  queue.last = task;
  ++queued_;
}

void TaskDesk::OnRequest(ShardId from, const shard::Message& message) {
  Engine& engine = core_.engine();
  const ShardId self = core_.self();
  switch (static_cast<MessageKind>(message.kind)) {
    case MessageKind::kExecute:
      core_.batch.AddRequest(static_cast<Task*>(message.payload), from);
      return;
    case MessageKind::kReserve:
      if (!Reserve(message, from)) {
        core_.Fail(Cause::kValueDelayed);
        reserving_.push_back({message, from});
      }
      return;
    case MessageKind::kAbandon:
      engine.Abandon(self, {static_cast<Task*>(message.payload)->op.item});
      break;
    case MessageKind::kUnpin:
      engine.Unpin(self, message.payload);
      return;  // wants no answer
    case MessageKind::kFlush:
      engine.Flush(self, message.argument);
      break;
    case MessageKind::kReset:
      engine.ResetCounters(self);
      core_.ResetCounters();
      break;
    case MessageKind::kAdopt:
    case MessageKind::kJob:
      CHECK(!"adoption and jobs are the worker's");
  }
  core_.shard.Answer(from, message);
}

bool TaskDesk::Reserve(const shard::Message& message, ShardId from) {
  Task* const task = static_cast<Task*>(message.payload);
  engine::Reservation reservation;
  task->reserved = core_.engine().Reserve(core_.self(), task->op, &reservation);
  if (task->reserved == Engine::ReserveResult::kLater) return false;
  task->op.item = reservation.item;
  task->shortage = reservation.shortage;
  core_.shard.Answer(from, message);
  return true;
}

void TaskDesk::AnswerExecuted(Task* task, ShardId from, const Op& result) {
  TakeResult(task, result);
  core_.shard.Answer(from, MakeMessage(MessageKind::kExecute, task));
}

void TaskDesk::TakeResult(Task* task, const Op& result) {
  task->SetResult(result);
  Op& op = task->op;
  if (op.result != Result::kHit) return;
  const MetaAsked* const meta = &task->extra.meta;
  const uint32_t value_bytes = ValueBytes(op, task->asked, meta);
  if (task->reply != nullptr &&
      kHeadBytesMax + value_bytes + kTailBytesMax <= sizeof(Block::bytes)) {
    char* const start = task->reply->bytes;
    const char* const end =
        WriteHit(start, op, task->asked, meta, value_bytes, core_.shard.now(), core_.engine());
    task->reply->used = static_cast<uint32_t>(end - start);
    return;
  }
  // No room for another pin: the client sees a miss, which a cache may always answer.
  task->pinned = core_.engine().Pin(core_.self(), op.item);
  if (!task->pinned) {
    op.result = Result::kMiss;
    core_.Fail(Cause::kPinsFullMissed);
  }
}

bool TaskDesk::Await(Connection& c, const Entry& entry, const Op& op) {
  auto* const pending = static_cast<engine::Pending*>(op.item);
  pending->waiter = nullptr;
  ++awaiting_;
  if (c.broken) return true;
  // No block yet: it would lie idle until the engine answers.
  Task* const task = NewWithoutBlock(c, op, entry.asked, core_.batch.meta(entry));
  if (task == nullptr) return false;
  CHECK_EQ(task->owner, core_.self());
  task->gap = c.out.AppendPending(core_.buffers, task);
  if (task->gap == nullptr) {
    Delete(task);
    return false;
  }
  task->asker = core_.self();
  pending->waiter = task;
  c.NotePending(op.hash);
  return true;
}

void TaskDesk::Await(Task* task, ShardId from, const Op& op) {
  task->asker = from;
  static_cast<engine::Pending*>(op.item)->waiter = task;
  ++awaiting_;
}

void TaskDesk::Collect() {
  if (awaiting_ == 0) [[likely]]
    return;
  std::array<engine::Pending*, engine::kBatchMax> answered;
  const size_t count = core_.engine().Collect(core_.self(), answered);
  CHECK_LE(count, awaiting_);
  awaiting_ -= static_cast<uint32_t>(count);
  for (engine::Pending* const pending : std::span(answered).first(count)) {
    Task* const task = static_cast<Task*>(pending->waiter);
    if (task == nullptr) continue;
    if (task->asker != core_.self()) {
      AnswerExecuted(task, task->asker, pending->op);
      continue;
    }
    if (pending->op.result == Result::kHit) task->reply = core_.buffers.NewBlock();
    TakeResult(task, pending->op);
    Resolve(task);
  }
}

void TaskDesk::OnAnswer(const shard::Message& message) {
  Task* const task = static_cast<Task*>(message.payload);
  switch (static_cast<MessageKind>(message.kind)) {
    case MessageKind::kExecute:
      Resolve(task);
      return;
    case MessageKind::kReserve:
      task->answered = true;
      Settle(*task->connection);
      return;
    case MessageKind::kAbandon:
    case MessageKind::kFlush:
    case MessageKind::kReset:
      if (Connection* const c = task->connection; c != nullptr) Settle(*c);
      Delete(task);
      return;
    case MessageKind::kUnpin:
    case MessageKind::kAdopt:
    case MessageKind::kJob:
      break;
  }
  CHECK(!"an answer to a message that wants none");
}

void TaskDesk::Resolve(Task* task) {
  Connection& c = *task->connection;
  const Op& op = task->op;
  if (task->asked.style != ReplyStyle::kUncounted)
    CountResult(op, task->asked, &task->extra.meta, core_);
  if (task->gap == nullptr || !task->asked.told()) {
    if (task->pinned) ReleasePin(task->owner, op.item);
    if (task->gap != nullptr) c.out.FillConstant(task->gap, {});
  } else if (op.result == Result::kHit) {
    if (!FillHit(c, *task)) core_.Break(c, Cause::kReplyNoMemory);
  } else {
    char scratch[kReplyBytesMax];
    const std::string_view reply =
        ReplyText(op, task->asked, &task->extra.meta, core_.shard.now(), scratch);
    if (reply.data() != scratch || reply.empty()) {
      c.out.FillConstant(task->gap, reply);
    } else if (!c.out.FillCopy(core_.buffers, task->gap, reply)) {
      core_.Break(c, Cause::kReplyNoMemory);
    }
  }
  Delete(task);
  Settle(c);
}

// The reply to a hit goes where its gap is. False: memory was refused.
bool TaskDesk::FillHit(Connection& c, Task& task) {
  const Op& op = task.op;
  if (!task.pinned && task.reply->used <= kGapCopyBytesMax) {
    return c.out.FillCopy(core_.buffers, task.gap, {task.reply->bytes, task.reply->used});
  }
  Output reply;
  bool fits = true;
  if (task.pinned) {
    const MetaAsked* const meta = &task.extra.meta;
    char head[kHeadBytesMax];
    const char* const end = WriteHead(head, op, task.asked, meta, core_.shard.now());
    fits = reply.Append(core_.buffers, {head, static_cast<size_t>(end - head)});
    const uint32_t value_bytes = ValueBytes(op, task.asked, meta);
    if (fits && value_bytes != 0 &&
        reply.AppendPinned(core_.buffers, op.item, task.owner, value_bytes)) {
      const std::string_view tail = TailOf(op, task.asked, meta);
      if (!tail.empty()) fits = reply.AppendConstant(core_.buffers, tail);
    } else {
      ReleasePin(task.owner, op.item);
      fits = fits && value_bytes == 0;
    }
  } else {
    fits = reply.AppendBlock(core_.buffers, task.reply);
    task.reply = nullptr;
  }
  c.out.FillFrom(core_.buffers, task.gap, reply);
  return fits;
}

void TaskDesk::Forget(Connection& c) {
  CHECK_LT(0u, c.pending);
  if (--c.pending == 0) c.pending_keys.reset();
}

void TaskDesk::Settle(Connection& c) {
  Forget(c);
  // Else it waits for nothing but input.
  if (c.in_head != nullptr || c.state != ConnectionState::kCommand || c.read_closed) {
    core_.MarkReady(c);
  }
  if (!c.out.has_gap() || c.out.too_long_to_wait()) {
    core_.EndAwait(c);
  } else {
    core_.MarkDirty(c);
  }
}

void TaskDesk::AbandonUpload(Task* task) {
  task->connection = nullptr;
  if (task->reserved != Engine::ReserveResult::kReserved) {
    Delete(task);
  } else if (task->owner == core_.self()) {
    core_.engine().Abandon(core_.self(), {task->op.item});
    Delete(task);
  } else if (core_.shard.ReserveSend(task->owner)) {
    Send(task, MessageKind::kAbandon);
  } else {
    core_.Fail(Cause::kReleaseDelayed);
    unsent_.push_back({MakeMessage(MessageKind::kAbandon, task), task->owner});
  }
}

void TaskDesk::ReleasePin(ShardId owner, const void* item) {
  if (owner == core_.self()) {
    core_.engine().Unpin(owner, item);
    return;
  }
  const shard::Message message = MakeMessage(MessageKind::kUnpin, const_cast<void*>(item));
  if (!core_.shard.Post(owner, message)) {
    core_.Fail(Cause::kReleaseDelayed);
    unsent_.push_back({message, owner});
  }
}

bool TaskDesk::Retry() {
  if (queued_ != 0) {
    for (Queue& queue : queues_) {
      while (Task* const task = queue.first) {
        if (!task->reserved_send && !core_.shard.ReserveSend(task->owner)) break;
        queue.first = task->next;
        if (queue.first == nullptr) queue.last = nullptr;
        task->next = nullptr;
        --queued_;
        Send(task, MessageKind::kExecute);
      }
    }
  }
  std::erase_if(reserving_, [&](const Waiting& w) { return Reserve(w.message, w.shard); });
  std::erase_if(unsent_, [&](const Waiting& w) {
    if (static_cast<MessageKind>(w.message.kind) == MessageKind::kUnpin) {
      return core_.shard.Post(w.shard, w.message);
    }
    if (!core_.shard.ReserveSend(w.shard)) return false;
    core_.shard.Send(w.shard, w.message);
    return true;
  });
  return queued_ != 0 || !reserving_.empty() || !unsent_.empty();
}

}  // namespace torc::server
