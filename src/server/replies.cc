#include "src/server/replies.h"

#include <cstring>

namespace torc::server {

using engine::Miss;
using engine::Op;
using engine::Result;
using engine::Verb;
using proto::BinaryStatus;
using proto::MetaStatus;

namespace {

uint64_t NumberOf(const Op& op) {
  return op.verb == Verb::kExtended ? op.extended->number : op.number;
}

}  // namespace

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
      const bool counts = VerbOf(op) == Verb::kIncrement || VerbOf(op) == Verb::kDecrement;
      return counts ? Cause::kOutOfMemoryCounting : CauseOf(ShortageOf(op));
    }
    case Result::kNotStored:
      if (VerbOf(op) != Verb::kAppend && VerbOf(op) != Verb::kPrepend) break;
      if (ShortageOf(op) == engine::Shortage::kNone) break;
      return ShortageOf(op) == engine::Shortage::kItemLimit ? Cause::kConcatTooLarge
                                                            : Cause::kConcatNoMemory;
    default:
      break;
  }
  return Cause::kNone;
}

void internal::CountAnyResult(const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                              Core& core) {
  Counters& counters = core.counters;
  if (op.result != Result::kHit) {
    if (const Cause cause = CauseOf(op); cause != Cause::kNone) [[unlikely]] {
      core.Fail(cause);
    }
  }
  if (op.miss == Miss::kExpired) counters.get_expired.Add(1);
  if (op.miss == Miss::kFlushed) counters.get_flushed.Add(1);
  const bool found = op.result != Result::kMiss && op.result != Result::kNotFound;
  const engine::Extended* const extended = op.verb == Verb::kExtended ? op.extended : nullptr;
  // Of append and prepend memcached counts no CAS.
  const bool compares =
      op.verb == Verb::kCas || (extended != nullptr && extended->compares_cas &&
                                (extended->verb == Verb::kSet || extended->verb == Verb::kReplace));
  const bool made = extended != nullptr && extended->made;
  switch (VerbOf(op)) {
    case Verb::kGet:
      if (asked.style == ReplyStyle::kMeta && meta->command == proto::MetaCommand::kDebug) break;
      if (found && extended != nullptr && extended->touches) {
        counters.cmd_touch.Add(1);
        counters.touch_hits.Add(1);
        break;
      }
      counters.cmd_get.Add(1);
      (found ? counters.get_hits : counters.get_misses).Add(1);
      break;
    case Verb::kGetAndTouch:
    case Verb::kTouch:
      counters.cmd_touch.Add(1);
      (found ? counters.touch_hits : counters.touch_misses).Add(1);
      break;
    case Verb::kCas:
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
      if (compares) {
        if (op.result == Result::kStored) counters.cas_hits.Add(1);
        if (op.result == Result::kExists) counters.cas_badval.Add(1);
        if (op.result == Result::kNotFound) counters.cas_misses.Add(1);
      }
      // memcached does not count a store that it refused before it read the value.
      if (op.result != Result::kTooLarge && op.result != Result::kNoMemory) {
        counters.cmd_set.Add(1);
      }
      break;
    case Verb::kIncrement:
      if (!found) counters.incr_misses.Add(1);
      if (op.result == Result::kNumber && !made) counters.incr_hits.Add(1);
      break;
    case Verb::kDecrement:
      if (!found) counters.decr_misses.Add(1);
      if (op.result == Result::kNumber && !made) counters.decr_hits.Add(1);
      break;
    case Verb::kDelete:
      if (op.result == Result::kDeleted) {
        if (extended == nullptr || !extended->invalidates) counters.delete_hits.Add(1);
      } else if (op.result != Result::kExists || asked.style == ReplyStyle::kMeta) {
        counters.delete_misses.Add(1);
      }
      break;
    case Verb::kExtended:
      CHECK(!"the verb of an extended operation is a plain one");
  }
}

