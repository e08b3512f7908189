#include "src/client/exchange.h"

#include "proto/meta/base64.h"
#include "proto/text/request.h"
#include "src/base/assert.h"

namespace torc::client {
namespace {

// Whether a line can carry the key as it is.
bool IsPlain(std::string_view key) {
  for (const char c : key) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return false;
  }
  return true;
}

}  // namespace

Status Check(Protocol protocol, const Operation& operation) {
  const bool is_text = protocol == Protocol::kText;
  if (IsOfServer(operation.verb)) return Status::kOk;
  const std::string_view key = operation.key;
  if (key.empty() || key.size() > proto::kKeyBytesMax) return Status::kBadKey;
  if (protocol != Protocol::kBinary && !IsPlain(key)) {
    if (is_text || proto::Base64Size(key.size()) > proto::kKeyBytesMax) return Status::kBadKey;
  }
  const bool counts = operation.verb == Verb::kIncrement || operation.verb == Verb::kDecrement;
  if (is_text && counts && operation.makes) return Status::kUnsupported;
  if (is_text && operation.verb == Verb::kDelete && operation.cas != 0) return Status::kUnsupported;
  if (operation.value.size() > proto::kValueBytesMax) return Status::kTooLarge;
  return Status::kOk;
}

Exchange::Exchange(std::span<const Operation> operations, std::span<const size_t> indices,
                   std::span<Result> results)
    : operations_(operations),
      indices_(indices),
      results_(results),
      answered_(indices.size(), false) {
  CHECK_LE(1, indices.size());
  CHECK_EQ(operations.size(), results.size());
  for (const size_t i : indices) results[i].status = Status::kLost;
}

Exchange::Step Exchange::Read(std::string_view received, size_t* used, size_t* wanted) {
  *used = 0;
  *wanted = 0;
  while (!done_) {
    size_t size = 0;
    const Step step = ReadOne(received.substr(*used), &size);
    if (step == Step::kBroken) return step;
    if (step == Step::kNeedMore) {
      *wanted = size;
      return step;
    }
    *used += size;
  }
  return Step::kDone;
}

void Exchange::Finish(Status status, std::string_view text) {
  for (size_t at = 0; at < count(); ++at) {
    if (IsAnswered(at)) continue;
    Result& result = Answer(at);
    result.status = status;
    result.text = text;
  }
}

Result& Exchange::Answer(size_t at) {
  answered_[at] = true;
  return results_[indices_[at]];
}

std::unique_ptr<Exchange> MakeExchange(Protocol protocol, std::span<const Operation> operations,
                                       std::span<const size_t> indices, std::span<Result> results) {
  switch (protocol) {
    case Protocol::kText:
      break;
    case Protocol::kMeta:
      // What is asked of a server has no meta command: those of text are understood beside them.
      if (IsOfServer(operations[indices[0]].verb)) break;
      return internal::MakeMetaExchange(operations, indices, results);
    case Protocol::kBinary:
      return internal::MakeBinaryExchange(operations, indices, results);
  }
  return internal::MakeTextExchange(operations, indices, results);
}

void internal::SetError(Result* result, std::string_view line) {
  *result = {};
  result->text = line;
  const auto says = [line](std::string_view words) { return line.find(words) != line.npos; };
  if (says("unauthenticated") || says("authentication failure")) {
    result->status = Status::kUnauthenticated;
  } else if (says("object too large")) {
    result->status = Status::kTooLarge;
  } else if (line.starts_with("SERVER_ERROR") && says("out of memory")) {
    result->status = Status::kNoMemory;
  } else if (says("non-numeric value")) {
    result->status = Status::kNotANumber;
  } else {
    result->status = Status::kServerError;
  }
}

}  // namespace torc::client
