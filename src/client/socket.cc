#include "src/client/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace torc::client {
namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// Connects `fd`; 0, or an errno.
int Connect(int fd, const sockaddr* address, socklen_t size, Deadline deadline) {
  if (connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS && errno != EINTR) return errno;
  for (;;) {
    pollfd entry{fd, POLLOUT, 0};
    const int ready = poll(&entry, 1, MillisecondsUntil(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno;
    if (ready == 0) return ETIMEDOUT;
    int cause = 0;
    socklen_t cause_size = sizeof(cause);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &cause_size) != 0) return errno;
    return cause;
  }
}

int DialPath(const std::string& path, Deadline deadline, std::string* error) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    *error = path + ": too long a path for a socket";
    return -1;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, kSocketFlags, 0);
  const int cause =
      fd < 0 ? errno
             : Connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address), deadline);
  if (cause == 0) return fd;
  *error = path + ": " + std::strerror(cause);
  if (fd >= 0) close(fd);
  return -1;
}

}  // namespace

int MillisecondsUntil(Deadline deadline) {
  using std::chrono::milliseconds;
  const auto left = deadline - std::chrono::steady_clock::now();
  const auto ms = std::chrono::ceil<milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, INT_MAX));
}

Address ParseAddress(std::string_view text) {
  Address address;
  address.host = text;
  if (text.find('/') != text.npos) {
    address.is_path = true;
    address.port.clear();
    return address;
  }
  const size_t colon = text.rfind(':');
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == text.npos) return address;
    address.host = text.substr(1, bracket - 1);
    if (colon == bracket + 1) address.port = text.substr(colon + 1);
  } else if (colon != text.npos && text.find(':') == colon) {
    address.host = text.substr(0, colon);
    address.port = text.substr(colon + 1);
  }
  return address;
}

int Dial(const std::string& text, Deadline deadline, std::string* error) {
  const Address address = ParseAddress(text);
  if (address.is_path) return DialPath(address.host, deadline, error);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (failure != 0) {
    *error = text + ": " + gai_strerror(failure);
    return -1;
  }
  int cause = 0;
  int connected = -1;
  for (const addrinfo* a = found; a != nullptr && connected < 0; a = a->ai_next) {
    const int fd = socket(a->ai_family, a->ai_socktype | kSocketFlags, a->ai_protocol);
    cause = fd < 0 ? errno : Connect(fd, a->ai_addr, a->ai_addrlen, deadline);
    if (cause == 0) {
      connected = fd;
    } else if (fd >= 0) {
      close(fd);
    }
  }
  freeaddrinfo(found);
  if (connected < 0) {
    *error = text + ": " + std::strerror(cause);
    return -1;
  }
  // Requests leave whole, so there is nothing to gather. What fails here costs speed alone.
  const int yes = 1;
  (void)setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  return connected;
}

Socket::Socket(int fd) : fd_(fd) {
  if (fd >= 0) (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Socket::Socket(Socket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), error_(std::move(other.error_)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(error_, other.error_);
  return *this;
}

Socket::Step Socket::Send(std::string_view* bytes) {
  ssize_t sent;
  do {
    sent = send(fd_, bytes->data(), bytes->size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    bytes->remove_prefix(static_cast<size_t>(sent));
    return Step::kMoved;
  }
  if (errno == EAGAIN) return Step::kWait;
  error_ = std::strerror(errno);
  return Step::kClosed;
}

Socket::Step Socket::Receive(std::string* out, size_t size_max) {
  // What a string grows by it clears first, which would cost more than most replies do: they come
  // by way of the stack. A value that is known to be long goes straight to its place.
  char bytes[kStackBytes];
  const size_t before = out->size();
  const bool is_long = size_max > sizeof bytes;
  if (is_long) out->resize(before + size_max);
  ssize_t got;
  do {
    got = recv(fd_, is_long ? out->data() + before : bytes, size_max, 0);
  } while (got < 0 && errno == EINTR);
  const int cause = errno;
  const auto size = static_cast<size_t>(std::max<ssize_t>(got, 0));
  if (is_long) {
    out->resize(before + size);
  } else {
    out->append(bytes, size);
  }
  if (got > 0) return Step::kMoved;
  if (got < 0 && cause == EAGAIN) return Step::kWait;
  error_ = got == 0 ? "closed by the server" : std::strerror(cause);
  return Step::kClosed;
}

bool Socket::IsIdle() const {
  pollfd entry{fd_, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

}  // namespace torc::client
