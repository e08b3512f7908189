#include "src/base/assert.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace torc {
namespace {

[[noreturn]] void PrintAndAbort(const char* line, int size) {
  if (size > 0) {
    // The process ends in the next statement: a short write to standard error changes nothing.
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, static_cast<size_t>(size));
  }
  std::abort();
}

int Bounded(int size, int capacity) { return size < capacity ? size : capacity - 1; }

}  // namespace

void CheckFailed(const char* text, const char* file, int line) {
  char buffer[512];
  const int size =
      std::snprintf(buffer, sizeof(buffer), "torc: check failed: %s at %s:%d\n", text, file, line);
  PrintAndAbort(buffer, Bounded(size, sizeof(buffer)));
}

void CheckFailed(const char* text, unsigned long long a, unsigned long long b, const char* file,
                 int line) {
  char buffer[512];
  const int size =
      std::snprintf(buffer, sizeof(buffer), "torc: check failed: %s (%llu, %llu) at %s:%d\n", text,
                    a, b, file, line);
  PrintAndAbort(buffer, Bounded(size, sizeof(buffer)));
}

}  // namespace torc
