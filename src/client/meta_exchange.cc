// Every command of a batch has an opaque token, its place in the batch, so that a reply says what
// it answers. Only retrievals are quiet: stores, deletes and numbers are answered, since an error
// line has no token and could be anybody's among commands that keep quiet. What it can be here is
// one of the retrievals since the last reply, or the next command that must answer: all of these
// get the error until a reply says otherwise.
#include "proto/meta/base64.h"
#include "proto/meta/client.h"
#include "proto/text/encoder.h"
#include "proto/text/numbers.h"
#include "src/base/assert.h"
#include "src/client/exchange.h"

namespace torc::client {
namespace {

using proto::AddMetaFlag;
using proto::MetaRequest;

void SetMode(MetaRequest* request, proto::MetaMode mode) {
  request->mode = mode;
  AddMetaFlag(request, 'M');
}

void SetExptime(MetaRequest* request, int32_t exptime) {
  request->exptime = exptime;
  AddMetaFlag(request, 'T');
}

MetaRequest RequestOf(const Operation& operation) {
  MetaRequest request;
  switch (operation.verb) {
    case Verb::kGat:
      SetExptime(&request, operation.exptime);
      [[fallthrough]];
    case Verb::kGets:
      AddMetaFlag(&request, 'c');
      [[fallthrough]];
    case Verb::kGet:
      AddMetaFlag(&request, 'f');
      AddMetaFlag(&request, 'v');
      return request;
    case Verb::kTouch:
      SetExptime(&request, operation.exptime);
      return request;
    case Verb::kDelete:
      request.command = proto::MetaCommand::kDelete;
      break;
    case Verb::kIncrement:
    case Verb::kDecrement:
      request.command = proto::MetaCommand::kArithmetic;
      AddMetaFlag(&request, 'v');
      AddMetaFlag(&request, 'D');
      request.delta = operation.delta;
      if (operation.verb == Verb::kDecrement) SetMode(&request, proto::MetaMode::kDecrement);
      if (operation.makes) {
        request.vivify_exptime = operation.exptime;
        AddMetaFlag(&request, 'N');
        request.initial = operation.initial;
        AddMetaFlag(&request, 'J');
      }
      return request;
    case Verb::kAdd:
      SetMode(&request, proto::MetaMode::kAdd);
      break;
    case Verb::kReplace:
      SetMode(&request, proto::MetaMode::kReplace);
      break;
    case Verb::kAppend:
      SetMode(&request, proto::MetaMode::kAppend);
      break;
    case Verb::kPrepend:
      SetMode(&request, proto::MetaMode::kPrepend);
      break;
    case Verb::kSet:
      break;
    case Verb::kNoop:
    case Verb::kVersion:
    case Verb::kFlushAll:
    case Verb::kStats:
      CHECK(false);
  }
  if (IsStore(operation.verb)) {
    request.command = proto::MetaCommand::kSet;
    request.value_size = static_cast<uint32_t>(operation.value.size());
    AddMetaFlag(&request, 'c');
    if (operation.client_flags != 0) {
      request.client_flags = operation.client_flags;
      AddMetaFlag(&request, 'F');
    }
    if (operation.exptime != 0) SetExptime(&request, operation.exptime);
  }
  if (operation.cas != 0 && (operation.verb == Verb::kSet || operation.verb == Verb::kDelete)) {
    request.cas_compare = operation.cas;
    AddMetaFlag(&request, 'C');
  }
  return request;
}

// Base64 where a line cannot carry the key as it is.
bool NeedsBase64(std::string_view key) {
  for (const char c : key) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return true;
  }
  return false;
}

Status StatusOf(proto::MetaStatus status) {
  switch (status) {
    case proto::MetaStatus::kOk:
      return Status::kOk;
    case proto::MetaStatus::kMiss:
    case proto::MetaStatus::kNotFound:
      return Status::kNotFound;
    case proto::MetaStatus::kNotStored:
      return Status::kNotStored;
    case proto::MetaStatus::kExists:
      return Status::kExists;
  }
  CHECK(false);
  return Status::kProtocol;
}

class MetaExchange final : public Exchange {
 public:
  MetaExchange(std::span<const Operation> operations, std::span<const size_t> indices,
               std::span<Result> results)
      : Exchange(operations, indices, results), is_batch_(indices.size() > 1) {
    for (size_t at = 0; at < count(); ++at) Write(at);
    if (is_batch_) request_ += "mn\r\n";
  }

