// What a batch of replies costs by the count: system calls, submissions and segments. Each
// connection sends a batch of requests and, when the whole reply is there, the next. The segments
// come from the kernel's books of the client's own sockets (TCP_INFO), so nothing is sampled; the
// connections agree on segments as long as an Ethernet's, where loopback's hold 64 KiB. segments.py
// runs it.
//
//   connection:  | get get get ... |                    | get get get ... |
//   server:                          | VALUE ... | VALUE ... END |          in how many sends,
//   segments?
//
// Every reply must be equal, byte for byte, to the first, and that one as long as it has to be.

#include <arpa/inet.h>
#include <linux/tcp.h>  // and not <netinet/tcp.h>, whose tcp_info ends before the segments
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/cache_client.h"
#include "bench/clock.h"
#include "bench/die.h"
#include "bench/flags.h"
#include "bench/process_usage.h"
#include "proto/binary/encoder.h"
#include "src/client/client.h"

namespace torc::bench {
namespace {

constexpr const char* kHelp = R"(usage: segments [options]
Sends batches of requests and counts what their replies cost. Prints one line of JSON.

  --port PORT          server's port on 127.0.0.1
  --server-pid PID     whose processor time is counted (0: nobody's)
  --work KIND          quiet: binary quiet gets and a no-op; get: text gets; multi: one get of many
                       keys; set: text sets (get)
  --batch N            keys of a batch (16)
  --value-size BYTES   (100)
  --connections N      (1)
  --batches N          of each connection, counted (1000)
  --warm-up N          of each connection, before (100)
  --segment BYTES      the connections' maximum segment size (1460)
  --pause-us N         the client waits so long before it reads a reply (0)
)";

constexpr uint64_t kReplyNsMax = 30'000'000'000;

struct Work {
  std::string request;
  size_t reply_bytes = 0;
  std::string_view reply_end;
};

std::string Key(uint64_t i) { return "segment:" + std::to_string(100'000 + i); }

std::string Value(uint64_t size) { return std::string(size, 'v'); }

void AppendBinary(std::string* out, proto::Opcode opcode, std::string_view key) {
  proto::BinaryRequest request;
  request.opcode = opcode;
  request.key = key;
  char packet[512];
  out->append(packet, proto::EncodeBinaryRequest(packet, request));
}

Work MakeWork(const std::string& kind, uint64_t batch, uint64_t value_size) {
  Work work;
  const std::string size = std::to_string(value_size);
  for (uint64_t i = 0; i < batch; ++i) {
    const std::string key = Key(i);
    const size_t hit_bytes = ("VALUE " + key + " 0 " + size + "\r\n\r\n").size() + value_size;
    if (kind == "quiet") {
      AppendBinary(&work.request, proto::Opcode::kGetQ, key);
      work.reply_bytes += proto::kBinaryHeaderBytes + 4 + value_size;
    } else if (kind == "get") {
      work.request += "get " + key + "\r\n";
      work.reply_bytes += hit_bytes + 5;
      work.reply_end = "\r\nEND\r\n";
    } else if (kind == "multi") {
      work.request += (i == 0 ? "get " : " ") + key;
      work.reply_bytes += hit_bytes;
    } else if (kind == "set") {
      work.request += "set " + key + " 0 0 " + size + "\r\n" + Value(value_size) + "\r\n";
      work.reply_bytes += 8;
      work.reply_end = "STORED\r\n";
    } else {
      Die("--work is quiet, get, multi or set");
    }
  }
  if (kind == "quiet") {
    AppendBinary(&work.request, proto::Opcode::kNoop, "");
    work.reply_bytes += proto::kBinaryHeaderBytes;
  } else if (kind == "multi") {
    work.request += "\r\n";
    work.reply_bytes += 5;
    work.reply_end = "\r\nEND\r\n";
  }
  return work;
}

void Store(client::Client& cache, uint64_t keys, uint64_t value_size) {
  const std::string value = Value(value_size);
  for (uint64_t i = 0; i < keys; ++i) {
    if (const client::Result stored = cache.Set(Key(i), value); !stored.ok()) {
      Die("the server does not store: " + Words(stored));
    }
  }
}

struct RingCounts {
  uint64_t enters = 0;
  uint64_t submissions = 0;
};

// Of a server that is torc; else zeros.
RingCounts ReadRingCounts(client::Client& cache) {
  const client::Result stats = cache.RunOn(0, {.verb = client::Verb::kStats});
  if (!stats.ok()) Die("no statistics: " + Words(stats));
  RingCounts counts;
  std::istringstream lines(stats.value);
  std::string name, number;
  while (lines >> name && std::getline(lines, number)) {
    if (name == "ring_enters") counts.enters = std::stoull(number);
    if (name == "ring_submissions") counts.submissions = std::stoull(number);
  }
  return counts;
}

class Connection {
 public:
  Connection(uint16_t port, int segment_bytes, const Work& work)
      : work_(work), fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) DieErrno("cannot make a socket", errno);
    // Before connecting: the server's side learns it from the first segment.
    Set(TCP_MAXSEG, segment_bytes);
    Set(TCP_NODELAY, 1);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      DieErrno("cannot connect", errno);
    }
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  uint64_t batches_done() const { return batches_done_; }
  uint64_t wait_ns_max() const { return wait_ns_max_; }
  void ForgetWaits() { wait_ns_max_ = 0; }

  uint64_t segments() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) DieErrno("TCP_INFO", errno);
    if (size < offsetof(tcp_info, tcpi_data_segs_in) + sizeof info.tcpi_data_segs_in) {
      Die("this kernel does not count a connection's segments");
    }
    return info.tcpi_data_segs_in;
  }

