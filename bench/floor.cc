// The floor: a server that does the kernel's part of a cache's work and nothing else. It finds the
// ends of lines and answers each request with fixed bytes, through the ring set-up of a good server
// (ring.h), with one send for each connection and turn. What a cache costs above it is the cost of
// being a cache; what it costs itself, no server on this path can get below.
//
//   a line beginning with  g   VALUE for each key, END   (keys are counted by the line's length)
//                          s   STORED; the next line is the value and has no reply
//                          mg  VA and a value
//                          ms  HD; the next line is the value
//                          anything else: VERSION floor
//
// Values must hold no line ends. It believes its peers: a tool for a bench, not a server.

#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bench/die.h"
#include "bench/ring.h"

namespace torc::bench {
namespace {

constexpr uint32_t kConnectionsMax = 16 << 10;

struct Options {
  uint16_t port = 11211;
  size_t key_size = 12;
  size_t value_size = 100;
};

struct Connection {
  // The line under way: how much of it has come, and its first two bytes.
  size_t line_size = 0;
  char line_start[2] = {};
  bool line_is_value = false;

  std::string queued;   // replies for the next send
  std::string sending;  // replies with the kernel
  bool is_sending = false;
  bool is_dirty = false;    // on the list of those to flush at the end of the turn
  bool is_closing = false;  // the peer is gone; closed once no send is in flight
};

class Floor {
 public:
  Floor(const Options& options, int listener)
      : key_size_(options.key_size),
        listener_(listener),
        ring_({.buffer_count = 256, .file_count = kConnectionsMax}),
        connections_(kConnectionsMax) {
    const std::string size = std::to_string(options.value_size);
    const std::string value(options.value_size, 'v');
    get_value_ = "VALUE " + std::string(key_size_, 'k') + " 0 " + size + "\r\n" + value + "\r\n";
    meta_value_ = "VA " + size + "\r\n" + value + "\r\n";
  }

  [[noreturn]] void Run() {
    Accept();
    while (true) {
      ring_.SubmitAndWait();
      ring_.ForEachCompletion([this](const io_uring_cqe& completion) { Handle(completion); });
      for (const size_t index : dirty_) {
        connections_[index].is_dirty = false;
        Flush(index);
      }
      dirty_.clear();
    }
  }

 private:
  enum class Event : uint64_t { kAccept, kReceive, kSend, kClose };

  static uint64_t Token(Event event, size_t connection) {
    return (static_cast<uint64_t>(event) << 32) | connection;
  }

  void Accept() {
    io_uring_sqe* const entry = ring_.NextEntry();
    io_uring_prep_multishot_accept_direct(entry, listener_, nullptr, nullptr, 0);
    entry->user_data = Token(Event::kAccept, 0);
  }

  void Handle(const io_uring_cqe& completion) {
    const auto event = static_cast<Event>(completion.user_data >> 32);
    const auto index = static_cast<size_t>(completion.user_data & UINT32_MAX);
    const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
    switch (event) {
      case Event::kAccept:
        if (completion.res >= 0) {
          const auto accepted = static_cast<size_t>(completion.res);
          connections_[accepted] = {};
          ring_.ReceiveMultishot(completion.res, Token(Event::kReceive, accepted));
        }
        if (!more) Accept();
        break;
      case Event::kReceive:
        if (completion.res > 0) {
          Receive(index, ring_.ReceivedBytes(completion));
          ring_.ReturnBuffer(completion);
        }
        if (more) break;
        if (completion.res > 0 || completion.res == -ENOBUFS) {
          ring_.ReceiveMultishot(static_cast<int>(index), Token(Event::kReceive, index));
        } else {
          Close(index);
        }
        break;
      case Event::kSend: {
        Connection& connection = connections_[index];
        connection.is_sending = false;
        if (connection.is_closing) {
          Close(index);
        } else if (!connection.queued.empty()) {
          MarkDirty(index);
        }
        break;
      }
      case Event::kClose:
        break;
    }
  }

  void Receive(size_t index, std::string_view bytes) {
    Connection& connection = connections_[index];
    while (!bytes.empty()) {
      const auto* const end =
          static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
      const size_t size =
          end == nullptr ? bytes.size() : static_cast<size_t>(end - bytes.data()) + 1;
      for (size_t i = connection.line_size; i < 2 && i - connection.line_size < size; ++i) {
        connection.line_start[i] = bytes[i - connection.line_size];
      }
      connection.line_size += size;
      bytes.remove_prefix(size);
      if (end == nullptr) break;
      EndLine(connection);
      connection.line_size = 0;
    }
    if (!connection.queued.empty()) MarkDirty(index);
  }

  void EndLine(Connection& connection) {
    std::string& out = connection.queued;
    if (connection.line_is_value) {
      connection.line_is_value = false;
      return;
    }
    const char* const start = connection.line_start;
    if (start[0] == 'g') {
      // "get" and the line end are five bytes, each key and the blank before it key_size_ + 1.
      const size_t key_count = (connection.line_size - 5) / (key_size_ + 1);
      for (size_t i = 0; i < key_count; ++i) out += get_value_;
      out += "END\r\n";
    } else if (start[0] == 's') {
      out += "STORED\r\n";
      connection.line_is_value = true;
    } else if (start[0] == 'm' && start[1] == 'g') {
      out += meta_value_;
    } else if (start[0] == 'm' && start[1] == 's') {
      out += "HD\r\n";
      connection.line_is_value = true;
    } else {
      out += "VERSION floor\r\n";
    }
  }

  void MarkDirty(size_t index) {
    Connection& connection = connections_[index];
    if (connection.is_dirty) return;
    connection.is_dirty = true;
    dirty_.push_back(index);
  }

  void Flush(size_t index) {
    Connection& connection = connections_[index];
    if (connection.is_sending || connection.queued.empty()) return;
    connection.is_sending = true;
    connection.sending.clear();
    std::swap(connection.sending, connection.queued);
    ring_.Send(static_cast<int>(index), connection.sending.data(), connection.sending.size(),
               Token(Event::kSend, index));
  }

  void Close(size_t index) {
    Connection& connection = connections_[index];
    connection.is_closing = true;
    connection.queued.clear();
    if (connection.is_sending) return;
    io_uring_sqe* const entry = ring_.NextEntry();
    io_uring_prep_close_direct(entry, static_cast<unsigned>(index));
    entry->user_data = Token(Event::kClose, index);
  }

  const size_t key_size_;
  const int listener_;
  Ring ring_;
  std::vector<Connection> connections_;  // by index in the ring's table of files
  std::vector<size_t> dirty_;
  std::string get_value_;
  std::string meta_value_;
};

int Listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) DieErrno("cannot make a socket", errno);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    DieErrno("cannot bind 127.0.0.1:" + std::to_string(port), errno);
  }
  if (listen(fd, 1024) != 0) DieErrno("cannot listen", errno);
  return fd;
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int flag; (flag = getopt(argc, argv, "p:k:v:h")) != -1;) {
    switch (flag) {
      case 'p':
        options.port = static_cast<uint16_t>(std::atoi(optarg));
        break;
      case 'k':
        options.key_size = static_cast<size_t>(std::atoi(optarg));
        break;
      case 'v':
        options.value_size = static_cast<size_t>(std::atoi(optarg));
        break;
      default:
        std::printf(
            "usage: floor [-p PORT] [-k KEY_SIZE] [-v VALUE_SIZE]\n"
            "Answers requests on 127.0.0.1 with fixed bytes; floor.cc says why.\n");
        std::exit(flag == 'h' ? 0 : 1);
    }
  }
  return options;
}

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  Floor(options, Listen(options.port)).Run();
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
