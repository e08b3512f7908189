#include "bench/ring.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "bench/die.h"

namespace torc::bench {

namespace {

// Sockets and the table of fixed files count against the soft limit, which is often 1,024. Returns
// what it is now.
rlim_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace

Ring::Ring(const Config& config) : config_(config), ring_{} {
  const rlim_t files_max = RaiseFileLimit();
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_SUBMIT_ALL;
  params.cq_entries = config.completion_entries;
  int rc = io_uring_queue_init_params(config.submission_entries, &ring_, &params);
  if (rc < 0) DieErrno("io_uring is refused (Linux 6.1 or newer is needed)", -rc);
  rc = io_uring_register_ring_fd(&ring_);
  if (rc < 0) DieErrno("cannot register the ring's descriptor", -rc);
  rc = io_uring_register_files_sparse(
      &ring_, static_cast<unsigned>(std::min<rlim_t>(config.file_count, files_max)));
  if (rc < 0) DieErrno("cannot register a table of files", -rc);

  buffer_ring_size_bytes_ = config.buffer_count * sizeof(io_uring_buf);
  void* memory = mmap(nullptr, buffer_ring_size_bytes_, PROT_READ | PROT_WRITE,
                      MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) DieErrno("cannot map the buffer ring", errno);
  buffer_ring_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(memory);
  registration.ring_entries = config.buffer_count;
  registration.bgid = kBufferGroup;
  rc = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (rc < 0) DieErrno("cannot register the buffer ring", -rc);

  buffers_.reset(new char[size_t{config.buffer_count} * config.buffer_size_bytes]);
  const int mask = io_uring_buf_ring_mask(config.buffer_count);
  io_uring_buf_ring_init(buffer_ring_);
  for (uint32_t i = 0; i < config.buffer_count; ++i) {
    io_uring_buf_ring_add(buffer_ring_, BufferAt(i), config.buffer_size_bytes,
                          static_cast<uint16_t>(i), mask, static_cast<int>(i));
  }
  io_uring_buf_ring_advance(buffer_ring_, static_cast<int>(config.buffer_count));
}

Ring::~Ring() {
  io_uring_queue_exit(&ring_);
  munmap(buffer_ring_, buffer_ring_size_bytes_);
}

io_uring_sqe* Ring::NextEntry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    Submit();
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

void Ring::Receive(int file_index, uint64_t user_data) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_recv(entry, file_index, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
  entry->buf_group = kBufferGroup;
  entry->user_data = user_data;
}

void Ring::ReceiveMultishot(int file_index, uint64_t user_data) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_recv_multishot(entry, file_index, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
  entry->buf_group = kBufferGroup;
  entry->user_data = user_data;
}

io_uring_sqe* Ring::Send(int file_index, const char* data, size_t size_bytes, uint64_t user_data) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_send(entry, file_index, data, size_bytes, MSG_WAITALL | MSG_NOSIGNAL);
  entry->flags |= IOSQE_FIXED_FILE;
  entry->user_data = user_data;
  return entry;
}

io_uring_sqe* Ring::SendPieces(int file_index, const msghdr* header, uint64_t user_data) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_sendmsg(entry, file_index, header, MSG_WAITALL | MSG_NOSIGNAL);
  entry->flags |= IOSQE_FIXED_FILE;
  entry->user_data = user_data;
  return entry;
}

void Ring::ReserveEntries(unsigned count) {
  while (io_uring_sq_space_left(&ring_) < count) Submit();
}

void Ring::SubmitAndWait() {
  const int rc = io_uring_submit_and_wait(&ring_, 1);
  if (rc < 0 && rc != -EINTR && rc != -EBUSY) DieErrno("waiting for completions", -rc);
}

void Ring::SubmitAndWait(uint64_t timeout_ns) {
  if (timeout_ns == 0) return Submit();
  __kernel_timespec timeout{};
  timeout.tv_sec = static_cast<int64_t>(timeout_ns / 1'000'000'000);
  timeout.tv_nsec = static_cast<long long>(timeout_ns % 1'000'000'000);
  io_uring_cqe* first = nullptr;
  const int rc = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EBUSY) {
    DieErrno("waiting for completions", -rc);
  }
}

void Ring::Submit() {
  const int rc = io_uring_submit_and_get_events(&ring_);
  if (rc < 0 && rc != -EINTR && rc != -EBUSY) DieErrno("submitting", -rc);
}

std::string_view Ring::ReceivedBytes(const io_uring_cqe& completion) const {
  const uint32_t index = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  return {BufferAt(index), static_cast<size_t>(completion.res)};
}

void Ring::ReturnBuffer(const io_uring_cqe& completion) {
  const uint32_t index = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  io_uring_buf_ring_add(buffer_ring_, BufferAt(index), config_.buffer_size_bytes,
                        static_cast<uint16_t>(index), io_uring_buf_ring_mask(config_.buffer_count),
                        0);
  io_uring_buf_ring_advance(buffer_ring_, 1);
}

}  // namespace torc::bench
