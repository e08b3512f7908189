#include "src/server/executor.h"

#include <cstring>

#include "src/server/replies.h"

namespace torc::server {

using engine::Op;
using engine::Result;

bool Executor::Run() {
  Batch& batch = core_.batch;
  if (batch.empty()) return true;
  const std::span<Op> ops = batch.operations();
  uint32_t executed = 0;
  if (!ops.empty()) {
    executed = static_cast<uint32_t>(core_.engine().Execute(core_.self(), ops));
    if (executed < ops.size()) core_.Fail(Cause::kStoreDelayed);
    if (core_.shared.detail.load(std::memory_order_relaxed)) [[unlikely]]
      CountPrefixes(executed);
  }
  uint32_t done = 0;
  for (const Entry& entry : batch.entries()) {
    if (entry.kind <= Entry::Kind::kRequest && entry.number >= executed) break;
    if (entry.kind == Entry::Kind::kOperation) [[likely]] {
      Reply(entry, batch.operation(entry.number));
    } else {
      Handle(entry);
    }
    ++done;
  }
  batch.RemoveDone(done, executed);
  return batch.empty();
}

// Every operation is counted by the shard that executes it. The answer to one that the engine
// answers later counts no hit: it has no key any more.
void Executor::CountPrefixes(uint32_t executed) {
  const char delimiter = core_.shared.options.prefix_delimiter;
  for (const Entry& entry : core_.batch.entries()) {
    if (entry.kind > Entry::Kind::kRequest) continue;
    if (entry.number >= executed) break;
    const Op& op = core_.batch.operation(entry.number);
    const bool hit = op.result == Result::kHit;
    PrefixCounts counts;
    switch (engine::VerbOf(op)) {
      case engine::Verb::kGet:
        // What its owner is asked for again (AskOwner) is counted there.
        if (entry.kind == Entry::Kind::kOperation &&
            engine::OwnerOf(op.hash, core_.shard.shards()) != core_.self() &&
            (hit ? op.value_size > kCopyForeignValueBytesMax : op.miss != engine::Miss::kAbsent)) {
          continue;
        }
        [[fallthrough]];
      case engine::Verb::kGetAndTouch:
        counts = {.gets = 1, .hits = hit};
        break;
      case engine::Verb::kSet:
      case engine::Verb::kAdd:
      case engine::Verb::kReplace:
      case engine::Verb::kAppend:
      case engine::Verb::kPrepend:
      case engine::Verb::kCas:
        counts = {.sets = 1};
        break;
      case engine::Verb::kDelete: {
        const ReplyStyle style =
            entry.kind == Entry::Kind::kRequest ? entry.task->asked.style : entry.asked.style;
        if (style == ReplyStyle::kUncounted) continue;
        counts = {.deletes = 1};
        break;
      }
      case engine::Verb::kTouch:
      case engine::Verb::kIncrement:
      case engine::Verb::kDecrement:
      case engine::Verb::kExtended:  // is none of its own
        continue;
    }
    core_.prefixes.Count(op.key_view(), delimiter, counts);
  }
}

void Executor::Handle(const Entry& entry) {
  switch (entry.kind) {
    case Entry::Kind::kOperation:
      Reply(entry, core_.batch.operation(entry.number));
      break;
    case Entry::Kind::kRequest:
      Request(entry, core_.batch.operation(entry.number));
      break;
    case Entry::Kind::kText: {
      Connection& c = *entry.connection;
      if (!c.broken && !c.out.Append(core_.buffers, {entry.text, entry.number})) {
        core_.Break(c, Cause::kReplyNoMemory);
      }
      core_.MarkDirty(c);
      break;
    }
    case Entry::Kind::kPacket: {
      Connection& c = *entry.connection;
      const size_t size = proto::kBinaryHeaderBytes + entry.number;
      if (char* const to = c.broken ? nullptr : c.out.Reserve(core_.buffers, size)) {
        const char* const end =
            proto::EncodeBinaryText(to, entry.asked.to(), entry.status, {entry.text, entry.number});
        c.out.Commit(static_cast<uint32_t>(end - to));
      } else if (!c.broken) {
        core_.Break(c, Cause::kReplyNoMemory);
      }
      core_.MarkDirty(c);
      break;
    }
    case Entry::Kind::kTask: {
      // Only now: the operations before it have been executed, and must not see what it does. A
      // silent task has a gap, too: no later reply may leave before it is done.
      Connection& c = *entry.connection;
      Task* const task = entry.task;
      if (!c.broken) {
        task->gap = c.out.AppendPending(core_.buffers, task);
        if (task->gap == nullptr) core_.Break(c, Cause::kReplyNoMemory);
      }
      desk_.Execute(task);
      break;
    }
    case Entry::Kind::kReleaseSegment:
      core_.buffers.Release(entry.segment);
      break;
    case Entry::Kind::kReleaseBlock:
      core_.buffers.Release(entry.block);
      break;
  }
}

void Executor::Request(const Entry& entry, const Op& op) {
  if (op.result == Result::kPending) [[unlikely]] {
    desk_.Await(entry.task, entry.from, op);
  } else {
    desk_.AnswerExecuted(entry.task, entry.from, op);
  }
}

// Small enough, and called so often, that it stands in its only caller.
[[gnu::always_inline]] inline bool Executor::ReplyHit(Connection& c, const Entry& entry,
                                                      const Op& op) {
  const bool is_meta = entry.asked.style == ReplyStyle::kMeta;
  const MetaAsked* const meta = is_meta ? core_.batch.meta(entry) : nullptr;
  bool fits = true;
  if (is_meta && op.extended->marks.stale && !op.extended->marks.token_sent &&
      AskOwner(c, entry, op, &fits)) [[unlikely]] {
    return fits;  // it has a token to give
  }
  const uint32_t value_bytes = ValueBytes(op, entry.asked, meta);
  if (value_bytes > kCopyValueBytesMax) [[unlikely]]
    return ReplyLargeHit(c, entry, op);
  CountResult(op, entry.asked, meta, core_);
  char* const start = c.out.Reserve(
      core_.buffers, static_cast<uint32_t>(kHeadBytesMax + value_bytes + kTailBytesMax));
  if (start == nullptr) [[unlikely]]
    return false;
  const char* const end =
      WriteHit(start, op, entry.asked, meta, value_bytes, core_.shard.now(), core_.engine());
  c.out.Commit(static_cast<uint32_t>(end - start));
  return true;
}

void Executor::Reply(const Entry& entry, const Op& op) {
  Connection& c = *entry.connection;
  bool fits = true;
  if (op.result == Result::kHit) [[likely]] {
    if (!c.broken) fits = ReplyHit(c, entry, op);
  } else if (op.result == Result::kPending) [[unlikely]] {
    fits = desk_.Await(c, entry, op);
  } else if (op.miss != engine::Miss::kAbsent && VerbOf(op) == engine::Verb::kGet &&
             AskOwner(c, entry, op, &fits)) {
    // A dead item of another shard: its owner removes it and counts that, once.
  } else if (entry.asked.style != ReplyStyle::kUncounted) {
    CountResult(op, entry.asked, core_.batch.meta(entry), core_);
    fits = Tell(c, entry, op);
  }
  if (entry.task != nullptr) desk_.Delete(entry.task);
  if (!fits) [[unlikely]]
    core_.Break(c, Cause::kReplyNoMemory);
  core_.MarkDirty(c);
}

// The reply to a result other than a hit.
bool Executor::Tell(Connection& c, const Entry& entry, const Op& op) {
  if (!entry.asked.told() || c.broken) return true;
  char scratch[kReplyBytesMax];
  return c.out.Append(core_.buffers, ReplyText(op, entry.asked, core_.batch.meta(entry),
                                               core_.shard.now(), scratch));
}

bool Executor::ReplyLargeHit(Connection& c, const Entry& entry, const Op& op) {
  const ShardId owner = engine::OwnerOf(op.hash, core_.shard.shards());
  if (owner == core_.self()) {
    if (!core_.engine().Pin(core_.self(), op.item)) {
      const bool fits_copied = op.value_size <= kCopyUnpinnedBytesMax;
      core_.Fail(fits_copied ? Cause::kPinsFullCopied : Cause::kPinsFullMissed);
      return ReplyInPieces(c, entry, op);
    }
    CountResult(op, entry.asked, core_.batch.meta(entry), core_);
    const MetaAsked* const meta = core_.batch.meta(entry);
    char head[kHeadBytesMax];
    const char* const end = WriteHead(head, op, entry.asked, meta, core_.shard.now());
    if (!c.out.Append(core_.buffers, {head, static_cast<size_t>(end - head)}) ||
        !c.out.AppendPinned(core_.buffers, op.item, owner, op.value_size)) {
      core_.engine().Unpin(core_.self(), op.item);
      return false;
    }
    return c.out.Append(core_.buffers, TailOf(op, entry.asked, meta));
  }
  if (op.value_size > kCopyForeignValueBytesMax) {
    bool fits = true;
    if (AskOwner(c, entry, op, &fits)) return fits;
    if (op.value_size > kCopyUnpinnedBytesMax) core_.Fail(Cause::kOwnerNotAsked);
  }
  return ReplyInPieces(c, entry, op);
}

// The whole value, copied into as many blocks as it takes: for values of other shards that are not
// worth a message, and where there is no room for another pin or message.
bool Executor::ReplyInPieces(Connection& c, const Entry& entry, const Op& op) {
  const MetaAsked* const meta = core_.batch.meta(entry);
  if (op.value_size > kCopyUnpinnedBytesMax) {
    // Nothing bounds what copies of this size would take: a miss, which a cache may always answer.
    char scratch[kReplyBytesMax];
    return c.out.Append(core_.buffers, MissText(op, entry.asked, meta, core_.shard.now(), scratch));
  }
  CountResult(op, entry.asked, core_.batch.meta(entry), core_);
  char head[kHeadBytesMax];
  const char* const end = WriteHead(head, op, entry.asked, meta, core_.shard.now());
  bool fits = c.out.Append(core_.buffers, {head, static_cast<size_t>(end - head)});
  for (size_t from = 0; fits && from < op.value_size;) {
    const std::span<const char> piece = core_.engine().Piece(op.item, from);
    fits = c.out.Append(core_.buffers, {piece.data(), piece.size()});
    from += piece.size();
  }
  return fits && c.out.Append(core_.buffers, TailOf(op, entry.asked, meta));
}

// Asks the owner of another shard's key again: for a large value, which only it may pin, and for a
// dead item, which only it may remove, and for a stale one, whose token only it may give. The get
// is counted with the answer. False: the key is this shard's, or there is no task left; nothing has
// changed.
bool Executor::AskOwner(Connection& c, const Entry& entry, const Op& op, bool* fits) {
  const ShardId owner = engine::OwnerOf(op.hash, core_.shard.shards());
  if (owner == core_.self() || c.broken) return false;
  Op get;
  get.hash = op.hash;
  get.key = op.key;
  get.key_size = op.key_size;
  get.verb = op.verb;
  if (op.verb == engine::Verb::kExtended) get.extended = op.extended;
  Task* const task = desk_.New(c, get, entry.asked, core_.batch.meta(entry));
  if (task == nullptr) return false;
  task->gap = c.out.AppendPending(core_.buffers, task);
  if (task->gap == nullptr) {
    desk_.Delete(task);
    *fits = false;
    return true;
  }
  desk_.ExecuteSoon(c, task);
  return true;
}

}  // namespace torc::server
