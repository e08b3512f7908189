#include "src/ring/uring_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "src/base/assert.h"
#include "src/ring/kernel_abi.h"
#include "src/ring/pages.h"

namespace torc::ring {
namespace {

// Groups of provided buffers: for streams, and for datagrams.
constexpr uint16_t kBufferGroup = 0;
constexpr uint16_t kDatagramGroup = 1;
// Provided buffers offered to the kernel at first. It uses them in turn, all that are offered, so
// that offering 4 MB for one connection's sake makes 4 MB resident; and it fills all that it can
// within one call, which copies 4 MB then. More are offered as soon as the completions of one turn
// took three quarters of them, or found none: for many connections with a little each. While they
// come full they are few again: those who send much take several turns.
constexpr uint32_t kBuffersOfferedAtFirst = 32;

// What makes the sends of one batch leave in full segments. Decided by bench/segments.py, for which
// the other ways are builds of their own; docs/segments.md has the figures.
enum class Joining : uint8_t {
  kNone,
  kMsgMore,  // a flag of each send but the last
  kCork,     // TCP_CORK before the first and off behind the last: submissions of their own
};
#if defined(TORC_JOIN_NONE)
constexpr Joining kJoining = Joining::kNone;
#elif defined(TORC_JOIN_CORK)
constexpr Joining kJoining = Joining::kCork;
#else
constexpr Joining kJoining = Joining::kMsgMore;
#endif

// io_uring's lengths are 32 bits and its results signed: longer pieces move in several operations.
constexpr size_t kPieceBytesMax = size_t{1} << 30;

// What the ring asks for on its own behalf; see the picture of user_data in the header.
enum class Internal : uint8_t {
  kIgnore = 0,       // nobody waits for this result
  kEventRead = 1,    // the event descriptor was written: a wake
  kWakeFailed = 2,   // MSG_RING failed; the argument is the target's event descriptor
  kCloseDirect = 3,  // the argument is the slot
};

constexpr uint64_t kKindMask = 7;
constexpr int kInternalShift = 3;
constexpr int kArgumentShift = 6;

uint64_t UserData(Kind kind, const void* owner) {
  const auto address = reinterpret_cast<uintptr_t>(owner);
  CHECK_EQ(address & kKindMask, 0);
  return address | static_cast<uint64_t>(kind);
}

uint64_t UserData(Internal internal, uint32_t argument = 0) {
  return uint64_t{argument} << kArgumentShift | static_cast<uint64_t>(internal) << kInternalShift;
}

// The values of Socket: direct slots count from 0, plain descriptors from kPlainBase.
constexpr int32_t kPlainBase = 1 << 30;

bool IsDirect(Socket socket) { return socket.value < kPlainBase; }

// The one place where errno becomes a Status.
Status StatusOf(Kind kind, int system_error) {
  switch (system_error) {
    case 0:
      return Status::kOk;
    case ECONNRESET:    // the peer sent RST
    case EPIPE:         // sent after the peer's RST or our shutdown
    case ETIMEDOUT:     // the peer stopped acknowledging, or keepalive gave up
    case EHOSTUNREACH:  // ICMP while unacknowledged bytes were out
    case ENETUNREACH:   // the same
    case EHOSTDOWN:     // no answer to ARP
    case ENETDOWN:      // our interface went away
    case ENETRESET:     // keepalive found the path gone
    case ENOTCONN:      // reset before we came to it
    case ECONNABORTED:  // accept: the client left while it stood in the queue
    case EPROTO:        // the same, on some protocols
    case ECONNREFUSED:  // an earlier error of the socket, handed in late
    case ESHUTDOWN:     // the socket was shut down
      return Status::kReset;
    case EMFILE:  // RLIMIT_NOFILE
    case ENFILE:  // fs.file-max
      return Status::kFileLimit;
    case ENOBUFS:  // receive: the group of provided buffers is empty; elsewhere: no socket memory
      return kind == Kind::kReceive || kind == Kind::kDatagram ? Status::kNoBuffers
                                                               : Status::kNoMemory;
    case ENOMEM:  // memory of the kernel or of our control group
      return Status::kNoMemory;
    case ECANCELED:  // Stop, Shutdown, or the end of the ring
    case EINTR:      // a signal; io_uring does not restart by itself
      return Status::kCancelled;
    default:  // EINVAL, EBADF, EOPNOTSUPP, ...: the request was wrong. EAGAIN: the descriptor was a
              // non-blocking one
      return Status::kRejected;
  }
}

// The reason and, where it is a limit, the cure.
std::string ErrorText(const char* what, int system_error) {
  std::string text = std::string(what) + ": " + std::strerror(system_error);
  if (system_error == ENOMEM) {
    text +=
        ". Rings count as locked memory of the user that runs them, about 90 KiB a shard: raise "
        "the "
        "limit (ulimit -l, LimitMEMLOCK= of systemd), or the memory limit of the control group";
  } else if (system_error == EMFILE || system_error == ENFILE) {
    text += ". Raise the limit of open files (ulimit -n, LimitNOFILE= of systemd)";
  }
  return text;
}

class Implementation final : public UringRing {
 public:
  explicit Implementation(const UringOptions& options) : options_(options) {}
  ~Implementation() override;

