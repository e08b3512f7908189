// A simulated client: sends random commands, split and pipelined at random, reads replies when it
// feels like it, and judges them.
//
//   Script (how it behaves) --> Say --> bytes --> server
//   bytes <-- server        --> Hear -> one reply after another, against the commands that wait for
//   one
//                                       KeyModel for its own keys, History for everybody's
//
// Owner: the run. Affinity: one thread. Lifetime: the run's; the SimWorld outlives it. Invariant:
// waiting_ holds the commands that were begun and not judged yet, in the order they were sent.
#ifndef TORC_TESTS_SIMULATION_CLIENT_H_
#define TORC_TESTS_SIMULATION_CLIENT_H_

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/random.h"
#include "src/ring/sim_ring.h"
#include "tests/simulation/command.h"
#include "tests/simulation/history.h"
#include "tests/simulation/key_model.h"

namespace torc::simulation {

// What all clients of a run know.
struct Commons {
  Leniency leniency;
  bool may_break = false;  // connections break by chance
  bool counters = true;    // counters are used: nothing may vanish
  bool flushes = false;    // flush_all is among the commands
  uint32_t item_bytes_max = 1 << 20;
  uint64_t value_bytes_max = 1000;     // of most values
  uint64_t large_bytes_max = 100'000;  // of one in large_chance out of 1,000
  uint32_t large_chance = 20;
  std::deque<History> shared;
  std::deque<CounterHistory> counted;
  std::string* trace = nullptr;  // lines are appended, if not null

  // Now: step and second of the server's clock; kept by the run.
  uint64_t tick = 0;
  int64_t second = 0;
  // Figures of the run.
  uint64_t commands = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
};

// How a client behaves.
struct Script {
  enum class Ending : uint8_t { kQuit, kHalfClose, kHalfCommand, kReset };
  uint32_t commands = 50;
  uint32_t depth = 1;           // commands under way at once, at most
  uint32_t split_chance = 100;  // a write ends before a command does
  uint32_t pause_chance = 0;    // it stops reading for a while
  uint32_t idle_chance = 0;     // it does nothing in this step
  uint32_t noreply_chance = 50;
  uint32_t shared_chance = 200;  // a command is on a shared key or a counter
  uint32_t keys_max = 8;         // of one get
  bool long_keys = false;
  Ending ending = Ending::kQuit;

  static Script Any(Random* random);
};

class Client {
 public:
  Client(uint32_t number, ring::SimClient wire, const Script& script, uint64_t seed,
         Commons* commons);

  // Writes and reads a little, as the script has it. Returns whether anything moved.
  bool Act();
  // The connection has ended, and everything was judged.
  bool done() const { return done_; }
  // For a message about one that makes no progress.
  std::string Describe() const;

 private:
  // Saying.
  bool Say();
  bool WriteSome();
  bool End();
  Command Invent();
  Command InventGet();
  Command InventStore();
  Command InventLine();
  void Begin(Command command);
  Key AnyKey();
  Key PrivateKey(uint32_t number) const;
  Key SharedKey(uint32_t number) const;
  Key CounterKey(uint32_t number) const;
  size_t AnySize();
  int64_t AnyExptime();

  // Hearing.
  bool Hear();
  // Judges the first waiting command if its reply is all there.
  bool HearOne();
  bool TakeLine(std::string_view* line);
  bool TakeGet(const Command& command, Reply* reply);
  void JudgeGet(const Command& command, const Window& window, const Reply& reply);
  void JudgeStore(const Command& command, const Window& window, const std::string* reply);
  void JudgeCount(const Command& command, const Window& window, const std::string* reply);
  void JudgeDelete(const Command& command, const Window& window, const std::string* reply);
  void Judge(const Command& command, const Window& window, const std::string* reply);
  void JudgeFlush(const Command& command, const Window& window, const std::string* reply);
  // Commands whose reply can no longer come.
  void Abandon();
  void Expect(const Command& command, std::string_view reply, std::string_view expected) const;
  void Trace(std::string_view what, std::string_view text) const;

  const uint32_t number_;
  ring::SimClient wire_;
  const Script script_;
  Random random_;
  Commons& commons_;

  std::vector<KeyModel> models_;           // by number of a private key
  std::map<uint32_t, uint64_t> cas_seen_;  // by number of a shared key
  uint32_t commands_left_;
  uint64_t values_ = 0;  // invented
  std::deque<Command> waiting_;
  size_t written_ = 0;  // bytes of the last waiting command; npos: all of them
  bool writing_ = false;
  std::string heard_;  // received, from heard_at_ on not yet understood
  size_t heard_at_ = 0;
  uint64_t pause_until_ = 0;
  bool write_closed_ = false;
  bool done_ = false;
};

// The bytes of value `name`: its number, a colon, and a pattern that shows where it was cut or
// mixed up. Less if `size` is small.
std::string Content(uint64_t name, size_t size);
// The name of a value that Content made, which must be all of it. Throws Mismatch.
uint64_t NameOf(std::string_view value);

}  // namespace torc::simulation

#endif  // TORC_TESTS_SIMULATION_CLIENT_H_
