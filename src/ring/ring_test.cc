// What every ring promises, told over the real one in each of its shapes and over the simulated
// one; then what only one of them has.
#include "src/ring/ring.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "src/ring/deny_system_call.h"
#include "src/ring/probe.h"
#include "src/ring/sim_ring.h"
#include "src/ring/uring_ring.h"

namespace torc::ring {
namespace {

using std::chrono::steady_clock;

constexpr int64_t kMillisecondNs = 1'000'000;

// ---- the vocabulary

// The client's end of a connection.
class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;
  virtual size_t Write(std::string_view bytes) = 0;  // as much as fits; never waits
  virtual std::string Read() = 0;                    // what is there; never waits
  virtual bool AtEnd() = 0;  // true once the server has closed and all is read
  virtual void CloseWrite() = 0;
  virtual void Reset() = 0;
};

class TcpPeer final : public Peer {
 public:
  explicit TcpPeer(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~TcpPeer() override {
    if (fd_ >= 0) close(fd_);
  }
  size_t Write(std::string_view bytes) override {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  std::string Read() override {
    std::string bytes(256 << 10, '\0');
    const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) at_end_ = true;
    bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return bytes;
  }
  bool AtEnd() override { return at_end_; }
  void CloseWrite() override { shutdown(fd_, SHUT_WR); }
  void Reset() override {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  bool at_end_ = false;
};

class SimPeer final : public Peer {
 public:
  explicit SimPeer(SimClient client) : client_(client) {}
  size_t Write(std::string_view bytes) override { return client_.Write(bytes); }
  std::string Read() override { return client_.Read(); }
  bool AtEnd() override { return client_.AtEnd(); }
  void CloseWrite() override { client_.CloseWrite(); }
  void Reset() override { client_.Reset(); }

 private:
  SimClient client_;
};

// A ring, a listener on it, and what its turns brought.
class Bed {
 public:
  Bed() = default;
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;
  virtual ~Bed() = default;
  virtual Ring& ring() = 0;
  virtual int listener() = 0;
  virtual std::unique_ptr<Peer> Connect() = 0;
  // A datagram socket, and a client of it: sends, and takes what has arrived; never waits.
  virtual int datagram_socket() = 0;
  virtual void SendDatagram(std::string_view bytes) = 0;
  virtual std::vector<std::string> TakeDatagrams() = 0;

  // Turns until `done`, or until it has clearly failed.
  bool Until(const std::function<bool()>& done) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (steady_clock::now() > deadline) return false;
      Turn();
    }
    return true;
  }
  void Turn() {
    for (const Completion& c : ring().Turn(kMillisecondNs)) on_completion(c);
  }

  std::function<void(const Completion&)> on_completion = [](const Completion&) {};
};

class UringBed final : public Bed {
 public:
  explicit UringBed(const UringOptions& options) {
    std::string error;
    ring_ = UringRing::Create(options, &error);
    REQUIRE_MESSAGE(ring_ != nullptr, error);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(listener_, 64) == 0);
    REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~UringBed() override {
    ring_.reset();
    close(listener_);
    if (datagram_socket_ >= 0) close(datagram_socket_);
    if (datagram_client_ >= 0) close(datagram_client_);
  }
  int datagram_socket() override {
    if (datagram_socket_ >= 0) return datagram_socket_;
    datagram_socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    datagram_client_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(bind(datagram_socket_, any, size) == 0);
    REQUIRE(getsockname(datagram_socket_, any, &size) == 0);
    REQUIRE(connect(datagram_client_, any, size) == 0);
    return datagram_socket_;
  }
  void SendDatagram(std::string_view bytes) override {
    REQUIRE(send(datagram_client_, bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()));
  }
  std::vector<std::string> TakeDatagrams() override {
    std::vector<std::string> taken;
    for (;;) {
      std::string bytes(65536, '\0');
      const ssize_t n = recv(datagram_client_, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (n < 0) return taken;
      bytes.resize(static_cast<size_t>(n));
      taken.push_back(bytes);
    }
  }
  Ring& ring() override { return *ring_; }
  int listener() override { return listener_; }
  std::unique_ptr<Peer> Connect() override { return std::make_unique<TcpPeer>(port_); }

 private:
  std::unique_ptr<Ring> ring_;
  int listener_;
  int datagram_socket_ = -1;
  int datagram_client_ = -1;
  uint16_t port_ = 0;
};

class SimBed final : public Bed {
 public:
  SimBed(uint64_t seed, const SimOptions& options)
      : world_(seed, 1, options), listener_(world_.Listen()) {}
  Ring& ring() override { return world_.ring(0); }
  int listener() override { return listener_; }
  std::unique_ptr<Peer> Connect() override {
    return std::make_unique<SimPeer>(world_.Connect(listener_));
  }
  int datagram_socket() override { return datagram_socket_; }
  void SendDatagram(std::string_view bytes) override {
    world_.SendTo(datagram_socket_, kClientPort, bytes);
  }
  std::vector<std::string> TakeDatagrams() override {
    return world_.TakeDatagrams(datagram_socket_, kClientPort);
  }

 private:
  static constexpr uint16_t kClientPort = 40'000;

  SimWorld world_;
  int listener_;
  int datagram_socket_ = world_.OpenDatagrams();
};

// What of the kernel's features the real ring under test may use.
enum class Shape { kAllFeatures, kPlainDescriptors, kNoFeatures };

UringOptions OptionsOf(Shape shape) {
  static const Probe probe = RunProbe();
  REQUIRE(Refusal(probe) == "");
  UringOptions options;
  options.buffer_count = 16;
  options.direct_descriptors = 64;
  if (shape != Shape::kNoFeatures) options.features = probe.found;
  if (shape == Shape::kPlainDescriptors) options.features.Set(Feature::kDirectDescriptors, false);
  return options;
}

struct Limits {
  uint32_t buffer_count = 16;
  uint32_t datagram_buffer_count = 4;
};

// Runs `story` on every kind of ring.
void OnEveryRing(const std::function<void(Bed&)>& story, Limits limits = {}) {
  const auto uring = [&](const char* name, Shape shape) {
    CAPTURE(name);
    UringOptions options = OptionsOf(shape);
    options.buffer_count = limits.buffer_count;
    options.datagram_buffer_count = limits.datagram_buffer_count;
    UringBed bed(options);
    story(bed);
  };
  uring("io_uring, all features", Shape::kAllFeatures);
  uring("io_uring, plain descriptors", Shape::kPlainDescriptors);
  uring("io_uring, no features", Shape::kNoFeatures);
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    SimOptions options = seed == 1 ? SimOptions() : SimOptions::Rough();
    options.buffer_count = limits.buffer_count;
    options.datagram_buffer_count = limits.datagram_buffer_count;
    SimBed bed(seed, options);
    story(bed);
  }
}

// A server's connection: keeps a receive armed, remembers what came and how it ended, sends on
// demand.
struct alignas(8) Connection {
  explicit Connection(Ring& r) : ring(r) {}

