#include "src/server/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "src/server/limits.h"

namespace torc::server {
namespace {

void SetOption(int fd, int level, int option, int value) {
  // Each of these makes the socket behave better, and none is needed for it to work.
  (void)setsockopt(fd, level, option, &value, sizeof(value));
}

uint16_t PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::string Describe(const ListenAddress& address) {
  const std::string host = address.host.empty() ? "*" : address.host;
  return host + ":" + std::to_string(address.port);
}

}  // namespace

Listeners::~Listeners() {
  for (const Socket& socket : sockets_) close(socket.fd);
  if (!unix_path_.empty()) unlink(unix_path_.c_str());
}

bool Listeners::Open(const Options& options, std::string* error) {
  if (!options.unix_socket.empty() && !OpenUnix(options, error)) return false;
  for (const ListenAddress& address : options.listen) {
    if (!OpenInternet(address, SOCK_STREAM, options, error)) return false;
  }
  for (const ListenAddress& address : options.listen_udp) {
    if (!OpenInternet(address, SOCK_DGRAM, options, error)) return false;
  }
  return true;
}

bool Listeners::OpenInternet(const ListenAddress& address, int type, const Options& options,
                             std::string* error) {
  const bool udp = type == SOCK_DGRAM;
  const std::string what = std::string(udp ? "cannot receive on UDP " : "cannot listen on ");
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = type;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int result = getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                                 port.c_str(), &hints, &found);
  if (result != 0) {
    *error = what + Describe(address) + ": " + gai_strerror(result);
    return false;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  int failure = 0;
  size_t opened = 0;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    uint16_t chosen = 0;
    for (uint32_t shard = 0; shard < options.shards; ++shard) {
      const int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol);
      if (fd < 0) {
        // A machine without IPv6 still resolves to IPv6 addresses.
        failure = errno;
        break;
      }
      if (info->ai_family == AF_INET6) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      // Not for UDP: with it, another process could take the port as well.
      if (!udp) SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      // The first socket of an address is bound without SO_REUSEPORT, so that a port that another
      // process uses is refused and not shared; then the option is set, which lets the other shards
      // join.
      if (shard > 0) SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      if (udp) {
        SetOption(fd, SOL_SOCKET, SO_RCVBUF, kDatagramSocketBytes);
        SetOption(fd, SOL_SOCKET, SO_SNDBUF, kDatagramSocketBytes);
      } else {
        // Accepted sockets inherit these.
        SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      }
      sockaddr_storage where{};
      std::memcpy(&where, info->ai_addr, info->ai_addrlen);
      if (chosen != 0) {
        if (info->ai_family == AF_INET6) {
          reinterpret_cast<sockaddr_in6*>(&where)->sin6_port = htons(chosen);
        } else {
          reinterpret_cast<sockaddr_in*>(&where)->sin_port = htons(chosen);
        }
      }
      if (bind(fd, reinterpret_cast<const sockaddr*>(&where), info->ai_addrlen) != 0) {
        failure = errno;
        close(fd);
        break;
      }
      if (shard == 0) SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      sockets_.push_back({fd, shard, address.protocol, udp});
      ++opened;
      chosen = PortOf(fd);
      if (port_ == 0 && !udp) port_ = chosen;
    }
    if (failure == EADDRINUSE) break;
  }
  if (opened == 0 || failure == EADDRINUSE || opened % options.shards != 0) {
    *error = what + Describe(address) + ": " + std::strerror(failure);
    return false;
  }
  // Listen only once all are bound: from the first listen on, connections arrive and are spread
  // over those that listen.
  for (const Socket& socket : sockets_) {
    if (socket.datagram) continue;
    if (listen(socket.fd, static_cast<int>(options.listen_backlog)) != 0) {
      *error = what + Describe(address) + ": " + std::strerror(errno);
      return false;
    }
  }
  return true;
}

bool Listeners::OpenUnix(const Options& options, std::string* error) {
  const std::string& path = options.unix_socket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    *error = "cannot listen on " + path + ": the path has more than " +
             std::to_string(sizeof(address.sun_path) - 1) + " bytes";
    return false;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // A socket left by a server that is gone is removed; any other file is not.
  struct stat present{};
  if (lstat(path.c_str(), &present) == 0 && S_ISSOCK(present.st_mode)) unlink(path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    *error = "cannot listen on " + path + ": " + std::strerror(errno);
    return false;
  }
  sockets_.push_back({fd, 0, options.protocol, false});
  const mode_t mask_before = umask(~options.unix_mask & 0777);
  const int bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int failure = errno;
  umask(mask_before);
  if (bound != 0) {
    *error = "cannot listen on " + path + ": " + std::strerror(failure);
    return false;
  }
  unix_path_ = path;
  if (listen(fd, static_cast<int>(options.listen_backlog)) != 0) {
    *error = "cannot listen on " + path + ": " + std::strerror(errno);
    return false;
  }
  return true;
}

}  // namespace torc::server
