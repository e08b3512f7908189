// What the parts of a worker share: its shard, buffers, counters, the batch, and the lists of
// connections with something to do.
//
//   Worker (connections) -- Reader (bytes to batch) -- Executor (batch to replies) -- TaskDesk
//   (other shards)
//                     \______________ all use this Core ______________/
//
// Owner: the worker. Affinity: shard. Lifetime: as the worker. Invariant: a connection is in
// `ready` only with input or a state to go on with, in `dirty` only with output to send or a socket
// to close.
#ifndef TORC_SRC_SERVER_CORE_H_
#define TORC_SRC_SERVER_CORE_H_

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/base/pool.h"
#include "src/server/batch.h"
#include "src/server/buffers.h"
#include "src/server/connection.h"
#include "src/server/counters.h"
#include "src/server/failures.h"
#include "src/server/options.h"
#include "src/server/prefixes.h"
#include "src/server/process_use.h"
#include "src/server/roster.h"
#include "src/server/sasl.h"
#include "src/server/version.h"
#include "src/shard/shard.h"

namespace torc::server {

class UserFile;
struct Core;

// What all workers share. Constant while they run, but for the atomics.
struct Shared {
  // `say` takes the lines of -v.
  explicit Shared(const Options& o, FailureLog::Write say = FailureLog::WriteToStderr)
      : options(o), verbosity(static_cast<int>(o.verbosity)), failure_log(std::move(say)) {}

  const Options& options;
  const std::string version_reply = "VERSION " + std::string(kMemcachedVersion) + "\r\n";
  sasl::Library* sasl = nullptr;    // of -S; null: the binary protocol is open to all
  const UserFile* users = nullptr;  // of -Y; null: the text protocol is open to all
  // How often SIGHUP found the user file unusable: counted by the first shard. Relaxed.
  std::atomic<uint32_t> auth_files_refused{0};
  uint64_t hash_seed = 0;           // of keys; see engine::HashKey
  uint32_t connections_max = 1024;  // -c, resolved
  std::vector<const Core*> cores;   // of all workers, by shard: for statistics
  // Open connections of all workers: the limit -c is one for the process. Relaxed: only the number
  // matters.
  std::atomic<uint32_t> connections{0};
  // Of these, by shard, counted from the moment that a shard is chosen: so that a burst is spread,
  // too. Relaxed, likewise.
  struct alignas(kCacheLineBytes) Assigned {
    std::atomic<uint32_t> connections{0};
  };
  std::array<Assigned, kShardsMax> assigned;
  // Workers that still accept, or have conversations over UDP: a shard may end only when no other
  // can hand it a connection or ask it for something.
  // Sequentially consistent, as is cheapest to reason about; changes once for each worker.
  std::atomic<uint32_t> accepting{0};
  // Set by `verbosity`, on any connection. Relaxed.
  std::atomic<int> verbosity;
  FailureLog failure_log;  // what -v prints
  // Set by operators, on any connection; relaxed. What of it has an effect, each shard's engine is
  // told by a job: these are for statistics and for what depends on them.
  std::atomic<bool> crawler_on{true};
  std::atomic<uint32_t> crawler_sleep_us{100};
  std::atomic<uint32_t> crawler_to_crawl{0};
  std::atomic<uint32_t> automove{1};
  std::atomic<bool> detail{options.detail_enabled};  // whether prefixes are counted
  std::atomic<uint32_t> dumps{0};  // running: at most kDumpsMax. Relaxed, only the number matters
  // -A: asks the process to end, at once or gracefully. A simulation has no process to end.
  void (*shut_down)(bool graceful) = [](bool) {};
  // A simulation has its own: the length of a reply must not depend on how long the process runs.
  ProcessUse (*process_use)() = &ReadProcessUse;
};

struct Core {
  Core(shard::Shard& s, Shared& sh)
      : shard(s),
        shared(sh),
        buffers(s.ring()),
        // Every connection may be in the middle of an upload, every mailbox full, and some tasks
        // queued for them or on their way to free a reservation; and a batch may follow those that
        // the engine has to answer.
        tasks(sh.connections_max + size_t{s.shards()} * s.answers_max() + kTasksQueuedMax +
              kAwaitedHigh + engine::kBatchMax) {}

