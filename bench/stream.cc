#include "bench/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "bench/die.h"

namespace torc::bench {
namespace {

constexpr size_t kReceiveBytes = size_t{64} << 10;
constexpr time_t kSilenceSecondsMax = 60;

}  // namespace

uint64_t MonotonicNs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

Stream::Stream(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (fd_ < 0) DieErrno("cannot make a socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    DieErrno("cannot connect", errno);
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval silence{.tv_sec = kSilenceSecondsMax, .tv_usec = 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
}

Stream::~Stream() {
  if (fd_ >= 0) close(fd_);
}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)), read_(other.read_) {}

void Stream::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) DieErrno("a send failed", errno);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void Stream::Receive() {
  buffer_.erase(0, read_);
  read_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kReceiveBytes);
  ssize_t got;
  do {
    got = recv(fd_, buffer_.data() + before, kReceiveBytes, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) DieErrno("a receive failed", errno);
  if (got == 0) Die("the server closed a connection");
  buffer_.resize(before + static_cast<size_t>(got));
}

std::string_view Stream::Line() {
  for (;;) {
    const std::string_view rest = std::string_view(buffer_).substr(read_);
    const size_t end = rest.find("\r\n");
    if (end != std::string_view::npos) {
      read_ += end + 2;
      return rest.substr(0, end);
    }
    Receive();
  }
}

void Stream::Skip(size_t count) {
  while (count > buffer_.size() - read_) {
    count -= buffer_.size() - read_;
    read_ = buffer_.size();
    Receive();
  }
  read_ += count;
}

}  // namespace torc::bench
