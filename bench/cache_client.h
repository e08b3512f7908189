// The project's own client (//src/client), as the small programs of the bench use it: with one
// server, on this machine. It costs more than the load generator may spend on a request; these
// programs do not mind.
//
// Owner: nobody. Affinity: any. Lifetime: any. Invariant: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/client/client.h"

namespace torc::bench {

// For a client of the server at 127.0.0.1. A server that leaves a call unanswered for 60 seconds is
// taken for hung. Each of `connections` is a server to the client, which spreads the keys over
// them, always alike, and uses all of them at once in a call of many operations.
client::Options ServerAt(uint16_t port, size_t connections = 1);

// What is known of the result, in words: the status, and what the server said.
std::string Words(const client::Result& result);

}  // namespace torc::bench
