// Replies come in the order of the commands, so one cursor over the operations finds what each of
// them answers. A run of retrievals of one kind is one command: its values come in the order of its
// keys, and a key that is passed over is a miss.
#include "proto/text/client.h"
#include "proto/text/encoder.h"
#include "src/base/assert.h"
#include "src/client/exchange.h"

namespace torc::client {
namespace {

using proto::TextReply;
using proto::TextReplyKind;

// Keys of one command: a line of some 100 KB at most, which no server holds against a client.
constexpr size_t kKeysPerLineMax = 400;

proto::Command CommandOf(const Operation& operation) {
  switch (operation.verb) {
    case Verb::kGet:
      return proto::Command::kGet;
    case Verb::kGets:
      return proto::Command::kGets;
    case Verb::kGat:
      return proto::Command::kGats;
    case Verb::kTouch:
      return proto::Command::kTouch;
    case Verb::kSet:
      return operation.cas != 0 ? proto::Command::kCas : proto::Command::kSet;
    case Verb::kAdd:
      return proto::Command::kAdd;
    case Verb::kReplace:
      return proto::Command::kReplace;
    case Verb::kAppend:
      return proto::Command::kAppend;
    case Verb::kPrepend:
      return proto::Command::kPrepend;
    case Verb::kDelete:
      return proto::Command::kDelete;
    case Verb::kIncrement:
      return proto::Command::kIncr;
    case Verb::kDecrement:
      return proto::Command::kDecr;
    case Verb::kNoop:
      return proto::Command::kMetaNoop;
    case Verb::kVersion:
      return proto::Command::kVersion;
    case Verb::kFlushAll:
      return proto::Command::kFlushAll;
    case Verb::kStats:
      return proto::Command::kStats;
  }
  CHECK(false);
  return proto::Command::kInvalid;
}

class TextExchange final : public Exchange {
 public:
  TextExchange(std::span<const Operation> operations, std::span<const size_t> indices,
               std::span<Result> results)
      : Exchange(operations, indices, results) {
    for (size_t at = 0; at < count(); at = GroupEnd(at)) Write(at, GroupEnd(at));
  }

 private:
  // Behind the last operation of the command that begins with `at`.
  size_t GroupEnd(size_t at) const {
    const Verb verb = operation(at).verb;
    size_t end = at + 1;
    if (verb != Verb::kGet && verb != Verb::kGets) return end;
    while (end < count() && end - at < kKeysPerLineMax && operation(end).verb == verb) ++end;
    return end;
  }

  void Write(size_t begin, size_t end) {
    const Operation& first = operation(begin);
    proto::Request request;
    request.command = CommandOf(first);
    std::string keys;
    if (IsRetrieval(first.verb)) {
      for (size_t at = begin; at < end; ++at) {
        if (!keys.empty()) keys += ' ';
        keys += operation(at).key;
      }
      request.rest = keys;
    } else if (first.verb == Verb::kStats) {
      request.rest = first.key;
    } else if (!IsOfServer(first.verb)) {
      request.key = first.key;
    }
    request.client_flags = first.client_flags;
    request.exptime = first.exptime;
    request.value_size = static_cast<uint32_t>(first.value.size());
    if (request.command == proto::Command::kCas) request.cas = first.cas;
    if (first.verb == Verb::kIncrement || first.verb == Verb::kDecrement) {
      request.delta = first.delta;
    }
    const size_t before = request_.size();
    request_.resize(before + proto::kRequestLineBytesMax + request.rest.size());
    const char* line_end = proto::EncodeRequest(request_.data() + before, request);
    request_.resize(static_cast<size_t>(line_end - request_.data()));
    if (IsStore(first.verb)) {
      request_ += first.value;
      request_ += proto::kLineEnd;
    }
  }

