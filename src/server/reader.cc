#include "src/server/reader.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "proto/binary/parser.h"
#include "proto/meta/parser.h"
#include "proto/text/encoder.h"
#include "proto/text/parser.h"
#include "src/server/auth.h"
#include "src/server/replies.h"

namespace torc::server {

using engine::Engine;
using engine::Op;
using engine::Verb;
using proto::Command;
using proto::Request;
using State = ConnectionState;

namespace {

Verb StoreVerb(Command command) {
  switch (command) {
    case Command::kAdd:
      return Verb::kAdd;
    case Command::kReplace:
      return Verb::kReplace;
    case Command::kAppend:
      return Verb::kAppend;
    case Command::kPrepend:
      return Verb::kPrepend;
    case Command::kCas:
      return Verb::kCas;
    default:
      CHECK(command == Command::kSet);
      return Verb::kSet;
  }
}

bool AllBlank(std::string_view text) {
  return text.find_first_not_of(' ') == std::string_view::npos;
}

}  // namespace

Reader::Step Reader::Read(Connection& c) {
  if (c.turn != turn_) {
    c.turn = turn_;
    // Half a line that grows is no command: -o idle_timeout counts on.
    if (c.state != State::kCommand) c.command_at = core_.shard.now();
    c.turn_commands = c.turn_operations = c.turn_upload_bytes = 0;
  }
  const uint32_t commands_max = static_cast<uint32_t>(core_.shared.options.requests_per_turn);
  while (true) {
    if (c.state == State::kClosing) return Step::kClosing;
    if (core_.batch.full()) return Step::kBatch;
    if (c.out.full()) {
      core_.Fail(Cause::kOutputFull);
      return Step::kBlocked;
    }
    if (c.pending >= kPendingTasksHigh) {
      core_.Fail(Cause::kPendingFull);
      return Step::kBlocked;
    }
    if (!core_.buffers.plenty()) {
      core_.Fail(Cause::kBuffersShort);
      return Step::kLater;
    }
    if (c.turn_commands >= commands_max || c.turn_operations >= kOperationsPerTurn) {
      if (c.state == State::kCommand) {  // in other states the first segment may hold the line that
                                         // is being read
        PopEmptySegments(c);
        if (c.in_head == nullptr) return Step::kInput;
      }
      core_.counters.yields.Add(1);
      return Step::kShare;
    }
    Step step = Step::kGoOn;
    switch (c.state) {
      case State::kCommand:
        step = c.protocol == Protocol::kText ? ReadLine(c) : ReadPacket(c);
        break;
      case State::kHeld:
        c.state = State::kCommand;
        step = c.protocol == Protocol::kText ? HandleLine(c, c.held)
                                             : HandlePacket(c, proto::ParseBinary(c.held), c.held);
        break;
      case State::kKeys:
        step = ReadKeys(c);
        break;
      case State::kReserving:
        step = ReserveUpload(c);
        break;
      case State::kUpload:
        step = ReadUpload(c);
        break;
      case State::kSwallow:
        step = ReadSwallow(c);
        break;
      case State::kSkipLine:
        step = SkipLine(c);
        break;
      case State::kBroadcast:
        step = ReadBroadcast(c);
        break;
      case State::kJob:
        step = ReadJob(c);
        break;
      case State::kCredentials:
        step = ReadCredentials(c);
        break;
      case State::kPenalty:
        step = ReadPenalty(c);
        break;
      case State::kClosing:
        break;
    }
    if (step != Step::kGoOn) return step;
  }
}

// Lines.

Reader::Step Reader::ReadLine(Connection& c) {
  PopEmptySegments(c);
  InSegment* const s = c.in_head;
  if (s == nullptr) return Step::kInput;
  const void* const found = std::memchr(s->data, '\n', s->size);
  if (found == nullptr) return GrowLine(c);
  const size_t size = static_cast<size_t>(static_cast<const char*>(found) + 1 - s->data);
  std::string_view line(s->data, size);
  if (c.carry != nullptr) {
    if (c.carry->room() < size) return GrowLine(c);
    std::memcpy(c.carry->bytes + c.carry->used, s->data, size);
    c.carry->used += static_cast<uint32_t>(size);
    line = {c.carry->bytes, c.carry->used};
  }
  s->Advance(size);
  BeginCommand(c);
  return HandleLine(c, line);
}

// Moves the first segment's bytes to the part of the line that came before.
Reader::Step Reader::GrowLine(Connection& c) {
  if (!MakeCarry(c)) return Step::kGoOn;
  Block& carry = *c.carry;
  const uint32_t size = std::min(c.in_head->size, carry.room());
  std::memcpy(carry.bytes + carry.used, c.in_head->data, size);
  carry.used += size;
  c.in_head->Advance(size);
  const std::string_view received(carry.bytes, carry.used);
  if (received.size() > proto::kUnfinishedLineBytesMax &&
      (c.unauthenticated || !proto::MayGrow(received))) {
    core_.Fail(Cause::kLineTooLong);
    return Close(c);
  }
  return carry.room() == 0 ? StartLongKeys(c) : Step::kGoOn;
}

// A list of keys longer than a block: the keys that are all there are answered, and what is left
// becomes the start of a line of its own, whose END ends them all. So that memory stays bounded,
// however long the list is.
Reader::Step Reader::StartLongKeys(Connection& c) {
  const std::string_view line(c.carry->bytes, c.carry->used);
  const bool gets = line.starts_with("gets ");
  if (!gets && !line.starts_with("get ")) {
    // Blanks before the command, which proto::MayGrow lets pass: not a command.
    c.reply = core_.FailureReply(Cause::kUnknownCommand);
    c.state = State::kSkipLine;
    DoneWithLine(c);
    return Step::kGoOn;
  }
  const std::string_view keys = line.substr(gets ? 5 : 4);
  const size_t last_blank = keys.rfind(' ');
  c.long_line = true;
  return HandleRetrieval(c, gets ? Command::kGets : Command::kGet,
                         keys.substr(0, last_blank == std::string_view::npos ? 0 : last_blank),
                         kNeverExpires);
}

Reader::Step Reader::ContinueLongLine(Connection& c) {
  const std::string_view line(c.carry->bytes, c.carry->used);
  const std::string_view start = c.keys_command == Command::kGets ? "gets " : "get ";
  const std::string_view rest = line.substr(line.rfind(' ') + 1);
  if (rest.size() > proto::kKeyBytesMax) {
    c.reply = core_.FailureReply(Cause::kKeyTooLong);
    c.state = State::kSkipLine;
    c.long_line = false;
    DoneWithLine(c);
    return Step::kGoOn;
  }
  Block* const next = core_.buffers.NewBlock();
  if (next == nullptr) {
    core_.Break(c, Cause::kInputNoMemory);
    return Step::kGoOn;
  }
  std::memcpy(next->bytes, start.data(), start.size());
  std::memcpy(next->bytes + start.size(), rest.data(), rest.size());
  next->used = static_cast<uint32_t>(start.size() + rest.size());
  DoneWithLine(c);
  c.carry = next;
  c.state = State::kCommand;
  return Step::kGoOn;
}

Reader::Step Reader::HandleLine(Connection& c, std::string_view line) {
  if (c.unauthenticated) [[unlikely]]
    return HandleUnauthenticated(c, line);
  if (proto::IsMetaLine(line)) return HandleMeta(c, line);
  const Request request = proto::ParseLine(line);
  if (request.error != Cause::kNone) [[unlikely]] {
    if (c.long_line && request.error == Cause::kTooFewTokens) {
      c.long_line = false;
      AddReply(c, proto::kEnd);
      DoneWithLine(c);
      return Step::kGoOn;
    }
    // Only a command that was told apart as flush_all counts as one, even with a bad argument.
    if (request.command == Command::kFlushAll) core_.counters.cmd_flush.Add(1);
    const std::string_view text = core_.FailureReply(request.error);
    if (request.command == Command::kQuit) {
      DoneWithLine(c);
      return Close(c);
    }
    if (request.swallow_value) {
      return RefuseValue(c, request.value_size, request.noreply ? std::string_view{} : text);
    }
    if (!request.noreply) AddReply(c, text);
    DoneWithLine(c);
    return Step::kGoOn;
  }
  c.long_line = false;
  Step step;
  if (proto::IsRetrieval(request.command)) [[likely]] {
    const bool touches = request.command >= Command::kGat;
    return HandleRetrieval(c, request.command, request.rest,
                           touches
                               ? core_.shard.start().FromClient(request.exptime, core_.shard.now())
                               : kNeverExpires);
  }
  if (proto::IsStore(request.command)) {
    step = HandleStore(c, request);
  } else if (!request.key.empty()) {
    step = HandleKeyCommand(c, request);
  } else {
    step = HandleGlobal(c, request);
  }
  return step == Step::kGoOn ? step : Hold(c, line, step);
}

Reader::Step Reader::Hold(Connection& c, std::string_view line, Step why) {
  if (c.state == State::kCommand) {
    c.held = line;
    c.state = State::kHeld;
  }
  return why;
}

Reader::Step Reader::Close(Connection& c) {
  c.state = State::kClosing;
  core_.EndAwait(c);
  return Step::kGoOn;
}

// get, gets, gat, gats.

Reader::Step Reader::HandleRetrieval(Connection& c, Command command, std::string_view keys,
                                     RelativeSeconds exptime) {
  if (keys.size() > proto::kKeyBytesMax) {
    // One key that is too long spoils the command, so all are looked at before the first is
    // answered.
    std::string_view rest = keys;
    std::string_view key;
    proto::KeyStep step;
    while ((step = proto::NextKey(&rest, &key)) == proto::KeyStep::kKey) {
    }
    if (step == proto::KeyStep::kTooLong) {
      const std::string_view text = core_.FailureReply(Cause::kKeyTooLong);
      if (c.long_line) {
        c.long_line = false;
        c.reply = text;
        c.state = State::kSkipLine;
      } else {
        AddReply(c, text);
      }
      DoneWithLine(c);
      return Step::kGoOn;
    }
  }
  c.held = keys;
  c.keys_command = command;
  c.keys_exptime = exptime;
  c.state = State::kKeys;
  return ReadKeys(c);
}

Reader::Step Reader::ReadKeys(Connection& c) {
  const bool touches = c.keys_command >= Command::kGat;
  const bool with_cas = c.keys_command == Command::kGets || c.keys_command == Command::kGats;
  Asked asked;
  asked.style = with_cas ? ReplyStyle::kValueWithCas : ReplyStyle::kValue;
  while (c.turn_operations < kOperationsPerTurn) {
    if (core_.batch.full()) return Step::kBatch;
    std::string_view rest = c.held;
    std::string_view key;
    if (proto::NextKey(&rest, &key) == proto::KeyStep::kEnd) return EndKeys(c);
    const bool last = AllBlank(rest);
    Op op = MakeOp(key, touches ? Verb::kGetAndTouch : Verb::kGet);
    op.exptime = c.keys_exptime;
    asked.ends_command = last && !c.long_line;
    const Step step = Submit(c, op, asked, nullptr, nullptr);
    if (step != Step::kGoOn) return step;
    c.held = rest;
    if (last) return EndKeys(c);
  }
  return Step::kGoOn;
}

Reader::Step Reader::EndKeys(Connection& c) {
  if (c.long_line) return ContinueLongLine(c);
  c.state = State::kCommand;
  DoneWithLine(c);
  return Step::kGoOn;
}

// Commands on one key.

Reader::Step Reader::HandleKeyCommand(Connection& c, const Request& request) {
  Op op;
  Asked asked;
  switch (request.command) {
    case Command::kIncr:
    case Command::kDecr:
      op = MakeOp(request.key,
                  request.command == Command::kIncr ? Verb::kIncrement : Verb::kDecrement);
      op.number = request.delta;
      asked.style = ReplyStyle::kNumber;
      break;
    case Command::kTouch:
      op = MakeOp(request.key, Verb::kTouch);
      op.exptime = core_.shard.start().FromClient(request.exptime, core_.shard.now());
      asked.style = ReplyStyle::kTouch;
      break;
    default:
      CHECK(request.command == Command::kDelete);
      op = MakeOp(request.key, Verb::kDelete);
      asked.style = ReplyStyle::kDelete;
      break;
  }
  if (request.noreply) asked.style = ReplyStyle::kSilent;
  const Step step = Submit(c, op, asked, nullptr, nullptr);
  if (step == Step::kGoOn) DoneWithLine(c);
  return step;
}

Reader::Step Reader::HandleStore(Connection& c, const Request& request) {
  Op op = MakeOp(request.key, StoreVerb(request.command));
  if (request.value_size > engine_.ValueSizeMax(request.key.size(), request.client_flags)) {
    if (op.verb == Verb::kSet) {
      const Step step = SubmitRemoval(c, op);
      if (step != Step::kGoOn) return step;
    }
    const std::string_view text = core_.FailureReply(Cause::kValueTooLarge);
    return RefuseValue(c, request.value_size, request.noreply ? std::string_view{} : text);
  }
  op.client_flags = request.client_flags;
  op.exptime = core_.shard.start().FromClient(request.exptime, core_.shard.now());
  op.value_size = request.value_size;
  op.cas = op.verb == Verb::kCas ? request.cas : 0;
  Asked asked;
  asked.style = request.noreply ? ReplyStyle::kSilent : ReplyStyle::kStore;
  return ReadValue(c, &op, asked, nullptr);
}

Reader::Step Reader::SubmitRemoval(Connection& c, const Op& op) {
  Op removal = op;
  removal.verb = Verb::kDelete;
  Asked asked;
  asked.style = ReplyStyle::kUncounted;
  return Submit(c, removal, asked, nullptr, nullptr);
}

Reader::Step Reader::ReadValue(Connection& c, Op* op, const Asked& asked, const MetaAsked* meta) {
  // The line's segment may hold nothing more; it is popped only once nothing can be held back,
  // since the key lies in it.
  InSegment* s = c.in_head;
  while (s != nullptr && s->size == 0) s = s->next;
  const size_t size = size_t{op->value_size} + ValueTailBytes(c);
  if (size == 0) {
    op->value = "";  // of binary: there may be no segment
  } else if (s == nullptr || s->size < size) {
    return StartUpload(c, *op, asked, meta);
  } else if (size != op->value_size && std::memcmp(s->data + op->value_size, "\r\n", 2) != 0) {
    core_.counters.cmd_set.Add(1);
    const std::string_view text = core_.FailureReply(Cause::kBadDataChunk);
    if (asked.told()) AddReply(c, text);
    s->Advance(size);
    DoneWithLine(c);
    return Step::kGoOn;
  } else {
    op->value = s->data;
  }
  const Step step = Submit(c, *op, asked, meta, size == 0 ? nullptr : s);
  if (step != Step::kGoOn) return step;
  if (size != 0) s->Advance(size);
  DoneWithLine(c);
  return Step::kGoOn;
}

// Values that do not arrive whole.

Reader::Step Reader::StartUpload(Connection& c, const Op& op, const Asked& asked,
                                 const MetaAsked* meta) {
  Task* const task = desk_.New(c, op, asked, meta);
  if (task == nullptr) return Step::kLater;
  c.upload = task;
  c.state = State::kReserving;
  DoneWithLine(c);
  return Step::kGoOn;
}

Reader::Step Reader::ReserveUpload(Connection& c) {
  Task* const task = c.upload;
  // A refusal removes the present item, so what this connection asked for before comes first.
  if (task->owner == core_.self()) {
    if (c.batch == core_.batch.serial()) return Step::kBatch;
    if (c.IsPending(task->op.hash)) return Step::kBlocked;
    engine::Reservation reservation;
    task->reserved = engine_.Reserve(core_.self(), task->op, &reservation);
    if (task->reserved == Engine::ReserveResult::kLater) {
      core_.Fail(Cause::kValueDelayed);
      return Step::kLater;
    }
    task->op.item = reservation.item;
    task->shortage = reservation.shortage;
  } else if (!task->sent) {
    if (const Step step = AwaitEarlier(c); step != Step::kGoOn) return step;
    if (!desk_.ReserveSend(c, task->owner, task->op.hash)) return Step::kLater;
    desk_.Send(task, MessageKind::kReserve);
    task->sent = true;
    return Step::kBlocked;
  } else if (!task->answered) {
    return Step::kBlocked;
  }
  if (task->reserved == Engine::ReserveResult::kReserved) {
    c.state = State::kUpload;
    return Step::kGoOn;
  }
  const bool too_large = task->reserved == Engine::ReserveResult::kTooLarge;
  const Cause cause = too_large ? Cause::kValueTooLarge : CauseOf(task->shortage);
  const std::string_view text = core_.FailureReply(cause);
  LateReply reply = task->asked.told() ? text : std::string_view{};
  if (task->asked.style == ReplyStyle::kBinary) {
    reply = {task->asked,
             too_large ? proto::BinaryStatus::kTooLarge : proto::BinaryStatus::kNoMemory};
  }
  const Step step = RefuseValue(c, task->op.value_size, reply);
  c.upload = nullptr;
  desk_.Delete(task);
  return step;
}

Reader::Step Reader::ReadUpload(Connection& c) {
  Task* const task = c.upload;
  const uint32_t value_size = task->op.value_size;
  while (task->received < value_size + ValueTailBytes(c)) {
    PopEmptySegments(c);
    InSegment* const s = c.in_head;
    if (s == nullptr) return Step::kInput;
    if (core_.batch.full()) return Step::kBatch;
    size_t size = 1;
    if (task->received < value_size) {
      const uint32_t share =
          std::min(kUploadBytesPerTurn - c.turn_upload_bytes, upload_bytes_left_);
      if (share == 0) return c.turn_upload_bytes == 0 ? Step::kTurn : Step::kShare;
      const std::span<char> window = engine_.Window({task->op.item}, task->received);
      size = std::min<size_t>({window.size(), s->size, value_size - task->received, share});
      std::memcpy(window.data(), s->data, size);
      c.turn_upload_bytes += static_cast<uint32_t>(size);
      upload_bytes_left_ -= static_cast<uint32_t>(size);
    } else {
      task->tail[task->received - value_size] = s->data[0];
    }
    task->received += static_cast<uint32_t>(size);
    s->Advance(size);
  }
  return FinishUpload(c);
}

std::span<char> Reader::RoomToFill(const Connection& c) const {
  if (c.state != State::kUpload || c.upload->received >= c.upload->op.value_size) return {};
  const Task& task = *c.upload;
  const std::span<char> window = engine_.Window({task.op.item}, task.received);
  const size_t size =
      std::min<size_t>({window.size(), task.op.value_size - task.received, kFillBytesMax});
  return size < kFillBytesMin ? std::span<char>() : window.first(size);
}

void Reader::Filled(Connection& c, uint32_t bytes) {
  c.upload->received += bytes;
  core_.counters.bytes_read_into_items.Add(bytes);
}

bool Reader::SendsInBulk(const Connection& c) {
  if (c.upload == nullptr) [[likely]] {
    // Between two values, perhaps: until a turn has commands and nothing of a large value.
    return c.bulk && (c.state == State::kCommand || c.state == State::kHeld) &&
           (c.turn_commands == 0 || c.turn_upload_bytes != 0);
  }
  const Task& task = *c.upload;
  if (task.op.value_size < 2 * kBulkBytesMin) return false;
  return c.bulk || (c.turn_upload_bytes >= kBulkBytesMin &&
                    task.op.value_size >= size_t{task.received} + kBulkBytesMin);
}

Reader::Step Reader::FinishUpload(Connection& c) {
  Task* const task = c.upload;
  if (ValueTailBytes(c) != 0 && std::memcmp(task->tail, "\r\n", 2) != 0) {
    core_.counters.cmd_set.Add(1);
    const std::string_view text = core_.FailureReply(Cause::kBadDataChunk);
    if (task->asked.told()) AddReply(c, text);
    desk_.AbandonUpload(task);
  } else if (task->owner == core_.self()) {
    core_.batch.AddOperation(&c, task->op, task->asked, task);
    ++c.turn_operations;
  } else {
    if (!desk_.ReserveSend(c, task->owner, task->op.hash)) return Step::kLater;
    core_.batch.AddTask(&c, task);
  }
  c.upload = nullptr;
  c.state = State::kCommand;
  return Step::kGoOn;
}

Reader::Step Reader::RefuseValue(Connection& c, uint32_t value_size, const LateReply& reply) {
  c.swallow = value_size + ValueTailBytes(c);
  c.reply = reply;
  c.state = State::kSwallow;
  DoneWithLine(c);
  return Step::kGoOn;
}

Reader::Step Reader::ReadSwallow(Connection& c) {
  if (c.swallow != 0) {
    PopEmptySegments(c);
    if (c.in_head == nullptr) return Step::kInput;
    const uint32_t size = std::min<uint32_t>(c.swallow, c.in_head->size);
    c.in_head->Advance(size);
    c.swallow -= size;
  }
  if (c.swallow == 0) {
    if (c.unauthenticated && c.protocol == Protocol::kText) [[unlikely]]
      return FailCredentials(c, Cause::kAuthFailed);
    AddLateReply(c);
    c.state = State::kCommand;
  }
  return Step::kGoOn;
}

Reader::Step Reader::SkipLine(Connection& c) {
  PopEmptySegments(c);
  InSegment* const s = c.in_head;
  if (s == nullptr) return Step::kInput;
  const void* const found = std::memchr(s->data, '\n', s->size);
  if (found == nullptr) {
    s->Advance(s->size);
    return Step::kGoOn;
  }
  s->Advance(static_cast<size_t>(static_cast<const char*>(found) + 1 - s->data));
  AddLateReply(c);
  c.state = State::kCommand;
  return Step::kGoOn;
}

// Commands without a key.

Reader::Step Reader::HandleGlobal(Connection& c, const Request& request) {
  switch (request.command) {
    case Command::kVersion:
      AddReply(c, core_.shared.version_reply);
      break;
    case Command::kMetaNoop:
      AddReply(c, proto::kMetaNoop);
      break;
    case Command::kVerbosity:
      core_.shared.verbosity.store(static_cast<int>(std::min<uint64_t>(request.level, 3)),
                                   std::memory_order_relaxed);
      if (!request.noreply) AddReply(c, proto::kOkLine);
      break;
    case Command::kQuit:
      DoneWithLine(c);
      return Close(c);
    case Command::kShutdown: {
      Cause cause = Cause::kShutdownDisabled;
      if (core_.shared.options.shutdown_enabled) {
        std::string_view rest = request.rest;
        const std::string_view mode = proto::NextToken(&rest);
        const bool graceful = mode == "graceful" && AllBlank(rest);
        if (mode.empty() || graceful) {
          core_.shared.shut_down(graceful);
          DoneWithLine(c);
          return Close(c);
        }
        cause = Cause::kShutdownMode;
      }
      const std::string_view text = core_.FailureReply(cause);
      if (!request.noreply) AddReply(c, text);
      break;
    }
    case Command::kStats:
    case Command::kFlushAll:
    case Command::kLruCrawler:
    case Command::kLru:
    case Command::kSlabs:
    case Command::kMemoryLimit:
      // They see all that this connection did before.
      if (const Step step = AwaitEarlier(c); step != Step::kGoOn) return step;
      if (request.command == Command::kFlushAll) return HandleFlush(c, request);
      if (proto::IsOperator(request.command)) {
        commands_.OnOperator(c, request);
      } else {
        commands_.OnStats(c, request.rest, {});
      }
      core_.MarkDirty(c);
      break;
    default:
      CHECK(!"a command without a handler");
  }
  DoneWithLine(c);
  return Step::kGoOn;
}

Reader::Step Reader::HandleFlush(Connection& c, const Request& request) {
  core_.counters.cmd_flush.Add(1);
  if (!core_.shared.options.flush_all_enabled) {
    const std::string_view text = core_.FailureReply(Cause::kFlushDisabled);
    if (!request.noreply) AddReply(c, text);
  } else {
    Flush(c, request.exptime, request.noreply ? std::string_view{} : proto::kOkLine);
  }
  DoneWithLine(c);
  return Step::kGoOn;
}

// Here at once, at the other shards by message; then `reply`.
void Reader::Flush(Connection& c, int64_t exptime, const LateReply& reply) {
  const RelativeSeconds when =
      exptime <= 0 ? kNeverExpires : core_.shard.start().FromClient(exptime, core_.shard.now());
  engine_.Flush(core_.self(), when);
  c.reply = reply;
  c.broadcast_kind = MessageKind::kFlush;
  c.keys_exptime = when;
  c.broadcast_next = 0;
  c.state = State::kBroadcast;
}

// Tells every other shard, one message each, and replies when all have answered.
Reader::Step Reader::ReadBroadcast(Connection& c) {
  for (; c.broadcast_next < core_.shard.shards(); ++c.broadcast_next) {
    if (c.broadcast_next == core_.self()) continue;
    if (!desk_.ReserveSend(c, c.broadcast_next)) return Step::kLater;
    Task* const task = core_.tasks.New();
    if (task == nullptr) {
      core_.Fail(Cause::kTaskNoMemory);
      desk_.CancelSend(c, c.broadcast_next);
      return Step::kLater;
    }
    task->connection = &c;
    task->owner = c.broadcast_next;
    desk_.Send(task, c.broadcast_kind, c.keys_exptime);
  }
  if (c.pending != 0) return Step::kBlocked;
  AddLateReply(c);
  c.state = State::kCommand;
  return Step::kGoOn;
}

Reader::Step Reader::ReadJob(Connection& c) {
  switch (operators_.Continue(c)) {
    case Operators::Step::kDone:
      return Step::kGoOn;
    case Operators::Step::kShare:
      return Step::kShare;
    case Operators::Step::kLater:
      return Step::kLater;
    case Operators::Step::kBlocked:
      break;
  }
  return Step::kBlocked;
}

// Until a client is let in (-Y): src/server/auth.h.

Reader::Step Reader::HandleUnauthenticated(Connection& c, std::string_view line) {
  if (line.size() < kAuthLineBytesMin) {
    core_.Fail(Cause::kAuthLineTooShort);
    DoneWithLine(c);
    return Close(c);
  }
  const std::optional<uint32_t> size = ParseAuthLine(line);
  // Without -Y there is nothing that would let it in: SASL is for the binary protocol.
  if (!size || *size > kAuthTokenBytesMax || core_.shared.users == nullptr) {
    const bool too_long = size && core_.shared.users != nullptr;
    AddReply(c, core_.FailureReply(too_long ? Cause::kAuthTokenTooLong : Cause::kUnauthenticated));
    DoneWithLine(c);
    return Step::kGoOn;
  }
  if (*size > kCredentialsBytesMax) return RefuseValue(c, *size, std::string_view{});
  DoneWithLine(c);
  c.swallow = *size + 2;
  c.state = State::kCredentials;
  return Step::kGoOn;
}

// Of binary, what SASL's data is gathered behind.
Reader::Step Reader::ReadCredentials(Connection& c) {
  if (c.swallow != 0) {
    PopEmptySegments(c);
    if (c.in_head == nullptr) return Step::kInput;
    if (!MakeCarry(c)) return Step::kGoOn;
    const uint32_t size = std::min(c.in_head->size, c.swallow);
    CHECK_LE(size, c.carry->room());
    std::memcpy(c.carry->bytes + c.carry->used, c.in_head->data, size);
    c.carry->used += size;
    c.swallow -= size;
    c.in_head->Advance(size);
    if (c.swallow != 0) return Step::kGoOn;
  }
  if (c.protocol == Protocol::kBinary) return FinishSasl(c);
  Block& carry = *c.carry;
  const Cause cause = CheckCredentials(*core_.shared.users, {carry.bytes, carry.used});
  explicit_bzero(carry.bytes, carry.used);
  DoneWithLine(c);
  if (cause != Cause::kNone) return FailCredentials(c, cause);
  core_.counters.auth_cmds.Add(1);
  c.unauthenticated = false;
  AddReply(c, proto::kStoredLine);
  c.state = State::kCommand;
  return Step::kGoOn;
}

// The answer waits, and so does all that the client sends behind it: whoever guesses passwords
// gets one a second out of a connection. Nobody else waits, and the connection holds no more than
// any other.
Reader::Step Reader::FailCredentials(Connection& c, Cause cause) {
  c.reply = core_.FailureReply(cause);
  if (cause == Cause::kAuthFailed) {
    core_.counters.auth_cmds.Add(1);
    core_.counters.auth_errors.Add(1);
    c.penalty_end = core_.shard.now() + kAuthPenaltySeconds;
  } else {
    c.penalty_end = core_.shard.now();
  }
  c.state = State::kPenalty;
  return Step::kGoOn;
}

Reader::Step Reader::ReadPenalty(Connection& c) {
  // A client that has gone is not waited for, nor is any when the server stops.
  if (core_.shard.now() < c.penalty_end && !c.read_closed) return Step::kPenalty;
  AddLateReply(c);
  c.state = State::kCommand;
  return Step::kGoOn;
}

// Shared steps.

Reader::Step Reader::SubmitForeign(Connection& c, const Op& op, const Asked& asked,
                                   const MetaAsked* meta, InSegment* uses) {
  const ShardId owner = engine::OwnerOf(op.hash, core_.shard.shards());
  // What says when it was read before must be read once: a large value of another shard is not.
  const bool looks_back = asked.style == ReplyStyle::kMeta &&
                          meta->echo.letters_view().find_first_of("hl") != std::string_view::npos;
  if (!desk_.NeedsMessage(c, owner, op) && !looks_back) [[likely]] {
    core_.batch.AddOperation(&c, op, asked);
    ++c.turn_operations;
    return Step::kGoOn;
  }
  if (!desk_.ReserveSend(c, owner, op.hash)) return Step::kLater;
  Task* const task = desk_.New(c, op, asked, meta);
  if (task == nullptr) {
    desk_.CancelSend(c, owner);
    return Step::kLater;
  }
  if (uses != nullptr) {
    ++uses->refs;
    task->segment = uses;
  }
  core_.batch.AddTask(&c, task);
  ++c.turn_operations;
  return Step::kGoOn;
}

void Reader::AddReply(Connection& c, std::string_view text) {
  if (!text.empty()) core_.batch.AddText(&c, text);
}

void Reader::AddLateReply(Connection& c) {
  const LateReply& reply = c.reply;
  if (c.protocol != Protocol::kBinary) {
    AddReply(c, reply.line());
  } else if (!reply.quiet || reply.status != proto::BinaryStatus::kOk) {
    core_.batch.AddPacket(&c, reply.asked(), reply.status,
                          reply.status == proto::BinaryStatus::kNoMemory
                              ? proto::kBinaryNoMemoryStoring
                              : BinaryStatusText(reply.status));
  }
}

Reader::Step Reader::AwaitEarlier(const Connection& c) const {
  if (c.batch == core_.batch.serial()) return Step::kBatch;
  return c.pending != 0 ? Step::kBlocked : Step::kGoOn;
}

bool Reader::MakeCarry(Connection& c) {
  if (c.carry != nullptr) return true;
  c.carry = core_.buffers.NewBlock();
  if (c.carry == nullptr) core_.Break(c, Cause::kInputNoMemory);
  return c.carry != nullptr;
}

void Reader::DoneWithLine(Connection& c) {
  if (c.carry == nullptr) return;
  core_.batch.AddRelease(&c, c.carry);
  c.carry = nullptr;
}

void Reader::PopSegments(Connection& c) {
  CHECK(c.state != State::kHeld && c.state != State::kKeys);  // `held` may lie in them
  while (c.in_head != nullptr && c.in_head->size == 0) {
    InSegment* const segment = Core::PopSegment(c);
    // Entries of this batch may point into it; without any it can go at once.
    if (c.batch == core_.batch.serial()) {
      core_.batch.AddRelease(&c, segment);
    } else {
      core_.buffers.Release(segment);
    }
  }
}

Op Reader::MakeOp(std::string_view key, Verb verb) {
  Op op;
  op.hash = engine::HashKey(key, core_.shared.hash_seed);
  op.key = key.data();
  op.key_size = static_cast<uint8_t>(key.size());
  op.verb = verb;
  return op;
}

void Reader::DropInput(Connection& c) {
  while (c.in_head != nullptr) core_.buffers.Release(Core::PopSegment(c));
  if (c.carry != nullptr) core_.buffers.Release(c.carry);
  c.carry = nullptr;
  // What is under way names its connection until the answer comes.
  if (c.pending == 0) operators_.Drop(c);
  if (c.upload != nullptr && c.pending == 0 && !c.filling) {
    core_.Fail(Cause::kValueCutOff);
    desk_.AbandonUpload(c.upload);
    c.upload = nullptr;
  }
}

}  // namespace torc::server
