// The `stats` command: memcached's names, torc's true values.
//
// Owner: none, functions. Affinity: the connection's shard; reads other workers' counters, which
// have one writer each. Lifetime: static. Invariant: a name is printed once.
#ifndef TORC_SRC_SERVER_STATISTICS_H_
#define TORC_SRC_SERVER_STATISTICS_H_

#include <string_view>

#include "src/server/core.h"
#include "src/server/operators.h"

namespace torc::server {

// Appends the reply to "stats `arguments`" to the connection's output. `stats reset` starts a
// broadcast instead, and what shows items a job. `asked`: of binary, which knows what memcached's
// does: reset, settings, detail, items, slabs and sizes; and failures.
void WriteStatistics(Core& core, Operators& operators, Connection& c, std::string_view arguments,
                     const Asked& asked);

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_STATISTICS_H_