  Step ReadOne(std::string_view received, size_t* size) override {
    const proto::TextReplyResult read = proto::ParseTextReply(received);
    *size = read.size;
    if (read.step == proto::TextReplyStep::kNeedMore) return Step::kNeedMore;
    if (read.step == proto::TextReplyStep::kBroken) return Step::kBroken;
    const TextReply& reply = read.reply;
    const size_t end = GroupEnd(group_);
    if (reply.kind >= TextReplyKind::kError) {
      for (size_t at = group_; at < end; ++at) internal::SetError(&Answer(at), reply.text);
      return Next(end);
    }
    const Verb verb = operation(group_).verb;
    if (IsRetrieval(verb)) return ReadValue(reply, end);
    if (verb == Verb::kStats) return ReadStat(reply, end);
    Result result;
    if (!ResultOf(verb, reply, &result)) return Step::kBroken;
    Answer(group_) = std::move(result);
    return Next(end);
  }

  Step ReadValue(const TextReply& reply, size_t end) {
    if (reply.kind != TextReplyKind::kValue && reply.kind != TextReplyKind::kEnd) {
      return Step::kBroken;
    }
    size_t place = at_;
    while (place < end && operation(place).key != reply.key) ++place;
    if (reply.kind == TextReplyKind::kEnd) place = end;
    if (reply.kind == TextReplyKind::kValue && place == end) return Step::kBroken;  // unasked for
    for (; at_ < place; ++at_) Answer(at_).status = Status::kNotFound;
    if (place == end) return Next(end);
    Result& result = Answer(at_++);
    result.status = Status::kOk;
    result.value = reply.value;
    result.client_flags = reply.client_flags;
    result.cas = reply.cas;
    return Step::kDone;
  }

  Step ReadStat(const TextReply& reply, size_t end) {
    if (reply.kind == TextReplyKind::kStat) {
      statistics_.append(reply.key).append(" ").append(reply.text).append("\n");
      return Step::kDone;
    }
    if (reply.kind != TextReplyKind::kEnd && reply.kind != TextReplyKind::kReset) {
      return Step::kBroken;
    }
    Result& result = Answer(group_);
    result.status = Status::kOk;
    result.value = std::move(statistics_);
    return Next(end);
  }

  // False: no answer to that.
  static bool ResultOf(Verb verb, const TextReply& reply, Result* result) {
    const auto when = [&](TextReplyKind kind, bool fits, Status status) {
      if (reply.kind != kind || !fits) return false;
      result->status = status;
      return true;
    };
    const bool counts = verb == Verb::kIncrement || verb == Verb::kDecrement;
    if (when(TextReplyKind::kNumber, counts, Status::kOk)) {
      result->number = reply.number;
      return true;
    }
    if (when(TextReplyKind::kVersion, verb == Verb::kVersion, Status::kOk)) {
      result->value = reply.text;
      return true;
    }
    return when(TextReplyKind::kStored, IsStore(verb), Status::kOk) ||
           when(TextReplyKind::kNotStored, IsStore(verb), Status::kNotStored) ||
           when(TextReplyKind::kExists, IsStore(verb), Status::kExists) ||
           when(TextReplyKind::kNotFound, !IsOfServer(verb), Status::kNotFound) ||
           when(TextReplyKind::kDeleted, verb == Verb::kDelete, Status::kOk) ||
           when(TextReplyKind::kTouched, verb == Verb::kTouch, Status::kOk) ||
           when(TextReplyKind::kOk, verb == Verb::kFlushAll, Status::kOk) ||
           when(TextReplyKind::kMetaNoop, verb == Verb::kNoop, Status::kOk);
  }

  Step Next(size_t end) {
    group_ = end;
    at_ = end;
    done_ = end == count();
    return Step::kDone;
  }

  size_t group_ = 0;  // the command that is being answered begins here
  size_t at_ = 0;     // of a retrieval: the first key that may still be answered
  std::string statistics_;
};

}  // namespace

std::unique_ptr<Exchange> internal::MakeTextExchange(std::span<const Operation> operations,
                                                     std::span<const size_t> indices,
                                                     std::span<Result> results) {
  return std::make_unique<TextExchange>(operations, indices, results);
}

}  // namespace torc::client