  void Attach(int fd) {
    socket = ring.Attach(fd);
    Arm();
  }
  void Arm() {
    receiving = true;
    if (once) return ring.ReceiveOnce(socket, this);
    ring.Receive(socket, this);
  }
  // Receives into `filled`, from `at` on: instead of what is armed otherwise, until it is full.
  void Fill(size_t at = 0) {
    receiving = filling = true;
    ring.ReceiveInto(socket, std::span(filled).subspan(at), this);
  }
  // Sends `bytes` whole, in as many sends as it takes, `piece_size` bytes a piece.
  void Send(std::string bytes, size_t piece_size = SIZE_MAX) {
    out = std::move(bytes);
    out_sent = 0;
    piece_size_ = piece_size;
    SendMore();
  }
  void SendMore() {
    pieces.clear();
    size_t at = out_sent;
    while (at < out.size() && pieces.size() < 64) {
      const size_t size = std::min(piece_size_, out.size() - at);
      pieces.push_back({out.data() + at, size});
      at += size;
    }
    sending = true;
    ring.Send(socket, pieces, at < out.size(), this);
  }
  void Close() {
    closing = true;
    ring.Close(socket, this);
  }

  void On(const Completion& c) {
    CHECK(c.owner == this);
    switch (c.kind) {
      case Kind::kReceive:
        REQUIRE(receiving);
        if (c.buffer != kNoBuffer) {
          received.append(c.data, static_cast<size_t>(c.result));
          if (hold_buffers) {
            held.push_back(c.buffer);
          } else {
            ring.ReturnBuffer(c.buffer);
          }
        }
        if (c.more) {
          CHECK_FALSE(once);
          CHECK_FALSE(filling);
          return;
        }
        receiving = false;
        receive_status = c.status;
        if (filling) {
          CHECK(c.buffer == kNoBuffer);
          filling = false;
          filled_bytes += static_cast<size_t>(c.result);
          if (c.status == Status::kOk && goes_on) {
            filled_bytes < filled.size() ? Fill(filled_bytes) : Arm();
          }
          return;
        }
        // What a server does: go on where the stream has not ended.
        if ((c.status == Status::kOk || c.status == Status::kNoBuffers) && !hold_buffers) Arm();
        return;
      case Kind::kSend:
        REQUIRE(sending);
        REQUIRE(!c.more);
        sending = false;
        send_status = c.status;
        if (c.status != Status::kOk) return;
        out_sent += static_cast<size_t>(c.result);
        if (out_sent < out.size()) SendMore();
        return;
      case Kind::kClose:
        REQUIRE(closing);
        CHECK(c.status == Status::kOk);
        closing = false;
        closed = true;
        return;
      default:
        FAIL("a completion of another kind");
    }
  }
  bool SentAll() const { return !sending && out_sent == out.size(); }

  Ring& ring;
  Socket socket;
  std::string received;
  std::string out;
  size_t out_sent = 0;
  std::vector<iovec> pieces;
  std::vector<BufferId> held;
  std::string filled;
  size_t filled_bytes = 0;
  bool goes_on = true;  // when a fill has ended well
  bool once = false;
  bool filling = false;
  bool hold_buffers = false;
  bool receiving = false;
  bool sending = false;
  bool closing = false;
  bool closed = false;
  Status receive_status = Status::kOk;
  Status send_status = Status::kOk;

 private:
  size_t piece_size_ = SIZE_MAX;
};

// A listener that keeps accepting.
struct alignas(8) Acceptor {
  explicit Acceptor(Bed& b) : bed(b) { Arm(); }
  void Arm() {
    armed = true;
    bed.ring().Accept(bed.listener(), this);
  }
  void On(const Completion& c) {
    CHECK(c.owner == this);
    if (c.status == Status::kOk) fds.push_back(c.result);
    if (c.more) return;
    armed = false;
    status = c.status;
    if (c.status == Status::kOk || c.status == Status::kFileLimit) Arm();
  }
  Bed& bed;
  std::vector<int> fds;
  bool armed = false;
  Status status = Status::kOk;
};

// One connection between a peer and the ring, ready to talk.
struct Talk {
  explicit Talk(Bed& b) : bed(b), acceptor(b), peer(b.Connect()), connection(b.ring()) {
    bed.on_completion = [this](const Completion& c) {
      c.kind == Kind::kAccept ? acceptor.On(c) : connection.On(c);
    };
    REQUIRE(bed.Until([&] { return !acceptor.fds.empty(); }));
    connection.Attach(acceptor.fds[0]);
  }
  // Ends what is under way and closes.
  ~Talk() {
    for (const BufferId buffer : connection.held) bed.ring().ReturnBuffer(buffer);
    connection.hold_buffers = false;
    if (!connection.closed) {
      CHECK(bed.Until([&] {
        bed.ring().Shutdown(connection.socket);  // again, if it missed something
        return !connection.receiving && !connection.sending;
      }));
      connection.Close();
      CHECK(bed.Until([&] { return connection.closed; }));
    }
    bed.on_completion = [](const Completion&) {};
  }

  Bed& bed;
  Acceptor acceptor;
  std::unique_ptr<Peer> peer;
  Connection connection;
};

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return bytes;
}

// More than the kernel buffers on loopback at its default settings (tcp_wmem 4 MiB and tcp_rmem 6
// MiB at most).
size_t LargerThanSocketBuffers(const Bed& bed) {
  return dynamic_cast<const SimBed*>(&bed) != nullptr ? 200'000 : 16 << 20;
}

// ---- what every ring promises

