// The worker: what a shard does for its clients. It owns the connections; reading, executing and
// crossing shards are the business of its parts.
//
//   OnCompletion   accepted, received, sent, closed     -> connections marked ready or dirty
//   OnTurn         ready connections -> Reader -> batch -> Executor -> output; dirty connections ->
//   one send each
//
// Life of a connection: Accept -> Attach -> receive armed ... kClosing -> all sent, nothing under
// way -> Close -> freed.
//
// Owner: server, or the simulation. Affinity: shard; AddListener before its thread starts.
// Lifetime: until the shard's loop has ended. Invariant: every connection is in `all_`; a closing
// one frees itself once nothing names it.
#ifndef TORC_SRC_SERVER_WORKER_H_
#define TORC_SRC_SERVER_WORKER_H_

#include <array>
#include <deque>

#include "src/server/core.h"
#include "src/server/executor.h"
#include "src/server/operators.h"
#include "src/server/reader.h"
#include "src/server/task_desk.h"
#include "src/server/udp.h"

namespace torc::server {

class Worker final : public shard::Service, private GlobalCommands {
 public:
  Worker(shard::Shard& shard, Shared& shared);
  ~Worker() override;

  // Accepts connections from a listening descriptor, which stays the caller's.
  void AddListener(int fd, Protocol protocol = Protocol::kUnknown);
  // Serves a bound datagram socket, likewise.
  void AddDatagramSocket(int fd);

  void OnCompletion(const ring::Completion& completion) override;
  bool CanTakeRequest() const override { return !core_.batch.full(); }
  void OnRequest(ShardId from, const shard::Message& message) override;
  void OnAnswer(ShardId from, const shard::Message& message) override;
  int64_t OnTurn(int64_t now_ns) override;
  bool Finished() const override;

  const Core& core() const { return core_; }

  // Dies if an invariant is broken. Tests and simulation.
  void CheckInvariants() const;

 private:
  struct alignas(8) Acceptor {
    int fd = -1;
    Protocol protocol = Protocol::kUnknown;
    bool armed = false;
    int64_t resume_ns = 0;  // do not accept before; 0: at once
  };

  void OnAccept(Acceptor& acceptor, const ring::Completion& completion);
  void OnReceive(Connection& c, const ring::Completion& completion);
  void OnSend(Connection& c, const ring::Completion& completion);

  void Accepted(int fd, Protocol protocol);
  void Adopt(int fd, Protocol protocol);
  void CountAsAccepting();
  void Uncount();
  void Free(Connection& c);

  // Reads all ready connections, each once, executing as the batch fills up. False: the batch waits
  // for memory.
  [[nodiscard]] bool ReadReady();
  void AfterRead(Connection& c, Reader::Step stop);
  void KeepReceiving(Connection& c);
  void StopReceiving(Connection& c);
  void RelieveBuffers();
  void MoveInputToBlocks(Connection& c);
  void DropSlowClients();
  void ResumeAccepting();
  void ResumeReceiving();

  void Flush();
  // True: its replies wait for another shard's answer.
  bool AwaitAnswer(Connection& c);
  void EndAwaits();
  uint32_t AwaitsLeftUs();
  uint32_t NowUs() const { return static_cast<uint32_t>(core_.shard.now_ns() / 1000); }
  // True: its replies wait for those of the next turn.
  bool HoldReplies(Connection& c);
  // False: this turn's pieces, or bytes, are used up.
  bool Send(Connection& c);
  // Closes a closing connection as far as it can be. True: it must be looked at again next turn.
  bool CloseIfDone(Connection& c);

  void NoteRingFailures();
  void EndPenalties();
  bool CloseIdle();
  void StartStopping();
  void CutOffSlowClients(bool all);
  void OnStats(Connection& c, std::string_view arguments, const Asked& asked) override;
  void OnOperator(Connection& c, const proto::Request& request) override;

  Core core_;
  // There are other shards, and what they are asked to execute is done in the same turn.
  const bool others_answer_soon_ = core_.shard.shards() > 1 && core_.engine().reads_are_shared();
  TaskDesk desk_;
  Operators operators_;
  Executor executor_;
  Reader reader_;
  Udp udp_;

  Pool<Connection> connections_;
  AllList all_;
  StarvedList starved_;
  HoldingList holding_;
  DirtyList awaiting_;     // their replies wait for an answer, in the order in which that ends
  ReadyList later_;        // to be tried again soon
  ReadyList penalized_;    // gave a wrong password, in the order in which their time comes
  ReadyList passed_over_;  // had nothing of the turn: first in the next one
  std::deque<Acceptor> acceptors_;
  std::array<iovec, kTurnPiecesMax> pieces_;
  uint32_t fills_ = 0;        // receives into items under way
  uint32_t pieces_used_ = 0;  // in this turn
  uint32_t send_bytes_ = 0;   // likewise, of replies that are not small
  bool stalled_ = false;
  bool stopping_ = false;
  bool accepting_ = false;  // counted in Shared::accepting: has listeners, and has not stopped
  int64_t stop_deadline_ns_ = 0;
  // By the ring's counters.
  struct {
    uint64_t overflows = 0;
    uint64_t lost = 0;
    uint64_t submissions = 0;
    uint64_t wakes = 0;
  } ring_failures_seen_;
  // Connections that this second's search for idle ones has still to look at.
  uint32_t idle_left_ = 0;
  RelativeSeconds idle_looked_for_ = 0;
  uint32_t auth_files_refused_seen_ = 0;
  RelativeSeconds slow_clients_looked_at_ = 0;  // at most once a second: it looks at all
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_WORKER_H_
