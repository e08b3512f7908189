// The reader: a connection's received bytes into the batch. It goes on where the connection's state
// says, and stops where the connection's share of the turn, the batch, or a limit ends.
//
// Keys and values are not copied: entries point into the received segments, which live until an
// entry behind them releases them. A value that is not all there is received into memory of the
// engine (Task: upload).
//
// Owner: the worker. Affinity: shard. Lifetime: as the worker. Invariant: bytes are consumed in
// order, each once.
#ifndef TORC_SRC_SERVER_READER_H_
#define TORC_SRC_SERVER_READER_H_

#include "proto/binary/request.h"
#include "proto/meta/request.h"
#include "src/server/core.h"
#include "src/server/operators.h"
#include "src/server/task_desk.h"

namespace torc::server {

// Commands that need more than one partition or none. Called with no entries of the connection in
// the batch and none of its tasks under way, so that their replies can be appended directly.
class GlobalCommands {
 public:
  virtual ~GlobalCommands() = default;
  // `asked`: of binary, how its packets are marked.
  virtual void OnStats(Connection& c, std::string_view arguments, const Asked& asked) = 0;
  virtual void OnOperator(Connection& c, const proto::Request& request) = 0;
};

class Reader {
 public:
  Reader(Core& core, TaskDesk& desk, Operators& operators, GlobalCommands& commands)
      : core_(core),
        desk_(desk),
        operators_(operators),
        commands_(commands),
        engine_(core.engine()) {}

  // How a step, or all of a reading, ended.
  enum class Step : uint8_t {
    kGoOn,     // on with the next step; Read does not end so
    kInput,    // everything that arrived is consumed
    kShare,    // the connection has used up its share of the turn: again next turn
    kTurn,     // the others have used up what all share, it has had nothing: first next turn
    kBatch,    // the batch is full, or must be executed before this connection goes on
    kLater,    // memory, or room in a mailbox, must come free: try again soon
    kPenalty,  // its client gave a wrong password: again when the time has come
    kBlocked,  // an answer must come, or its output drain: marked ready then
    kClosing,
  };
  // A new turn: every connection has its full share again.
  void BeginTurn() {
    ++turn_;
    upload_bytes_left_ = kTurnUploadBytesMax;
  }
  // Reads what `c` has. Requires a batch that is not full.
  Step Read(Connection& c);

  // Where to receive what comes next, if that is much of a value: in its item, or nowhere. Requires
  // that all that was received is read.
  std::span<char> RoomToFill(const Connection& c) const;
  // So many bytes have come there.
  void Filled(Connection& c, uint32_t bytes);
  // Whether this turn, in which `c` was read, shows that its client sends in bulk.
  static bool SendsInBulk(const Connection& c);

  // Gives back all that a closing connection holds on the input side, but for what is still being
  // filled.
  void DropInput(Connection& c);

 private:
  // One that is all there, but for its value.
  void BeginCommand(Connection& c) {
    ++c.turn_commands;
    c.command_at = core_.shard.now();
  }
  Step ReadLine(Connection& c);
  Step GrowLine(Connection& c);
  Step HandleLine(Connection& c, std::string_view line);
  Step HandleRetrieval(Connection& c, proto::Command command, std::string_view keys,
                       RelativeSeconds exptime);
  Step ReadKeys(Connection& c);
  Step EndKeys(Connection& c);
  Step StartLongKeys(Connection& c);
  Step ContinueLongLine(Connection& c);
  Step HandleStore(Connection& c, const proto::Request& request);
  Step HandleKeyCommand(Connection& c, const proto::Request& request);
  Step HandleGlobal(Connection& c, const proto::Request& request);
  Step HandleFlush(Connection& c, const proto::Request& request);
  // reader_meta.cc
  Step HandleMeta(Connection& c, std::string_view line);
  Step HandleMetaStore(Connection& c, const proto::MetaRequest& request, engine::Op* op);