  void SendBatch() {
    sent_ns_ = MonotonicNs();
    got_ = 0;
    for (std::string_view left = work_.request; !left.empty();) {
      const ssize_t sent = send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EINTR) DieErrno("a send failed", errno);
      left.remove_prefix(sent < 0 ? 0 : static_cast<size_t>(sent));
    }
  }

  // Takes what is there. True: the whole reply is.
  bool Receive(std::string* first_reply) {
    char bytes[64 << 10];
    const ssize_t got = recv(fd_, bytes, std::min(sizeof bytes, work_.reply_bytes - got_), 0);
    if (got < 0 && errno == EINTR) return false;
    if (got < 0) DieErrno("a receive failed", errno);
    if (got == 0) Die("the server closed a connection");
    const std::string_view part(bytes, static_cast<size_t>(got));
    if (first_reply->size() < work_.reply_bytes) {
      first_reply->append(part);  // of the first connection's first batch
    } else if (std::string_view(*first_reply).substr(got_, part.size()) != part) {
      Die("a reply differs from the first: " + Printable(part));
    }
    got_ += part.size();
    if (got_ < work_.reply_bytes) return false;
    wait_ns_max_ = std::max(wait_ns_max_, MonotonicNs() - sent_ns_);
    ++batches_done_;
    return true;
  }

 private:
  void Set(int option, int value) {
    if (setsockopt(fd_, IPPROTO_TCP, option, &value, sizeof value) != 0) {
      DieErrno("setsockopt", errno);
    }
  }

  const Work& work_;
  int fd_;
  size_t got_ = 0;  // of the reply under way
  uint64_t batches_done_ = 0;
  uint64_t sent_ns_ = 0;
  uint64_t wait_ns_max_ = 0;
};