namespace {

std::string_view TextReply(const Op& op, const Asked& asked, char* scratch) {
  switch (op.result) {
    case Result::kNone:
    case Result::kHit:
    case Result::kPending:
      break;
    case Result::kMiss:
      return asked.ends_command ? kEnd : std::string_view{};
    case Result::kStored:
      return proto::kStoredLine;
    case Result::kNotStored:
      return proto::kNotStoredLine;
    case Result::kExists:
      return proto::kExistsLine;
    case Result::kNotFound:
      return proto::kNotFoundLine;
    case Result::kDeleted:
      return proto::kDeletedLine;
    case Result::kTouched:
      return proto::kTouchedLine;
    case Result::kNumber:
      return {scratch,
              static_cast<size_t>(proto::EncodeNumberLine(scratch, NumberOf(op)) - scratch)};
    case Result::kNotANumber:
    case Result::kTooLarge:
    case Result::kNoMemory:
      return RowOf(CauseOf(op)).reply;
  }
  CHECK(!"a hit, or an operation that was not executed");
  return {};
}

// Binary. The same failure has another status by what was asked.
BinaryStatus BinaryStatusOf(const Op& op) {
  switch (op.result) {
    case Result::kMiss:
    case Result::kNotFound:
      return BinaryStatus::kNotFound;
    case Result::kExists:
      return BinaryStatus::kExists;
    case Result::kNotStored:
      if (VerbOf(op) == Verb::kAdd) return BinaryStatus::kExists;
      if (VerbOf(op) == Verb::kReplace) return BinaryStatus::kNotFound;
      return BinaryStatus::kNotStored;
    case Result::kNotANumber:
      return BinaryStatus::kNotANumber;
    case Result::kTooLarge:
      return BinaryStatus::kTooLarge;
    case Result::kNoMemory:
      return BinaryStatus::kNoMemory;
    case Result::kStored:
    case Result::kDeleted:
    case Result::kTouched:
    case Result::kNumber:
      return BinaryStatus::kOk;
    case Result::kNone:
    case Result::kHit:
    case Result::kPending:
      break;
  }
  CHECK(!"a hit, or an operation that was not executed");
  return BinaryStatus::kOk;
}

char* EncodeBinaryReply(char* to, const Op& op, const Asked& asked) {
  const BinaryStatus status = BinaryStatusOf(op);
  const Verb verb = VerbOf(op);
  const bool retrieves = verb == Verb::kGet || verb == Verb::kGetAndTouch;
  if (asked.quiet && status == (retrieves ? BinaryStatus::kNotFound : BinaryStatus::kOk)) return to;
  switch (op.result) {
    case Result::kMiss:
      if (asked.with_key) return proto::EncodeBinaryKeyMiss(to, asked.to(), op.key_view());
      break;
    case Result::kTouched:
      return proto::EncodeBinaryValue(to, asked.to(), {}, op.client_flags, 0, op.cas);
    case Result::kNumber:
      return proto::EncodeBinaryNumber(to, asked.to(), NumberOf(op), op.cas);
    case Result::kStored:
      return proto::EncodeBinaryStatus(to, asked.to(), status, op.cas);
    case Result::kNoMemory: {
      const bool counts = verb == Verb::kIncrement || verb == Verb::kDecrement;
      return proto::EncodeBinaryText(
          to, asked.to(), status,
          counts ? proto::kBinaryNoMemoryCounting : proto::kBinaryNoMemoryStoring);
    }
    default:
      break;
  }
  return proto::EncodeBinaryStatus(to, asked.to(), status);
}

// Meta.

int64_t Ttl(RelativeSeconds exptime, RelativeSeconds now) {
  if (exptime == kNeverExpires) return proto::kTtlUnlimited;
  return exptime > now ? int64_t{exptime} - now : 0;
}

proto::MetaTtl TtlOf(const Op& op, const MetaAsked& meta, RelativeSeconds now) {
  const engine::Extended& extended = *op.extended;
  proto::MetaTtl ttl;
  ttl.created = extended.made;
  ttl.vivified = Ttl(meta.vivify_exptime, now);
  ttl.before = ttl.created ? ttl.vivified : Ttl(extended.exptime_before, now);
  ttl.touched = Ttl(op.exptime, now);
  return ttl;
}

MetaStatus MetaStatusOf(const Op& op) {
  switch (op.result) {
    case Result::kMiss:
      return MetaStatus::kMiss;
    case Result::kNotFound:
      return MetaStatus::kNotFound;
    case Result::kNotStored:
      return MetaStatus::kNotStored;
    case Result::kExists:
      return MetaStatus::kExists;
    default:
      return MetaStatus::kOk;
  }
}

char* EncodeMetaReply(char* to, const Op& op, const MetaAsked& meta, RelativeSeconds now) {
  const MetaStatus status = MetaStatusOf(op);
  const bool gets = meta.command == proto::MetaCommand::kGet;
  if (meta.quiet && status == (gets ? MetaStatus::kMiss : MetaStatus::kOk)) return to;
  const proto::MetaKey key = {op.key_view(), meta.key_is_base64};
  switch (meta.command) {
    case proto::MetaCommand::kGet:
      return proto::EncodeMetaMiss(to, meta.echo, key);
    case proto::MetaCommand::kSet: {
      const bool stored = op.result == Result::kStored;
      return proto::EncodeMetaStored(to, meta.echo, key, status, stored ? op.cas : 0,
                                     stored ? op.value_size : meta.value_size);
    }
    case proto::MetaCommand::kArithmetic:
      if (op.result == Result::kNumber) {
        return proto::EncodeMetaNumber(to, meta.echo, key, NumberOf(op), meta.with_value, op.cas,
                                       TtlOf(op, meta, now));
      }
      break;
    case proto::MetaCommand::kDebug:
      return std::copy(proto::kMetaDebugMiss.begin(), proto::kMetaDebugMiss.end(), to);
    case proto::MetaCommand::kDelete:
      break;
  }
  return proto::EncodeMetaDone(to, meta.echo, key, status);
}

}  // namespace

