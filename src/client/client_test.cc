// A scripted peer at the other end of a socketpair: it knows what it must be sent and what it
// answers, in how large pieces, and when it closes. Nothing here depends on how long anything
// takes.
#include "src/client/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proto/binary/encoder.h"
#include "third_party/doctest/doctest.h"

namespace torc::client {
namespace {

struct Exchanged {
  std::string wanted;  // read exactly these bytes
  std::string answer;  // then send these
};

// What one connection's peer does; at the end it reads until the client closes.
struct Script {
  std::vector<Exchanged> lines;
  bool closes = false;  // at the end, instead
  size_t piece_bytes = 1 << 20;
};

// The servers that a client dials.
class Servers {
 public:
  ~Servers() { Join(); }

  void Expect(const std::string& address, Script script) {
    scripts_[address].push_back(std::move(script));
  }

  Options For(std::vector<std::string> addresses, Protocol protocol = Protocol::kText) {
    Options options;
    for (const std::string& address : addresses) options.servers.push_back({address});
    options.protocol = protocol;
    // Far beyond what a test takes; tests that want a time-out set their own.
    options.connect_timeout_ms = options.timeout_ms = 60'000;
    options.dial = [this](const std::string& address, Deadline, std::string* error) {
      return Dial(address, error);
    };
    return options;
  }

  int dial_count() const { return dial_count_; }

  // After the client is gone: every peer was sent what it wanted.
  void Join() {
    for (std::thread& peer : peers_) peer.join();
    peers_.clear();
    for (const std::string& fault : faults_) CHECK(fault == "");
    faults_.clear();
  }

 private:
  int Dial(const std::string& address, std::string* error) {
    ++dial_count_;
    std::deque<Script>& scripts = scripts_[address];
    if (scripts.empty()) {
      *error = "nobody there";
      return -1;
    }
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    faults_.emplace_back();
    peers_.emplace_back(Play, fds[1], std::move(scripts.front()), &faults_.back());
    scripts.pop_front();
    return fds[0];
  }

  static void Play(int fd, Script script, std::string* fault) {
    for (const Exchanged& line : script.lines) {
      std::string got;
      while (got.size() < line.wanted.size()) {
        char buffer[1 << 16];
        const size_t left = std::min(sizeof(buffer), line.wanted.size() - got.size());
        const ssize_t size = recv(fd, buffer, left, 0);
        if (size <= 0) break;
        got.append(buffer, static_cast<size_t>(size));
      }
      if (got != line.wanted) {
        *fault = "wanted " + line.wanted.substr(0, 200) + ", got " + got.substr(0, 200);
        break;
      }
      for (size_t at = 0; at < line.answer.size(); at += script.piece_bytes) {
        const std::string piece = line.answer.substr(at, script.piece_bytes);
        (void)send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
      }
    }
    char rest[1 << 12];
    while (!script.closes && recv(fd, rest, sizeof(rest), 0) > 0) {
    }
    close(fd);
  }

