// Who the server's process is and what it has used: facts of the real machine, passed in so that a
// simulation replays to the byte.
//
// Owner: none, values. Affinity: any. Lifetime: values. Invariant: none.
#ifndef TORC_SRC_SERVER_PROCESS_USE_H_
#define TORC_SRC_SERVER_PROCESS_USE_H_

#include <sys/time.h>
#include <sys/types.h>

namespace torc::server {

struct ProcessUse {
  pid_t pid = 1;
  timeval user{};    // processor time
  timeval system{};  // likewise, in the kernel
};

// Of this process, since its start.
ProcessUse ReadProcessUse();

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_PROCESS_USE_H_