  shard::Shard& shard;
  Shared& shared;
  Buffers buffers;
  Pool<Task> tasks;
  Counters counters;
  Failures failures;
  Roster roster;
  Prefixes prefixes;
  // Of connections that sent a SASL command, by their place in the roster.
  std::unordered_map<uint32_t, std::unique_ptr<sasl::Session>> sasl_sessions;
  Batch batch;
  ReadyList ready;
  DirtyList dirty;

  engine::Engine& engine() { return shard.engine(); }
  ShardId self() const { return shard.id(); }

  // `stats reset`, this shard's part of the front end.
  void ResetCounters() {
    counters.Reset();
    failures.Reset();
    prefixes.Clear();
    shard.ResetLongest();
  }

  void MarkReady(Connection& c) {
    if (!ReadyList::Linked(c)) ready.PushBack(c);
  }
  // One whose replies wait for an answer stays where it is: EndAwait.
  void MarkDirty(Connection& c) {
    if (!DirtyList::Linked(c)) dirty.PushBack(c);
  }
  // Likewise; and if its replies wait for an answer, they wait no longer.
  void EndAwait(Connection& c) {
    if (c.awaits_answer) {
      c.awaits_answer = false;
      DirtyList::Remove(c);
    }
    MarkDirty(c);
  }

  // Counts a failure, and says so with -v. `system_error`: the errno behind it, 0 if there is none.
  void Fail(Cause cause, int system_error = 0) {
    failures.Count(cause);
    const int verbosity = shared.verbosity.load(std::memory_order_relaxed);
    if (verbosity > 0) [[unlikely]] {
      shared.failure_log.Say(cause, system_error, verbosity, shard.now_ns());
    }
  }
  // Likewise, for one that a client is told: returns what it reads.
  std::string_view FailureReply(Cause cause) {
    Fail(cause);
    return RowOf(cause).reply;
  }

  // The connection cannot go on: what it has to send is lost, it will be closed. Only the first
  // cause counts.
  void Break(Connection& c, Cause cause, int system_error = 0) {
    if (!c.broken) Fail(cause, system_error);
    c.broken = true;
    c.state = ConnectionState::kClosing;
    EndAwait(c);
  }

  // Drops what has left of a connection's output, `bytes` of it. One whose commands waited for that
  // goes on. `pins`: the worker's desk.
  void DropSent(Connection& c, PinHolder& pins, uint64_t bytes) {
    Shrink(c, [&] { c.out.Consume(buffers, pins, bytes); });
  }
  // Likewise where small replies are made one.
  void JoinReplies(Connection& c) {
    Shrink(c, [&] { c.out.Join(buffers); });
  }

  // A connection's SASL session, made when it is first asked for and gone with the connection.
  // Null: without -S, or without memory for it.
  sasl::Session* SaslSession(const Connection& c) {
    if (shared.sasl == nullptr) return nullptr;
    std::unique_ptr<sasl::Session>& session = sasl_sessions[c.place];
    if (session == nullptr) session = shared.sasl->NewSession();
    return session.get();
  }
  // An exchange's start or a step of it: counts its end as memcached does, and lets the connection
  // in, or puts it out again, as that was.
  sasl::Answer Authenticate(Connection& c, bool starts, std::string_view mechanism,
                            std::string_view data) {
    sasl::Session* const session = SaslSession(c);
    sasl::Answer answer;
    if (session != nullptr) {
      answer = starts ? session->Start(mechanism, data) : session->Step(mechanism, data);
    }
    c.unauthenticated = answer.outcome != sasl::Outcome::kDone;
    if (answer.outcome == sasl::Outcome::kContinue) return answer;
    counters.auth_cmds.Add(1);
    if (c.unauthenticated) {
      counters.auth_errors.Add(1);
      Fail(Cause::kSaslFailed);
    }
    return answer;
  }

  template <typename Change>
  void Shrink(Connection& c, Change change) {
    const bool was_full = c.out.full();
    change();
    if (was_full && !c.out.full() && c.state != ConnectionState::kClosing) MarkReady(c);
  }

  // Makes the first segment of the input forget its place in the queue; the caller has its
  // reference.
  static InSegment* PopSegment(Connection& c) {
    InSegment* const segment = c.in_head;
    c.in_head = segment->next;
    if (c.in_head == nullptr) c.in_tail = nullptr;
    segment->next = nullptr;
    --c.in_count;
    return segment;
  }
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_CORE_H_
