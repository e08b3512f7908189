// Constants of the kernel's io_uring interface that are newer than the oldest liburing torc builds
// with (2.3, Debian 12). Each names the kernel that brought it; whether the running one has it is
// asked at start (probe.h), never deduced from a version.
//
// Owner: none.
// Affinity: any.
// Lifetime: constants.
// Invariant: equal to <linux/io_uring.h> of the kernel named.
#ifndef TORC_SRC_RING_KERNEL_ABI_H_
#define TORC_SRC_RING_KERNEL_ABI_H_

#include <liburing.h>

#include <cstdint>

namespace torc::ring::abi {

// Linux 6.6: io_uring_setup: no indirection between submission queue and its entries.
inline constexpr uint32_t kSetupNoSqArray = 1U << 16;

// Linux 6.7: setsockopt as a submission (io_uring_sqe::cmd_op). Only a build of the bench's asks
// for it: see Joining in uring_ring.cc.
inline constexpr uint8_t kOpUringCommand = 46;
inline constexpr uint32_t kSocketCommandSetOption = 3;

// Linux 6.10: one receive fills several provided buffers (io_uring_sqe::ioprio of a receive or
// send).
inline constexpr uint16_t kRecvSendBundle = 1U << 4;
inline constexpr uint32_t kFeatureRecvSendBundle = 1U << 14;

// Linux 6.12: a wait for many completions that is content with one after a short time. The time in
// microseconds stands in io_uring_getevents_arg where liburing 2.3 has `pad`.
inline constexpr uint32_t kFeatureMinTimeout = 1U << 15;

// Linux 6.15: io_uring_enter: a wait for completions is not shown as input/output wait. Otherwise
// an idle server looks like one that waits for a disk, and the processor's clock is raised for
// nothing.
inline constexpr uint32_t kEnterNoIowait = 1U << 7;
inline constexpr uint32_t kFeatureNoIowait = 1U << 17;

}  // namespace torc::ring::abi

namespace torc::ring {

// Rings without an index array need a liburing that does not write to it: 2.5. Before 2.4 it does
// not tell its version.
#ifdef IO_URING_VERSION_MAJOR
inline constexpr bool kLiburingHasNoSqArray = IO_URING_VERSION_MAJOR > 2 ||
                                              (IO_URING_VERSION_MAJOR == 2 &&
                                               IO_URING_VERSION_MINOR >= 5);
#else
inline constexpr bool kLiburingHasNoSqArray = false;
#endif

}  // namespace torc::ring

#endif  // TORC_SRC_RING_KERNEL_ABI_H_
