// One loop drives all servers of a call: poll() for those that have bytes to send or replies to
// come, then move what can be moved. Sending never waits alone, for a server that has replies to
// get rid of reads no further, and both sides would wait for each other.
#include "src/client/client.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "proto/binary/encoder.h"
#include "proto/binary/parser.h"
#include "proto/binary/reply.h"
#include "proto/text/client.h"
#include "proto/text/encoder.h"
#include "src/base/assert.h"
#include "src/client/exchange.h"

namespace torc::client {
namespace {

constexpr size_t kReceiveBytes = 64 << 10;

Deadline In(int milliseconds) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
}

std::vector<Ring::Server> RingServers(const std::vector<ServerAddress>& servers) {
  std::vector<Ring::Server> out;
  for (const ServerAddress& server : servers) {
    const Address address = ParseAddress(server.address);
    uint64_t port = 0;
    for (const char c : address.port) port = port * 10 + static_cast<unsigned char>(c - '0');
    out.push_back({address.host, static_cast<uint16_t>(port), server.weight});
  }
  return out;
}

// The request that authenticates a connection.
std::string AuthenticationRequest(Protocol protocol, std::string_view user,
                                  std::string_view password) {
  std::string out(proto::kBinaryHeadBytesMax, 0);
  std::string secret;
  if (protocol == Protocol::kBinary) {
    // RFC 4616: an identity to act as, which is none, the user, the password.
    secret.append(1, '\0').append(user).append(1, '\0').append(password);
    proto::BinaryRequest request;
    request.opcode = proto::Opcode::kSaslAuth;
    request.key = "PLAIN";
    request.value_size = static_cast<uint32_t>(secret.size());
    const char* end = proto::EncodeBinaryRequest(out.data(), request);
    out.resize(static_cast<size_t>(end - out.data()));
    return out + secret;
  }
  secret.append(user).append(" ").append(password);
  proto::Request request;
  request.command = proto::Command::kSet;
  request.key = "auth";  // Any key: nothing is stored.
  request.value_size = static_cast<uint32_t>(secret.size());
  out.resize(proto::kRequestLineBytesMax);
  const char* end = proto::EncodeRequest(out.data(), request);
  out.resize(static_cast<size_t>(end - out.data()));
  return out + secret + std::string(proto::kLineEnd);
}

// What `received` answers to it; kLost while it is not all there.
Status AuthenticationReply(Protocol protocol, std::string_view received, std::string* error) {
  if (protocol == Protocol::kBinary) {
    const proto::BinaryReplyResult read = proto::ParseBinaryReply(received);
    if (read.step == proto::BinaryReplyStep::kNeedMore) return Status::kLost;
    if (read.step == proto::BinaryReplyStep::kBroken) return Status::kProtocol;
    if (read.reply.status == 0) return Status::kOk;
    *error = read.reply.value;
    return Status::kUnauthenticated;
  }
  const proto::TextReplyResult read = proto::ParseTextReply(received);
  if (read.step == proto::TextReplyStep::kNeedMore) return Status::kLost;
  if (read.step == proto::TextReplyStep::kBroken) return Status::kProtocol;
  if (read.reply.kind == proto::TextReplyKind::kStored) return Status::kOk;
  *error = read.reply.text;
  return Status::kUnauthenticated;
}

// Waits until one of `entries` is ready; false: the deadline came first.
bool Poll(std::span<pollfd> entries, Deadline deadline) {
  for (;;) {
    const int ready =
        poll(entries.data(), static_cast<nfds_t>(entries.size()), MillisecondsUntil(deadline));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

// One server's part of a call.
class Client::Conversation {
 public:
  Conversation(Connection* connection, std::unique_ptr<Exchange> exchange)
      : connection_(connection), exchange_(std::move(exchange)), unsent_(exchange_->request()) {}

  bool is_over() const { return is_over_; }
  pollfd Interest() const {
    const int events = unsent_.empty() ? POLLIN : POLLIN | POLLOUT;
    return {connection_->socket.fd(), static_cast<short>(events), 0};
  }

  // Moves what can be moved, given what poll() said.
  void Move(short events) {
    if ((events & POLLOUT) != 0 && !unsent_.empty()) {
      // Whoever closed on us may have said why: what there is to read is read all the same.
      if (connection_->socket.Send(&unsent_) == Socket::Step::kClosed) unsent_ = {};
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) Receive();
  }

  // Ends it; the connection, in the middle of something, with it.
  void End(Status status, std::string_view text) {
    exchange_->Finish(status, text);
    connection_->socket = Socket();
    is_over_ = true;
  }

 private:
  void Receive() {
    const size_t there = received_.size() - read_;
    const size_t missing = wanted_ > there ? wanted_ - there : 0;
    const Socket::Step step =
        connection_->socket.Receive(&received_, std::max(missing, kReceiveBytes));
    if (step == Socket::Step::kWait) return;
    if (step == Socket::Step::kClosed) {
      const std::string error = connection_->socket.error();
      End(Status::kLost, error);
      return;
    }
    if (received_.size() - read_ < wanted_) return;
    size_t used = 0;
    const auto read = exchange_->Read(std::string_view(received_).substr(read_), &used, &wanted_);
    read_ += used;
    if (read == Exchange::Step::kBroken) {
      End(Status::kProtocol, "the reply is not one of this protocol");
    } else if (read == Exchange::Step::kDone) {
      is_over_ = true;
      // All is answered, and yet there is more to send, or to read: they are out of step.
      if (!unsent_.empty() || read_ != received_.size()) connection_->socket = Socket();
    } else if (read_ > kReceiveBytes) {
      received_.erase(0, read_);
      read_ = 0;
    }
  }

  Connection* connection_;
  std::unique_ptr<Exchange> exchange_;
  std::string_view unsent_;
  std::string received_;
  size_t read_ = 0;    // bytes of received_ that have been read
  size_t wanted_ = 0;  // bytes behind them without which there is no next reply
  bool is_over_ = false;
};

Client::Client(Options options)
    : options_(std::move(options)),
      ring_(RingServers(options_.servers), options_.placement),
      connections_(options_.servers.size()) {}

Client::~Client() = default;

Result Client::Get(std::string_view key) { return Run(Operation{.verb = Verb::kGet, .key = key}); }

Result Client::Set(std::string_view key, std::string_view value, int32_t exptime) {
  return Run(Operation{.verb = Verb::kSet, .key = key, .value = value, .exptime = exptime});
}

Result Client::Delete(std::string_view key) {
  return Run(Operation{.verb = Verb::kDelete, .key = key});
}

Result Client::Run(const Operation& operation) {
  return std::move(Run(std::span(&operation, 1)).front());
}

std::vector<Result> Client::Get(std::span<const std::string_view> keys) {
  std::vector<Operation> operations(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) operations[i].key = keys[i];
  return Run(operations);
}

std::vector<Result> Client::Run(std::span<const Operation> operations) {
  std::vector<Result> results(operations.size());
  std::vector<std::vector<size_t>> indices_by_server(server_count());
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    results[i].status =
        IsOfServer(operation.verb) ? Status::kUnsupported : Check(options_.protocol, operation);
    if (results[i].ok()) indices_by_server[ServerOf(operation.key)].push_back(i);
  }
  RunAll(operations, indices_by_server, results);
  return results;
}

Result Client::RunOn(size_t server, const Operation& operation) {
  CHECK_LT(server, server_count());
  Result result;
  result.status = Check(options_.protocol, operation);
  if (!result.ok()) return result;
  std::vector<std::vector<size_t>> indices_by_server(server_count());
  indices_by_server[server].push_back(0);
  RunAll(std::span(&operation, 1), indices_by_server, std::span(&result, 1));
  return result;
}

void Client::RunAll(std::span<const Operation> operations,
                    std::span<const std::vector<size_t>> indices_by_server,
                    std::span<Result> results) {
  const Deadline deadline = In(options_.timeout_ms);
  std::vector<Conversation> conversations;
  for (size_t server = 0; server < server_count(); ++server) {
    const std::vector<size_t>& indices = indices_by_server[server];
    if (indices.empty()) continue;
    const Status status = Connect(server, deadline);
    if (status == Status::kOk) {
      conversations.emplace_back(&connections_[server],
                                 MakeExchange(options_.protocol, operations, indices, results));
      continue;
    }
    for (const size_t i : indices) {
      results[i].status = status;
      results[i].text = connections_[server].error;
    }
  }
  Drive(conversations, deadline);
}

void Client::Drive(std::span<Conversation> conversations, Deadline deadline) {
  std::vector<pollfd> entries;
  std::vector<Conversation*> under_way;
  for (;;) {
    entries.clear();
    under_way.clear();
    for (Conversation& conversation : conversations) {
      if (conversation.is_over()) continue;
      entries.push_back(conversation.Interest());
      under_way.push_back(&conversation);
    }
    if (under_way.empty()) return;
    if (!Poll(entries, deadline)) break;
    for (size_t i = 0; i < under_way.size(); ++i) under_way[i]->Move(entries[i].revents);
  }
  for (Conversation* conversation : under_way) {
    conversation->End(Status::kTimedOut, "no answer in time");
  }
}

Status Client::Connect(size_t server, Deadline deadline) {
  Connection& connection = connections_[server];
  if (connection.socket.is_open() && !connection.socket.IsIdle()) connection.socket = Socket();
  if (connection.socket.is_open()) return Status::kOk;
  if (std::chrono::steady_clock::now() < connection.retry_at) return Status::kUnreachable;
  const Deadline connected_by = std::min(deadline, In(options_.connect_timeout_ms));
  connection.error.clear();
  const std::string& address = options_.servers[server].address;
  connection.socket = Socket(options_.dial(address, connected_by, &connection.error));
  Status status = Status::kUnreachable;
  if (connection.socket.is_open()) {
    status = options_.user.empty() ? Status::kOk : Authenticate(&connection, connected_by);
  }
  if (status != Status::kOk) connection.socket = Socket();
  // Not after a refused password: that is an answer, and the next call deserves it too.
  if (status == Status::kUnreachable) connection.retry_at = In(options_.retry_ms);
  return status;
}

Status Client::Authenticate(Connection* connection, Deadline deadline) {
  const std::string request =
      AuthenticationRequest(options_.protocol, options_.user, options_.password);
  std::string_view unsent = request;
  std::string received;
  for (;;) {
    pollfd entry{connection->socket.fd(), POLLIN, 0};
    if (!unsent.empty()) entry.events |= POLLOUT;
    if (!Poll(std::span(&entry, 1), deadline)) {
      connection->error = "no answer to the authentication in time";
      return Status::kUnreachable;
    }
    if ((entry.revents & POLLOUT) != 0 && !unsent.empty() &&
        connection->socket.Send(&unsent) == Socket::Step::kClosed) {
      unsent = {};
    }
    if ((entry.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const Socket::Step step = connection->socket.Receive(&received, kReceiveBytes);
    if (step == Socket::Step::kClosed) {
      connection->error = connection->socket.error();
      return Status::kUnreachable;
    }
    const Status status = AuthenticationReply(options_.protocol, received, &connection->error);
    if (status == Status::kProtocol) {
      connection->error = "the answer to the authentication is not one of this protocol";
      return Status::kUnreachable;
    }
    if (status != Status::kLost) return status;
  }
}

}  // namespace torc::client
