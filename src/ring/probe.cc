#include "src/ring/probe.h"

#include <errno.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "src/base/file_text.h"
#include "src/ring/kernel_abi.h"
#include "src/ring/pages.h"

namespace torc::ring {
namespace {

constexpr std::array<FeatureText, kFeatureCount> kTexts = {{
    {"io_uring_setup", "5.1", Need::kRequired, "nothing works"},
    {"FEAT_NODROP", "5.5", Need::kRequired, "completions would get lost"},
    {"ENTER_EXT_ARG", "5.11", Need::kRequired,
     "each timed wait would cost a submission of its own"},
    {"provided buffer ring", "5.19", Need::kRequired, "memory would grow with idle connections"},
    {"multishot accept", "5.19", Need::kRequired, "each connection would cost a submission"},
    {"multishot receive", "6.0", Need::kRequired, "each request would cost a submission"},
    {"send, sendmsg", "5.6", Need::kRequired, "nothing can be answered"},
    {"SETUP_SUBMIT_ALL", "5.18", Need::kFallback, "a rejected submission delays those behind it"},
    {"SETUP_SINGLE_ISSUER", "6.0", Need::kFallback,
     "the kernel synchronises more than it needs to"},
    {"SETUP_DEFER_TASKRUN", "6.1", Need::kFallback,
     "COOP_TASKRUN takes its place, in smaller batches"},
    {"SETUP_COOP_TASKRUN", "5.19", Need::kFallback, "completions interrupt the shards"},
    {"SETUP_TASKRUN_FLAG", "5.19", Need::kFallback, "a system call in every turn"},
    {"SETUP_NO_SQARRAY", "6.6", Need::kFallback, "one more memory access a submission"},
    {"direct descriptors", "5.19", Need::kFallback,
     "plain descriptors: a shared count is touched by each operation"},
    {"registered ring descriptor", "5.18", Need::kFallback,
     "plain descriptor: a lookup in each system call"},
    {"MSG_RING to a sleeping ring", "5.18", Need::kFallback,
     "event descriptors: a system call a wake-up"},
    {"ENTER_NO_IOWAIT", "6.15", Need::kFallback, "idle shards show as input/output wait"},
    {"receive bundles", "6.10", Need::kUnused, "one buffer a receive"},
    {"minimum wait time", "6.12", Need::kUnused, "a wait ends with the first completion"},
    {"SEND_ZC", "6.0", Need::kUnused, "large values are copied by the kernel"},
}};

// A small ring that removes itself. `error` is 0 when it could be made.
class TrialRing {
 public:
  explicit TrialRing(uint32_t setup_flags) {
    io_uring_params params{};
    params.flags = setup_flags;
    error_ = -io_uring_queue_init_params(8, &ring_, &params);
    if (error_ == 0) features_ = params.features;
  }
  ~TrialRing() {
    if (error_ == 0) io_uring_queue_exit(&ring_);
  }
  TrialRing(const TrialRing&) = delete;
  TrialRing& operator=(const TrialRing&) = delete;

  int error() const { return error_; }
  uint32_t features() const { return features_; }
  io_uring* get() { return &ring_; }
  io_uring_sqe* Next() { return io_uring_get_sqe(&ring_); }

  struct Result {
    int value = -ETIME;
    uint32_t flags = 0;
    int error() const { return value < 0 ? -value : 0; }
  };
  // Submits what is queued and takes one completion, or -ETIME after a second.
  Result One() {
    __kernel_timespec limit{.tv_sec = 1, .tv_nsec = 0};
    io_uring_cqe* cqe = nullptr;
    const int submitted = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &limit, nullptr);
    if (submitted < 0 && submitted != -ETIME) return {submitted, 0};
    if (cqe == nullptr) return {};
    const Result result{cqe->res, cqe->flags};
    io_uring_cqe_seen(&ring_, cqe);
    return result;
  }

