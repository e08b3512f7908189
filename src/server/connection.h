// A connection: what is known of a client between turns. An idle one is this struct and nothing
// else.
//
//   received --> segments --> parse (by state) --> batch --> output --> send
//
//   state    kCommand    at the start of a line or inside one (`carry` holds the part that came
//   before)
//            kHeld       a whole line (`held`) waits for room: in the batch, in a mailbox, or for
//            earlier answers kKeys       inside a get's list of keys (`held` is the rest)
//            kReserving  waiting for the memory of a value that did not arrive whole (`upload`)
//            kUpload     inside such a value
//            kSwallow    inside the value of a refused command (`swallow` bytes remain), then
//                        `reply`
//            kSkipLine   inside a line that is already answered for: up to its end, then `reply`
//            kBroadcast  a command over all shards is under way, then `reply`
//            kJob        one that shows much is under way (`job`)
//            kCredentials  inside user and password (`swallow` bytes remain; `carry` has the
//            others) kPenalty    they were wrong: `reply` waits until `penalty_end` kClosing    no
//            more commands are read: quit, end of stream, or failure
//
// Owner: its worker. Affinity: shard. Lifetime: from accept until its socket is closed and no
// completion, task or batch names it. Invariant: at most one receive and one send under way;
// in_count is the number of segments.
#ifndef TORC_SRC_SERVER_CONNECTION_H_
#define TORC_SRC_SERVER_CONNECTION_H_

#include <bitset>
#include <string_view>

#include "proto/text/request.h"
#include "src/base/intrusive_list.h"
#include "src/ring/ring.h"
#include "src/server/buffers.h"
#include "src/server/options.h"
#include "src/server/output.h"
#include "src/server/task.h"

namespace torc::server {

struct Job;

enum class ConnectionState : uint8_t {
  kCommand,
  kHeld,
  kKeys,
  kReserving,
  kUpload,
  kSwallow,
  kSkipLine,
  kBroadcast,
  kJob,
  kCredentials,
  kPenalty,
  kClosing,
};

// A reply that is known before it may be sent: of text a constant, of binary a status. 16 bytes.
struct LateReply {
  LateReply(std::string_view line)  // NOLINT(google-explicit-constructor)
      : text(line.data()), number(static_cast<uint32_t>(line.size())) {}
  LateReply(const Asked& asked, proto::BinaryStatus s)
      : number(asked.opaque), opcode(asked.opcode), quiet(asked.quiet), status(s) {}

  std::string_view line() const { return {text, number}; }
  Asked asked() const {
    Asked a;
    a.opaque = number;
    a.opcode = opcode;
    a.style = ReplyStyle::kBinary;
    a.quiet = quiet;
    return a;
  }