  // Makes all kernel objects. False: `error` says why; the destructor takes back what was made.
  [[nodiscard]] bool Init(std::string* error);

  void Accept(int listener_fd, void* owner) override;
  Socket Attach(int fd) override;
  void Receive(Socket socket, void* owner) override;
  void ReceiveOnce(Socket socket, void* owner) override;
  void ReceiveInto(Socket socket, std::span<char> memory, void* owner) override;
  void Stop(Kind kind, void* owner) override;
  void Send(Socket socket, std::span<const iovec> pieces, bool more_follows, void* owner) override;
  void Shutdown(Socket socket) override;
  void Close(Socket socket, void* owner) override;
  void ReceiveDatagrams(int fd, void* owner) override;
  void SendDatagram(int fd, std::string_view bytes, const sockaddr* to, void* owner) override;
  void ReturnDatagram(BufferId buffer) override;
  void ReturnBuffer(BufferId buffer) override;
  WakeTarget wake_target() const override { return {ring_.ring_fd, event_fd_}; }
  void Wake(const WakeTarget& target) override;
  std::span<const Completion> Turn(int64_t timeout_ns) override;
  const Counters& counters() const override { return counters_; }

 private:
  bool Has(Feature f) const { return options_.features.Has(f); }

  // Init, in steps.
  [[nodiscard]] bool InitRing(std::string* error);
  [[nodiscard]] bool InitBuffers(std::string* error);
  [[nodiscard]] bool InitDatagramBuffers(std::string* error);
  void InitDirectTable();
  // Binds the ring to this thread and lets it run.
  void Start();

  // Submission.
  io_uring_sqe* NextSubmission();
  void SetTarget(io_uring_sqe* sqe, Socket socket);
  void IntoBuffers(io_uring_sqe* sqe, Socket socket, void* owner);
  void Cork(Socket socket, bool on);
  void ArmEventRead();
  void SubmitBacklog();
  uint32_t Publish();
  // One io_uring_enter. wait_ns 0: no wait; negative: without limit.
  void Enter(int64_t wait_ns);
  void DetachFromPieces();

  // Completion.
  bool CompletionReady() const;
  void Reap();
  void Deliver(const io_uring_cqe& cqe);
  void DeliverReceive(const io_uring_cqe& cqe, Completion* completion);
  void DeliverDatagram(const io_uring_cqe& cqe, Completion* completion);
  void DeliverInternal(const io_uring_cqe& cqe);

  char* DatagramData(uint32_t buffer) const {
    return datagrams_.data() + size_t{buffer} * kDatagramBufferBytes;
  }
  void OfferDatagram(uint32_t buffer);

  char* BufferData(uint32_t buffer) const {
    return buffers_.data() + size_t{buffer} * options_.buffer_size_bytes;
  }
  void OfferBuffer(uint32_t buffer);
  void OfferBuffersWanted();
  void WantMoreBuffers();

  UringOptions options_;
  io_uring ring_{};
  bool ring_made_ = false;
  bool started_ = false;
  uint32_t enter_flags_ = 0;       // the same for every enter
  bool task_work_hidden_ = false;  // completion work may be pending without a sign of it
  bool overflowing_ = false;       // the last turn saw the kernel set completions aside

  // One message header for each place in the submission queue: it must stay until the kernel has
  // taken the place's submission, and exactly then the place, and with it the header, is free
  // again.
  std::vector<msghdr> messages_;
  // Submissions that found the queue full and the kernel unwilling (no memory). Empty but for that.
  std::vector<io_uring_sqe> backlog_;
  std::vector<Completion> completions_;

