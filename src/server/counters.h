// The front end's counters. One set for each worker, written by it alone; statistics add them up.
//
// Owner: worker. Affinity: writing shard, reading any. Lifetime: as the worker. Invariant: none but
// that they only grow, except by Reset and the gauges.
#ifndef TORC_SRC_SERVER_COUNTERS_H_
#define TORC_SRC_SERVER_COUNTERS_H_

#include <string_view>

#include "proto/errors.h"
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
  Counter store_too_large, store_no_memory;
  Counter auth_cmds, auth_errors;

  // Traffic and connections.
  Counter bytes_read, bytes_written;
  Counter connections_total;
  Counter connections_rejected;
  Counter connections_handed_over;
  Counter listen_disabled;  // accepting stopped for lack of file descriptors
  Counter listen_disabled_us;
  Counter yields;  // a connection had more to do than its share of a turn

  // What went wrong without harm to others.
  Counter buffers_exhausted;     // a receive ended because all provided buffers were in use
  Counter memory_refused;        // a block, node or task could not be had
  Counter slow_clients_dropped;  // disconnected because they held buffer memory that was used up
  Counter output_full;           // a connection's commands waited for its client to read
  Counter tasks_stalled;         // an operation waited for room in a mailbox
  Counter stores_delayed;        // a store waited for memory to come free
  Counter errors[static_cast<size_t>(proto::ErrorId::kCount)];  // answers by cause

  // Gauges, not reset.
  Counter connections_open;
  Counter connections_peak;  // structures ever made at once
  Counter accepting;         // 1, or 0 while accepting is paused

  // Counts an error that a client is told, and gives its text.
  std::string_view ErrorReply(proto::ErrorId id) {
    errors[static_cast<size_t>(id)].Add(1);
    return proto::ErrorText(id);
  }

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
                       &store_too_large,
                       &store_no_memory,
                       &auth_cmds,
                       &auth_errors,
                       &bytes_read,
                       &bytes_written,
                       &connections_total,
                       &connections_rejected,
                       &connections_handed_over,
                       &listen_disabled,
                       &listen_disabled_us,
                       &yields,
                       &buffers_exhausted,
                       &memory_refused,
                       &output_full,
                       &slow_clients_dropped,
                       &tasks_stalled,
                       &stores_delayed}) {
      c->Set(0);
    }
    for (Counter& c : errors) c.Set(0);
  }
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_COUNTERS_H_
