#include "bench/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "bench/die.h"

namespace torc::bench {

Address::Address(const std::string& unix_path, const std::string& host, uint16_t port) {
  if (!unix_path.empty()) {
    auto* const local = reinterpret_cast<sockaddr_un*>(&storage_);
    if (unix_path.size() >= sizeof local->sun_path) Die("--unix: the path is too long");
    local->sun_family = AF_UNIX;
    std::memcpy(local->sun_path, unix_path.c_str(), unix_path.size() + 1);
    size_ = sizeof *local;
  } else if (auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage_);
             inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    size_ = sizeof *v4;
  } else if (auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage_);
             inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    size_ = sizeof *v6;
  } else {
    Die("--host: '" + host + "' is not an address");
  }
}

int Address::Connect() const {
  const int fd = socket(family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) DieErrno("cannot make a socket", errno);
  if (connect(fd, data(), size()) != 0) DieErrno("cannot connect", errno);
  if (family() != AF_UNIX) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

}  // namespace torc::bench
