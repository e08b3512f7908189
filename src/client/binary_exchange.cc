// The opaque of a request is its place in the batch, so that a reply says what it answers. In a
// batch all are quiet that can be, except those with a number to say; the closing no-op's reply
// says that who has not answered by then has nothing to say: a retrieval missed, all others
// succeeded.
#include <cstring>

#include "proto/binary/encoder.h"
#include "proto/binary/parser.h"
#include "proto/binary/reply.h"
#include "src/base/assert.h"
#include "src/client/exchange.h"

namespace torc::client {
namespace {

using proto::BinaryStatus;
using proto::Opcode;

// 30 days and a second: the smallest number that is a Unix time, one of 1970. The protocol's own
// numbers have no sign, and what is negative would lie far ahead.
constexpr uint32_t kLongAgo = 60 * 60 * 24 * 30 + 1;

uint32_t ExptimeOf(int32_t exptime) {
  return exptime < 0 ? kLongAgo : static_cast<uint32_t>(exptime);
}

struct Opcodes {
  Opcode plain;
  Opcode quiet;  // the same where there is none
};

Opcodes OpcodesOf(Verb verb) {
  switch (verb) {
    case Verb::kGet:
    case Verb::kGets:
      return {Opcode::kGet, Opcode::kGetQ};
    case Verb::kGat:
      return {Opcode::kGat, Opcode::kGatQ};
    case Verb::kTouch:
      return {Opcode::kTouch, Opcode::kTouch};
    case Verb::kSet:
      return {Opcode::kSet, Opcode::kSetQ};
    case Verb::kAdd:
      return {Opcode::kAdd, Opcode::kAddQ};
    case Verb::kReplace:
      return {Opcode::kReplace, Opcode::kReplaceQ};
    case Verb::kAppend:
      return {Opcode::kAppend, Opcode::kAppendQ};
    case Verb::kPrepend:
      return {Opcode::kPrepend, Opcode::kPrependQ};
    case Verb::kDelete:
      return {Opcode::kDelete, Opcode::kDeleteQ};
    case Verb::kIncrement:
      return {Opcode::kIncrement, Opcode::kIncrement};
    case Verb::kDecrement:
      return {Opcode::kDecrement, Opcode::kDecrement};
    case Verb::kNoop:
      return {Opcode::kNoop, Opcode::kNoop};
    case Verb::kVersion:
      return {Opcode::kVersion, Opcode::kVersion};
    case Verb::kFlushAll:
      return {Opcode::kFlush, Opcode::kFlush};
    case Verb::kStats:
      return {Opcode::kStat, Opcode::kStat};
  }
  CHECK(false);
  return {};
}

Status StatusOf(Verb verb, uint16_t status) {
  switch (static_cast<BinaryStatus>(status)) {
    case BinaryStatus::kOk:
      return Status::kOk;
    case BinaryStatus::kNotFound:
      return verb == Verb::kReplace ? Status::kNotStored : Status::kNotFound;
    case BinaryStatus::kExists:
      return verb == Verb::kAdd ? Status::kNotStored : Status::kExists;
    case BinaryStatus::kNotStored:
      return Status::kNotStored;
    case BinaryStatus::kNotANumber:
      return Status::kNotANumber;
    case BinaryStatus::kTooLarge:
      return Status::kTooLarge;
    case BinaryStatus::kNoMemory:
      return Status::kNoMemory;
    case BinaryStatus::kAuthError:
    case BinaryStatus::kAuthContinue:
      return Status::kUnauthenticated;
    case BinaryStatus::kInvalidArguments:
    case BinaryStatus::kUnknownCommand:
      break;
  }
  return Status::kServerError;
}

class BinaryExchange final : public Exchange {
 public:
  BinaryExchange(std::span<const Operation> operations, std::span<const size_t> indices,
                 std::span<Result> results)
      : Exchange(operations, indices, results), is_batch_(indices.size() > 1) {
    for (size_t at = 0; at < count(); ++at) Write(at);
    if (is_batch_) {
      proto::BinaryRequest noop;
      noop.opcode = Opcode::kNoop;
      noop.opaque = static_cast<uint32_t>(count());
      WriteHead(noop);
    }
  }

