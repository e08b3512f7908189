// What is asked of a server, and what comes back: the same for all three protocols.
//
//   Operation{.verb = Verb::kSet, .key = "user:17", .value = "...", .exptime = 60}
//   Result{.status = Status::kOk, .cas = 42}
//
// Owner: the caller. Affinity: any. Lifetime: an operation's views are the caller's, for as long as
// the call lasts; a result owns its value. Invariant: a status other than kOk says in a word what
// is known, and `text` what the server said about it.
#ifndef TORC_SRC_CLIENT_OPERATION_H_
#define TORC_SRC_CLIENT_OPERATION_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace torc::client {

enum class Protocol : uint8_t { kText, kMeta, kBinary };

enum class Verb : uint8_t {
  kGet,        // key -> value, client_flags
  kGets,       // the same, and cas
  kGat,        // key, exptime -> as kGets: read, and from now on expiring at exptime
  kTouch,      // key, exptime
  kSet,        // key, value, client_flags, exptime, cas: if not 0, only where the item has that CAS
  kAdd,        // key, value, client_flags, exptime: only where there is no item
  kReplace,    // likewise, only where there is one
  kAppend,     // key, value
  kPrepend,    // key, value
  kDelete,     // key, cas: as kSet's, but in text, which has no such thing
  kIncrement,  // key, delta -> number. With makes, an absent item is made: of `initial`, expiring
               // at exptime (not in text)
  kDecrement,  // likewise; stops at 0
  // Of a server, not of a key: Client::RunOn. Up to the end.
  kNoop,
  kVersion,   // -> value: the version
  kFlushAll,  // exptime: a delay in seconds
  kStats,     // key: which, or empty -> value: lines of "NAME TEXT\n"
};

constexpr bool IsOfServer(Verb verb) { return verb >= Verb::kNoop; }
constexpr bool IsRetrieval(Verb verb) { return verb <= Verb::kGat; }
constexpr bool IsStore(Verb verb) { return verb >= Verb::kSet && verb <= Verb::kPrepend; }

struct Operation {
  Verb verb = Verb::kGet;
  std::string_view key = {};
  std::string_view value = {};
  uint64_t cas = 0;
  uint64_t delta = 1;
  uint64_t initial = 0;
  bool makes = false;
  uint32_t client_flags = 0;
  // Seconds from now, up to 30 days; beyond that a Unix time; 0 is never, and what is negative is
  // over already.
  int32_t exptime = 0;
};

enum class Status : uint8_t {
  kOk,
  // The server did as it was told, and this came of it.
  kNotFound,
  kNotStored,   // add of what is there, replace, append and prepend of what is not
  kExists,      // the item has another CAS
  kNotANumber,  // increment and decrement of what is none
  // The server refused. `text` has its words.
  kTooLarge,
  kNoMemory,
  kUnauthenticated,  // it wants a user and a password, or not these
  kServerError,      // anything else
  // Nothing was sent.
  kBadKey,       // empty, longer than 250 bytes, or with bytes that the protocol cannot carry
  kUnsupported,  // not in this protocol
  kUnreachable,  // no connection. text: why
  // It was sent, or some of it: whether it was executed, nobody here knows. The connection is
  // closed.
  kTimedOut,
  kLost,      // the connection broke
  kProtocol,  // what came is no reply
};

// The status in words. Static storage.
[[nodiscard]] std::string_view Name(Status status);

struct [[nodiscard]] Result {
  Status status = Status::kOk;
  uint32_t client_flags = 0;
  // Of kGets and kGat. Also what a store gave the item, where the server says so: in meta always,
  // in binary outside of batches, in text never.
  uint64_t cas = 0;
  uint64_t number = 0;
  std::string value;
  std::string text;

  bool ok() const { return status == Status::kOk; }
};

}  // namespace torc::client

#endif  // TORC_SRC_CLIENT_OPERATION_H_