  // reader_binary.cc
  Step ReadPacket(Connection& c);
  Step GrowPacket(Connection& c);
  Step HandlePacket(Connection& c, const proto::BinaryRequest& request, std::string_view head);
  Step HandlePacketOperation(Connection& c, const proto::BinaryRequest& request);
  Step HandlePacketStore(Connection& c, const proto::BinaryRequest& request);
  Step HandlePacketGlobal(Connection& c, const proto::BinaryRequest& request);
  Step HandlePacketSasl(Connection& c, const proto::BinaryRequest& request, std::string_view head);
  Step FinishSasl(Connection& c);
  // `text`: constant.
  void AddPacket(Connection& c, const proto::BinaryRequest& request, proto::BinaryStatus status,
                 std::string_view text);
  // Any text, at once: requires that nothing of the connection is in the batch or under way.
  void WritePacket(Connection& c, const proto::BinaryRequest& request, proto::BinaryStatus status,
                   std::string_view text);

  // The value of a store, which begins where the input does now: executes it, or begins an upload.
  Step ReadValue(Connection& c, engine::Op* op, const Asked& asked, const MetaAsked* meta);
  // What follows a value: the line end of text.
  static uint32_t ValueTailBytes(const Connection& c) {
    return c.protocol == Protocol::kBinary ? 0 : 2;
  }
  Step StartUpload(Connection& c, const engine::Op& op, const Asked& asked, const MetaAsked* meta);
  Step ReserveUpload(Connection& c);
  Step ReadUpload(Connection& c);
  Step FinishUpload(Connection& c);
  Step ReadSwallow(Connection& c);
  Step SkipLine(Connection& c);
  Step ReadBroadcast(Connection& c);
  Step ReadJob(Connection& c);
  Step HandleUnauthenticated(Connection& c, std::string_view line);
  Step ReadCredentials(Connection& c);
  Step FailCredentials(Connection& c, Cause cause);
  Step ReadPenalty(Connection& c);

  // Sends the operation where it belongs: into the batch, or to the owner of its key. `uses` is the
  // segment that its value lies in, or null. kLater: no room at the owner; nothing has changed.
  // What `op` has of extra lies in the batch's next_extra(), or wherever `meta` and op.extended
  // say.
  Step Submit(Connection& c, const engine::Op& op, const Asked& asked, const MetaAsked* meta,
              InSegment* uses) {
    // In place: made here and copied there, an operation's fields would go through memory twice.
    if (engine::OwnerOf(op.hash, core_.shard.shards()) == core_.self()) [[likely]] {
      core_.batch.AddOperation(&c, op, asked);
      ++c.turn_operations;
      return Step::kGoOn;
    }
    return SubmitForeign(c, op, asked, meta, uses);
  }
  // Likewise, of a key that another shard owns.
  Step SubmitForeign(Connection& c, const engine::Op& op, const Asked& asked, const MetaAsked* meta,
                     InSegment* uses);
  // Removes the item of a key whose store is refused, so that no stale value stays.
  Step SubmitRemoval(Connection& c, const engine::Op& op);
  void AddReply(Connection& c, std::string_view text);
  void AddLateReply(Connection& c);  // c.reply
  Step RefuseValue(Connection& c, uint32_t value_size, const LateReply& reply);
  void Flush(Connection& c, int64_t exptime, const LateReply& reply);
  Step Hold(Connection& c, std::string_view line, Step why);
  Step Close(Connection& c);
  // For what sees all that the connection did before, or answers past the batch. kGoOn: nothing of
  // the connection is in the batch, nor under way elsewhere.
  Step AwaitEarlier(const Connection& c) const;
  // Where what comes in parts is gathered. False: there was no memory, and the connection is
  // broken.
  [[nodiscard]] bool MakeCarry(Connection& c);
  // The line is handled: what held it is released once the batch is executed.
  void DoneWithLine(Connection& c);
  void PopEmptySegments(Connection& c) {
    if (c.in_head != nullptr && c.in_head->size == 0) PopSegments(c);
  }
  void PopSegments(Connection& c);
  engine::Op MakeOp(std::string_view key, engine::Verb verb);

  Core& core_;
  TaskDesk& desk_;
  Operators& operators_;
  GlobalCommands& commands_;
  engine::Engine& engine_;
  uint32_t turn_ = 1;
  uint32_t upload_bytes_left_ = kTurnUploadBytesMax;  // that may still be copied in this turn
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_READER_H_
