// A blocking connection to a server on this machine, for programs that do not care what their own
// system calls cost. Whatever goes wrong ends the program.
//
// Owner: whoever made it. Affinity: one thread. Lifetime: RAII. Invariant: none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace torc::bench {

uint64_t MonotonicNs();

class Stream {
 public:
  // Connects to 127.0.0.1. A server that neither takes nor sends a byte for 60 seconds is taken for
  // hung.
  explicit Stream(uint16_t port);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Sends all of it. Does not read meanwhile: what the server answers must fit the sockets'
  // buffers.
  void Send(std::string_view bytes);

  // The next line without its \r\n; valid until the next call.
  std::string_view Line();
  // Drops the next `count` bytes.
  void Skip(size_t count);

 private:
  void Receive();

  int fd_ = -1;
  std::string buffer_;
  size_t read_ = 0;  // bytes of the buffer that were handed out
};

}  // namespace torc::bench
