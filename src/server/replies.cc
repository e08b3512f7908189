#include "src/server/replies.h"

#include <cstring>

namespace torc::server {

using engine::Miss;
using engine::Result;
using engine::Verb;

void CountResult(const engine::Op& op, Counters& counters) {
  if (op.miss == Miss::kExpired) counters.get_expired.Add(1);
  if (op.miss == Miss::kFlushed) counters.get_flushed.Add(1);
  const bool found = op.result != Result::kMiss && op.result != Result::kNotFound;
  switch (op.verb) {
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
      if (op.result == Result::kTooLarge) {
        counters.store_too_large.Add(1);
      } else if (op.result == Result::kNoMemory) {
        counters.store_no_memory.Add(1);
      } else {
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
  }
}

std::string_view ReplyText(ReplyStyle style, const engine::Op& op, Counters& counters,
                           char* digits) {
  const bool counts = style == ReplyStyle::kNumber;
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
      return counters.ErrorReply(proto::ErrorId::kNotANumber);
    case Result::kTooLarge:
      return counters.ErrorReply(proto::ErrorId::kValueTooLarge);
    case Result::kNoMemory:
      return counters.ErrorReply(counts ? proto::ErrorId::kOutOfMemoryCounting
                                        : proto::ErrorId::kOutOfMemoryStoring);
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
