// The binary protocol's packets. proto/binary/parser.h says what is to be done with them.
#include <algorithm>
#include <cstring>
#include <string>

#include "proto/binary/parser.h"
#include "src/server/reader.h"
#include "src/server/replies.h"

namespace torc::server {

using engine::Extended;
using engine::Op;
using engine::Verb;
using proto::BinaryCommand;
using proto::BinaryError;
using proto::BinaryRequest;
using proto::BinaryStatus;
using proto::BinaryStep;
using State = ConnectionState;

namespace {

Cause CauseOf(BinaryError error) {
  switch (error) {
    case BinaryError::kSizesDisagree:
      return Cause::kPacketSizes;
    case BinaryError::kKeyTooLong:
      return Cause::kPacketKeyTooLong;
    case BinaryError::kBodyTooLarge:
      return Cause::kPacketTooLarge;
    case BinaryError::kBadArguments:
      return Cause::kPacketBadArguments;
    case BinaryError::kUnknownCommand:
      return Cause::kUnknownOpcode;
    case BinaryError::kNone:
      break;
  }
  CHECK(!"not an error");
  return Cause::kNone;
}

Verb StoreVerb(BinaryCommand command) {
  switch (command) {
    case BinaryCommand::kSet:
      return Verb::kSet;
    case BinaryCommand::kAdd:
      return Verb::kAdd;
    case BinaryCommand::kReplace:
      return Verb::kReplace;
    case BinaryCommand::kAppend:
      return Verb::kAppend;
    default:
      CHECK(command == BinaryCommand::kPrepend);
      return Verb::kPrepend;
  }
}

// Makes `op` an extended operation of the same verb. `cas`: what it compares; 0: nothing.
void Extend(Op* op, Extended* extended, uint64_t cas) {
  *extended = {};
  extended->verb = op->verb;
  extended->compares_cas = cas != 0;
  extended->cas_compare = cas;
  op->verb = Verb::kExtended;
  op->extended = extended;
}

Asked MakeAsked(const BinaryRequest& request) {
  Asked asked;
  asked.opaque = request.opaque;
  asked.opcode = request.opcode;
  asked.style = ReplyStyle::kBinary;
  asked.quiet = request.quiet;
  asked.with_key = request.with_key;
  return asked;
}

}  // namespace

// A packet's head, where it lies if it is all there. Also the first bytes of a connection, which
// say what it speaks.
Reader::Step Reader::ReadPacket(Connection& c) {
  PopEmptySegments(c);
  InSegment* const s = c.in_head;
  if (s == nullptr) return Step::kInput;
  if (c.protocol == Protocol::kUnknown) [[unlikely]] {
    c.protocol = static_cast<uint8_t>(s->data[0]) == proto::kBinaryRequestMagic ? Protocol::kBinary
                                                                                : Protocol::kText;
    return Step::kGoOn;
  }
  if (c.carry != nullptr) return GrowPacket(c);
  const std::string_view received(s->data, s->size);
  const BinaryRequest request = proto::ParseBinary(received);
  if (request.step == BinaryStep::kNeedMore) return GrowPacket(c);
  s->Advance(request.head_size);
  BeginCommand(c);
  return HandlePacket(c, request, received.substr(0, request.head_size));
}

// Gathers a head that comes in parts.
Reader::Step Reader::GrowPacket(Connection& c) {
  if (!MakeCarry(c)) return Step::kGoOn;
  Block& carry = *c.carry;
  BinaryRequest request = proto::ParseBinary({carry.bytes, carry.used});
  CHECK(request.step == BinaryStep::kNeedMore);
  CHECK_LE(request.head_size, proto::kBinaryHeadBytesMax);
  const uint32_t size = std::min<uint32_t>(request.head_size - carry.used, c.in_head->size);
  std::memcpy(carry.bytes + carry.used, c.in_head->data, size);
  carry.used += size;
  c.in_head->Advance(size);
  const std::string_view received(carry.bytes, carry.used);
  request = proto::ParseBinary(received);
  if (request.step == BinaryStep::kNeedMore) return Step::kGoOn;
  BeginCommand(c);
  return HandlePacket(c, request, received);
}

Reader::Step Reader::HandlePacket(Connection& c, const BinaryRequest& request,
                                  std::string_view head) {
  if (request.step == BinaryStep::kClose) {
    core_.Fail(Cause::kPacketBadMagic);
    DoneWithLine(c);
    return Close(c);
  }
  if (request.error != BinaryError::kNone &&
      (!c.unauthenticated || request.error == BinaryError::kSizesDisagree)) [[unlikely]] {
    core_.Fail(CauseOf(request.error));
    const BinaryStatus status = StatusOf(request.error);
    if (ClosesAfter(request.error)) {
      AddPacket(c, request, status, BinaryStatusText(status));
      DoneWithLine(c);
      return Close(c);
    }
    return RefuseValue(c, request.value_size, {MakeAsked(request), status});
  }
  const bool is_sasl = request.command >= BinaryCommand::kSaslList;
  if (c.unauthenticated && !is_sasl && request.command != BinaryCommand::kVersion) [[unlikely]] {
    core_.Fail(Cause::kUnauthenticated);
    AddPacket(c, request, BinaryStatus::kAuthError, BinaryStatusText(BinaryStatus::kAuthError));
    DoneWithLine(c);
    return Close(c);
  }
  Step step;
  if (is_sasl) {
    step = HandlePacketSasl(c, request, head);
  } else if (IsStore(request.command)) {
    step = HandlePacketStore(c, request);
  } else if (!request.key.empty() && request.command <= BinaryCommand::kDecrement) {
    step = HandlePacketOperation(c, request);
  } else {
    step = HandlePacketGlobal(c, request);
  }
  return step == Step::kGoOn ? step : Hold(c, head, step);
}

Reader::Step Reader::HandlePacketOperation(Connection& c, const BinaryRequest& request) {
  Op op = MakeOp(request.key, Verb::kGet);
  const RelativeSeconds exptime =
      core_.shard.start().FromClient(int64_t{request.exptime}, core_.shard.now());
  Extended& extended = core_.batch.next_extra().extended;
  switch (request.command) {
    case BinaryCommand::kGet:
      break;
    case BinaryCommand::kTouch:
    case BinaryCommand::kGat:
      op.verb = request.command == BinaryCommand::kGat ? Verb::kGetAndTouch : Verb::kTouch;
      op.exptime = exptime;
      break;
    case BinaryCommand::kDelete:
      op.verb = Verb::kDelete;
      if (request.cas != 0) Extend(&op, &extended, request.cas);
      break;
    case BinaryCommand::kIncrement:
    case BinaryCommand::kDecrement:
      op.verb = request.command == BinaryCommand::kIncrement ? Verb::kIncrement : Verb::kDecrement;
      if (request.cas == 0 && request.exptime == proto::kDoNotCreate) {
        op.number = request.delta;
        break;
      }
      Extend(&op, &extended, request.cas);
      extended.delta = request.delta;
      extended.initial = request.initial;
      extended.makes = request.exptime != proto::kDoNotCreate;
      extended.make_exptime = exptime;
      break;
    default:
      CHECK(!"not a command on a key");
  }
  const Step step = Submit(c, op, MakeAsked(request), nullptr, nullptr);
  if (step == Step::kGoOn) DoneWithLine(c);
  return step;
}

Reader::Step Reader::HandlePacketStore(Connection& c, const BinaryRequest& request) {
  Op op = MakeOp(request.key, StoreVerb(request.command));
  if (request.value_size > engine_.ValueSizeMax(request.key.size(), request.client_flags)) {
    if (op.verb == Verb::kSet) {
      const Step step = SubmitRemoval(c, op);
      if (step != Step::kGoOn) return step;
    }
    core_.Fail(Cause::kValueTooLarge);
    const BinaryStatus status = BinaryStatus::kTooLarge;
    return RefuseValue(c, request.value_size, {MakeAsked(request), status});
  }
  op.client_flags = request.client_flags;
  op.value_size = request.value_size;
  op.exptime = core_.shard.start().FromClient(int64_t{request.exptime}, core_.shard.now());
  if (request.cas != 0 && request.command <= BinaryCommand::kReplace) {
    op.verb = Verb::kCas;
    op.cas = request.cas;
  } else if (request.cas != 0) {
    Extend(&op, &core_.batch.next_extra().extended, request.cas);
  }
  return ReadValue(c, &op, MakeAsked(request), nullptr);
}

Reader::Step Reader::HandlePacketGlobal(Connection& c, const BinaryRequest& request) {
  switch (request.command) {
    case BinaryCommand::kNoop:
      AddPacket(c, request, BinaryStatus::kOk, {});
      break;
    case BinaryCommand::kVersion:
      AddPacket(c, request, BinaryStatus::kOk, kMemcachedVersion);
      break;
    case BinaryCommand::kQuit:
      if (!request.quiet) AddPacket(c, request, BinaryStatus::kOk, {});
      DoneWithLine(c);
      return Close(c);
    case BinaryCommand::kFlush:
    case BinaryCommand::kStat:
      // As of text: they see all that this connection did before.
      if (const Step step = AwaitEarlier(c); step != Step::kGoOn) return step;
      if (request.command == BinaryCommand::kStat) {
        commands_.OnStats(c, request.key, MakeAsked(request));
        core_.MarkDirty(c);
        break;
      }
      core_.counters.cmd_flush.Add(1);
      if (core_.shared.options.flush_all_enabled) {
        Flush(c, int64_t{request.exptime}, {MakeAsked(request), BinaryStatus::kOk});
      } else {
        core_.Fail(Cause::kFlushDisabled);
        AddPacket(c, request, BinaryStatus::kAuthError, BinaryStatusText(BinaryStatus::kAuthError));
      }
      break;
    default:
      CHECK(!"a command without a handler");
  }
  DoneWithLine(c);
  return Step::kGoOn;
}

// Data of SASL is gathered behind the packet's head, which names the mechanism.
Reader::Step Reader::HandlePacketSasl(Connection& c, const BinaryRequest& request,
                                      std::string_view head) {
  const auto refuse = [&](Cause cause, BinaryStatus status) {
    core_.Fail(cause);
    return RefuseValue(c, request.value_size, {MakeAsked(request), status});
  };
  if (core_.shared.sasl == nullptr) {
    return refuse(Cause::kSaslDisabled, BinaryStatus::kUnknownCommand);
  }
  if (request.command == BinaryCommand::kSaslList) {
    if (const Step step = AwaitEarlier(c); step != Step::kGoOn) return step;
    sasl::Session* const session = core_.SaslSession(c);
    if (session == nullptr) return refuse(Cause::kSaslFailed, BinaryStatus::kAuthError);
    WritePacket(c, request, BinaryStatus::kOk, session->Mechanisms());
    DoneWithLine(c);
    return Step::kGoOn;
  }
  if (request.value_size > kSaslDataBytesMax) {
    return refuse(Cause::kSaslFailed, BinaryStatus::kAuthError);
  }
  if (c.carry == nullptr) {
    if (!MakeCarry(c)) return Step::kGoOn;
    std::memcpy(c.carry->bytes, head.data(), head.size());
    c.carry->used = static_cast<uint32_t>(head.size());
  }
  c.swallow = request.value_size;
  c.state = State::kCredentials;
  return Step::kGoOn;
}

Reader::Step Reader::FinishSasl(Connection& c) {
  if (const Step step = AwaitEarlier(c); step != Step::kGoOn) return step;
  Block& carry = *c.carry;
  const std::string_view received(carry.bytes, carry.used);
  const BinaryRequest request = proto::ParseBinary(received);
  const sasl::Answer answer = core_.Authenticate(c, request.command == BinaryCommand::kSaslAuth,
                                                 request.key, received.substr(request.head_size));
  c.state = State::kCommand;
  switch (answer.outcome) {
    case sasl::Outcome::kDone:
      AddPacket(c, request, BinaryStatus::kOk, "Authenticated");
      break;
    case sasl::Outcome::kContinue:
      WritePacket(c, request, BinaryStatus::kAuthContinue, answer.data);
      break;
    case sasl::Outcome::kFailed:
      c.reply = {MakeAsked(request), BinaryStatus::kAuthError};
      c.penalty_end = core_.shard.now() + kAuthPenaltySeconds;
      c.state = State::kPenalty;
      break;
  }
  explicit_bzero(carry.bytes, carry.used);
  DoneWithLine(c);
  return Step::kGoOn;
}

void Reader::WritePacket(Connection& c, const BinaryRequest& request, BinaryStatus status,
                         std::string_view text) {
  std::string packet(proto::kBinaryHeaderBytes + text.size(), '\0');
  proto::EncodeBinaryText(packet.data(), To(request), status, text);
  if (!c.broken && !c.out.Append(core_.buffers, packet)) core_.Break(c, Cause::kReplyNoMemory);
  core_.MarkDirty(c);
}

void Reader::AddPacket(Connection& c, const BinaryRequest& request, BinaryStatus status,
                       std::string_view text) {
  core_.batch.AddPacket(&c, MakeAsked(request), status, text);
}

}  // namespace torc::server
