// One batch of operations for one server: the bytes to send, and the replies matched with what they
// answer. Pure: no socket, no clock.
//
//   text     gets a b c | set d ...         |        each run of gets is one line; replies in order
//   meta     mg a q O0 | mg b q O1 | ms d O2 | mn    misses keep quiet; O says which is answered
//   binary   getq a #0 | getq b #1 | setq #2 | noop  misses and successes keep quiet; so does
//   opaque
//
// A batch of one is sent plainly, without quietness and without the command that closes it.
//
// Owner: Client, for one call. Affinity: one thread. Lifetime: operations and results must outlive
// it. Invariant: each operation's result is written once at least, by a reply or by Finish(); until
// then its status is kLost.
#ifndef TORC_SRC_CLIENT_EXCHANGE_H_
#define TORC_SRC_CLIENT_EXCHANGE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/client/operation.h"

namespace torc::client {

// What can be said of an operation without sending it: kOk, kBadKey or kUnsupported.
[[nodiscard]] Status Check(Protocol protocol, const Operation& operation);

class Exchange {
 public:
  enum class Step : uint8_t {
    kNeedMore,  // replies are missing
    kDone,      // every result is written
    kBroken,    // no reply: the connection cannot be used any more
  };

  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The bytes of all operations.
  [[nodiscard]] const std::string& request() const { return request_; }

  // Reads the whole replies that `received` begins with; `used` is how many bytes they were. Bytes
  // beyond the last reply that was expected are left alone. `wanted` is how many bytes there must
  // be, counted from what is left, before it is worth asking again.
  [[nodiscard]] Step Read(std::string_view received, size_t* used, size_t* wanted);

  // Gives `status` to every operation that has no result yet.
  void Finish(Status status, std::string_view text);

 protected:
  Exchange(std::span<const Operation> operations, std::span<const size_t> indices,
           std::span<Result> results);

  // Reads one reply off the front: kDone with `size` bytes used, kNeedMore with `size` bytes
  // wanted.
  virtual Step ReadOne(std::string_view received, size_t* size) = 0;

  size_t count() const { return indices_.size(); }
  const Operation& operation(size_t at) const { return operations_[indices_[at]]; }
  // The place of the result, which counts as written from now on.
  Result& Answer(size_t at);
  bool IsAnswered(size_t at) const { return answered_[at]; }

  std::string request_;
  bool done_ = false;

 private:
  std::span<const Operation> operations_;
  std::span<const size_t> indices_;
  std::span<Result> results_;
  std::vector<bool> answered_;
};

// An exchange of operations[i] for every i of `indices`, at least one; their results go to
// results[i]. Requires that Check() finds nothing wrong with any, and that an operation of the
// server (IsOfServer) is alone.
[[nodiscard]] std::unique_ptr<Exchange> MakeExchange(Protocol protocol,
                                                     std::span<const Operation> operations,
                                                     std::span<const size_t> indices,
                                                     std::span<Result> results);

namespace internal {

std::unique_ptr<Exchange> MakeTextExchange(std::span<const Operation>, std::span<const size_t>,
                                           std::span<Result>);
std::unique_ptr<Exchange> MakeMetaExchange(std::span<const Operation>, std::span<const size_t>,
                                           std::span<Result>);
std::unique_ptr<Exchange> MakeBinaryExchange(std::span<const Operation>, std::span<const size_t>,
                                             std::span<Result>);

// Sets the status that a line ERROR, CLIENT_ERROR ... or SERVER_ERROR ... means, and its text.
void SetError(Result* result, std::string_view line);

}  // namespace internal
}  // namespace torc::client

#endif  // TORC_SRC_CLIENT_EXCHANGE_H_
