#include "src/copy/connection.h"

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace torc::copy {
namespace {

constexpr size_t kReceiveBytes = 256 << 10;
// No answer for so long: the server hangs, or is none.
constexpr std::chrono::seconds kTimeout{60};

}  // namespace

bool Connection::Fail(std::string_view error) {
  error_ = where_ + ": " + std::string(error);
  return false;
}

bool Connection::Open(const std::string& where) {
  where_ = where;
  const int fd = client::Dial(where, std::chrono::steady_clock::now() + kTimeout, &error_);
  if (fd < 0) return false;
  socket_ = client::Socket(fd);
  return true;
}

bool Connection::Wait(short events) {
  const client::Deadline deadline = std::chrono::steady_clock::now() + kTimeout;
  pollfd entry{socket_.fd(), events, 0};
  int ready;
  do {
    ready = poll(&entry, 1, client::MillisecondsUntil(deadline));
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return true;
  if (ready < 0) return Fail(std::strerror(errno));
  return Fail("no answer for " + std::to_string(kTimeout.count()) + " seconds");
}

bool Connection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (socket_.Send(&bytes)) {
      case client::Socket::Step::kMoved:
        break;
      case client::Socket::Step::kWait:
        if (!Wait(POLLOUT)) return false;
        break;
      case client::Socket::Step::kClosed:
        return Fail("cannot send: " + socket_.error());
    }
  }
  return true;
}

bool Connection::Receive() {
  buffer_.erase(0, at_);
  at_ = 0;
  for (;;) {
    switch (socket_.Receive(&buffer_, kReceiveBytes)) {
      case client::Socket::Step::kMoved:
        return true;
      case client::Socket::Step::kWait:
        if (!Wait(POLLIN)) return false;
        break;
      case client::Socket::Step::kClosed:
        return Fail(socket_.error());
    }
  }
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