  std::map<std::string, std::deque<Script>> scripts_;
  std::vector<std::thread> peers_;
  std::deque<std::string> faults_;  // of each peer; empty: none
  int dial_count_ = 0;
};

TEST_CASE("a connection is made when needed and used again") {
  Servers servers;
  servers.Expect("a", {.lines = {{"set k 0 60 1\r\nv\r\n", "STORED\r\n"},
                                 {"get k\r\n", "VALUE k 0 1\r\nv\r\nEND\r\n"},
                                 {"delete k\r\n", "DELETED\r\n"},
                                 {"get k\r\n", "END\r\n"}}});
  {
    Client client(servers.For({"a"}));
    CHECK(servers.dial_count() == 0);
    CHECK(client.Set("k", "v", 60).ok());
    CHECK(client.Get("k").value == "v");
    CHECK(client.Delete("k").ok());
    CHECK(client.Get("k").status == Status::kNotFound);
    CHECK(client.Get("").status == Status::kBadKey);
    CHECK(client.Run({.verb = Verb::kVersion}).status == Status::kUnsupported);
  }
  CHECK(servers.dial_count() == 1);
  servers.Join();
}

TEST_CASE("replies may come byte by byte, from several servers at once") {
  Servers servers;
  const Options options = servers.For({"a", "b", "c"});
  std::vector<std::string> keys;
  for (int i = 0; i < 60; ++i) keys.push_back("key" + std::to_string(i));
  const Client placement(options);
  std::string asked[3], answered[3];
  for (const std::string& key : keys) {
    const size_t server = placement.ServerOf(key);
    asked[server] += (asked[server].empty() ? "get " : " ") + key;
    answered[server] += "VALUE " + key + " 0 4\r\n" + key.substr(0, 4) + "\r\n";
  }
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(!asked[i].empty());
    servers.Expect(options.servers[i].address,
                   {.lines = {{asked[i] + "\r\n", answered[i] + "END\r\n"}}, .piece_bytes = 1});
  }
  {
    Client client(options);
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const std::vector<Result> results = client.Get(views);
    REQUIRE(results.size() == keys.size());
    for (size_t i = 0; i < keys.size(); ++i) CHECK(results[i].value == keys[i].substr(0, 4));
  }
  CHECK(servers.dial_count() == 3);
  servers.Join();
}

// Both sides have more to send than the sockets between them hold: who sends first and reads then
// would wait for ever.
TEST_CASE("a batch larger than all buffers is sent while its replies are read") {
  Servers servers;
  const std::string value(64 << 10, 'v');
  Script script{.lines = {}};
  std::vector<Operation> operations;
  for (int i = 0; i < 200; ++i) {
    operations.push_back({.verb = Verb::kSet, .key = "k", .value = value});
    operations.push_back({.verb = Verb::kGets, .key = "k"});
    script.lines.push_back({"set k 0 0 65536\r\n" + value + "\r\ngets k\r\n",
                            "STORED\r\nVALUE k 0 65536 9\r\n" + value + "\r\nEND\r\n"});
  }
  servers.Expect("a", std::move(script));
  {
    Client client(servers.For({"a"}));
    const std::vector<Result> results = client.Run(operations);
    for (size_t i = 0; i < results.size(); i += 2) {
      CHECK(results[i].ok());
      CHECK(results[i + 1].value == value);
    }
  }
  servers.Join();
}

TEST_CASE("a server that closed between two calls is connected to anew, unseen") {
  Servers servers;
  servers.Expect("a", {.lines = {{"get k\r\n", "END\r\n"}}, .closes = true});
  servers.Expect("a", {.lines = {{"get k\r\n", "VALUE k 0 1\r\nv\r\nEND\r\n"}}});
  {
    Client client(servers.For({"a"}));
    CHECK(client.Get("k").status == Status::kNotFound);
    servers.Join();  // the peer has ended, so its close has happened
    CHECK(client.Get("k").value == "v");
  }
  CHECK(servers.dial_count() == 2);
  servers.Join();
}

TEST_CASE("a connection that breaks loses what was not answered, and the next call has another") {
  Servers servers;
  servers.Expect("a", {.lines = {{"delete k\r\ndelete l\r\n", "DELETED\r\nDEL"}}, .closes = true});
  servers.Expect("a", {.lines = {{"delete k\r\n", "DELETED\r\n"}}});
  {
    Client client(servers.For({"a"}));
    const Operation both[] = {{.verb = Verb::kDelete, .key = "k"},
                              {.verb = Verb::kDelete, .key = "l"}};
    const std::vector<Result> results = client.Run(both);
    CHECK(results[0].ok());
    CHECK(results[1].status == Status::kLost);
    CHECK(results[1].text == "closed by the server");
    CHECK(client.Delete("k").ok());
  }
  servers.Join();
}

TEST_CASE("a server that does not answer costs its own keys, and the connection") {
  Servers servers;
  Options options = servers.For({"a", "b"});
  options.timeout_ms = 50;
  const Client placement(options);
  std::string key_of[2];
  for (int i = 0; key_of[0].empty() || key_of[1].empty(); ++i) {
    const std::string key = "key" + std::to_string(i);
    key_of[placement.ServerOf(key)] = key;
  }
  servers.Expect("a",
                 {.lines = {{"get " + key_of[0] + "\r\n", "VALUE " + key_of[0] + " 0 100\r\nx"}}});
  {
    Client client(options);
    const std::string_view keys[] = {key_of[0], key_of[1]};
    const std::vector<Result> results = client.Get(keys);
    CHECK(results[0].status == Status::kTimedOut);
    CHECK(results[1].status == Status::kUnreachable);  // nobody there
    CHECK(results[1].text == "nobody there");
  }
  CHECK(servers.dial_count() == 2);
  servers.Join();
}

TEST_CASE("a late answer is nobody's: the connection went with the call that gave up") {
  Servers servers;
  servers.Expect("a", {.lines = {{"get k\r\n", ""}}});
  servers.Expect("a", {.lines = {{"get l\r\n", "END\r\n"}}});
  {
    Options options = servers.For({"a"});
    options.timeout_ms = 1000;
    Client client(options);
    CHECK(client.Get("k").status == Status::kTimedOut);
    CHECK(client.Get("l").status == Status::kNotFound);
  }
  CHECK(servers.dial_count() == 2);
  servers.Join();
}

TEST_CASE("who could not be reached is left alone for retry_ms") {
  Servers servers;
  Options options = servers.For({"a"});
  options.retry_ms = 3'600'000;
  Client patient(options);
  CHECK(patient.Get("k").status == Status::kUnreachable);
  CHECK(patient.Get("k").text == "nobody there");
  CHECK(servers.dial_count() == 1);
  options.retry_ms = 0;
  Client eager(options);
  CHECK(eager.Get("k").status == Status::kUnreachable);
  CHECK(eager.Get("k").status == Status::kUnreachable);
  CHECK(servers.dial_count() == 3);
}

TEST_CASE("what is no reply ends the connection") {
  for (const std::string_view junk : {"HELLO\r\n", "VALUE other 0 1\r\nx\r\nEND\r\n"}) {
    Servers servers;
    servers.Expect("a", {.lines = {{"get k\r\n", std::string(junk)}}});
    servers.Expect("a", {.lines = {{"get k\r\n", "END\r\n"}}});
    {
      Client client(servers.For({"a"}));
      CHECK(client.Get("k").status == Status::kProtocol);
      CHECK(client.Get("k").status == Status::kNotFound);
    }
    servers.Join();
  }
}

TEST_CASE("more than was asked for ends the connection, not the call") {
  Servers servers;
  servers.Expect("a", {.lines = {{"get k\r\n", "END\r\nEND\r\n"}}});
  servers.Expect("a", {.lines = {{"get k\r\n", "VALUE k 0 1\r\nv\r\nEND\r\n"}}});
  {
    Client client(servers.For({"a"}));
    CHECK(client.Get("k").status == Status::kNotFound);
    CHECK(client.Get("k").value == "v");
  }
  servers.Join();
}

// What a binary server answers to SASL PLAIN.
std::string SaslReply(proto::BinaryStatus status) {
  char out[128];
  return std::string(out, proto::EncodeBinaryText(out, {0, proto::Opcode::kSaslAuth}, status, "?"));
}
// A header, the mechanism, and 8 bytes of it.
const std::string kSaslRequest =
    std::string("\x80\x21\x00\x05\0\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0", 24) + "PLAIN" +
    std::string("\0me\0pass", 8);

TEST_CASE("authentication comes first on each connection") {
  Servers servers;
  const std::string secret = "set auth 0 0 7\r\nme pass\r\n";
  servers.Expect("a",
                 {.lines = {{secret, "STORED\r\n"}, {"mg k f v\r\n", "EN\r\n"}}, .closes = true});
  servers.Expect("a", {.lines = {{secret, "CLIENT_ERROR authentication failure\r\n"}}});
  servers.Expect("a", {.lines = {{secret, "STORED\r\n"}, {"mg k f v\r\n", "VA 1 f0\r\nv\r\n"}},
                       .piece_bytes = 1});
  {
    Options options = servers.For({"a"}, Protocol::kMeta);
    options.user = "me";
    options.password = "pass";
    Client client(options);
    CHECK(client.Get("k").status == Status::kNotFound);
    servers.Join();
    const Result refused = client.Get("k");
    CHECK(refused.status == Status::kUnauthenticated);
    CHECK(refused.text == "CLIENT_ERROR authentication failure");
    CHECK(client.Get("k").value == "v");
  }
  servers.Join();
}

TEST_CASE("authentication in binary is SASL PLAIN") {
  Servers servers;
  servers.Expect("a", {.lines = {{kSaslRequest, SaslReply(proto::BinaryStatus::kAuthError)}}});
  servers.Expect(
      "a", {.lines = {{kSaslRequest, SaslReply(proto::BinaryStatus::kOk)}}, .piece_bytes = 1});
  {
    Options options = servers.For({"a"}, Protocol::kBinary);
    options.user = "me";
    options.password = "pass";
    options.timeout_ms = 1000;
    Client client(options);
    CHECK(client.Get("k").status == Status::kUnauthenticated);
    // Let in; this peer says no more.
    CHECK(client.Get("k").status == Status::kTimedOut);
  }
  servers.Join();
}

TEST_CASE("a server without the password's protocol is told from one that refuses it") {
  Servers servers;
  servers.Expect("a", {.lines = {{"set auth 0 0 7\r\nme pass\r\n", "junk\r\n"}}});
  Options options = servers.For({"a"});
  options.user = "me";
  options.password = "pass";
  {
    Client client(options);
    CHECK(client.Get("k").status == Status::kUnreachable);
  }
  servers.Join();
}

TEST_CASE("addresses") {
  const auto shown = [](std::string_view text) {
    const Address address = ParseAddress(text);
    return address.host + (address.is_path ? "|path" : "|" + address.port);
  };
  CHECK(shown("host") == "host|11211");
  CHECK(shown("host:1") == "host|1");
  CHECK(shown("[::1]:1") == "::1|1");
  CHECK(shown("[::1]") == "::1|11211");
  CHECK(shown("::1") == "::1|11211");
  CHECK(shown("/run/x:y") == "/run/x:y|path");
}

}  // namespace
}  // namespace torc::client
