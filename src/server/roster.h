// What a worker listens on and who is connected to it, for `stats conns`: the addresses of each
// connection, which cannot be asked for later, as a direct descriptor has no number that a system
// call would take.
//
//   entries   [A][B][-][D]      a connection's place is its own until it is closed; then the next
//   free      [2]               one takes it: a walk by place survives whoever comes and goes
//
// Owner: the worker's Core. Affinity: shard. Lifetime: as the worker. Invariant: a place is free,
// or its connection names it.
#ifndef TORC_SRC_SERVER_ROSTER_H_
#define TORC_SRC_SERVER_ROSTER_H_

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.h"

namespace torc::server {

struct Connection;

// One end of a socket. Family 0: not known.
struct Address {
  uint16_t family = 0;
  uint16_t port = 0;
  std::array<uint8_t, 16> host{};  // as on the wire
};
Address LocalAddress(int fd);
Address PeerAddress(int fd);
// As memcached writes it: "tcp:127.0.0.1:11211", "tcp6:[::1]:11211", "unix:PATH"; of a datagram
// socket "udp:", "udp6:".
std::string TextOf(const Address& address, std::string_view unix_path, bool datagram = false);

class Roster {
 public:
  struct Entry {
    const Connection* connection = nullptr;  // null: free
    Address peer;
    Address local;
  };
  static_assert(sizeof(Entry) == 48);

  // For a connection that still has a plain descriptor. Returns its place. Two system calls.
  uint32_t Add(const Connection* connection, int fd);
  void Remove(uint32_t place);
  // A plain descriptor that listens, or receives datagrams. Of these `command_at` says when the
  // last came; else it is null.
  struct Listener {
    int fd = -1;
    const RelativeSeconds* command_at = nullptr;
  };
  void AddListener(const Listener& listener) { listeners_.push_back(listener); }

  // Places, taken or free.
  const std::deque<Entry>& entries() const { return entries_; }
  const std::vector<Listener>& listeners() const { return listeners_; }

 private:
  std::deque<Entry> entries_;
  std::vector<uint32_t> free_;
  std::vector<Listener> listeners_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_ROSTER_H_
