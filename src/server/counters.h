// The front end's counters of what goes well; src/server/failures.h has the rest. One set for each
// worker, written by it alone; statistics add them up.
//
// Owner: worker. Affinity: writing shard, reading any. Lifetime: as the worker. Invariant: none but
// that they only grow, except by Reset and the gauges.
#ifndef TORC_SRC_SERVER_COUNTERS_H_
#define TORC_SRC_SERVER_COUNTERS_H_

#include "src/base/types.h"

namespace torc::server {

struct Counters {
  // By command, as memcached counts them: cmd_get by key, cmd_touch with gat.
  Counter cmd_get, cmd_set, cmd_flush, cmd_touch, cmd_meta;
  Counter get_hits, get_misses, get_expired, get_flushed;
  Counter delete_hits, delete_misses;
  Counter incr_hits, incr_misses, decr_hits, decr_misses;
  Counter cas_hits, cas_misses, cas_badval;
  Counter touch_hits, touch_misses;
  Counter auth_cmds, auth_errors;

  // Traffic and connections.
  Counter bytes_read, bytes_written;
  Counter bytes_read_into_items;  // of those read: into items, by the kernel
  Counter connections_total;
  Counter connections_handed_over;
  Counter listen_disabled_us;  // accepting paused for lack of file descriptors or memory
  Counter crawls;              // lru_crawler crawl, metadump, mgdump that were begun
  Counter yields;              // a connection had more to do than its share of a turn

  // Gauges, not reset.
  Counter connections_open;
  Counter connections_peak;  // structures ever made at once
  Counter accepting;         // 1, or 0 while accepting is paused

  void Reset() {
    for (Counter* c : {&cmd_get,
                       &cmd_set,
                       &cmd_flush,
                       &cmd_touch,
                       &cmd_meta,
                       &get_hits,
                       &get_misses,
                       &get_expired,
                       &get_flushed,
                       &delete_hits,
                       &delete_misses,
                       &incr_hits,
                       &incr_misses,
                       &decr_hits,
                       &decr_misses,
                       &cas_hits,
                       &cas_misses,
                       &cas_badval,
                       &touch_hits,
                       &touch_misses,
                       &auth_cmds,
                       &auth_errors,
                       &bytes_read,
                       &bytes_written,
                       &bytes_read_into_items,
                       &connections_total,
                       &connections_handed_over,
                       &listen_disabled_us,
                       &crawls,
                       &yields}) {
      c->Set(0);
    }
  }
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_COUNTERS_H_
