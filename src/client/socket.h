// A stream to a server: connected before a deadline, then never waiting by itself. Whoever drives
// it waits, with poll(), for several at once.
//
// Owner: who connects. Affinity: one thread. Lifetime: the descriptor is closed when destroyed.
// Invariant: the descriptor does not block.
#ifndef TORC_SRC_CLIENT_SOCKET_H_
#define TORC_SRC_CLIENT_SOCKET_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace torc::client {

using Deadline = std::chrono::steady_clock::time_point;

// Milliseconds until then for poll(), rounded up; 0 if it is over.
[[nodiscard]] int MillisecondsUntil(Deadline deadline);

// "HOST", "HOST:PORT", "[IPV6]:PORT", or the path of a UNIX socket, which has a '/'.
struct Address {
  std::string host;  // or the path
  std::string port = "11211";
  bool is_path = false;
};
[[nodiscard]] Address ParseAddress(std::string_view text);

// Connects to `address` and returns a descriptor that does not block; -1 if that fails before the
// deadline, and why in `error`. Names are resolved by the system, for which no deadline holds.
[[nodiscard]] int Dial(const std::string& address, Deadline deadline, std::string* error);

class Socket {
 public:
  enum class Step : std::uint8_t {
    kMoved,   // some bytes went
    kWait,    // none can now
    kClosed,  // the other side has closed, or the connection broke: error() says which
  };

  Socket() = default;
  explicit Socket(int fd);  // takes it, and makes it not block
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  const std::string& error() const { return error_; }

  // Sends what it can and takes it off the front of `bytes`.
  [[nodiscard]] Step Send(std::string_view* bytes);
  // Appends what there is, up to `size_max` bytes, to `out`.
  [[nodiscard]] Step Receive(std::string* out, size_t size_max);
  // Whether it is silent and open, as between two calls it must be: a server that closed it in the
  // meantime shows here, before anything is sent that would be lost.
  [[nodiscard]] bool IsIdle() const;

 private:
  int fd_ = -1;
  std::string error_;
};

}  // namespace torc::client

#endif  // TORC_SRC_CLIENT_SOCKET_H_
