#include "src/server/roster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "src/server/connection.h"
#include "third_party/doctest/doctest.h"

namespace torc::server {
namespace {

TEST_CASE("addresses are written as memcached writes them") {
  Address address;
  CHECK(TextOf(address, "/path") == "?");
  address.family = AF_UNIX;
  CHECK(TextOf(address, "/path") == "unix:/path");
  address.family = AF_INET;
  address.port = 11211;
  address.host = {127, 0, 0, 1};
  CHECK(TextOf(address, "/path") == "tcp:127.0.0.1:11211");
  CHECK(TextOf(address, "/path", /*datagram=*/true) == "udp:127.0.0.1:11211");
  address.family = AF_INET6;
  address.host = {};
  address.host[15] = 1;
  CHECK(TextOf(address, "") == "tcp6:[::1]:11211");
  CHECK(TextOf(address, "", /*datagram=*/true) == "udp6:[::1]:11211");
}

TEST_CASE("both ends of a socket are known, and that of one that is gone is not") {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in ip{};
  ip.sin_family = AF_INET;
  ip.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&ip);
  socklen_t size = sizeof(ip);
  REQUIRE(bind(listener, any, size) == 0);
  REQUIRE(listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, any, &size) == 0);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(connect(client, any, size) == 0);
  const std::string server = "tcp:127.0.0.1:" + std::to_string(ntohs(ip.sin_port));
  CHECK(TextOf(LocalAddress(listener), "") == server);
  CHECK(TextOf(PeerAddress(listener), "") == "?");
  CHECK(TextOf(PeerAddress(client), "") == server);
  CHECK(TextOf(LocalAddress(client), "") != server);
  close(client);
  close(listener);
  CHECK(TextOf(LocalAddress(client), "") == "?");
}

TEST_CASE("a connection keeps its place, and a free one is taken again") {
  Roster roster;
  const Connection a, b, c, d;
  CHECK(roster.Add(&a, -1) == 0);
  CHECK(roster.Add(&b, -1) == 1);
  CHECK(roster.Add(&c, -1) == 2);
  roster.Remove(1);
  CHECK(roster.entries()[0].connection == &a);
  CHECK(roster.entries()[1].connection == nullptr);
  CHECK(roster.entries()[2].connection == &c);
  CHECK(roster.Add(&d, -1) == 1);
  CHECK(roster.entries().size() == 3);
}

}  // namespace
}  // namespace torc::server