  Pages buffer_ring_pages_;
  Pages buffers_;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  std::vector<bool> buffer_lent_;
  std::vector<uint16_t> buffers_spare_;  // neither lent nor offered; used last, offered first
  uint32_t buffers_offered_ = 0;
  uint32_t buffers_wanted_ = 0;  // to be offered
  uint32_t turn_buffers_ = 0;    // that this turn's receives took
  uint64_t turn_bytes_ = 0;      // in them

  Pages datagram_ring_pages_;
  Pages datagrams_;
  io_uring_buf_ring* datagram_ring_ = nullptr;
  std::vector<bool> datagram_lent_;
  msghdr datagram_shape_{};  // what a datagram buffer has room for besides the bytes: an address

  // Of the table of direct descriptors: slots that came back, and those never used, which cost no
  // memory yet.
  std::vector<int32_t> free_slots_;
  uint32_t slots_used_ = 0;
  uint32_t slots_ = 0;
  Pages closing_owners_pages_;
  void** closing_owners_ = nullptr;  // by slot: who asked for its Close

  std::set<int32_t> corked_;  // Joining::kCork alone

  int event_fd_ = -1;
  uint64_t event_value_ = 0;
  Counters counters_;
};

// ---- making and ending it

bool Implementation::Init(std::string* error) {
  if (!std::has_single_bit(options_.buffer_count) || options_.buffer_count > 32768 ||
      options_.buffer_size_bytes == 0) {
    *error = "the number of provided buffers must be a power of two of at most 32768";
    return false;
  }
  if (options_.datagram_buffer_count != 0 &&
      (!std::has_single_bit(options_.datagram_buffer_count) ||
       options_.datagram_buffer_count > 32768)) {
    *error = "the number of datagram buffers must be a power of two of at most 32768";
    return false;
  }
  if (!InitRing(error) || !InitBuffers(error) || !InitDatagramBuffers(error)) return false;
  if (Has(Feature::kDirectDescriptors)) InitDirectTable();

  event_fd_ = eventfd(0, EFD_CLOEXEC);
  if (event_fd_ < 0) {
    *error = ErrorText("eventfd", errno);
    return false;
  }
  messages_.resize(ring_.sq.ring_entries);
  completions_.reserve(kCompletionsPerTurnMax);
  return true;
}

bool Implementation::InitRing(std::string* error) {
  io_uring_params params{};
  params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
  params.cq_entries = std::max(options_.completion_entries, options_.submission_entries);
  const auto use = [&](Feature feature, uint32_t flag) {
    if (Has(feature)) params.flags |= flag;
  };
  use(Feature::kSubmitAll, IORING_SETUP_SUBMIT_ALL);
  use(Feature::kSingleIssuer, IORING_SETUP_SINGLE_ISSUER);
  // DEFER_TASKRUN needs SINGLE_ISSUER and replaces COOP_TASKRUN.
  const bool defer = Has(Feature::kDeferTaskrun) && Has(Feature::kSingleIssuer);
  const bool coop = !defer && Has(Feature::kCoopTaskrun);
  if (defer) params.flags |= IORING_SETUP_DEFER_TASKRUN;
  if (coop) params.flags |= IORING_SETUP_COOP_TASKRUN;
  if (defer || coop) {
    use(Feature::kTaskrunFlag, IORING_SETUP_TASKRUN_FLAG);
    task_work_hidden_ = !Has(Feature::kTaskrunFlag);
  }
  if (kLiburingHasNoSqArray) use(Feature::kNoSqArray, abi::kSetupNoSqArray);
  const int result = io_uring_queue_init_params(options_.submission_entries, &ring_, &params);
  if (result < 0) {
    *error = ErrorText("io_uring_setup", -result);
    return false;
  }
  ring_made_ = true;
  if ((params.features & IORING_FEAT_EXT_ARG) == 0 || (params.features & IORING_FEAT_NODROP) == 0) {
    *error = "io_uring_setup: this kernel's io_uring lacks EXT_ARG or NODROP";
    return false;
  }
  // Publish() moves the tail and never touches the index array, so that it says "in order" once and
  // for all.
  if (ring_.sq.array != nullptr && (params.flags & abi::kSetupNoSqArray) == 0) {
    for (uint32_t i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
  }
  if (Has(Feature::kNoIowait) && (params.features & abi::kFeatureNoIowait) != 0) {
    enter_flags_ |= abi::kEnterNoIowait;
  }
  return true;
}

bool Implementation::InitBuffers(std::string* error) {
  const uint32_t count = options_.buffer_count;
  if (!buffer_ring_pages_.Map(count * sizeof(io_uring_buf)) ||
      !buffers_.Map(size_t{count} * options_.buffer_size_bytes)) {
    *error = ErrorText("memory for provided buffers", errno);
    return false;
  }
  buffer_ring_ = reinterpret_cast<io_uring_buf_ring*>(buffer_ring_pages_.data());
  io_uring_buf_ring_init(buffer_ring_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(buffer_ring_);
  registration.ring_entries = count;
  registration.bgid = kBufferGroup;
  const int result = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (result < 0) {
    *error = ErrorText("io_uring_register_buf_ring", -result);
    return false;
  }
  buffer_lent_.resize(count);
  buffers_spare_.reserve(count);
  for (uint32_t i = count; i-- > 0;) buffers_spare_.push_back(static_cast<uint16_t>(i));
  buffers_wanted_ = std::min(count, kBuffersOfferedAtFirst);
  OfferBuffersWanted();
  return true;
}

bool Implementation::InitDatagramBuffers(std::string* error) {
  const uint32_t count = options_.datagram_buffer_count;
  datagram_shape_.msg_namelen = 32;  // an address of either family, and the bytes stay aligned
  if (count == 0) return true;
  if (!datagram_ring_pages_.Map(count * sizeof(io_uring_buf)) ||
      !datagrams_.Map(size_t{count} * kDatagramBufferBytes)) {
    *error = ErrorText("memory for datagrams", errno);
    return false;
  }
  datagram_ring_ = reinterpret_cast<io_uring_buf_ring*>(datagram_ring_pages_.data());
  io_uring_buf_ring_init(datagram_ring_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(datagram_ring_);
  registration.ring_entries = count;
  registration.bgid = kDatagramGroup;
  const int result = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (result < 0) {
    *error = ErrorText("io_uring_register_buf_ring", -result);
    return false;
  }
  datagram_lent_.resize(count);
  for (uint32_t i = 0; i < count; ++i) OfferDatagram(i);
  return true;
}

// No error: without a table every socket stays a plain descriptor.
void Implementation::InitDirectTable() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);  // the kernel refuses a larger table
  const auto count =
      static_cast<uint32_t>(std::min<rlim_t>(options_.direct_descriptors, limit.rlim_cur));
  if (count == 0 || !closing_owners_pages_.Map(count * sizeof(void*)) ||
      io_uring_register_files_sparse(&ring_, count) < 0) {
    return;
  }
  closing_owners_ = reinterpret_cast<void**>(closing_owners_pages_.data());
  free_slots_.reserve(count);
  slots_ = count;
}

Implementation::~Implementation() {
  // The kernel cancels what is still under way when the ring closes; none of it touches our memory
  // after that.
  if (ring_made_) io_uring_queue_exit(&ring_);
  if (event_fd_ >= 0) close(event_fd_);
}

void Implementation::Start() {
  started_ = true;
  // Fails only on a ring that runs already: the other errors of this call belong to rings with
  // restrictions.
  CHECK_EQ(io_uring_enable_rings(&ring_), 0);
  // The registration is the thread's, not the ring's, so it waits until here. It may fail (16 a
  // thread): no harm.
  if (Has(Feature::kRegisteredRing) && io_uring_register_ring_fd(&ring_) == 1) {
    enter_flags_ |= IORING_ENTER_REGISTERED_RING;
  }
  ArmEventRead();
}

// ---- asking

// A cleared submission, to be filled in before the next call. Valid until then only.
io_uring_sqe* Implementation::NextSubmission() {
  if (backlog_.empty()) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr && started_) {
      Enter(0);
      sqe = io_uring_get_sqe(&ring_);
    }
    if (sqe != nullptr) return sqe;
  }
  return &backlog_.emplace_back();
}

void Implementation::SetTarget(io_uring_sqe* sqe, Socket socket) {
  CHECK(socket.valid());
  if (IsDirect(socket)) {
    sqe->fd = socket.value;
    sqe->flags |= IOSQE_FIXED_FILE;
  } else {
    sqe->fd = socket.value - kPlainBase;
  }
}

void Implementation::Accept(int listener_fd, void* owner) {
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_multishot_accept(sqe, listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = UserData(Kind::kAccept, owner);
}

Socket Implementation::Attach(int fd) {
  CHECK(fd >= 0 && fd < kPlainBase);
  const bool is_fresh = free_slots_.empty();
  if (!is_fresh || slots_used_ < slots_) {
    const int32_t slot = is_fresh ? static_cast<int32_t>(slots_used_) : free_slots_.back();
    if (io_uring_register_files_update(&ring_, static_cast<unsigned>(slot), &fd, 1) == 1) {
      if (is_fresh) {
        ++slots_used_;
      } else {
        free_slots_.pop_back();
      }
      close(fd);
      return Socket{slot};
    }
  }
  return Socket{kPlainBase + fd};
}

void Implementation::Receive(Socket socket, void* owner) {
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_recv_multishot(sqe, 0, nullptr, 0, 0);
  IntoBuffers(sqe, socket, owner);
}

void Implementation::ReceiveOnce(Socket socket, void* owner) {
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_recv(sqe, 0, nullptr, 0, 0);
  IntoBuffers(sqe, socket, owner);
}

void Implementation::IntoBuffers(io_uring_sqe* sqe, Socket socket, void* owner) {
  SetTarget(sqe, socket);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = kBufferGroup;
  sqe->user_data = UserData(Kind::kReceive, owner);
}

void Implementation::ReceiveInto(Socket socket, std::span<char> memory, void* owner) {
  CHECK(!memory.empty());
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_recv(sqe, 0, memory.data(), std::min(memory.size(), kPieceBytesMax), MSG_WAITALL);
  SetTarget(sqe, socket);
  sqe->user_data = UserData(Kind::kReceive, owner);
}

void Implementation::Stop(Kind kind, void* owner) {
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_cancel64(sqe, UserData(kind, owner), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = UserData(Internal::kIgnore);  // a failure: it had ended by itself, or was missed
}

void Implementation::Send(Socket socket, std::span<const iovec> pieces, bool more_follows,
                          void* owner) {
  CHECK(!pieces.empty());
  const bool uncork =
      kJoining == Joining::kCork && !more_follows && corked_.erase(socket.value) != 0;
  if (kJoining == Joining::kCork && more_follows && corked_.insert(socket.value).second) {
    Cork(socket, true);
  }
  io_uring_sqe* const sqe = NextSubmission();
  const bool flag_more = kJoining == Joining::kMsgMore && more_follows;
  const int flags = MSG_WAITALL | MSG_NOSIGNAL | (flag_more ? MSG_MORE : 0);
  const bool has_place = backlog_.empty();
  if (pieces.size() == 1 || !has_place) {
    // In the backlog there is no message header: send the first piece; a short result is allowed.
    const iovec& piece = pieces.front();
    io_uring_prep_send(sqe, 0, piece.iov_base, std::min(piece.iov_len, kPieceBytesMax), flags);
  } else {
    msghdr& message = messages_[static_cast<size_t>(sqe - ring_.sq.sqes)];
    message = {};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = std::min<size_t>(pieces.size(), IOV_MAX);
    io_uring_prep_sendmsg(sqe, 0, &message, static_cast<unsigned>(flags));
  }
  SetTarget(sqe, socket);
  sqe->user_data = UserData(Kind::kSend, owner);
  if (uncork) Cork(socket, false);
}

// By submission, as direct descriptors know no system call. It runs before a send that has to wait
// for room is done: that one's last bytes leave at once, too.
void Implementation::Cork(Socket socket, bool on) {
  static const int values[] = {0, 1};
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_rw(abi::kOpUringCommand, sqe, 0, nullptr, 0, abi::kSocketCommandSetOption);
  sqe->addr = uint64_t{TCP_CORK} << 32 | IPPROTO_TCP;
  sqe->file_index = sizeof(int);  // optlen
  sqe->addr3 = reinterpret_cast<uintptr_t>(&values[on ? 1 : 0]);
  SetTarget(sqe, socket);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = UserData(Internal::kIgnore);
}

void Implementation::Shutdown(Socket socket) {
  CHECK(socket.valid());
  if (!IsDirect(socket)) {
    shutdown(socket.value - kPlainBase, SHUT_RDWR);  // ENOTCONN: the peer was faster
    return;
  }
  // Not IORING_OP_SHUTDOWN: the kernel runs that on a worker thread, which it starts for the
  // purpose on this core.
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_cancel_fd(
      sqe, socket.value,
      IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_FD_FIXED | IORING_ASYNC_CANCEL_ALL);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = UserData(Internal::kIgnore);
}

void Implementation::Close(Socket socket, void* owner) {
  CHECK(socket.valid());
  if (kJoining == Joining::kCork) corked_.erase(socket.value);
  const uint64_t user_data = UserData(Kind::kClose, owner);
  io_uring_sqe* const sqe = NextSubmission();
  if (IsDirect(socket)) {
    const auto slot = static_cast<uint32_t>(socket.value);
    closing_owners_[slot] = owner;
    io_uring_prep_close_direct(sqe, slot);
    sqe->user_data = UserData(Internal::kCloseDirect, slot);
  } else {
    io_uring_prep_close(sqe, socket.value - kPlainBase);
    sqe->user_data = user_data;
  }
}

void Implementation::ReceiveDatagrams(int fd, void* owner) {
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_recvmsg_multishot(sqe, fd, &datagram_shape_, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = kDatagramGroup;
  sqe->user_data = UserData(Kind::kDatagram, owner);
}

void Implementation::SendDatagram(int fd, std::string_view bytes, const sockaddr* to, void* owner) {
  // A send with an address: Linux 6.1, as all that torc needs. It has no message header that would
  // have to stay.
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  sqe->addr2 = reinterpret_cast<uintptr_t>(to);
  sqe->addr_len = static_cast<uint16_t>(SizeOf(to));
  sqe->user_data = UserData(Kind::kSendDatagram, owner);
}

void Implementation::ReturnDatagram(BufferId buffer) {
  CHECK_LT(buffer, datagram_lent_.size());
  CHECK(datagram_lent_[buffer]);
  datagram_lent_[buffer] = false;
  OfferDatagram(buffer);
}

void Implementation::OfferDatagram(uint32_t buffer) {
  io_uring_buf_ring_add(datagram_ring_, DatagramData(buffer), kDatagramBufferBytes,
                        static_cast<uint16_t>(buffer),
                        io_uring_buf_ring_mask(options_.datagram_buffer_count), 0);
  io_uring_buf_ring_advance(datagram_ring_, 1);
}

void Implementation::ReturnBuffer(BufferId buffer) {
  CHECK_LT(buffer, buffer_lent_.size());
  CHECK(buffer_lent_[buffer]);
  buffer_lent_[buffer] = false;
  counters_.buffers_lent.Subtract(1);
  buffers_spare_.push_back(static_cast<uint16_t>(buffer));
  OfferBuffersWanted();
}

void Implementation::OfferBuffersWanted() {
  while (buffers_offered_ < buffers_wanted_ && !buffers_spare_.empty()) {
    OfferBuffer(buffers_spare_.back());
    buffers_spare_.pop_back();
  }
}

void Implementation::OfferBuffer(uint32_t buffer) {
  io_uring_buf_ring_add(buffer_ring_, BufferData(buffer), options_.buffer_size_bytes,
                        static_cast<uint16_t>(buffer),
                        io_uring_buf_ring_mask(options_.buffer_count), 0);
  io_uring_buf_ring_advance(buffer_ring_, 1);
  ++buffers_offered_;
}

void Implementation::Wake(const WakeTarget& target) {
  counters_.wakes_sent.Add(1);
  if (!Has(Feature::kMessageRing)) {
    eventfd_write(target.event_fd, 1);  // fails only when 2^64 wakes are unread: awake enough
    return;
  }
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_msg_ring(sqe, target.ring_fd, 0, UserData(Kind::kWake, nullptr), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = UserData(Internal::kWakeFailed, static_cast<uint32_t>(target.event_fd));
}

void Implementation::ArmEventRead() {
  io_uring_sqe* const sqe = NextSubmission();
  io_uring_prep_read(sqe, event_fd_, &event_value_, sizeof(event_value_), 0);
  sqe->user_data = UserData(Internal::kEventRead);
}

// ---- the turn

std::span<const Completion> Implementation::Turn(int64_t timeout_ns) {
  if (!started_) Start();
  counters_.turns.Add(1);
  completions_.clear();
  if (!backlog_.empty()) [[unlikely]] {
    SubmitBacklog();
  }

  const uint32_t state = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  const bool overflowing = (state & IORING_SQ_CQ_OVERFLOW) != 0;
  if (overflowing && !overflowing_) counters_.completion_overflows.Add(1);
  overflowing_ = overflowing;

  const bool wait = timeout_ns != 0 && !CompletionReady() && backlog_.empty();
  const bool kernel_has_work =
      task_work_hidden_ || (state & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
  if (wait || kernel_has_work || Publish() > 0) {
    if (wait) counters_.waits.Add(1);
    Enter(wait ? timeout_ns : 0);
    DetachFromPieces();
  }
  Reap();
  return completions_;
}

// Moves all filled places to the kernel's side of the queue. Returns how many it has not yet taken.
uint32_t Implementation::Publish() {
  io_uring_sq& sq = ring_.sq;
  if (sq.sqe_head != sq.sqe_tail) {
    sq.sqe_head = sq.sqe_tail;
    io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
  }
  return sq.sqe_tail - io_uring_smp_load_acquire(sq.khead);
}

void Implementation::Enter(int64_t wait_ns) {
  __kernel_timespec limit{};
  io_uring_getevents_arg argument{};
  if (wait_ns > 0) {
    limit.tv_sec = wait_ns / 1'000'000'000;
    limit.tv_nsec = wait_ns % 1'000'000'000;
    argument.ts = reinterpret_cast<uintptr_t>(&limit);
  }
  counters_.enters.Add(1);
  // GETEVENTS without a wait too: it runs pending completion work and takes back completions set
  // aside.
  const int result =
      io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), Publish(), wait_ns == 0 ? 0 : 1,
                      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | enter_flags_,
                      reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
  if (result > 0) counters_.submissions.Add(static_cast<uint64_t>(result));
  // ETIME and EINTR: the wait ended without a completion. EAGAIN, EBUSY, ENOMEM: submissions stay
  // queued for the next turn, by when completions were reaped and memory may be free. EBADR: the
  // kernel had no memory even to set a completion aside.
  if (result == -EAGAIN || result == -EBUSY || result == -ENOMEM) {
    counters_.submissions_refused.Add(1);
  } else if (result == -EBADR) {
    counters_.completions_lost.Set(io_uring_smp_load_acquire(ring_.cq.koverflow));
  }
}

// The callers' iovecs may go when this turn ends. Where the kernel has not taken all submissions
// (no memory), those that point to iovecs shrink to their first piece.
void Implementation::DetachFromPieces() {
  const io_uring_sq& sq = ring_.sq;
  uint32_t head = io_uring_smp_load_acquire(sq.khead);
  if (head == sq.sqe_tail) [[likely]] {
    return;
  }
  for (; head != sq.sqe_tail; ++head) {
    io_uring_sqe& sqe = sq.sqes[head & (sq.ring_entries - 1)];
    if (sqe.opcode != IORING_OP_SENDMSG) continue;
    const iovec piece = *reinterpret_cast<const msghdr*>(sqe.addr)->msg_iov;
    sqe.opcode = IORING_OP_SEND;
    sqe.addr = reinterpret_cast<uintptr_t>(piece.iov_base);
    sqe.len = static_cast<uint32_t>(std::min(piece.iov_len, kPieceBytesMax));
  }
}

void Implementation::SubmitBacklog() {
  size_t moved = 0;
  for (; moved < backlog_.size(); ++moved) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      Enter(0);
      sqe = io_uring_get_sqe(&ring_);
    }
    if (sqe == nullptr) break;
    *sqe = backlog_[moved];
  }
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<ptrdiff_t>(moved));
}

bool Implementation::CompletionReady() const {
  return *ring_.cq.khead != io_uring_smp_load_acquire(ring_.cq.ktail);
}

void Implementation::Reap() {
  const uint32_t mask = ring_.cq.ring_entries - 1;
  const uint32_t tail = io_uring_smp_load_acquire(ring_.cq.ktail);
  const uint32_t head_before = *ring_.cq.khead;  // ours to write: a plain read
  uint32_t head = head_before;
  while (head != tail && completions_.size() < kCompletionsPerTurnMax) {
    Deliver(ring_.cq.cqes[head++ & mask]);
  }
  io_uring_smp_store_release(ring_.cq.khead, head);
  counters_.completions.Add(head - head_before);
  // They came full, and more than half as many again as are offered at first.
  if (turn_bytes_ > kBuffersOfferedAtFirst * 3 / 2 * uint64_t{options_.buffer_size_bytes}) {
    buffers_wanted_ = std::max(buffers_wanted_ / 2, kBuffersOfferedAtFirst);
  }
  turn_buffers_ = 0;
  turn_bytes_ = 0;
}

void Implementation::Deliver(const io_uring_cqe& cqe) {
  const uint64_t kind = cqe.user_data & kKindMask;
  if (kind == 0) return DeliverInternal(cqe);

  Completion completion;
  completion.owner = reinterpret_cast<void*>(cqe.user_data & ~kKindMask);
  completion.kind = static_cast<Kind>(kind);
  completion.more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (cqe.res < 0) {
    completion.system_error = -cqe.res;
    completion.status = StatusOf(completion.kind, -cqe.res);
  } else {
    completion.result = cqe.res;
  }
  if (completion.kind == Kind::kReceive) DeliverReceive(cqe, &completion);
  if (completion.kind == Kind::kDatagram) DeliverDatagram(cqe, &completion);
  completions_.push_back(completion);
}

void Implementation::DeliverReceive(const io_uring_cqe& cqe, Completion* completion) {
  if (completion->status == Status::kNoBuffers) {
    // Not exhausted if there are spare ones: only those offered are used up.
    if (buffers_spare_.empty()) {
      counters_.buffers_exhausted.Add(1);
    } else {
      completion->status = Status::kOk;
      completion->system_error = 0;
    }
    WantMoreBuffers();
  }
  if (cqe.res == 0) completion->status = Status::kEndOfStream;
  if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return;
  const uint32_t buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  CHECK_LT(buffer, buffer_lent_.size());  // not input: the kernel names one of those it was given
  --buffers_offered_;
  if (cqe.res <= 0)
    return OfferBuffer(buffer);  // picked, but nothing came: the shard does not hear of it
  CHECK(!buffer_lent_[buffer]);
  buffer_lent_[buffer] = true;
  counters_.buffers_lent.Add(1);
  completion->buffer = static_cast<BufferId>(buffer);
  completion->data = BufferData(buffer);
  ++turn_buffers_;
  turn_bytes_ += static_cast<uint32_t>(cqe.res);
  if (buffers_offered_ < buffers_wanted_ / 4) WantMoreBuffers();
}

void Implementation::DeliverDatagram(const io_uring_cqe& cqe, Completion* completion) {
  completion->result = 0;
  if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return;
  const uint32_t buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  CHECK_LT(buffer, datagram_lent_.size());  // as in DeliverReceive
  CHECK(!datagram_lent_[buffer]);
  io_uring_recvmsg_out* const out =
      cqe.res < 0 ? nullptr
                  : io_uring_recvmsg_validate(DatagramData(buffer), cqe.res, &datagram_shape_);
  if (out == nullptr) return OfferDatagram(buffer);  // picked, but nothing came
  datagram_lent_[buffer] = true;
  completion->buffer = static_cast<BufferId>(buffer);
  completion->data = static_cast<const char*>(io_uring_recvmsg_payload(out, &datagram_shape_));
  completion->result =
      static_cast<int32_t>(io_uring_recvmsg_payload_length(out, cqe.res, &datagram_shape_));
  completion->peer = static_cast<const sockaddr*>(io_uring_recvmsg_name(out));
}

// Of the buffers that this turn's receives took, at least half must be more than half empty: so
// many connections, not so many bytes.
void Implementation::WantMoreBuffers() {
  if (turn_bytes_ <= turn_buffers_ / 2 * options_.buffer_size_bytes) {
    buffers_wanted_ = std::min(2 * buffers_wanted_, options_.buffer_count);
  }
  OfferBuffersWanted();
}

void Implementation::DeliverInternal(const io_uring_cqe& cqe) {
  const auto internal = static_cast<Internal>(cqe.user_data >> kInternalShift & 7);
  const auto argument = static_cast<uint32_t>(cqe.user_data >> kArgumentShift);
  switch (internal) {
    case Internal::kIgnore:
      return;
    case Internal::kEventRead:
      if (cqe.res == sizeof(event_value_)) completions_.push_back({.kind = Kind::kWake});
      // EBADF and the like cannot be, but must not become a busy loop.
      if (cqe.res > 0 || cqe.res == -EINTR || cqe.res == -ECANCELED) ArmEventRead();
      return;
    case Internal::kWakeFailed:
      // Its queue is full and memory short, or it has not started: the event descriptor keeps the
      // wake for it.
      if (cqe.res < 0) eventfd_write(static_cast<int>(argument), 1);
      if (cqe.res < 0 && cqe.res != -EBADFD) counters_.wakes_refused.Add(1);
      return;
    case Internal::kCloseDirect: {
      // A slot whose close failed holds nothing that could still be used: it is free in either
      // case.
      free_slots_.push_back(static_cast<int32_t>(argument));
      Completion completion{.owner = std::exchange(closing_owners_[argument], nullptr),
                            .kind = Kind::kClose};
      if (cqe.res < 0) {
        completion.system_error = -cqe.res;
        completion.status = StatusOf(Kind::kClose, -cqe.res);
      }
      completions_.push_back(completion);
      return;
    }
  }
}

}  // namespace

std::unique_ptr<UringRing> UringRing::Create(const UringOptions& options, std::string* error) {
  auto ring = std::make_unique<Implementation>(options);
  if (!ring->Init(error)) return nullptr;
  return ring;
}

}  // namespace torc::ring
