// What operators ask of all shards: dumps of keys, lists of pinned items and of connections, sizes,
// and settings that each partition has for itself.
//
//   connection's shard                          each shard in turn, this one too
//     Job {shard 0, cursor}  --- kJob --->        a bounded slice of a walk: lines into job.text
//        text -> output      <-- answer --        cursor moved
//     Job {shard 0, cursor}  --- kJob --->        ...
//     Job {shard 1, start}   --- kJob --->
//     ...                                         END
//
// One slice of a job is under way at a time, and the next one is asked for only while the client's
// output has room: a client that reads slowly walks slowly, and holds kJobTextBytes and its output,
// not more. Commands behind the job wait until it has ended. While a slice is under way the job
// belongs to the shard that was asked.
//
// Owner: the worker. Affinity: shard. Lifetime: as the worker. Invariant: a connection in state
// kJob has a job; no other has, but for closing ones.
#ifndef TORC_SRC_SERVER_OPERATORS_H_
#define TORC_SRC_SERVER_OPERATORS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/text/operator.h"
#include "src/server/core.h"
#include "src/server/task_desk.h"

namespace torc::server {

struct Job {
  enum class Kind : uint8_t {
    kMetadump,
    kMgdump,
    kCachedump,
    kRefs,
    kSizes,
    kConnections,
    kPrefixes,
    kCrawl,
    kCrawler,   // number: on or off
    kAutomove,  // number: on or off
    kReassign,  // number: the class
    kLimit,     // number: megabytes
  };
  // Lines up to here, and one bucket's more.
  static constexpr size_t kTextBytes = 8 << 10;
  // The longest line: a key with every byte as %XX, and what stands around it.
  static constexpr size_t kLineBytesMax = 3 * engine::kKeySizeMax + 250;

  Connection* connection = nullptr;
  Asked asked;  // kSizes, kPrefixes: of binary, how its packets are marked
  Kind kind = Kind::kMetadump;
  bool under_way = false;
  bool noreply = false;
  bool is_dump = false;  // counted in Shared::dumps
  bool moved = false;    // kReassign: a page of some shard was
  bool busy = false;     // kReassign: some shard was
  ShardId shard = 0;     // the one to be asked, or asked
  uint32_t number = 0;
  uint64_t shown_bytes = 0;  // kCachedump
  engine::WalkCursor cursor;
  proto::OperatorRequest request;
  std::unique_ptr<char[]> text;  // of the last slice
  size_t text_size = 0;
  std::vector<uint64_t> sizes;  // kSizes: items by size
  Prefixes::Map prefixes;       // kPrefixes: of all shards so far
  std::string last_prefix;      // kPrefixes: where the last slice ended
};

// What `stats detail` is told.
enum class DetailAction : uint8_t { kUnknown, kOn, kOff, kDump };

class Operators {
 public:
  enum class Step : uint8_t { kDone, kShare, kLater, kBlocked };

  Operators(Core& core, TaskDesk& desk) : core_(core), desk_(desk) {}

  // Executes lru_crawler, lru, slabs, cache_memlimit: answers, or gives the connection a job and
  // state kJob. Requires what GlobalCommands says.
  void Execute(Connection& c, const proto::Request& request);
  // Likewise `stats` with cachedump, refs or conns. `arguments`: what follows that word.
  void Cachedump(Connection& c, std::string_view arguments);
  void Refs(Connection& c) { Start(c, Job::Kind::kRefs, /*is_dump=*/true); }
  void Connections(Connection& c) { Start(c, Job::Kind::kConnections, /*is_dump=*/true); }
  // Likewise, in either protocol.
  void Sizes(Connection& c, const Asked& asked);
  void Detail(Connection& c, DetailAction action, const Asked& asked);

  // Goes on with a connection's job. kDone: it has ended, and the connection is in state kCommand.
  Step Continue(Connection& c);
  // A message of kind kJob: a slice of another shard's job; its answer.
  void OnRequest(ShardId from, const shard::Message& message);
  void OnAnswer(const shard::Message& message);
  // Frees the job of a closing connection. Requires that none of its tasks are under way.
  void Drop(Connection& c);

 private:
  Job* Start(Connection& c, Job::Kind kind, bool is_dump, const Asked& asked = {});
  void RunSlice(Job& job);
  void ListConnections(Job& job);
  void AddPrefixes(Job& job);
  // Takes over what a slice has found, and goes on to the next shard if it was the last.
  void TakeSlice(Connection& c, Job& job);
  void End(Connection& c, Job& job);
  void EndSizes(Connection& c, const Job& job);
  void EndPrefixes(Connection& c, const Job& job);
  void Say(Connection& c, std::string_view text);
  void Refuse(Connection& c, Cause error, bool noreply);

  Core& core_;
  TaskDesk& desk_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_OPERATORS_H_
