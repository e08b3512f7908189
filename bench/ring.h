// The io_uring set-up that both bench programs share: what a good server of this kind uses too.
//
// One ring for one thread; completions run only when the thread asks for them (DEFER_TASKRUN), so
// a turn is one system call; one ring of provided buffers feeds every connection's multishot
// receive; connections are fixed files. bench/ stands apart from the server on purpose: it must not
// share the server's code, or it would share its mistakes.
//
// Owner: main. Affinity: the thread that made it. Lifetime: the program.
// Invariant: every buffer is either with the kernel or between ReceivedBytes and ReturnBuffer.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace torc::bench {

class Ring {
 public:
  struct Config {
    uint32_t submission_entries = 1024;
    uint32_t completion_entries = 16384;
    uint32_t buffer_count = 128;  // a power of two, at most 32768
    uint32_t buffer_size_bytes = 16384;
    uint32_t file_count = 64;  // size of the table of fixed files, which starts empty
  };

  // Ends the program if the kernel refuses.
  explicit Ring(const Config& config);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // A cleared submission entry; submits what is queued first when the queue is full.
  io_uring_sqe* NextEntry();

  // Queue a receive on a fixed file: one, or as many as come.
  void Receive(int file_index, uint64_t user_data);
  void ReceiveMultishot(int file_index, uint64_t user_data);

  // Queues a send on a fixed file. The kernel goes on after a short send (MSG_WAITALL), so anything
  // but `size_bytes` in its completion is an error. `data` must stay until the completion.
  io_uring_sqe* Send(int file_index, const char* data, size_t size_bytes, uint64_t user_data);

  // The same for several pieces of memory; `header` and what it names must stay until then too.
  io_uring_sqe* SendPieces(int file_index, const msghdr* header, uint64_t user_data);

  // Makes sure that the next `count` entries are submitted together, as a chain of links must be.
  void ReserveEntries(unsigned count);

  // Submits what is queued and waits until there is at least one completion.
  void SubmitAndWait();

  // The same, but not longer than so many nanoseconds; 0: does not wait.
  void SubmitAndWait(uint64_t timeout_ns);

  // Calls `handle(const io_uring_cqe&)` for each completion there is.
  template <typename Handle>
  void ForEachCompletion(Handle handle) {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
      handle(*completion);
      ++count;
    }
    io_uring_cq_advance(&ring_, count);
  }

  // The bytes of a receive that completed with a buffer; valid until ReturnBuffer.
  std::string_view ReceivedBytes(const io_uring_cqe& completion) const;
  void ReturnBuffer(const io_uring_cqe& completion);

  io_uring* raw() { return &ring_; }

 private:
  static constexpr int kBufferGroup = 0;

  void Submit();

  char* BufferAt(uint32_t index) const {
    return buffers_.get() + size_t{index} * config_.buffer_size_bytes;
  }

  Config config_;
  io_uring ring_;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  size_t buffer_ring_size_bytes_ = 0;
  std::unique_ptr<char[]> buffers_;
};

}  // namespace torc::bench