 private:
  void Write(size_t at) {
    const Operation& op = operation(at);
    const Opcodes opcodes = OpcodesOf(op.verb);
    proto::BinaryRequest request;
    request.opcode = is_batch_ ? opcodes.quiet : opcodes.plain;
    request.opaque = static_cast<uint32_t>(at);
    if (!IsOfServer(op.verb) || op.verb == Verb::kStats) request.key = op.key;
    if (op.verb == Verb::kSet || op.verb == Verb::kDelete) request.cas = op.cas;
    request.client_flags = op.client_flags;
    request.exptime = ExptimeOf(op.exptime);
    if (op.verb == Verb::kIncrement || op.verb == Verb::kDecrement) {
      request.delta = op.delta;
      request.initial = op.initial;
      if (!op.makes) request.exptime = proto::kDoNotCreate;
    }
    if (IsStore(op.verb)) request.value_size = static_cast<uint32_t>(op.value.size());
    WriteHead(request);
    if (IsStore(op.verb)) request_ += op.value;
  }

  void WriteHead(const proto::BinaryRequest& request) {
    const size_t before = request_.size();
    request_.resize(before + proto::kBinaryHeadBytesMax);
    const char* end = proto::EncodeBinaryRequest(request_.data() + before, request);
    request_.resize(static_cast<size_t>(end - request_.data()));
  }

  Step ReadOne(std::string_view received, size_t* size) override {
    const proto::BinaryReplyResult read = proto::ParseBinaryReply(received);
    *size = read.packet_size;
    if (read.step == proto::BinaryReplyStep::kNeedMore) return Step::kNeedMore;
    if (read.step == proto::BinaryReplyStep::kBroken) return Step::kBroken;
    const proto::BinaryReply& reply = read.reply;
    if (is_batch_ && reply.opaque == count()) {
      return reply.opcode == Opcode::kNoop ? Close() : Step::kBroken;
    }
    if (reply.opaque >= count()) return Step::kBroken;
    const Verb verb = operation(reply.opaque).verb;
    const Opcodes opcodes = OpcodesOf(verb);
    if (reply.opcode != (is_batch_ ? opcodes.quiet : opcodes.plain)) return Step::kBroken;
    if (verb == Verb::kStats && reply.status == 0 && !reply.key.empty()) {
      statistics_.append(reply.key).append(" ").append(reply.value).append("\n");
      return Step::kDone;
    }
    Result result;
    result.status = StatusOf(verb, reply.status);
    if (!result.ok()) {
      result.text = reply.value;
    } else if (!ReadBody(verb, reply, &result)) {
      return Step::kBroken;
    }
    Answer(reply.opaque) = std::move(result);
    done_ = !is_batch_;
    return Step::kDone;
  }

  // What a success brings along; false: not what it must.
  bool ReadBody(Verb verb, const proto::BinaryReply& reply, Result* result) {
    result->cas = reply.cas;
    if (IsRetrieval(verb)) {
      if (reply.extras.size() != sizeof(uint32_t)) return false;
      result->client_flags = reply.client_flags();
      result->value = reply.value;
    } else if (verb == Verb::kIncrement || verb == Verb::kDecrement) {
      if (reply.value.size() != sizeof(uint64_t)) return false;
      result->number = reply.number();
    } else if (verb == Verb::kVersion) {
      result->value = reply.value;
    } else if (verb == Verb::kStats) {
      result->value = std::move(statistics_);
    }
    return true;
  }

  Step Close() {
    for (size_t at = 0; at < count(); ++at) {
      if (IsAnswered(at)) continue;
      const Opcodes opcodes = OpcodesOf(operation(at).verb);
      if (opcodes.quiet == opcodes.plain) return Step::kBroken;  // it should have answered
      Answer(at).status = IsRetrieval(operation(at).verb) ? Status::kNotFound : Status::kOk;
    }
    done_ = true;
    return Step::kDone;
  }

  const bool is_batch_;
  std::string statistics_;
};

}  // namespace

std::unique_ptr<Exchange> internal::MakeBinaryExchange(std::span<const Operation> operations,
                                                       std::span<const size_t> indices,
                                                       std::span<Result> results) {
  return std::make_unique<BinaryExchange>(operations, indices, results);
}

}  // namespace torc::client
