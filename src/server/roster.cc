#include "src/server/roster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "src/base/assert.h"

namespace torc::server {
namespace {

Address AddressOf(int (*ask)(int, sockaddr*, socklen_t*), int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  Address address;
  // A client may be gone already.
  if (ask(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return address;
  address.family = storage.ss_family;
  if (storage.ss_family == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in&>(storage);
    address.port = ntohs(ip.sin_port);
    std::memcpy(address.host.data(), &ip.sin_addr, sizeof(ip.sin_addr));
  } else if (storage.ss_family == AF_INET6) {
    const auto& ip = reinterpret_cast<const sockaddr_in6&>(storage);
    address.port = ntohs(ip.sin6_port);
    std::memcpy(address.host.data(), &ip.sin6_addr, sizeof(ip.sin6_addr));
  }
  return address;
}

}  // namespace

Address LocalAddress(int fd) { return AddressOf(&getsockname, fd); }
Address PeerAddress(int fd) { return AddressOf(&getpeername, fd); }

std::string TextOf(const Address& address, std::string_view unix_path, bool datagram) {
  if (address.family == AF_UNIX) return "unix:" + std::string(unix_path);
  char host[INET6_ADDRSTRLEN];
  if ((address.family != AF_INET && address.family != AF_INET6) ||
      inet_ntop(address.family, address.host.data(), host, sizeof(host)) == nullptr) {
    return "?";
  }
  const std::string protocol = datagram ? "udp" : "tcp";
  const std::string port = ":" + std::to_string(address.port);
  return address.family == AF_INET ? protocol + ":" + host + port
                                   : protocol + "6:[" + host + "]" + port;
}

uint32_t Roster::Add(const Connection* connection, int fd) {
  uint32_t place = static_cast<uint32_t>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    place = free_.back();
    free_.pop_back();
  }
  entries_[place] = {connection, PeerAddress(fd), LocalAddress(fd)};
  return place;
}

void Roster::Remove(uint32_t place) {
  CHECK(entries_[place].connection != nullptr);
  entries_[place] = {};
  free_.push_back(place);
}

}  // namespace torc::server
