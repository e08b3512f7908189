// The server: builds the engine, the rings, the shards and their workers, runs a thread for each,
// and ends them.
//
//   Server::Create -> probe, listeners, engine, epochs, mailboxes, and for each shard: ring, shard,
//   worker Run            -> one thread per shard, pinned where there are as many cores; returns
//   after Stop
//
// Owner: main, or a test. Affinity: startup; Stop from any thread. Lifetime: outlives its threads.
// Invariant: what a part refers to was built before it and dies after it.
#ifndef TORC_SRC_SERVER_SERVER_H_
#define TORC_SRC_SERVER_SERVER_H_

#include <memory>
#include <string>

#include "src/engine/plugin.h"
#include "src/server/auth.h"
#include "src/server/options.h"
#include "src/server/sasl.h"

namespace torc::server {

// What clients authenticate by; null where they need not.
struct Doors {
  const UserFile* users = nullptr;  // -Y
  sasl::Library* sasl = nullptr;    // -S
};

class Server {
 public:
  // Opens and allocates everything. Null: `error` says what failed and what to do about it.
  // `options` and `doors`' parts must outlive the server.
  static std::unique_ptr<Server> Create(const Options& options, uint32_t connections_max,
                                        const engine::Plugin& plugin, const Doors& doors,
                                        std::string* error);
  virtual ~Server() = default;

  // Starts the threads.
  virtual void Start() = 0;
  // Ends them: replies under way leave first, within kStopNsMax. Waits.
  virtual void Stop() = 0;

  // Counts a user file that could not be read again. Any thread.
  virtual void CountAuthFileRefused() = 0;

  virtual uint16_t port() const = 0;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_SERVER_H_