TEST_CASE("connections are accepted, each once, by one accept") {
  OnEveryRing([](Bed& bed) {
    Acceptor acceptor(bed);
    bed.on_completion = [&](const Completion& c) { acceptor.On(c); };
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 10; ++i) peers.push_back(bed.Connect());
    REQUIRE(bed.Until([&] { return acceptor.fds.size() == 10; }));
    std::sort(acceptor.fds.begin(), acceptor.fds.end());
    CHECK(std::unique(acceptor.fds.begin(), acceptor.fds.end()) == acceptor.fds.end());
    CHECK(acceptor.armed);
    for (const int fd : acceptor.fds) close(fd);  // of simulated ones: EBADF, and no harm
  });
}

TEST_CASE("a stopped accept ends as cancelled") {
  OnEveryRing([](Bed& bed) {
    Acceptor acceptor(bed);
    bed.on_completion = [&](const Completion& c) { acceptor.On(c); };
    bed.Turn();
    bed.ring().Stop(Kind::kAccept, &acceptor);
    REQUIRE(bed.Until([&] { return !acceptor.armed; }));
    CHECK(acceptor.status == Status::kCancelled);
  });
}

TEST_CASE("bytes arrive whole and in order") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    const std::string sent = Pattern(200'000);
    size_t written = 0;
    REQUIRE(bed.Until([&] {
      written += talk.peer->Write(std::string_view(sent).substr(written));
      return talk.connection.received.size() == sent.size();
    }));
    CHECK(talk.connection.received == sent);
    CHECK(bed.ring().counters().buffers_lent.Get() == 0);
  });
}

TEST_CASE("a send of one piece, and one of many, arrive whole") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    for (const size_t piece_size : {size_t{10'000}, size_t{113}}) {
      talk.connection.Send(Pattern(10'000), piece_size);
      std::string got;
      REQUIRE(bed.Until([&] {
        got += talk.peer->Read();
        return got.size() == 10'000 && talk.connection.SentAll();
      }));
      CHECK(got == Pattern(10'000));
    }
  });
}

TEST_CASE("a send larger than all socket buffers goes on as the peer reads") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    const size_t size = LargerThanSocketBuffers(bed);
    talk.connection.Send(Pattern(size));
    for (int i = 0; i < 20; ++i) bed.Turn();
    CHECK(talk.connection.sending);  // the peer has read nothing
    std::string got;
    REQUIRE(bed.Until([&] {
      got += talk.peer->Read();
      return got.size() == size && talk.connection.SentAll();
    }));
    CHECK(got == Pattern(size));
  });
}

TEST_CASE("the end of the stream is told, and the other direction still works") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    CHECK(talk.peer->Write("last words") == 10);
    talk.peer->CloseWrite();
    REQUIRE(bed.Until([&] { return !talk.connection.receiving; }));
    CHECK(talk.connection.receive_status == Status::kEndOfStream);
    CHECK(talk.connection.received == "last words");
    talk.connection.Send("answer");
    std::string got;
    REQUIRE(bed.Until([&] { return (got += talk.peer->Read()) == "answer"; }));
  });
}

TEST_CASE("when all provided buffers are held the receive ends, and goes on when one is back") {
  OnEveryRing(
      [](Bed& bed) {
        Talk talk(bed);
        Connection& connection = talk.connection;
        connection.hold_buffers = true;
        const std::string sent = Pattern(100'000);
        size_t written = 0;
        const auto write = [&] {
          written += talk.peer->Write(std::string_view(sent).substr(written));
        };
        // Twice in a row: the receive ends with no buffers while two are held, and is armed again.
        while (connection.held.size() < 2) {
          write();
          bed.Turn();
          if (!connection.receiving) connection.Arm();
        }
        REQUIRE(bed.Until([&] {
          write();
          return !connection.receiving;
        }));
        CHECK(connection.receive_status == Status::kNoBuffers);
        CHECK(bed.ring().counters().buffers_lent.Get() == 2);
        CHECK(bed.ring().counters().buffers_exhausted.Get() > 0);
        for (const BufferId buffer : connection.held) bed.ring().ReturnBuffer(buffer);
        connection.held.clear();
        connection.hold_buffers = false;
        connection.Arm();
        REQUIRE(bed.Until([&] {
          write();
          return connection.received.size() == sent.size();
        }));
        CHECK(connection.received == sent);
      },
      Limits{.buffer_count = 2});
}

// Until none is armed.
void StopReceiving(Bed& bed, Connection& connection) {
  bed.Turn();
  bed.ring().Stop(Kind::kReceive, &connection);
  REQUIRE(bed.Until([&] { return !connection.receiving; }));
}

TEST_CASE("a stopped receive ends once, and can be armed again") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    StopReceiving(bed, talk.connection);
    CHECK(talk.connection.receive_status == Status::kCancelled);
    bed.ring().Stop(Kind::kReceive, &talk.connection);  // nothing to stop: nothing happens
    bed.Turn();
    talk.connection.Arm();
    CHECK(talk.peer->Write("hello") == 5);
    REQUIRE(bed.Until([&] { return talk.connection.received == "hello"; }));
  });
}

TEST_CASE("a receive for once ends with what comes first, and leaves the rest") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    Connection& connection = talk.connection;
    StopReceiving(bed, connection);
    connection.once = true;
    const std::string sent = Pattern(100'000);
    size_t written = 0;
    const auto write = [&] { written += talk.peer->Write(std::string_view(sent).substr(written)); };
    connection.hold_buffers = true;  // not armed again by itself
    connection.Arm();
    REQUIRE(bed.Until([&] {
      write();
      if (!connection.receiving && connection.received.empty()) connection.Arm();  // others' turn
      return !connection.receiving;
    }));
    CHECK(connection.held.size() == 1);
    CHECK(connection.received == sent.substr(0, connection.received.size()));
    CHECK(connection.received.size() < sent.size());
    bed.ring().ReturnBuffer(connection.held[0]);
    connection.held.clear();
    connection.hold_buffers = false;
    connection.Arm();
    REQUIRE(bed.Until([&] {
      write();
      return connection.received.size() == sent.size();
    }));
    CHECK(connection.received == sent);
  });
}

