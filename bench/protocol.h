// How requests are written and replies are read: the one seam between the load generator's loop and
// a wire format. A new protocol is a new subclass and a name in MakeProtocol.
//
// A connection sends its requests in batches: the loop fills a Batch, the protocol encodes each
// request, and then consumes replies until the batch is answered. Replies are checked by structure
// always; with `verify`, each value's key and bytes too. Whatever does not fit is an error that
// names what was expected: a server that answers wrongly must not get a figure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/keyspace.h"

namespace torc::bench {

enum class RequestKind : uint8_t { kGet, kSet, kDelete };

// Requests that a connection has sent and whose replies it awaits, in order.
struct Batch {
  struct Request {
    RequestKind kind;
    uint32_t key_end;  // its keys: those before this position that no earlier request has
  };

  std::vector<Request> requests;
  std::vector<uint64_t> keys;    // ids, of all requests
  size_t answered = 0;           // requests whose reply is complete
  size_t key_next = 0;           // first key whose value has neither come nor been skipped
  uint32_t hits = 0;             // values that have come for the request under way
  std::vector<uint64_t> missed;  // keys that were asked for and not found; if they are tracked

  // What is left to come of a value that is too large to be kept until it is there.
  struct Rest {
    size_t value_size = 0;
    bool line_end = false;  // and a line end behind it
    bool finishes = false;  // with it the request is answered
  } rest;

  bool Done() const { return answered == requests.size(); }
  void Clear() {
    requests.clear();
    keys.clear();
    answered = 0;
    key_next = 0;
    hits = 0;
    missed.clear();
    rest = {};
  }
};

// What has been answered.
struct Tally {
  uint64_t requests = 0;
  uint64_t keys = 0;  // keys asked for, stored or deleted
  uint64_t gets = 0;  // keys asked for
  uint64_t hits = 0;  // of these, found
  uint64_t sets = 0;
  uint64_t refused = 0;  // of these, for want of memory
  uint64_t deletes = 0;
  uint64_t deleted = 0;  // of these, found
};

struct ProtocolOptions {
  bool verify = false;        // check each value's key and bytes
  bool track_misses = false;  // fill Batch::missed
  uint32_t ttl_seconds = 0;   // expiry of what is stored; 0: none
  // A store may be refused for want of memory, and is counted; else that is an error. Text alone.
  bool may_refuse = false;
};

class Protocol {
 public:
  // `keyspace` must outlive the protocol. `set_tail`: what follows a value that is stored.
  Protocol(const Keyspace& keyspace, const ProtocolOptions& options, std::string_view set_tail)
      : keyspace_(keyspace),
        options_(options),
        set_tail_(set_tail),
        resolves_keys_(options.verify || options.track_misses) {}
  virtual ~Protocol() = default;

  // Upper bounds in bytes: of a get of `key_count` keys, of a delete, and of a set less its value.
  virtual size_t GetSizeMax(size_t key_count) const = 0;
  virtual size_t DeleteSizeMax() const = 0;
  virtual size_t SetFrameSizeMax() const = 0;

  // Write one request and return its end.
  virtual char* EncodeGet(const uint64_t* ids, size_t count, char* out) const = 0;
  virtual char* EncodeDelete(uint64_t id, char* out) const = 0;
  char* EncodeSet(uint64_t id, uint32_t version, char* out) const;

  // A set in three pieces, for values that are not copied: what comes before the value, the value,
  // and set_tail().
  virtual char* EncodeSetHead(uint64_t id, char* out) const = 0;
  std::string_view set_tail() const { return set_tail_; }

  // Consumes replies to `batch` from the front of `bytes` and returns how many bytes it used. What
  // it leaves is the beginning of a reply that is not complete yet, and has to come again with
  // more behind it; of large values that is only the line before them, unless they are verified or
  // binary. On a reply that does not fit, sets `error` to what is wrong and returns where.
  virtual size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                         std::string& error) const = 0;

 protected:
  // Records that the request under way is answered.
  void Finish(Batch& batch, Tally& tally) const;

  // Moves past the key of a value that came, or says what is wrong with it.
  std::string CheckValue(std::string_view key, std::string_view flags, std::string_view value,
                         Batch& batch) const;

  // The same for a reply that does not say which key it is for: it can only be that of the request.
  std::string CheckOwnValue(std::string_view flags, std::string_view value, Batch& batch) const;

  // Skips what has come of a large value's rest. Says whether there is more in `bytes` to read.
  bool SkipRest(std::string_view bytes, size_t& used, Batch& batch, Tally& tally,
                std::string& error) const;

  const Keyspace& keyspace_;
  const ProtocolOptions options_;
  const std::string_view set_tail_;
  const bool resolves_keys_;  // values are matched with the keys that were asked for
};

// "text", "binary" or "meta"; null for any other name. A get of many keys is one command of text,
// and of binary and meta quiet gets closed by a no-op.
std::unique_ptr<Protocol> MakeProtocol(const std::string& name, const Keyspace& keyspace,
                                       const ProtocolOptions& options);

}  // namespace torc::bench
