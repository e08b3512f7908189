#include "src/server/replies.h"

#include <cstring>

namespace torc::server {

using engine::Miss;
using engine::Result;
using engine::Verb;

Cause CauseOf(engine::Shortage shortage) {
  switch (shortage) {
    case engine::Shortage::kNoEviction:
      return Cause::kStoreNoEviction;
    case engine::Shortage::kExceedsShard:
      return Cause::kStoreExceedsShard;
    case engine::Shortage::kIndexFull:
      return Cause::kStoreIndexFull;
    case engine::Shortage::kNone:  // an engine that does not say
    case engine::Shortage::kItemLimit:
    case engine::Shortage::kNothingToEvict:
      break;
  }
  return Cause::kStoreNothingToEvict;
}

Cause CauseOf(const engine::Op& op) {
  switch (op.result) {
    case Result::kTooLarge:
      return Cause::kValueTooLarge;
    case Result::kNotANumber:
      return Cause::kNotANumber;
    case Result::kNoMemory: {
      const bool counts = op.verb == Verb::kIncrement || op.verb == Verb::kDecrement;
      return counts ? Cause::kOutOfMemoryCounting : CauseOf(op.shortage);
    }
    case Result::kNotStored:
      if (op.verb != Verb::kAppend && op.verb != Verb::kPrepend) break;
      if (op.shortage == engine::Shortage::kNone) break;
      return op.shortage == engine::Shortage::kItemLimit ? Cause::kConcatTooLarge
                                                         : Cause::kConcatNoMemory;
    default:
      break;
  }
  return Cause::kNone;
}

void CountResult(const engine::Op& op, Core& core) {
  Counters& counters = core.counters;
  if (op.result != Result::kHit) {
    if (const Cause cause = CauseOf(op); cause != Cause::kNone) [[unlikely]] {
      core.Fail(cause);
    }
  }
  if (op.miss == Miss::kExpired) counters.get_expired.Add(1);
  if (op.miss == Miss::kFlushed) counters.get_flushed.Add(1);
  const bool found = op.result != Result::kMiss && op.result != Result::kNotFound;
  switch (engine::VerbOf(op)) {
    case Verb::kGet:
      counters.cmd_get.Add(1);
      (found ? counters.get_hits : counters.get_misses).Add(1);
      break;
    case Verb::kGetAndTouch:
    case Verb::kTouch:
      counters.cmd_touch.Add(1);
      (found ? counters.touch_hits : counters.touch_misses).Add(1);
      break;
    case Verb::kCas:
      if (op.result == Result::kStored) counters.cas_hits.Add(1);
      if (op.result == Result::kExists) counters.cas_badval.Add(1);
      if (op.result == Result::kNotFound) counters.cas_misses.Add(1);
      [[fallthrough]];
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
      // memcached does not count a store that it refused before it read the value.
      if (op.result != Result::kTooLarge && op.result != Result::kNoMemory) {
        counters.cmd_set.Add(1);
      }
      break;
    case Verb::kIncrement:
      if (!found) counters.incr_misses.Add(1);
      if (op.result == Result::kNumber) counters.incr_hits.Add(1);
      break;
    case Verb::kDecrement:
      if (!found) counters.decr_misses.Add(1);
      if (op.result == Result::kNumber) counters.decr_hits.Add(1);
      break;
    case Verb::kDelete:
      (found ? counters.delete_hits : counters.delete_misses).Add(1);
      break;
    case Verb::kExtended:  // is none of its own
      break;
  }
}

std::string_view ReplyText(const engine::Op& op, char* digits) {
  switch (op.result) {
    case Result::kNone:
    case Result::kHit:
    case Result::kPending:
      break;
    case Result::kMiss:
      return {};
    case Result::kStored:
      return proto::kStored;
    case Result::kNotStored:
      return proto::kNotStored;
    case Result::kExists:
      return proto::kExists;
    case Result::kNotFound:
      return proto::kNotFound;
    case Result::kDeleted:
      return proto::kDeleted;
    case Result::kTouched:
      return proto::kTouched;
    case Result::kNumber:
      return {digits, static_cast<size_t>(proto::EncodeNumberLine(digits, op.number) - digits)};
    case Result::kNotANumber:
    case Result::kTooLarge:
    case Result::kNoMemory:
      return RowOf(CauseOf(op)).reply;
  }
  CHECK(!"a hit, or an operation that was not executed");
  return {};
}

char* CopyValue(char* to, const engine::Op& op, const engine::Engine& engine) {
  if (op.value != nullptr) [[likely]] {
    std::memcpy(to, op.value, op.value_size);
    return to + op.value_size;
  }
  for (size_t from = 0; from < op.value_size;) {
    const std::span<const char> piece = engine.Piece(op.item, from);
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
    from += piece.size();
  }
  return to;
}

}  // namespace torc::server