 private:
  io_uring ring_{};
  int error_;
  uint32_t features_ = 0;
};

// Two connected local sockets.
class Pair {
 public:
  Pair() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd_) != 0) fd_[0] = fd_[1] = -1;
  }
  ~Pair() {
    for (const int fd : fd_) {
      if (fd >= 0) close(fd);
    }
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  int ours() const { return fd_[0]; }
  bool WriteFromPeer(size_t size_bytes) const {
    const std::string bytes(size_bytes, 'x');
    return write(fd_[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(size_bytes);
  }

 private:
  int fd_[2];
};

// A ring of four provided buffers of 64 bytes in group 0. Its memory must outlive the ring it is
// given to.
class TrialBuffers {
 public:
  int Register(io_uring* ring) {
    if (!pages_.Map(2 * kPageBytes)) return errno;
    auto* const buffers = reinterpret_cast<io_uring_buf_ring*>(pages_.data());
    io_uring_buf_ring_init(buffers);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uintptr_t>(buffers);
    registration.ring_entries = kCount;
    const int result = io_uring_register_buf_ring(ring, &registration, 0);
    if (result < 0) return -result;
    for (int i = 0; i < kCount; ++i) {
      io_uring_buf_ring_add(buffers, pages_.data() + kPageBytes + i * kSizeBytes, kSizeBytes,
                            static_cast<uint16_t>(i), io_uring_buf_ring_mask(kCount), i);
    }
    io_uring_buf_ring_advance(buffers, kCount);
    return 0;
  }

 private:
  static constexpr int kCount = 4;
  static constexpr int kSizeBytes = 64;
  static constexpr size_t kPageBytes = 4096;
  Pages pages_;  // the ring of buffers, then the buffers
};

// Each Try returns 0 when it saw the feature work, otherwise the errno that it met (ENOTSUP where
// there was none).
constexpr int kNotSeen = ENOTSUP;

int TrySetup(uint32_t flags) { return TrialRing(flags).error(); }

int TryTimedWait() {
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  if ((ring.features() & IORING_FEAT_EXT_ARG) == 0) return kNotSeen;
  __kernel_timespec limit{.tv_sec = 0, .tv_nsec = 1000};
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<uintptr_t>(&limit);
  const int result = io_uring_enter2(static_cast<unsigned>(ring.get()->ring_fd), 0, 1,
                                     IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                     reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
  return result == -ETIME ? 0 : kNotSeen;
}

int TryBufferRing() {
  TrialBuffers buffers;
  TrialRing ring(0);
  return ring.error() != 0 ? ring.error() : buffers.Register(ring.get());
}

// Arms a receive with `ioprio`, has the peer write `size_bytes`, and returns the first completion.
TrialRing::Result ReceiveOnce(TrialRing* ring, TrialBuffers* buffers, const Pair& pair,
                              uint16_t ioprio, size_t size_bytes) {
  if (const int error = buffers->Register(ring->get()); error != 0) return {-error, 0};
  if (!pair.WriteFromPeer(size_bytes)) return {-EIO, 0};
  io_uring_sqe* const sqe = ring->Next();
  io_uring_prep_recv(sqe, pair.ours(), nullptr, 0, 0);
  sqe->ioprio |= ioprio;
  sqe->flags |= IOSQE_BUFFER_SELECT;
  return ring->One();
}

int TryMultishotReceive() {
  Pair pair;
  TrialBuffers buffers;
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  const TrialRing::Result result = ReceiveOnce(&ring, &buffers, pair, IORING_RECV_MULTISHOT, 3);
  if (result.value < 0) return result.error();
  constexpr uint32_t kExpected = IORING_CQE_F_MORE | IORING_CQE_F_BUFFER;
  return result.value == 3 && (result.flags & kExpected) == kExpected ? 0 : kNotSeen;
}

int TryReceiveBundle() {
  Pair pair;
  TrialBuffers buffers;
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  if ((ring.features() & abi::kFeatureRecvSendBundle) == 0) return kNotSeen;
  const TrialRing::Result result = ReceiveOnce(&ring, &buffers, pair, abi::kRecvSendBundle, 100);
  return result.value == 100 ? 0 : std::max(result.error(), kNotSeen);  // 100 bytes: two buffers
}

int TryMultishotAccept() {
  // A local listener with a name that the kernel picks: works without any network.
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof(address);
  int error = kNotSeen;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == 0 &&
      listen(listener, 1) == 0 &&
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
      connect(client, reinterpret_cast<sockaddr*>(&address), size) == 0) {
    TrialRing ring(0);
    error = ring.error();
    if (error == 0) {
      io_uring_prep_multishot_accept(ring.Next(), listener, nullptr, nullptr, SOCK_CLOEXEC);
      const TrialRing::Result result = ring.One();
      if (result.value >= 0) close(result.value);
      error = result.value < 0 ? result.error()
                               : ((result.flags & IORING_CQE_F_MORE) != 0 ? 0 : kNotSeen);
    }
  } else {
    error = errno;
  }
  if (listener >= 0) close(listener);
  if (client >= 0) close(client);
  return error;
}

int TrySend() {
  Pair pair;
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  char byte = 'x';
  io_uring_prep_send(ring.Next(), pair.ours(), &byte, 1, MSG_WAITALL | MSG_NOSIGNAL);
  if (const auto result = ring.One(); result.value != 1) return std::max(result.error(), 1);
  iovec pieces[2] = {{&byte, 1}, {&byte, 1}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  io_uring_prep_sendmsg(ring.Next(), pair.ours(), &message, MSG_WAITALL | MSG_NOSIGNAL);
  const auto result = ring.One();
  return result.value == 2 ? 0 : std::max(result.error(), 1);
}

int TryDirectDescriptors() {
  Pair pair;
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  int result = io_uring_register_files_sparse(ring.get(), 4);
  if (result < 0) return -result;
  const int fd = pair.ours();
  result = io_uring_register_files_update(ring.get(), 2, &fd, 1);
  if (result < 0) return -result;
  char byte = 'x';
  io_uring_sqe* sqe = ring.Next();
  io_uring_prep_send(sqe, 2, &byte, 1, MSG_NOSIGNAL);
  sqe->flags |= IOSQE_FIXED_FILE;
  if (const auto sent = ring.One(); sent.value != 1) return std::max(sent.error(), 1);
  io_uring_prep_close_direct(ring.Next(), 2);
  return ring.One().error();
}

int TryRegisteredRing() {
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  const int result = io_uring_register_ring_fd(ring.get());
  if (result != 1) return result < 0 ? -result : kNotSeen;
  io_uring_prep_nop(ring.Next());
  return ring.One().error();
}

// The case that matters: a ring that sleeps in the kernel on another thread is woken.
int TryMessageRing(uint32_t ring_flags) {
  constexpr uint64_t kToken = 0x746f7263;
  TrialRing sender(ring_flags);
  if (sender.error() != 0) return sender.error();
  std::atomic<int> target_fd{-1};
  std::atomic<bool> done{false};
  int error = kNotSeen;
  std::thread sleeper([&] {
    TrialRing target(ring_flags);
    if (target.error() != 0) {
      error = target.error();
      target_fd.store(-2);
      return;
    }
    target_fd.store(target.get()->ring_fd);
    target_fd.notify_one();
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec limit{.tv_sec = 1, .tv_nsec = 0};
    const int result = io_uring_wait_cqes(target.get(), &cqe, 1, &limit, nullptr);
    if (result >= 0 && cqe != nullptr && cqe->user_data == kToken) error = 0;
    while (!done.load()) std::this_thread::yield();  // the sender uses our descriptor until then
  });
  while (target_fd.load() == -1) std::this_thread::yield();
  int send_error = 0;
  if (target_fd.load() >= 0) {
    usleep(1000);  // most likely asleep by now; if not, the message is found before sleeping
    io_uring_prep_msg_ring(sender.Next(), target_fd.load(), 0, kToken, 0);
    send_error = sender.One().error();
  }
  done.store(true);
  sleeper.join();
  return send_error != 0 ? send_error : error;
}

int TryNoIowait() {
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  if ((ring.features() & abi::kFeatureNoIowait) == 0) return kNotSeen;
  io_uring_prep_nop(ring.Next());
  io_uring_submit(ring.get());
  const int result =
      io_uring_enter2(static_cast<unsigned>(ring.get()->ring_fd), 0, 1,
                      IORING_ENTER_GETEVENTS | abi::kEnterNoIowait, nullptr, _NSIG / 8);
  return result < 0 ? -result : 0;
}

int TryMinTimeout() {
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  if ((ring.features() & abi::kFeatureMinTimeout) == 0) return kNotSeen;
  __kernel_timespec limit{.tv_sec = 1, .tv_nsec = 0};
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<uintptr_t>(&limit);
  const uint32_t min_wait_us = 100;
  std::memcpy(reinterpret_cast<char*>(&argument) + offsetof(io_uring_getevents_arg, sigmask_sz) +
                  sizeof(argument.sigmask_sz),
              &min_wait_us, sizeof(min_wait_us));
  io_uring_prep_nop(ring.Next());
  io_uring_submit(ring.get());
  // Two completions are asked for, one comes: the call must be content with it long before the
  // second is over.
  const int result = io_uring_enter2(static_cast<unsigned>(ring.get()->ring_fd), 0, 2,
                                     IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                     reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
  return result < 0 ? -result : 0;
}

int TryOpcode(int opcode) {
  TrialRing ring(0);
  if (ring.error() != 0) return ring.error();
  io_uring_probe* const answer = io_uring_get_probe_ring(ring.get());
  if (answer == nullptr) return kNotSeen;
  const bool found = io_uring_opcode_supported(answer, opcode) != 0;
  io_uring_free_probe(answer);
  return found ? 0 : kNotSeen;
}

// True when this process runs under a seccomp filter: /proc/self/status has "Seccomp: 2".
bool HasSeccompFilter() {
  const std::string status = ReadFileText("/proc/self/status");
  const size_t line = status.find("\nSeccomp:");
  if (line == std::string::npos) return false;
  const size_t end = status.find('\n', line + 1);
  return status.substr(line, end - line).find('2') != std::string::npos;
}

}  // namespace

const FeatureText& TextOf(Feature feature) { return kTexts[static_cast<size_t>(feature)]; }

Probe RunProbe() {
  Probe probe;
  utsname names{};
  uname(&names);
  probe.kernel = names.release;
  if (const std::string text = ReadFileText("/proc/sys/kernel/io_uring_disabled"); !text.empty()) {
    probe.io_uring_disabled = std::atoi(text.c_str());
  }
  probe.seccomp_filter = HasSeccompFilter();
  rlimit memlock{};
  getrlimit(RLIMIT_MEMLOCK, &memlock);
  probe.memlock_bytes = memlock.rlim_cur;

  const auto record = [&probe](Feature feature, int error) {
    probe.found.Set(feature, error == 0);
    probe.system_error[static_cast<size_t>(feature)] = error;
  };
  record(Feature::kSetup, TrySetup(0));
  if (!probe.found.Has(Feature::kSetup)) {
    const int error = probe.system_error[static_cast<size_t>(Feature::kSetup)];
    probe.system_error.fill(error);
    return probe;
  }
  record(Feature::kNoDrop, (TrialRing(0).features() & IORING_FEAT_NODROP) != 0 ? 0 : kNotSeen);
  record(Feature::kTimedWait, TryTimedWait());
  record(Feature::kBufferRing, TryBufferRing());
  record(Feature::kMultishotAccept, TryMultishotAccept());
  record(Feature::kMultishotReceive, TryMultishotReceive());
  record(Feature::kSend, TrySend());
  record(Feature::kSubmitAll, TrySetup(IORING_SETUP_SUBMIT_ALL));
  record(Feature::kSingleIssuer, TrySetup(IORING_SETUP_SINGLE_ISSUER));
  record(Feature::kDeferTaskrun, TrySetup(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN));
  record(Feature::kCoopTaskrun, TrySetup(IORING_SETUP_COOP_TASKRUN));
  record(Feature::kTaskrunFlag, TrySetup(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG));
  record(Feature::kNoSqArray, TrySetup(abi::kSetupNoSqArray));
  record(Feature::kDirectDescriptors, TryDirectDescriptors());
  record(Feature::kRegisteredRing, TryRegisteredRing());
  record(Feature::kMessageRing,
         TryMessageRing(probe.found.Has(Feature::kDeferTaskrun)
                            ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
                            : 0));
  record(Feature::kNoIowait, TryNoIowait());
  record(Feature::kReceiveBundle, TryReceiveBundle());
  record(Feature::kMinTimeout, TryMinTimeout());
  record(Feature::kSendZeroCopy, TryOpcode(IORING_OP_SEND_ZC));
  return probe;
}

std::string Refusal(const Probe& probe) {
  const int setup_error = probe.system_error[static_cast<size_t>(Feature::kSetup)];
  switch (setup_error) {
    case 0:
      break;
    case EPERM:
    case EACCES:
      if (probe.io_uring_disabled == 2) {
        return "io_uring is switched off on this machine (sysctl kernel.io_uring_disabled is 2). "
               "Switch it on: "
               "sysctl -w kernel.io_uring_disabled=0";
      }
      if (probe.io_uring_disabled == 1) {
        return "io_uring is reserved to privileged processes (sysctl kernel.io_uring_disabled is "
               "1). Put torc's group "
               "in sysctl kernel.io_uring_group, give the process CAP_SYS_ADMIN, or allow all: "
               "sysctl -w kernel.io_uring_disabled=0";
      }
      [[fallthrough]];
    case ENOSYS:
      if (probe.seccomp_filter) {
        return "a seccomp filter forbids io_uring, as container engines do by default. Run the "
               "container with a "
               "profile that allows io_uring_setup, io_uring_enter and io_uring_register (docker, "
               "podman: "
               "--security-opt seccomp=PROFILE.json, or seccomp=unconfined to try it)";
      }
      if (setup_error == ENOSYS) {
        return "this kernel (" + probe.kernel +
               ") has no io_uring: it was built without it, or emulates Linux. torc needs Linux "
               "6.1 or newer with "
               "CONFIG_IO_URING";
      }
      return "a security module (SELinux, AppArmor, ...) forbids io_uring_setup. Allow it in the "
             "policy of this "
             "process; the audit log names the rule";
    case ENOMEM:
      return "io_uring_setup has no memory. Raise the limit of locked memory (ulimit -l, systemd: "
             "LimitMEMLOCK=; it "
             "is " +
             std::to_string(probe.memlock_bytes) +
             " bytes) or the memory limit of the control group";
    case EMFILE:
    case ENFILE:
      return "io_uring_setup has no file descriptor left. Raise the limit of open files (ulimit "
             "-n, systemd: "
             "LimitNOFILE=)";
    default:
      return std::string("io_uring_setup failed: ") + std::strerror(setup_error);
  }
  std::string missing;
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const auto feature = static_cast<Feature>(i);
    const FeatureText& text = TextOf(feature);
    if (text.need != Need::kRequired || probe.found.Has(feature)) continue;
    if (!missing.empty()) missing += ", ";
    missing += std::string(text.name) + " (Linux " + text.kernel + ": " +
               std::strerror(probe.system_error[i]) + ")";
  }
  if (missing.empty()) return "";
  return "io_uring of this kernel (" + probe.kernel + ") lacks " + missing +
         ". torc needs Linux 6.1 or newer; if this one is, see which sandbox or policy takes them "
         "away";
}

}  // namespace torc::ring
