// What is asked of the server: the kinds of requests, their keys and their bytes.
//
// Owner: the load. Affinity: one thread. Lifetime: the run.
// Invariant: the same seed makes the same requests.
#pragma once

#include <cstdint>

#include "bench/keyspace.h"
#include "bench/outgoing.h"
#include "bench/popularity.h"
#include "bench/protocol.h"
#include "bench/random.h"

namespace torc::bench {

struct RequestMix {
  double set_share = 0;
  double delete_share = 0;  // the rest are gets
  uint32_t keys_per_get = 1;
  PopularityConfig popularity = {};
  bool copy_values = false;  // large ones too
};

class Requests {
 public:
  // `keyspace` and `protocol` must outlive it.
  Requests(const RequestMix& mix, const Keyspace& keyspace, const Protocol& protocol,
           uint64_t seed);

  // Upper bounds of the bytes that one call writes into an Outgoing's buffer.
  size_t NextSizeMax() const { return next_size_max_; }
  size_t SetSizeMax() const { return set_size_max_; }

  // Append a request to a batch and its bytes: the next one of the mix; a set of a certain key.
  void AddNext(Batch& batch, Outgoing& out);
  void AddSet(uint64_t id, Batch& batch, Outgoing& out);

 private:
  RequestKind NextKind();

  const RequestMix mix_;
  const Keyspace& keyspace_;
  const Protocol& protocol_;
  const size_t copied_size_max_;  // of a value
  size_t set_size_max_;
  size_t next_size_max_;
  Popularity popularity_;
  Random random_;
  uint32_t version_ = 0;  // of the latest value
};

}  // namespace torc::bench
