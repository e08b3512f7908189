// A client of cache servers: torc, memcached, or whatever speaks one of their protocols.
//
//   torc::client::Client cache({.servers = {{"10.0.0.1"}, {"10.0.0.2"}}});
//   const Result stored = cache.Set("user:17", "...", 60);  // for 60 seconds
//   const Result read = cache.Get("user:17");
//   if (read.ok()) use(read.value); else if (read.status != Status::kNotFound) log(read.text);
//
//   keys            a      b      c      d
//                   |      `---.--'      |        ketama's ring says whose each is
//   servers      10.0.0.1   10.0.0.2     |        one connection to each, made when needed
//                   `--------------------'        one request and one reply for all of a server's
//
// A call takes any number of operations (Run), sends each server its own as one batch, and reads
// all the servers' replies as they come. It returns when all are in, or at the deadline, with a
// result for each operation: a server that is down costs its own keys and no others. A result tells
// what was not executed (kUnreachable: nothing was sent) from what perhaps was (kTimedOut, kLost);
// nothing is sent twice, for only the caller knows what may be.
//
// A connection that failed is made anew by the next call that needs it; one that the server closed
// between two calls, by that call, unseen. A server to which none could be made is not tried again
// for retry_ms. Keys never move to another server by themselves: two clients that disagree about
// who is up would read each other's old values.
//
// Owner: the caller. Affinity: one thread at a time; it starts none of its own. Lifetime: results
// own what they hold. Invariant: between two calls no connection owes a reply.
#ifndef TORC_SRC_CLIENT_CLIENT_H_
#define TORC_SRC_CLIENT_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/client/ketama.h"
#include "src/client/operation.h"
#include "src/client/socket.h"

namespace torc::client {

struct ServerAddress {
  // "HOST", "HOST:PORT", "[IPV6]:PORT", or the path of a UNIX socket, which has a '/'. The ring is
  // made of it as it is spelled: all clients must spell it alike.
  std::string address;
  uint32_t weight = 1;
};

struct Options {
  std::vector<ServerAddress> servers;  // at least one
  Protocol protocol = Protocol::kText;
  Placement placement = Placement::kKetamaWeighted;
  // Each connection begins with these, if there is a user: SASL PLAIN in binary, memcached's -Y in
  // text and meta.
  std::string user;
  std::string password;
  int connect_timeout_ms = 1000;  // for each connection, the authentication included
  int timeout_ms = 1000;          // for each call, the connections that it makes included
  int retry_ms = 1000;
  // How a connection is made; tests put their own here.
  std::function<int(const std::string& address, Deadline deadline, std::string* error)> dial = Dial;
};

class Client {
 public:
  // Makes no connection yet.
  explicit Client(Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // One operation each; Run() has the others, and more of these.
  Result Get(std::string_view key);
  Result Set(std::string_view key, std::string_view value, int32_t exptime = 0);
  Result Delete(std::string_view key);
  Result Run(const Operation& operation);

  // All of them, the result of each at its own index. The operations of one key take effect in
  // their order; those of different keys in any.
  [[nodiscard]] std::vector<Result> Run(std::span<const Operation> operations);
  [[nodiscard]] std::vector<Result> Get(std::span<const std::string_view> keys);

  // Asks the server of that index, whatever the key: what Verb lists as a server's.
  Result RunOn(size_t server, const Operation& operation);

  [[nodiscard]] size_t server_count() const { return options_.servers.size(); }
  [[nodiscard]] size_t ServerOf(std::string_view key) const { return ring_.ServerOf(key); }

 private:
  class Conversation;

  struct Connection {
    Socket socket;
    std::string error;  // why there is none
    Deadline retry_at{};
  };

  void RunAll(std::span<const Operation> operations,
              std::span<const std::vector<size_t>> indices_by_server, std::span<Result> results);
  // kOk: there is a connection to the server. Else its `error` says why there is none.
  [[nodiscard]] Status Connect(size_t server, Deadline deadline);
  [[nodiscard]] Status Authenticate(Connection* connection, Deadline deadline);
  void Drive(std::span<Conversation> conversations, Deadline deadline);

  Options options_;
  Ring ring_;
  std::vector<Connection> connections_;  // one for each server
};

}  // namespace torc::client

#endif  // TORC_SRC_CLIENT_CLIENT_H_