 private:
  bool IsQuiet(size_t at) const { return is_batch_ && IsRetrieval(operation(at).verb); }

  void Write(size_t at) {
    const Operation& op = operation(at);
    MetaRequest request = RequestOf(op);
    char key_text[proto::kKeyBytesMax];
    request.key = op.key;
    if (NeedsBase64(op.key)) {
      const char* end = proto::EncodeBase64(key_text, op.key);
      request.key = {key_text, static_cast<size_t>(end - key_text)};
      AddMetaFlag(&request, 'b');
    }
    if (is_batch_) proto::AddMetaOpaque(&request, std::to_string(at));
    if (IsQuiet(at)) AddMetaFlag(&request, 'q');
    const size_t before = request_.size();
    request_.resize(before + proto::kMetaLineBytesMax);
    const char* line_end = proto::EncodeMetaRequest(request_.data() + before, request);
    request_.resize(static_cast<size_t>(line_end - request_.data()));
    if (IsStore(op.verb)) {
      request_ += op.value;
      request_ += proto::kLineEnd;
    }
  }

  Step ReadOne(std::string_view received, size_t* size) override {
    const proto::MetaAnswer answer = proto::ParseMetaAnswer(received);
    *size = answer.size;
    switch (answer.step) {
      case proto::MetaAnswerStep::kNeedMore:
        return Step::kNeedMore;
      case proto::MetaAnswerStep::kBroken:
        return Step::kBroken;
      case proto::MetaAnswerStep::kNoop:
        return Close();
      case proto::MetaAnswerStep::kError:
        return TakeError(answer.error);
      case proto::MetaAnswerStep::kReply:
        return TakeReply(answer);
    }
    return Step::kBroken;
  }

  // Who kept quiet up to the closing command had a miss; whoever must answer has.
  Step Close() {
    if (!is_batch_) return Step::kBroken;
    for (size_t at = 0; at < count(); ++at) {
      if (!IsAnswered(at) && !IsQuiet(at)) return Step::kBroken;
    }
    Finish(Status::kNotFound, {});
    done_ = true;
    return Step::kDone;
  }

  Step TakeError(std::string_view line) {
    for (; next_ < count(); ++next_) {
      internal::SetError(&Answer(next_), line);
      if (!IsQuiet(next_)) break;
    }
    if (next_ < count()) ++next_;
    done_ = !is_batch_;
    return Step::kDone;
  }

  Step TakeReply(const proto::MetaAnswer& answer) {
    Result result;
    result.status = StatusOf(answer.reply.status);
    uint64_t place = is_batch_ ? count() : 0;
    std::string_view flags = answer.reply.flags;
    std::string_view token;
    for (char letter; proto::NextMetaFlag(&flags, &letter, &token);) {
      bool is_read = true;
      if (letter == 'c') is_read = proto::ReadStrictU64(token, &result.cas);
      if (letter == 'f') is_read = proto::ReadStrictU32(token, &result.client_flags);
      if (letter == 'O') is_read = proto::ReadStrictU64(token, &place);
      if (!is_read) return Step::kBroken;
    }
    if (place >= count()) return Step::kBroken;
    const Verb verb = operation(place).verb;
    if (verb == Verb::kIncrement || verb == Verb::kDecrement) {
      if (result.ok() && !proto::ReadStrictU64(answer.value, &result.number)) return Step::kBroken;
    } else {
      result.value = answer.value;
    }
    Answer(place) = std::move(result);
    if (place >= next_) next_ = place + 1;
    done_ = !is_batch_;
    return Step::kDone;
  }

  const bool is_batch_;
  size_t next_ = 0;  // all before have answered, or have kept quiet
};

}  // namespace

std::unique_ptr<Exchange> internal::MakeMetaExchange(std::span<const Operation> operations,
                                                     std::span<const size_t> indices,
                                                     std::span<Result> results) {
  return std::make_unique<MetaExchange>(operations, indices, results);
}

}  // namespace torc::client
