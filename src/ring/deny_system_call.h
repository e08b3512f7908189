// For tests: makes the kernel refuse, as containers do and as a machine out of memory does.
//
// Owner: none. Affinity: any. Lifetime: none. Invariant: none.
#ifndef TORC_SRC_RING_DENY_SYSTEM_CALL_H_
#define TORC_SRC_RING_DENY_SYSTEM_CALL_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>

namespace torc::ring {

// From here on system call `number` fails with `system_error` in this thread and in those it
// starts. There is no way back: call it in a thread or a child process of its own. False where the
// kernel does not let us.
inline bool DenySystemCall(uint32_t number, uint32_t system_error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | system_error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = sizeof(program) / sizeof(program[0]), .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace torc::ring

#endif  // TORC_SRC_RING_DENY_SYSTEM_CALL_H_