// `batches` of each connection.
void Run(std::vector<std::unique_ptr<Connection>>& connections, uint64_t batches, uint64_t pause_us,
         std::string* first_reply) {
  std::vector<pollfd> waiting;
  std::vector<uint64_t> ends;
  for (auto& c : connections) {
    waiting.push_back({c->fd(), POLLIN, 0});
    ends.push_back(c->batches_done() + batches);
    c->SendBatch();
  }
  for (size_t running = connections.size(); running > 0;) {
    const int ready = poll(waiting.data(), waiting.size(), kReplyNsMax / 1'000'000);
    if (ready == 0) Die("no reply for 30 seconds");
    if (ready < 0) continue;  // a signal
    if (pause_us != 0) usleep(static_cast<useconds_t>(pause_us));
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0 || !connections[i]->Receive(first_reply)) continue;
      if (connections[i]->batches_done() < ends[i]) {
        connections[i]->SendBatch();
      } else {
        waiting[i].fd = -1;
        --running;
      }
    }
  }
}

int Main(int argc, char** argv) {
  Flags flags(argc, argv, kHelp);
  const auto port = static_cast<uint16_t>(flags.Number("port", 11211));
  const auto pid = static_cast<pid_t>(flags.Number("server-pid", 0));
  const std::string kind = flags.Text("work", "get");
  const uint64_t batch = std::max<uint64_t>(1, flags.Number("batch", 16));
  const uint64_t value_size = flags.Number("value-size", 100);
  const uint64_t connection_count = std::max<uint64_t>(1, flags.Number("connections", 1));
  const uint64_t batches = std::max<uint64_t>(1, flags.Number("batches", 1000));
  const uint64_t warm_up = flags.Number("warm-up", 100);
  const auto segment_bytes = static_cast<int>(flags.Number("segment", 1460));
  const uint64_t pause_us = flags.Number("pause-us", 0);
  flags.RefuseOthers();

  client::Client cache(ServerAt(port));
  Store(cache, batch, value_size);
  const Work work = MakeWork(kind, batch, value_size);
  std::vector<std::unique_ptr<Connection>> connections;
  std::string first_reply;
  for (uint64_t i = 0; i < connection_count; ++i) {
    connections.push_back(std::make_unique<Connection>(port, segment_bytes, work));
    if (i == 0) Run(connections, 1, 0, &first_reply);
  }
  if (!first_reply.ends_with(work.reply_end)) {
    Die("not the reply that was expected: " + Printable(first_reply));
  }
  if (warm_up != 0) Run(connections, warm_up, pause_us, &first_reply);

  const auto segments = [&connections] {
    uint64_t sum = 0;
    for (const auto& c : connections) sum += c->segments();
    return sum;
  };
  for (auto& c : connections) c->ForgetWaits();
  const RingCounts counts_before = ReadRingCounts(cache);
  const uint64_t segments_before = segments();
  const ProcessUsage cpu_before = pid == 0 ? ProcessUsage{} : ReadProcessUsage(pid);
  const uint64_t begin_ns = MonotonicNs();
  Run(connections, batches, pause_us, &first_reply);
  const uint64_t end_ns = MonotonicNs();
  const ProcessUsage cpu = pid == 0 ? ProcessUsage{} : ReadProcessUsage(pid) - cpu_before;
  const RingCounts counts = ReadRingCounts(cache);

  uint64_t wait_ns_max = 0;
  for (const auto& c : connections) wait_ns_max = std::max(wait_ns_max, c->wait_ns_max());
  const uint64_t batches_done = batches * connection_count;
  std::printf("{\"batches\": %" PRIu64 ", \"operations\": %" PRIu64 ", \"reply_bytes\": %" PRIu64
              ", \"seconds\": %.6f, \"enters\": %" PRIu64 ", \"submissions\": %" PRIu64
              ", \"segments\": %" PRIu64 ", \"cpu_us\": %.1f, \"wait_us_max\": %.1f}\n",
              batches_done, batches_done * batch, batches_done * work.reply_bytes,
              static_cast<double>(end_ns - begin_ns) / 1e9, counts.enters - counts_before.enters,
              counts.submissions - counts_before.submissions, segments() - segments_before,
              static_cast<double>(cpu.total_ns) / 1e3, static_cast<double>(wait_ns_max) / 1e3);
  return 0;
}

}  // namespace
}  // namespace torc::bench

int main(int argc, char** argv) { return torc::bench::Main(argc, argv); }
