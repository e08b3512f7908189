// A shard: one thread's loop, its ring, and its ends of the mailboxes.
//
//   turn:  Enter epoch, refresh the clock
//          1 reap        completions            -> Service::OnCompletion
//          2 messages    answers, then requests -> Service::OnAnswer, OnRequest
//          3 work        Service::OnTurn        (parse, locate, execute, reply, flush)
//          4 background  engine slice
//          5 deliver     wake the sleeping shards that were sent something
//          6 submit and wait in one system call; no waiting while work remains
//
// The service (src/server/worker.h) gives the work its meaning; the shard gives it time, order and
// company.
//
// Owner: main. Affinity: shard, except RequestStop. Lifetime: until its thread has ended.
// Invariant: while a turn runs, the shard is awake in Epochs; requests under way to a shard <=
// answers_max().
#ifndef TORC_SRC_SHARD_SHARD_H_
#define TORC_SRC_SHARD_SHARD_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "src/base/clock.h"
#include "src/base/types.h"
#include "src/engine/engine.h"
#include "src/ring/ring.h"
#include "src/shard/epochs.h"
#include "src/shard/mailbox.h"

namespace torc::shard {

// The work that runs on a shard.
class Service {
 public:
  virtual ~Service() = default;
  virtual void OnCompletion(const ring::Completion& completion) = 0;
  // Whether another request can be taken now; those that cannot stay in their ring.
  virtual bool CanTakeRequest() const = 0;
  // A request of another shard. To be answered by Shard::Answer, now or in a later turn, if its
  // kind wants an answer.
  virtual void OnRequest(ShardId from, const Message& message) = 0;
  // The answer to a request that this shard sent by Send.
  virtual void OnAnswer(ShardId from, const Message& message) = 0;
  // All that is ready, as one batch. Returns how long the shard may sleep, in nanoseconds; 0: work
  // remains.
  virtual int64_t OnTurn(int64_t now_ns) = 0;
  // Whether the shard may end: asked after each turn once Stop was called.
  virtual bool Finished() const = 0;
};

struct ShardCounters {
  Counter messages_sent;
  Counter mailbox_full;  // requests refused: as many as may be were under way, or unanswered ones
                         // filled their part
  // The longest turn since start or the last ResetLongest, from the end of its wait to the end of
  // its work; and the longest slice of the engine's housekeeping in a turn. By the clock on the
  // wall: a core that had other work in between shows here, as it does to clients.
  Counter turn_us_max;
  Counter background_us_max;
};

class Shard {
 public:
  // `wake_targets[i]` wakes shard i; filled before the first turn.
  Shard(ShardId id, ring::Ring& ring, engine::Engine& engine, Epochs& epochs, Mailboxes& mailboxes,
        const std::vector<ring::WakeTarget>& wake_targets, const Clock& clock,
        const torc::Epoch& start);

  void SetService(Service* service) { service_ = service; }

  // Turns until Stop was called and the service has finished.
  void Run();
  // One turn. `wait`: whether it may sleep when nothing is to do.
  void RunTurn(bool wait);

  // Any thread; does not wake the shard by itself.
  void RequestStop() { stop_.store(true, std::memory_order_release); }
  bool stopping() const { return stop_.load(std::memory_order_acquire); }

  // Takes room for one request that wants an answer, which Send must use. False: too many are under
  // way, counted; try again in a later turn.
  [[nodiscard]] bool ReserveSend(ShardId to);
  // Gives the room back unused.
  void CancelSend(ShardId to) { --under_way_[to]; }
  // Sends a request that wants an answer, for which room was reserved. The receiver is woken at the
  // end of the turn.
  void Send(ShardId to, const Message& message);
  // Sends a request that wants no answer. False: no room, counted; try again in a later turn.
  [[nodiscard]] bool Post(ShardId to, const Message& message);
  // Sends a request back to the shard that it came from. Always fits.
  void Answer(ShardId to, const Message& message);

  ShardId id() const { return id_; }
  uint32_t shards() const { return mailboxes_.shards(); }
  // Requests to one shard that may be under way and want an answer.
  uint32_t answers_max() const { return answers_max_; }
  ring::Ring& ring() { return ring_; }
  engine::Engine& engine() { return engine_; }
  // The turn's time.
  int64_t now_ns() const { return now_ns_; }
  RelativeSeconds now() const { return now_; }
  const torc::Epoch& start() const { return start_; }
  const ShardCounters& counters() const { return counters_; }
  // Forgets the longest turn, for `stats reset`.
  void ResetLongest();
  const ring::Counters& ring_counters() const { return ring_.counters(); }

 private:
  void ReceiveMessages();
  void WakeReceivers();
  // Runs the engine's housekeeping and keeps the turn's times. True: more is waiting.
  bool BackgroundTimed();

  const ShardId id_;
  ring::Ring& ring_;
  engine::Engine& engine_;
  Epochs& epochs_;
  Mailboxes& mailboxes_;
  const std::vector<ring::WakeTarget>& wake_targets_;
  const Clock& clock_;
  const torc::Epoch& start_;
  const uint32_t answers_max_;
  const uint32_t posts_max_;
  Service* service_ = nullptr;

  int64_t now_ns_ = 0;
  RelativeSeconds now_ = kClockStart;
  int64_t sleep_ns_ = 0;             // how long the next wait may last
  bool stop_seen_ = false;           // by the service, which says from then on how long to sleep
  std::vector<uint32_t> under_way_;  // by shard: requests that want an answer and have none yet
  std::vector<bool> sent_to_;        // by shard: it was sent something this turn
  bool sent_any_ = false;
  ShardId receive_first_ = 0;      // whose messages come first
  std::atomic<bool> stop_{false};  // release/acquire: what was set before Stop is seen
  ShardCounters counters_;
};

}  // namespace torc::shard

#endif  // TORC_SRC_SHARD_SHARD_H_
