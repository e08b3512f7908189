#include "src/copy/connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace torc::copy {
namespace {

constexpr size_t kReceiveBytes = 256 << 10;
// No answer for so long: the server hangs, or is none.
constexpr int kTimeoutSeconds = 60;

// Cuts "HOST:PORT" in two; without a port it is memcached's.
void SplitAddress(const std::string& where, std::string* host, std::string* port) {
  *port = "11211";
  *host = where;
  const size_t colon = where.rfind(':');
  if (where.starts_with('[')) {
    const size_t bracket = where.find(']');
    if (bracket == std::string::npos) return;
    *host = where.substr(1, bracket - 1);
    if (colon == bracket + 1) *port = where.substr(colon + 1);
  } else if (colon != std::string::npos && where.find(':') == colon) {
    *host = where.substr(0, colon);
    *port = where.substr(colon + 1);
  }
}

}  // namespace

Connection::~Connection() {
  if (fd_ >= 0) close(fd_);
}

bool Connection::Fail(std::string error) {
  error_ = where_ + ": " + std::move(error);
  return false;
}

bool Connection::Open(const std::string& where) {
  where_ = where;
  if (where.find('/') != std::string::npos) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (where.size() >= sizeof(address.sun_path)) return Fail("the path is too long");
    std::memcpy(address.sun_path, where.c_str(), where.size() + 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      return Fail(std::string("cannot connect: ") + std::strerror(errno));
    }
  } else {
    std::string host, port;
    SplitAddress(where, &host, &port);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int failure = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); failure != 0) {
      return Fail(std::string("no such address: ") + gai_strerror(failure));
    }
    int cause = 0;
    for (addrinfo* a = found; a != nullptr && fd_ < 0; a = a->ai_next) {
      fd_ = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
      if (fd_ >= 0 && connect(fd_, a->ai_addr, a->ai_addrlen) == 0) break;
      cause = errno;
      if (fd_ >= 0) close(fd_);
      fd_ = -1;
    }
    freeaddrinfo(found);
    if (fd_ < 0) return Fail(std::string("cannot connect: ") + std::strerror(cause));
    const int yes = 1;
    (void)setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }
  const timeval timeout{kTimeoutSeconds, 0};
  (void)setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  (void)setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  return true;
}

bool Connection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Fail(std::string("cannot send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Connection::Receive() {
  buffer_.erase(0, at_);
  at_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kReceiveBytes);
  ssize_t got;
  do {
    got = recv(fd_, buffer_.data() + before, kReceiveBytes, 0);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(before + static_cast<size_t>(got > 0 ? got : 0));
  if (got > 0) return true;
  if (got == 0) return Fail("the server closed the connection");
  if (errno == EAGAIN) {
    return Fail("no answer for " + std::to_string(kTimeoutSeconds) + " seconds");
  }
  return Fail(std::string("cannot receive: ") + std::strerror(errno));
}

bool Connection::ReadLine(std::string_view* line) {
  size_t looked = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', at_ + looked);
    if (end != std::string::npos) {
      *line = std::string_view(buffer_).substr(at_, end - at_);
      if (line->ends_with('\r')) line->remove_suffix(1);
      at_ = end + 1;
      return true;
    }
    looked = buffer_.size() - at_;
    if (!Receive()) return false;
  }
}

bool Connection::Read(size_t size, std::string_view* bytes) {
  if (size > buffer_.capacity() - at_) buffer_.reserve(at_ + size + kReceiveBytes);
  while (buffer_.size() - at_ < size) {
    if (!Receive()) return false;
  }
  *bytes = std::string_view(buffer_).substr(at_, size);
  at_ += size;
  return true;
}

}  // namespace torc::copy