TEST_CASE("a receive into memory takes so many bytes and no more, however they come") {
  for (const size_t size : {size_t{1}, size_t{5'000}, size_t{150'000}}) {
    CAPTURE(size);
    OnEveryRing([size](Bed& bed) {
      Talk talk(bed);
      Connection& connection = talk.connection;
      StopReceiving(bed, connection);
      connection.filled.resize(size);
      connection.Fill();
      const std::string sent = Pattern(size + 1'000);
      size_t written = 0;
      REQUIRE(bed.Until([&] {
        written += talk.peer->Write(std::string_view(sent).substr(written));
        return connection.received.size() == 1'000;
      }));
      CHECK(connection.filled == sent.substr(0, size));
      CHECK(connection.received == sent.substr(size));
      CHECK(bed.ring().counters().buffers_lent.Get() == 0);
    });
  }
}

// Has a receive into memory under way that gets `sent`, less than it is to have, and is not
// continued.
void FillInPart(Bed& bed, Talk& talk, std::string_view sent) {
  StopReceiving(bed, talk.connection);
  talk.connection.filled.resize(10'000);
  talk.connection.goes_on = false;
  CHECK(talk.peer->Write(sent) == sent.size());
  talk.connection.Fill();
  bed.Turn();
}

TEST_CASE("a receive into memory at the end of the stream tells how much came, the next one why") {
  for (const size_t came : {size_t{0}, size_t{3'000}}) {
    CAPTURE(came);
    OnEveryRing([came](Bed& bed) {
      Talk talk(bed);
      Connection& connection = talk.connection;
      const std::string sent = Pattern(came);
      FillInPart(bed, talk, sent);
      talk.peer->CloseWrite();
      REQUIRE(bed.Until([&] { return !connection.receiving; }));
      while (connection.receive_status == Status::kOk) {
        connection.Fill(connection.filled_bytes);
        REQUIRE(bed.Until([&] { return !connection.receiving; }));
      }
      CHECK(connection.receive_status == Status::kEndOfStream);
      CHECK(connection.filled_bytes == came);
      CHECK(connection.filled.substr(0, came) == sent);
    });
  }
}

TEST_CASE("a receive into memory that is stopped tells how much came, and loses nothing") {
  for (const size_t came : {size_t{0}, size_t{3'000}}) {
    CAPTURE(came);
    OnEveryRing([came](Bed& bed) {
      Talk talk(bed);
      Connection& connection = talk.connection;
      const std::string sent = Pattern(came);
      FillInPart(bed, talk, sent);
      REQUIRE(bed.Until([&] {
        if (connection.receiving) bed.ring().Stop(Kind::kReceive, &connection);
        return !connection.receiving;
      }));
      if (connection.filled_bytes == 0) CHECK(connection.receive_status == Status::kCancelled);
      CHECK(connection.filled.substr(0, connection.filled_bytes) ==
            sent.substr(0, connection.filled_bytes));
      connection.Arm();  // what did not come into the memory
      REQUIRE(
          bed.Until([&] { return connection.filled_bytes + connection.received.size() == came; }));
      CHECK(connection.received == sent.substr(connection.filled_bytes));
    });
  }
}

TEST_CASE("shutdown ends a receive that waits and a send that is stuck; then the socket closes") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    Connection& connection = talk.connection;
    connection.out = Pattern(LargerThanSocketBuffers(bed));
    const iovec piece{connection.out.data(), connection.out.size()};
    connection.sending = true;
    bed.ring().Send(connection.socket, std::span(&piece, 1), false, &connection);
    for (int i = 0; i < 5 && connection.out_sent == 0; ++i) bed.Turn();
    // A short send would be continued; here it is not, so that only the shutdown can end the
    // stream.
    bed.on_completion = [&](const Completion& c) {
      if (c.kind == Kind::kReceive && !c.more) connection.receiving = false;
      if (c.kind == Kind::kSend) connection.sending = false;
    };
    REQUIRE(bed.Until([&] {
      bed.ring().Shutdown(connection.socket);  // again, if it missed something
      return !connection.receiving && !connection.sending;
    }));
    bed.on_completion = [&](const Completion& c) { connection.On(c); };
    connection.Close();
    REQUIRE(bed.Until([&] { return connection.closed; }));
    REQUIRE(bed.Until([&] {
      talk.peer->Read();
      return talk.peer->AtEnd();
    }));
  });
}

TEST_CASE("a reset connection ends receive and send") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    bed.Turn();
    talk.peer->Reset();
    REQUIRE(bed.Until([&] { return !talk.connection.receiving; }));
    CHECK(talk.connection.receive_status == Status::kReset);
    talk.connection.Send("anyone there?");
    REQUIRE(bed.Until([&] { return !talk.connection.sending; }));
    CHECK(talk.connection.send_status == Status::kReset);
  });
}

// ---- datagrams

// A datagram server: keeps a receive armed unless it holds all buffers, and echoes on demand.
struct alignas(8) DatagramServer {
  DatagramServer(Bed& b) : bed(b) {
    bed.on_completion = [this](const Completion& c) { On(c); };
    Arm();
  }
  void Arm() {
    bed.ring().ReceiveDatagrams(bed.datagram_socket(), this);
    armed = true;
  }
  void On(const Completion& c) {
    CHECK(c.owner == this);
    if (c.kind == Kind::kSendDatagram) {
      REQUIRE(sending > 0);
      --sending;
      CHECK(c.status == Status::kOk);
      CHECK(!c.more);
      sent_bytes += static_cast<size_t>(c.result);
      return;
    }
    REQUIRE(c.kind == Kind::kDatagram);
    REQUIRE(armed);
    if (c.buffer != kNoBuffer) {
      received.emplace_back(c.data, static_cast<size_t>(c.result));
      REQUIRE(c.peer->sa_family == AF_INET);
      peer = *reinterpret_cast<const sockaddr_in*>(c.peer);
      held.push_back(c.buffer);
      if (!hold) Release();
    }
    if (c.more) return;
    armed = false;
    status = c.status;
    no_buffers = no_buffers || c.status == Status::kNoBuffers;
    if (c.status == Status::kOk || (c.status == Status::kNoBuffers && !hold)) Arm();
  }
  void Release() {
    for (const BufferId buffer : held) bed.ring().ReturnDatagram(buffer);
    held.clear();
  }
  void Send(std::string_view bytes) {
    ++sending;
    bed.ring().SendDatagram(bed.datagram_socket(), bytes, reinterpret_cast<sockaddr*>(&peer), this);
  }
  void End() {
    if (armed) bed.ring().Stop(Kind::kDatagram, this);
    hold = true;
    CHECK(bed.Until([&] { return !armed && sending == 0; }));
    Release();
  }

