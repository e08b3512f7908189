// Where a server listens, in the form that the kernel takes.
//
// Owner: main. Affinity: any (immutable). Lifetime: the program. Invariant: none.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace torc::bench {

class Address {
 public:
  // A UNIX socket's path, or where that is empty an IPv4 or IPv6 address and a port. Ends the
  // program on any other text.
  Address(const std::string& unix_path, const std::string& host, uint16_t port);

  int family() const { return storage_.ss_family; }
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }

  // A new connection, without Nagle's algorithm; ends the program if there is none to be had.
  int Connect() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace torc::bench