namespace internal {

bool ShowsValue(const Op& op, const MetaAsked& meta) {
  if (!meta.with_value) return false;
  // C, and the client has this version already.
  return op.verb != Verb::kExtended || !op.extended->compares_cas ||
         op.extended->cas_compare != op.cas;
}

char* WriteMetaHead(char* to, const Op& op, const MetaAsked& meta, RelativeSeconds now) {
  CHECK(op.verb == Verb::kExtended);
  const engine::Extended& extended = *op.extended;
  const uint32_t idle_seconds = now > extended.last_access ? now - extended.last_access : 0;
  if (meta.command == proto::MetaCommand::kDebug) {
    return proto::EncodeMetaDebug(to, {op.key_view(), extended.marks.key_is_binary},
                                  {.cas = op.cas,
                                   .ttl = Ttl(extended.exptime_before, now),
                                   .idle_seconds = idle_seconds,
                                   .size_class = extended.size_class,
                                   .size_bytes = extended.item_bytes,
                                   .fetched = extended.marks.fetched});
  }
  return proto::EncodeMetaHit(to, meta.echo, {op.key_view(), extended.marks.key_is_binary},
                              {.cas = op.cas,
                               .value_size = op.value_size,
                               .client_flags = op.client_flags,
                               .idle_seconds = idle_seconds,
                               .ttl = TtlOf(op, meta, now),
                               .fetched = extended.marks.fetched,
                               .with_value = ShowsValue(op, meta),
                               .stale = extended.marks.stale,
                               .token_sent = extended.marks.token_sent && !extended.won,
                               .won = extended.won});
}

}  // namespace internal

std::string_view ReplyText(const Op& op, const Asked& asked, const MetaAsked* meta,
                           RelativeSeconds now, char* scratch) {
  const auto written = [scratch](const char* end) {
    return std::string_view(scratch, static_cast<size_t>(end - scratch));
  };
  if (asked.style == ReplyStyle::kBinary) return written(EncodeBinaryReply(scratch, op, asked));
  if (asked.style != ReplyStyle::kMeta) return TextReply(op, asked, scratch);
  if (op.result == Result::kTooLarge || op.result == Result::kNoMemory ||
      op.result == Result::kNotANumber) {
    return RowOf(CauseOf(op)).reply;
  }
  return written(EncodeMetaReply(scratch, op, *meta, now));
}

char* internal::CopyPieces(char* to, const engine::Op& op, const engine::Engine& engine) {
  for (size_t from = 0; from < op.value_size;) {
    const std::span<const char> piece = engine.Piece(op.item, from);
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
    from += piece.size();
  }
  return to;
}

}  // namespace torc::server
