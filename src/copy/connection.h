// A blocking connection to a cache server, for a program that does one thing at a time.
//
// Owner: the caller. Affinity: one thread. Lifetime: open until destroyed. Invariant: after a
// failure error() says what happened, and nothing more can be asked.
#ifndef TORC_SRC_COPY_CONNECTION_H_
#define TORC_SRC_COPY_CONNECTION_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "src/client/socket.h"

namespace torc::copy {

class Connection {
 public:
  // `where`: as client::Address has it.
  [[nodiscard]] bool Open(const std::string& where);
  [[nodiscard]] bool Send(std::string_view bytes);
  // The next line, without its line end. Valid until the next read.
  [[nodiscard]] bool ReadLine(std::string_view* line);
  // Exactly `size` bytes. Valid until the next read.
  [[nodiscard]] bool Read(size_t size, std::string_view* bytes);
  // Whether a whole line has been received already.
  bool HasLine() const { return buffer_.find('\n', at_) != std::string::npos; }

  const std::string& error() const { return error_; }

 private:
  [[nodiscard]] bool Fail(std::string_view error);
  // Until the socket takes bytes (POLLOUT) or has some (POLLIN).
  [[nodiscard]] bool Wait(short events);
  [[nodiscard]] bool Receive();

  client::Socket socket_;
  std::string where_;
  std::string buffer_;
  size_t at_ = 0;  // what stands before has been read
  std::string error_;
};

}  // namespace torc::copy

#endif  // TORC_SRC_COPY_CONNECTION_H_
