// What a simulated client says and what it hears: commands with all that is needed to judge the
// reply.
//
// Owner: the client. Affinity: one thread. Lifetime: from its first byte written until its reply is
// read. Invariant: wire is the command's bytes as sent.
#ifndef TORC_TESTS_SIMULATION_COMMAND_H_
#define TORC_TESTS_SIMULATION_COMMAND_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/engine.h"

namespace torc::simulation {

// The server did what it must not.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Shared, because models and histories keep large ones in several places.
using Value = std::shared_ptr<const std::string>;

// Who else uses a key decides what can be said of it.
enum class KeyKind : uint8_t {
  kPrivate,  // one connection: everything is known (KeyModel)
  kShared,   // all: each value is written once (History)
  kCounter,  // all: it only grows (History)
};

struct Key {
  std::string name;
  KeyKind kind = KeyKind::kPrivate;
  uint32_t number = 0;  // among the keys of its kind
};

struct Command {
  enum class Kind : uint8_t {
    kGet,     // keys; with_cas; with touches an exptime
    kStore,   // keys[0], verb, value, client_flags, exptime, cas
    kCount,   // keys[0], verb, delta
    kTouch,   // keys[0], exptime
    kDelete,  // keys[0]
    kFlush,
    kLine,   // one line, `expected`
    kStats,  // lines up to END or EN
    kQuit,   // no reply
  };

  Kind kind = Kind::kLine;
  engine::Verb verb = engine::Verb::kSet;
  bool with_cas = false;
  bool touches = false;
  bool noreply = false;
  bool too_large = false;  // kStore: beyond -I
  uint32_t client_flags = 0;
  int64_t exptime = 0;
  uint64_t cas = 0;
  uint64_t delta = 0;
  std::vector<Key> keys;
  Value value;
  std::string expected;
  std::string wire;

  // When it was sent: steps, and seconds of the server's clock.
  uint64_t tick_first = 0;  // first byte written
  uint64_t tick_last = 0;   // last byte
  int64_t second_first = 0;

  // noreply is known to have no answer; all else is answered.
  bool answered() const { return !noreply && kind != Kind::kQuit; }
};

// A VALUE of a get's reply.
struct Hit {
  std::string_view value;
  uint32_t client_flags = 0;
  uint64_t cas = 0;  // 0: not told
};

// A command's reply. `line` for those of one line, `hits` by key for kGet.
struct Reply {
  std::string line;
  std::vector<std::optional<Hit>> hits;
};

// Between which steps and seconds a command was executed.
struct Window {
  uint64_t tick_from = 0;
  uint64_t tick_to = 0;
  int64_t second_from = 0;
  int64_t second_to = 0;
};

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_COMMAND_H_
