#include "src/server/process_use.h"

#include <sys/resource.h>
#include <unistd.h>

namespace torc::server {

ProcessUse ReadProcessUse() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {getpid(), usage.ru_utime, usage.ru_stime};
}

}  // namespace torc::server
