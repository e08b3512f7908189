// What may be stored under a key that one connection alone uses: every state that the replies so
// far allow.
//
//   states {"a"}         -- set b, noreply -->  {"b"}
//   states {"a"}         -- time passes, perhaps over the expiry -->  {"a", absent}  -- get: END
//   -->  {absent} states {"a"}, lossy  -- get: END -->  {absent}      evictions and other clients'
//   flushes may take any item at any time
//
// A reply that no state allows is a Mismatch. As commands are judged in the order they were sent, a
// client that does not read its own writes is found, whatever the pipelining.
//
// Owner: the client. Affinity: one thread. Lifetime: the client's. Invariant: states_ is never
// empty.
#ifndef TORC_TESTS_SIMULATION_KEY_MODEL_H_
#define TORC_TESTS_SIMULATION_KEY_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/command.h"

namespace torc::simulation {

// What a run allows the server to do.
struct Leniency {
  bool lossy = false;         // items may vanish, stores may find no memory
  bool false_misses = false;  // a get may miss though the item is there: no room for another pin
  int64_t start_wall_second = 0;  // the Unix time at which the server's clock is 0
};

class KeyModel {
 public:
  explicit KeyModel(const Leniency& leniency) : leniency_(leniency) {}

  // Each takes the states to those that are possible after the command. `reply` null: it was not
  // told (noreply). `hit`: null for a miss.
  void Get(const Command& command, const Window& window, const Hit* hit);
  void Run(const Command& command, const Window& window, const std::string* reply);
  void Flush() { states_.assign(1, std::nullopt); }

  // A CAS unique that the current value was seen with; 0: none known.
  uint64_t cas_seen() const { return cas_seen_; }

 private:
  static constexpr int64_t kNever = INT64_MAX;
  struct Item {
    Value value;
    uint32_t client_flags = 0;
    // The second at which it expires lies between these.
    int64_t expires_from = kNever;
    int64_t expires_to = kNever;
    uint64_t cas = 0;  // 0: not seen since it was written
  };
  using State = std::optional<Item>;

  // The states at the time of the command: what may have expired or vanished may be absent.
  std::vector<State> Before(const Window& window) const;
  void SetExpiry(Item* item, const Command& command, const Window& window) const;
  void Store(const Command& command, const Window& window, const std::string* reply,
             const State& state, std::vector<State>* after) const;
  void Count(const Command& command, const std::string* reply, const State& state,
             std::vector<State>* after) const;
  void Become(std::vector<State> after, const Command& command, std::string_view reply);
  std::string Describe() const;

  const Leniency& leniency_;
  std::vector<State> states_{std::nullopt};
  uint64_t cas_seen_ = 0;
};

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_KEY_MODEL_H_