  Bed& bed;
  std::vector<std::string> received;
  std::vector<BufferId> held;
  sockaddr_in peer{};
  bool armed = false;
  bool hold = false;
  bool no_buffers = false;
  int sending = 0;
  size_t sent_bytes = 0;
  Status status = Status::kOk;
};

TEST_CASE("datagrams arrive whole, with whom to answer") {
  OnEveryRing([](Bed& bed) {
    DatagramServer server(bed);
    const std::string large(65'507, 'x');  // the largest there can be
    for (const std::string& bytes :
         {std::string("a"), std::string(), std::string(1400, 'b'), large}) {
      bed.SendDatagram(bytes);
    }
    REQUIRE(bed.Until([&] { return server.received.size() == 4; }));
    CHECK(server.received[0] == "a");
    CHECK(server.received[1].empty());
    CHECK(server.received[2] == std::string(1400, 'b'));
    CHECK(server.received[3] == large);
    const std::string reply(1400, 'r');
    server.Send(reply);
    REQUIRE(bed.Until([&] { return server.sending == 0; }));
    CHECK(server.sent_bytes == reply.size());
    std::vector<std::string> taken;
    CHECK(bed.Until([&] {
      if (taken.empty()) taken = bed.TakeDatagrams();
      return !taken.empty();
    }));
    CHECK(taken == std::vector<std::string>{reply});
    server.End();
    CHECK(server.status == Status::kCancelled);
  });
}

TEST_CASE("when all datagram buffers are held the receive ends, and goes on when one is back") {
  OnEveryRing([](Bed& bed) {
    DatagramServer server(bed);
    server.hold = true;
    for (char byte = '0'; byte < '8'; ++byte) bed.SendDatagram({&byte, 1});
    REQUIRE(bed.Until([&] {
      if (!server.armed && server.held.size() < 4) server.Arm();  // a simulated lack comes earlier
      return !server.armed && server.held.size() == 4;
    }));
    CHECK(server.no_buffers);
    server.hold = false;
    server.Release();
    server.Arm();
    REQUIRE(bed.Until([&] { return server.received.size() == 8; }));
    for (size_t i = 0; i < 8; ++i)
      CHECK(server.received[i] == std::string(1, '0' + static_cast<char>(i)));
    server.End();
  });
}

TEST_CASE("closing is told, and seen by the peer") {
  OnEveryRing([](Bed& bed) {
    Talk talk(bed);
    bed.ring().Stop(Kind::kReceive, &talk.connection);
    REQUIRE(bed.Until([&] { return !talk.connection.receiving; }));
    talk.connection.Close();
    REQUIRE(bed.Until([&] { return talk.connection.closed; }));
    REQUIRE(bed.Until([&] {
      talk.peer->Read();
      return talk.peer->AtEnd();
    }));
  });
}

// ---- the real ring alone

const char* NameOf(Shape shape) {
  switch (shape) {
    case Shape::kAllFeatures:
      return "all features";
    case Shape::kPlainDescriptors:
      return "plain descriptors";
    case Shape::kNoFeatures:
      return "no features";
  }
  return "";
}

void OnEveryShape(const std::function<void(UringOptions)>& story) {
  for (const Shape shape : {Shape::kAllFeatures, Shape::kPlainDescriptors, Shape::kNoFeatures}) {
    CAPTURE(NameOf(shape));
    story(OptionsOf(shape));
  }
}

std::unique_ptr<UringRing> MakeRing(const UringOptions& options) {
  std::string error;
  std::unique_ptr<UringRing> ring = UringRing::Create(options, &error);
  REQUIRE_MESSAGE(ring != nullptr, error);
  return ring;
}

TEST_CASE("a number of buffers the kernel cannot take is refused with a reason") {
  UringOptions options = OptionsOf(Shape::kAllFeatures);
  options.buffer_count = 100;
  std::string error;
  CHECK(UringRing::Create(options, &error) == nullptr);
  CHECK(error.find("power of two") != std::string::npos);
}

// The kernel fills all buffers that it is offered in one call, however many.
TEST_CASE("one who sends much gets a few buffers a turn, and does not use them up") {
  OnEveryShape([](UringOptions options) {
    options.buffer_count = 256;
    options.buffer_size_bytes = 4 << 10;
    UringBed bed(options);
    Talk talk(bed);
    const std::string sent = Pattern(8 << 20);
    size_t written = 0;
    REQUIRE(bed.Until([&] {
      written += talk.peer->Write(std::string_view(sent).substr(written));
      const Connection& connection = talk.connection;
      CHECK(connection.receive_status == Status::kOk);
      const size_t before = connection.received.size();
      bed.Turn();
      CHECK(connection.received.size() - before <= size_t{64} * options.buffer_size_bytes);
      return connection.received.size() == sent.size();
    }));
    CHECK(talk.connection.received == sent);
    CHECK(bed.ring().counters().buffers_exhausted.Get() == 0);
  });
}

TEST_CASE("a full completion queue is counted, and loses nothing") {
  OnEveryShape([](UringOptions options) {
    options.submission_entries = 4;
    options.completion_entries = 8;
    options.buffer_count = 256;
    options.direct_descriptors = 256;
    const auto ring = MakeRing(options);
    constexpr size_t kSockets = 100;
    std::vector<std::unique_ptr<Connection>> connections;
    std::vector<int> peers;
    for (size_t i = 0; i < kSockets; ++i) {
      int fds[2];
      REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
      peers.push_back(fds[1]);
      connections.push_back(std::make_unique<Connection>(*ring));
      connections.back()->Attach(fds[0]);  // more submissions than places: they leave in between
    }
    const auto turn = [&] {
      for (const Completion& c : ring->Turn(kMillisecondNs)) {
        static_cast<Connection*>(c.owner)->On(c);
      }
    };
    turn();
    for (size_t i = 0; i < kSockets; ++i) REQUIRE(write(peers[i], "message", 7) == 7);
    for (int i = 0; i < 150; ++i) turn();
    for (const auto& connection : connections) {
      CHECK(connection->received == "message");
      CHECK(connection->receiving);
    }
    CHECK(ring->counters().completion_overflows.Get() > 0);
    CHECK(ring->counters().completions_lost.Get() == 0);

    for (const auto& connection : connections) ring->Shutdown(connection->socket);
    for (int i = 0; i < 200; ++i) turn();
    for (const auto& connection : connections) {
      REQUIRE(!connection->receiving);
      connection->Close();
    }
    for (int i = 0; i < 200; ++i) turn();
    for (const auto& connection : connections) CHECK(connection->closed);
    for (const int fd : peers) close(fd);
  });
}

// io_uring_enter fails with EAGAIN when the kernel has no memory for a submission. Here: on one
// thread, always.
TEST_CASE("submissions that the kernel refuses for lack of memory are made later") {
  UringOptions options = OptionsOf(Shape::kNoFeatures);  // only such a ring may change threads
  options.submission_entries = 2;
  const auto ring = MakeRing(options);
  ring->Turn(0);
  constexpr size_t kSockets = 5;
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<int> peers;
  for (size_t i = 0; i < kSockets; ++i) {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    peers.push_back(fds[1]);
    connections.push_back(std::make_unique<Connection>(*ring));
    connections.back()->socket = ring->Attach(fds[0]);
  }
  bool denied = false;
  size_t completions = 0;
  std::thread([&] {
    denied = DenySystemCall(SYS_io_uring_enter, EAGAIN);
    for (const auto& connection : connections) {
      connection->Send(Pattern(100), 10);
      // Turn lets go of the iovecs, submitted or not: AddressSanitizer sees it if not.
      completions += ring->Turn(0).size();
      std::vector<iovec>().swap(connection->pieces);
    }
  }).join();
  REQUIRE(denied);
  CHECK(completions == 0);
  for (int i = 0; i < 100; ++i) {
    for (const Completion& c : ring->Turn(kMillisecondNs)) {
      static_cast<Connection*>(c.owner)->On(c);
    }
  }
  for (size_t i = 0; i < kSockets; ++i) {
    CHECK(connections[i]->SentAll());
    char bytes[200];
    CHECK(read(peers[i], bytes, sizeof(bytes)) == 100);
    CHECK(std::string_view(bytes, 100) == Pattern(100));
    connections[i]->Close();
    close(peers[i]);
  }
  for (int i = 0; i < 20; ++i) {
    for (const Completion& c : ring->Turn(kMillisecondNs)) {
      static_cast<Connection*>(c.owner)->On(c);
    }
  }
  for (const auto& connection : connections) CHECK(connection->closed);
}

TEST_CASE("sockets past the direct table stay plain, and slots come back") {
  UringOptions options = OptionsOf(Shape::kAllFeatures);
  if (!options.features.Has(Feature::kDirectDescriptors)) return;
  options.direct_descriptors = 2;
  const auto ring = MakeRing(options);
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<int> peers;
  const auto attach = [&] {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    peers.push_back(fds[1]);
    connections.push_back(std::make_unique<Connection>(*ring));
    connections.back()->socket = ring->Attach(fds[0]);
  };
  const auto close_one = [&](Connection& connection) {
    connection.Close();
    for (int i = 0; i < 100 && !connection.closed; ++i) {
      for (const Completion& c : ring->Turn(kMillisecondNs)) {
        static_cast<Connection*>(c.owner)->On(c);
      }
    }
    REQUIRE(connection.closed);
  };
  attach();
  attach();
  attach();
  CHECK(connections[0]->socket.value < 2);
  CHECK(connections[1]->socket.value < 2);
  CHECK(connections[2]->socket.value >= 2);
  close_one(*connections[1]);
  attach();
  CHECK(connections[3]->socket.value == connections[1]->socket.value);
  for (const size_t i : {0, 2, 3}) close_one(*connections[i]);
  // Closed means closed: each peer sees the end.
  for (const int fd : peers) {
    char byte;
    CHECK(read(fd, &byte, 1) == 0);
    close(fd);
  }
}

TEST_CASE("an accept at the file limit ends with kFileLimit") {
  OnEveryShape([](const UringOptions& options) {
    UringBed bed(options);
    auto peer = bed.Connect();
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next_fd = dup(0);
    close(next_fd);
    struct alignas(8) Owner {
    } owner;
    std::vector<Completion> seen;
    bed.on_completion = [&](const Completion& c) { seen.push_back(c); };
    bed.Turn();  // what the ring needs for itself it has by now

    const rlimit low{static_cast<rlim_t>(next_fd), before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    bed.ring().Accept(bed.listener(), &owner);
    const bool told = bed.Until([&] { return !seen.empty(); });
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE(told);
    CHECK(seen[0].status == Status::kFileLimit);
    CHECK(!seen[0].more);

    seen.clear();
    bed.ring().Accept(bed.listener(), &owner);
    REQUIRE(bed.Until([&] { return !seen.empty(); }));
    CHECK(seen[0].status == Status::kOk);
    close(seen[0].result);
  });
}

TEST_CASE("a turn without work waits as long as it may, and no longer") {
  OnEveryShape([](const UringOptions& options) {
    const auto ring = MakeRing(options);
    ring->Turn(0);
    const uint64_t enters = ring->counters().enters.Get();
    auto start = steady_clock::now();
    CHECK(ring->Turn(20 * kMillisecondNs).empty());
    CHECK(steady_clock::now() - start >= std::chrono::milliseconds(19));
    CHECK(ring->counters().enters.Get() == enters + 1);

    // Not asked to wait, nothing to submit, no sign of work: no system call.
    start = steady_clock::now();
    for (int i = 0; i < 100; ++i) CHECK(ring->Turn(0).empty());
    CHECK(ring->counters().enters.Get() == enters + 1);
    CHECK(ring->counters().waits.Get() == 1);
  });
}

// Two rings on two threads hand a token back and forth, asleep in between.
void PingPong(const UringOptions& options) {
  constexpr int kRounds = 300;
  std::unique_ptr<UringRing> rings[2] = {MakeRing(options), MakeRing(options)};
  std::atomic<int> token{0};
  std::atomic<int> wakes{0};
  const auto play = [&](int me) {
    Ring& mine = *rings[me];
    const WakeTarget other = rings[1 - me]->wake_target();
    const auto deadline = steady_clock::now() + std::chrono::seconds(20);
    while (token.load() < kRounds && steady_clock::now() < deadline) {
      if (token.load() % 2 == me) {
        token.fetch_add(1);
        mine.Wake(other);
      }
      // Long enough that the time is over if a wake does not come.
      for (const Completion& c : mine.Turn(2'000 * kMillisecondNs)) {
        wakes.fetch_add(c.kind == Kind::kWake ? 1 : 0);
        CHECK(c.owner == nullptr);
      }
    }
    mine.Wake(other);
    mine.Turn(0);
  };
  std::thread first(play, 0);
  std::thread second(play, 1);
  first.join();
  second.join();
  CHECK(token.load() == kRounds);
  CHECK(wakes.load() >= kRounds / 2);
}

TEST_CASE("rings wake each other by message") { PingPong(OptionsOf(Shape::kAllFeatures)); }

TEST_CASE("rings wake each other by event descriptor") {
  UringOptions options = OptionsOf(Shape::kAllFeatures);
  options.features.Set(Feature::kMessageRing, false);
  PingPong(options);
}

// A disabled ring rejects messages; the wake must not be lost.
TEST_CASE("a wake sent before the target's first turn arrives in it") {
  OnEveryShape([](const UringOptions& options) {
    const auto sender = MakeRing(options);
    const auto target = MakeRing(options);
    sender->Wake(target->wake_target());
    sender->Turn(0);
    sender->Turn(kMillisecondNs);
    bool woken = false;
    for (int i = 0; i < 10 && !woken; ++i) {
      for (const Completion& c : target->Turn(100 * kMillisecondNs)) {
        woken = woken || c.kind == Kind::kWake;
      }
    }
    CHECK(woken);
  });
}

TEST_CASE("a ring that one thread made, and attached to, runs on another") {
  OnEveryShape([](const UringOptions& options) {
    UringBed bed(options);
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    Connection connection(bed.ring());
    connection.Attach(pair[0]);
    REQUIRE(write(pair[1], "early", 5) == 5);
    bed.ring().Accept(bed.listener(), nullptr);
    const auto peer = bed.Connect();
    int fd = -1;
    std::thread shard([&] {
      bed.on_completion = [&](const Completion& c) {
        if (c.kind == Kind::kAccept) {
          fd = c.result;
        } else {
          connection.On(c);
        }
      };
      CHECK(bed.Until([&] { return fd >= 0 && connection.received == "early"; }));
      bed.ring().Shutdown(connection.socket);
      CHECK(bed.Until([&] { return !connection.receiving; }));
      connection.Close();
      CHECK(bed.Until([&] { return connection.closed; }));
    });
    shard.join();
    close(fd);
    close(pair[1]);
  });
}

// ---- the simulated ring alone

// An echo server over the rings of a world: ring 0 accepts, connections are spread over all.
class Echo {
 public:
  explicit Echo(SimWorld& world, size_t rings) : world_(world), rings_(rings) {
    listener_ = world.Listen();
    world.ring(0).Accept(listener_, &listener_);
  }
  int listener() const { return listener_; }

  void Turn(size_t index) {
    for (const Completion& c : world_.ring(index).Turn(0)) {
      if (c.kind == Kind::kAccept) {
        OnAccept(c);
      } else {
        static_cast<Session*>(c.owner)->On(c);
      }
    }
  }
  void StopAccepting() {
    stopping_ = true;
    world_.ring(0).Stop(Kind::kAccept, &listener_);
  }
  bool accepting() const { return accepting_; }
  bool AllClosed() const {
    return std::all_of(sessions_.begin(), sessions_.end(),
                       [](const auto& session) { return session->closed; });
  }

 private:
  struct alignas(8) Session {
    Session(Ring& r, int fd) : ring(r), socket(ring.Attach(fd)) { Arm(); }
    void Arm() {
      receiving = true;
      ring.Receive(socket, this);
    }
    void On(const Completion& c) {
      if (c.kind == Kind::kClose) closed = true;
      if (c.kind == Kind::kReceive) {
        if (c.buffer != kNoBuffer) {
          waiting.append(c.data, static_cast<size_t>(c.result));
          ring.ReturnBuffer(c.buffer);
        }
        if (!c.more) {
          receiving = false;
          const bool again = !shut && (c.status == Status::kOk || c.status == Status::kNoBuffers);
          if (again) Arm();
          ended = ended || !again;
          broken = broken || (!again && c.status != Status::kEndOfStream);
        }
      }
      if (c.kind == Kind::kSend) {
        sending = false;
        broken = broken || c.status != Status::kOk;
        flying.erase(0, static_cast<size_t>(c.result));
      }
      Continue();
    }
    void Continue() {
      if (closed || closing) return;
      if (broken && receiving && !shut) {
        ring.Shutdown(socket);
        shut = true;
      }
      if (!sending && !broken && !(flying.empty() && waiting.empty())) {
        if (flying.empty()) flying.swap(waiting);
        sending = true;
        piece = {flying.data(), flying.size()};
        ring.Send(socket, std::span(&piece, 1), false, this);
      }
      if ((ended || broken) && !sending && !receiving) {
        closing = true;
        ring.Close(socket, this);
      }
    }
    Ring& ring;
    Socket socket;
    std::string waiting;
    std::string flying;
    iovec piece{};
    bool receiving = false, sending = false, ended = false, broken = false;
    bool shut = false, closing = false, closed = false;
  };

  void OnAccept(const Completion& c) {
    if (c.status == Status::kOk) {
      sessions_.push_back(
          std::make_unique<Session>(world_.ring(sessions_.size() % rings_), c.result));
    }
    if (c.more) return;
    accepting_ = !stopping_;
    if (accepting_) world_.ring(0).Accept(listener_, &listener_);
  }

  SimWorld& world_;
  size_t rings_;
  alignas(8) int listener_;
  bool accepting_ = true;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Session>> sessions_;
};

// Clients talk to an echo server over three rough rings. Returns the world's trace.
std::string EchoStorm(uint64_t seed, bool resets) {
  CAPTURE(seed);
  constexpr size_t kRings = 3;
  constexpr size_t kClients = 12;
  constexpr size_t kBytes = 20'000;
  SimOptions options = SimOptions::Rough();
  if (resets) {
    options.reset_chance = 5;
    options.no_memory_chance = 3;
  }
  SimWorld world(seed, kRings, options);
  std::string trace;
  world.TraceTo(&trace);
  Echo echo(world, kRings);
  const std::string sent = Pattern(kBytes);
  struct Client {
    SimClient end;
    size_t written = 0;
    std::string got;
  };
  std::vector<Client> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back({world.Connect(echo.listener()), 0, {}});
  uint64_t step = seed;
  const auto next = [&step](size_t bound) {
    step = step * 6364136223846793005 + 1442695040888963407;
    return static_cast<size_t>(step >> 33) % bound;
  };
  bool done = false;
  for (int turns = 0; turns < 400'000 && !done; ++turns) {
    echo.Turn(next(kRings));
    Client& client = clients[next(kClients)];
    if (client.written < kBytes) {
      const size_t size = std::min<size_t>(1 + next(3000), kBytes - client.written);
      client.written += client.end.Write(std::string_view(sent).substr(client.written, size));
      if (client.written == kBytes) client.end.CloseWrite();
    }
    client.got += client.end.Read(next(2000));
    done =
        std::all_of(clients.begin(), clients.end(), [](const Client& c) { return c.end.AtEnd(); });
  }
  CHECK(done);
  for (const Client& client : clients) {
    if (!resets) CHECK(client.got.size() == kBytes);
    CHECK(client.got == sent.substr(0, client.got.size()));
  }
  echo.StopAccepting();
  const auto quiet = [&] { return world.Settled() && echo.AllClosed() && !echo.accepting(); };
  for (int turns = 0; turns < 10'000 && !quiet(); ++turns) echo.Turn(next(kRings));
  REQUIRE(quiet());
  world.CheckEnded();
  return trace;
}

TEST_CASE("an echo server over rough simulated rings returns every byte and loses nothing") {
  for (uint64_t seed = 1; seed <= 100; ++seed) EchoStorm(seed, false);
}

TEST_CASE("with broken connections it still returns bytes in order and loses nothing of its own") {
  for (uint64_t seed = 1; seed <= 100; ++seed) EchoStorm(seed, true);
}

TEST_CASE("the same seed gives the same run, another seed another") {
  const std::string first = EchoStorm(7, true);
  CHECK(first == EchoStorm(7, true));
  CHECK(first != EchoStorm(8, true));
}

TEST_CASE("what is said to be followed by more waits for it in the simulated ring") {
  SimWorld world(1, 1, SimOptions{.window_bytes = 10'000});
  Ring& ring = world.ring(0);
  alignas(8) char owner[8] = {};
  const int listener = world.Listen();
  SimClient client = world.Connect(listener);
  ring.Accept(listener, &owner);
  const Socket socket = ring.Attach(ring.Turn(0)[0].result);
  const auto send = [&](std::string bytes, bool more_follows) {
    const iovec piece{bytes.data(), bytes.size()};
    ring.Send(socket, std::span(&piece, 1), more_follows, &owner);
    const std::span<const Completion> completions = ring.Turn(0);
    REQUIRE(completions.size() == 1);
    CHECK(completions[0].result == static_cast<int32_t>(bytes.size()));
    return client.Read();
  };
  CHECK(send("a", true).empty());
  CHECK(send("b", true).empty());
  CHECK(send("c", false) == "abc");
  // Whole segments do not wait, and neither does what fills the window.
  const std::string long_reply = send(Pattern(2000), true);
  CHECK(!long_reply.empty());
  CHECK(long_reply + send("d", false) == Pattern(2000) + "d");
  CHECK(send(Pattern(10'000), true) == Pattern(10'000));
  // The end of the stream pushes what is left.
  CHECK(send("e", true).empty());
  ring.Close(socket, &owner);
  ring.Turn(0);
  CHECK(client.Read() == "e");
}

TEST_CASE("a simulated wake arrives, perhaps late or twice") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimWorld world(seed, 2, SimOptions::Rough());
    world.ring(0).Wake(world.ring(1).wake_target());
    int wakes = 0;
    for (int i = 0; i < 10; ++i) wakes += static_cast<int>(world.ring(1).Turn(0).size());
    CHECK(wakes >= 1);
    CHECK(wakes <= 2);
    CHECK(world.Settled());
  }
}

// True when `act` ends in a failed CHECK.
bool Dies(const std::function<void()>& act) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    act();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

// One simulated connection, attached to ring 0.
struct Misuse {
  Misuse() : world(1, 1, SimOptions()), ring(world.ring(0)) {
    const int listener = world.Listen();
    client = std::make_unique<SimClient>(world.Connect(listener));
    ring.Accept(listener, &owner);
    fd = ring.Turn(0)[0].result;
    socket = ring.Attach(fd);
  }
  SimWorld world;
  Ring& ring;
  std::unique_ptr<SimClient> client;
  int fd = -1;
  Socket socket;
  alignas(8) char owner[8] = {};
  iovec piece{owner, 1};
};

TEST_CASE("the simulated ring finds what a shard must not do") {
  Misuse m;
  CHECK_FALSE(Dies([] {}));
  CHECK(Dies([&] { m.ring.Attach(m.fd); }));
  CHECK(Dies([&] {
    m.ring.Send(m.socket, std::span(&m.piece, 1), false, &m);
    m.ring.Send(m.socket, std::span(&m.piece, 1), false, &m);
  }));
  CHECK(Dies([&] {
    m.ring.Receive(m.socket, &m);
    m.ring.Receive(m.socket, &m);
  }));
  CHECK(Dies([&] {
    m.ring.Receive(m.socket, &m);
    m.ring.ReceiveInto(m.socket, m.owner, &m);
  }));
  CHECK(Dies([&] {
    m.ring.Receive(m.socket, &m);
    m.ring.Close(m.socket, &m);
  }));
  CHECK(Dies([&] {
    m.ring.Close(m.socket, &m);
    m.ring.Receive(m.socket, &m);
  }));
  CHECK(Dies([&] {
    m.client->Write("x");
    m.ring.Receive(m.socket, &m);
    const BufferId buffer = m.ring.Turn(0)[0].buffer;
    m.ring.ReturnBuffer(buffer);
    m.ring.ReturnBuffer(buffer);
  }));
  CHECK(Dies([&] { m.world.CheckEnded(); }));
}

}  // namespace
}  // namespace torc::ring
