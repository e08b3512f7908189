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

enum class RequestKind : uint8_t { kGet, kSet };

// Requests that a connection has sent and whose replies it awaits, in order.
struct Batch {
  struct Request {
    RequestKind kind;
    uint32_t key_end;  // its keys: those before this position that no earlier request has
  };

  std::vector<Request> requests;
  std::vector<uint64_t> keys;  // ids, of all requests
  size_t answered = 0;         // requests whose reply is complete
  size_t key_next = 0;         // first key whose value has neither come nor been skipped
  uint32_t hits = 0;           // values that have come for the request under way

  bool Done() const { return answered == requests.size(); }
  void Clear() {
    requests.clear();
    keys.clear();
    answered = 0;
    key_next = 0;
    hits = 0;
  }
};

// What has been answered.
struct Tally {
  uint64_t requests = 0;
  uint64_t keys = 0;  // keys asked for or stored
  uint64_t gets = 0;  // keys asked for
  uint64_t hits = 0;  // of these, found
};

class Protocol {
 public:
  // `keyspace` must outlive the protocol.
  Protocol(const Keyspace& keyspace, bool verify) : keyspace_(keyspace), verify_(verify) {}
  virtual ~Protocol() = default;

  // Upper bound in bytes of a get of `key_count` keys, and of a set.
  virtual size_t GetSizeMax(size_t key_count) const = 0;
  virtual size_t SetSizeMax() const = 0;

  // Write one request and return its end.
  virtual char* EncodeGet(const uint64_t* ids, size_t count, char* out) const = 0;
  virtual char* EncodeSet(uint64_t id, char* out) const = 0;

  // Consumes replies to `batch` from the front of `bytes` and returns how many bytes it used. What
  // it leaves is the beginning of a reply that is not complete yet, and has to come again with
  // more behind it. On a reply that does not fit, sets `error` to what is wrong and returns where.
  virtual size_t Consume(std::string_view bytes, Batch& batch, Tally& tally,
                         std::string& error) const = 0;

 protected:
  // Records that the request under way is answered.
  static void Finish(Batch& batch, Tally& tally);

  // Moves past the key of a value that came, or says what is wrong with it.
  std::string CheckValue(std::string_view key, std::string_view flags, std::string_view value,
                         Batch& batch) const;

  const Keyspace& keyspace_;
  const bool verify_;
};

// "text", "binary" or "meta"; null for any other name. A get of many keys is one command of text,
// and of binary quiet gets closed by a no-op. Of meta a get has one key here.
std::unique_ptr<Protocol> MakeProtocol(const std::string& name, const Keyspace& keyspace,
                                       bool verify);

}  // namespace torc::bench
