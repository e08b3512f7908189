// Listening sockets. Each shard has its own for every TCP and UDP address (SO_REUSEPORT), so that
// no accept crosses shards; a UNIX socket has one, served by the first shard, which hands
// connections on.
//
// Owner: the server. Affinity: startup. Lifetime: until the shards have ended. Invariant: each
// descriptor is open and bound, and listening but for UDP.
#ifndef TORC_SRC_SERVER_LISTENER_H_
#define TORC_SRC_SERVER_LISTENER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "src/server/options.h"

namespace torc::server {

class Listeners {
 public:
  Listeners() = default;
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;
  // Closes all sockets and removes the UNIX socket's file.
  ~Listeners();

  // Opens all that the options ask for. False: `error` says which and why; nothing stays open after
  // destruction.
  [[nodiscard]] bool Open(const Options& options, std::string* error);

  struct Socket {
    int fd = -1;
    uint32_t shard = 0;
    Protocol protocol = Protocol::kUnknown;
    bool datagram = false;  // UDP: bound, and not listening
  };
  const std::vector<Socket>& sockets() const { return sockets_; }
  // The TCP port in use, 0 without TCP: what the kernel chose where it had the choice.
  uint16_t port() const { return port_; }

 private:
  // `type`: SOCK_STREAM or SOCK_DGRAM.
  bool OpenInternet(const ListenAddress& address, int type, const Options& options,
                    std::string* error);
  bool OpenUnix(const Options& options, std::string* error);

  std::vector<Socket> sockets_;
  std::string unix_path_;
  uint16_t port_ = 0;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_LISTENER_H_
