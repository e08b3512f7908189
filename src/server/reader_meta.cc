// Meta commands: lines of the text protocol, read in their own words. proto/meta/parser.h says what
// is to be done with them.
#include <algorithm>

#include "proto/meta/base64.h"
#include "proto/meta/parser.h"
#include "src/server/reader.h"
#include "src/server/replies.h"

namespace torc::server {

using engine::Extended;
using engine::Op;
using engine::Verb;
using proto::MetaCommand;
using proto::MetaError;
using proto::MetaMode;
using proto::MetaRequest;

namespace {

Cause CauseOf(MetaError error) {
  switch (error) {
    case MetaError::kTooFewTokens:
      return Cause::kTooFewTokens;
    case MetaError::kBadValueSize:
      return Cause::kBadValueSize;
    case MetaError::kKeyTooLong:
      return Cause::kKeyTooLong;
    case MetaError::kFlagNotAlnum:
      return Cause::kMetaFlagNotAlnum;
    case MetaError::kTooManyFlags:
      return Cause::kMetaTooManyFlags;
    case MetaError::kDuplicateFlag:
      return Cause::kMetaDuplicateFlag;
    case MetaError::kUnknownFlag:
      return Cause::kMetaUnknownFlag;
    case MetaError::kBadBase64:
      return Cause::kMetaBadBase64;
    case MetaError::kBadToken:
      return Cause::kMetaBadToken;
    case MetaError::kBadClientFlags:
      return Cause::kMetaBadClientFlags;
    case MetaError::kBadInitial:
      return Cause::kMetaBadInitial;
    case MetaError::kBadDelta:
      return Cause::kMetaBadDelta;
    case MetaError::kBadMode:
      return Cause::kMetaBadMode;
    case MetaError::kOpaqueTooLong:
      return Cause::kMetaOpaqueTooLong;
    case MetaError::kNone:
    case MetaError::kCount:
      break;
  }
  CHECK(!"not an error");
  return Cause::kNone;
}

Verb VerbOf(MetaMode mode) {
  switch (mode) {
    case MetaMode::kSet:
      return Verb::kSet;
    case MetaMode::kAdd:
      return Verb::kAdd;
    case MetaMode::kAppend:
      return Verb::kAppend;
    case MetaMode::kPrepend:
      return Verb::kPrepend;
    case MetaMode::kReplace:
      return Verb::kReplace;
    case MetaMode::kIncrement:
      return Verb::kIncrement;
    case MetaMode::kDecrement:
      return Verb::kDecrement;
  }
  CHECK(!"no such mode");
  return Verb::kSet;
}

// Flags act in the order of the line: whether `first` stands before `second`, both of which it has.
bool Precedes(char first, char second, std::string_view line, const MetaRequest& request) {
  const size_t flags = static_cast<size_t>(request.key.data() + request.key.size() - line.data());
  const auto place = [&](char flag) {
    const char token[2] = {' ', flag};
    return line.find(std::string_view(token, 2), flags);
  };
  return place(first) < place(second);
}

}  // namespace

Reader::Step Reader::HandleMeta(Connection& c, std::string_view line) {
  const MetaRequest request = proto::ParseMetaLine(line);
  c.long_line = false;
  if (request.error != MetaError::kNone) [[unlikely]] {
    core_.Fail(CauseOf(request.error));
    const std::string_view text = MetaErrorText(request.command, request.error);
    if (request.swallow_value) return RefuseValue(c, request.value_size, text);
    AddReply(c, text);
    DoneWithLine(c);
    return Step::kGoOn;
  }
  const auto exptime = [&](int32_t given) {
    return core_.shard.start().FromClient(given, core_.shard.now());
  };

  // Decoded beside the line, which may have to be read again.
  std::string_view key = request.key;
  if (request.key_is_base64) {
    char* const decoded = core_.batch.next_key();
    proto::DecodeBase64(decoded, key);
    key = {decoded, request.decoded_key_size};
  }
  Op op = MakeOp(key, Verb::kExtended);
  op.exptime = exptime(request.exptime);
  op.client_flags = request.client_flags;
  Extra& extra = core_.batch.next_extra();
  extra.meta = {.echo = request.echo,
                .value_size = request.value_size,
                .vivify_exptime = exptime(request.vivify_exptime),
                .command = request.command,
                .quiet = request.quiet,
                .with_value = request.with_value,
                .key_is_base64 = request.key_is_base64};
  Extended& extended = extra.extended;
  extended = {};
  op.extended = &extended;
  extended.compares_cas = request.compares_cas;
  extended.cas_compare = request.cas_compare;
  extended.sets_cas = request.sets_cas;
  extended.cas_new = request.cas_new;
  extended.key_is_binary = request.key_is_base64;
  extended.makes = request.vivifies;
  extended.make_exptime = extra.meta.vivify_exptime;
  extended.invalidates = request.invalidates;
  extended.touches = request.Has('T');

  Step step;
  switch (request.command) {
    case MetaCommand::kSet:
      extended.verb = VerbOf(request.mode);
      extended.removes_if_refused = true;
      step = HandleMetaStore(c, request, &op);
      return step == Step::kGoOn ? step : Hold(c, line, step);
    case MetaCommand::kGet:
      extended.recaches = request.Has('R');
      extended.recache_exptime = exptime(request.recache_exptime);
      extended.leaves_no_trace = request.Has('u');
      if (!extended.touches) break;
      extended.touches_first = extended.recaches && Precedes('T', 'R', line, request);
      if (extended.makes && Precedes('N', 'T', line, request)) extended.make_exptime = op.exptime;
      break;
    case MetaCommand::kDebug:
      extended.leaves_no_trace = extended.never_wins = true;
      core_.counters.cmd_meta.Add(1);
      break;
    case MetaCommand::kDelete:
      extended.verb = Verb::kDelete;
      extended.removes_value = request.Has('x');
      break;
    case MetaCommand::kArithmetic:
      extended.verb = VerbOf(request.mode);
      extended.delta = request.delta;
      extended.initial = request.initial;
      break;
  }
  Asked asked;
  asked.style = ReplyStyle::kMeta;
  step = Submit(c, op, asked, &extra.meta, nullptr);
  if (step != Step::kGoOn) return Hold(c, line, step);
  DoneWithLine(c);
  return step;
}

Reader::Step Reader::HandleMetaStore(Connection& c, const MetaRequest& request, Op* op) {
  if (request.value_size > engine_.ValueSizeMax(op->key_size, request.client_flags)) {
    const Step step = SubmitRemoval(c, *op);  // whatever the mode
    if (step != Step::kGoOn) return step;
    return RefuseValue(c, request.value_size, core_.FailureReply(Cause::kValueTooLarge));
  }
  op->value_size = request.value_size;
  Asked asked;
  asked.style = ReplyStyle::kMeta;
  return ReadValue(c, op, asked, &core_.batch.next_extra().meta);
}

}  // namespace torc::server