  const char* text = nullptr;
  uint32_t number;  // of text its size, of binary the opaque
  proto::Opcode opcode = proto::Opcode::kGet;
  bool quiet = false;
  proto::BinaryStatus status = proto::BinaryStatus::kOk;
};
static_assert(sizeof(LateReply) == 16);

struct AllTag;      // every connection of the worker
struct ReadyTag;    // has input to parse, or a state to go on with
struct DirtyTag;    // has output to send, or is to be closed; or has output that awaits an answer
struct StarvedTag;  // its receive ended for lack of buffers
struct HoldingTag;  // could not read all that it received this turn

struct alignas(64) Connection : ListLink<AllTag>,
                                ListLink<ReadyTag>,
                                ListLink<DirtyTag>,
                                ListLink<StarvedTag>,
                                ListLink<HoldingTag> {
  Connection() {}  // NOLINT(modernize-use-equals-default): gcc 12 deletes it for the union's sake

  // Input.
  InSegment* in_head = nullptr;
  InSegment* in_tail = nullptr;
  Block* carry = nullptr;  // the part of a line that came in earlier segments
  union {
    std::string_view held = {};  // kHeld, kKeys: in the first segment, or in the carry
    LateReply reply;             // kSwallow, kSkipLine, kBroadcast: answers at the end
  };
  Task* upload = nullptr;  // kReserving, kUpload
  Job* job = nullptr;      // kJob

  // Output.
  Output out;

  // Operations that are not over: other shards execute them, or the engine answers later.
  // The keys that have any under way, or had just now, by the lowest bits of their hashes; what is
  // for no key counts as hash 0. A set bit may be another key's: that costs a message, no more.
  std::bitset<64> pending_keys;
  uint16_t pending = 0;
  uint16_t in_count = 0;  // segments

  uint32_t place = 0;  // in the worker's roster
  uint64_t batch = 0;  // the serial number of the last batch that has entries of this connection
  uint32_t turn = 0;   // the last turn in which it was read, and what it has had of it
  uint32_t turn_commands = 0;
  uint32_t turn_operations = 0;
  uint32_t turn_upload_bytes = 0;
  union {
    uint32_t swallow = 0;          // kSwallow: bytes of a value still to drop; kCredentials
    RelativeSeconds penalty_end;   // kPenalty
    RelativeSeconds keys_exptime;  // kKeys of gat, gats; kBroadcast of flush_all
  };
  RelativeSeconds sent_at = 0;     // when its client last took something, or was last sent to
  RelativeSeconds command_at = 0;  // when a command of its, or a part of a value, last came
  ring::Socket socket;
  uint32_t awaits_until_us = 0;  // of the shard's clock: how long its replies wait for an answer
  uint8_t broadcast_next = 0;    // kBroadcast: the next shard to tell
  MessageKind broadcast_kind = MessageKind::kFlush;
  proto::Command keys_command = proto::Command::kGet;
  ConnectionState state = ConnectionState::kCommand;
  Protocol protocol = Protocol::kUnknown;
  bool long_line : 1 = false;  // a get's line is being read in parts; its keys so far are answered
  bool receiving : 1 = false;  // a receive is armed
  bool stop_receive : 1 = false;  // and was asked to end
  bool filling : 1 = false;       // it goes into the item of `upload`
  bool bulk : 1 = false;          // its client sends large values faster than it is read
  bool read_closed : 1 = false;   // the stream has ended
  bool sending : 1 = false;
  bool goes_on : 1 = false;  // used up its share of this turn: has more to be read in the next
  // For how many turns its replies have waited for more; kHeldTurnsMax: they wait no longer.
  uint8_t held_turns : 3 = 0;
  bool awaits_answer : 1 = false;    // its replies wait, for a while, for another shard's
  bool broken : 1 = false;           // nothing more can be sent
  bool closing_socket : 1 = false;   // Close is under way
  bool unauthenticated : 1 = false;  // with -Y or -S, until user and password were right
  bool datagram : 1 = false;  // one datagram's: src/server/udp.h has it, and it has no socket

  bool IsPending(uint64_t hash) const { return pending_keys[hash % pending_keys.size()]; }
  void NotePending(uint64_t hash) {
    ++pending;
    pending_keys.set(hash % pending_keys.size());
  }
};
// An idle connection costs this, its entry in the roster, and what the kernel keeps of it;
// memcached's costs 510 bytes.
static_assert(sizeof(Connection) == 256);
static_assert(kPendingTasksHigh + engine::kBatchMax + kShardsMax <= UINT16_MAX &&
                  kReceiveBuffers <= UINT16_MAX,
              "Connection::pending and in_count have 16 bits");
static_assert(kHeldTurnsMax == 7, "Connection::held_turns has 3 bits");
static_assert(kShardsMax <= 255, "Connection::broadcast_next has 8 bits");

using ReadyList = IntrusiveList<Connection, ReadyTag>;
using DirtyList = IntrusiveList<Connection, DirtyTag>;
using StarvedList = IntrusiveList<Connection, StarvedTag>;
using HoldingList = IntrusiveList<Connection, HoldingTag>;
using AllList = IntrusiveList<Connection, AllTag>;

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_CONNECTION_H_
