// What the running kernel lets torc do, found by trying each thing once at start. Versions say
// little: distributions carry features back, containers and administrators take them away.
//
// Owner: main.
// Affinity: startup.
// Lifetime: values.
// Invariant: `found` is what was tried and seen to work.
#ifndef TORC_SRC_RING_PROBE_H_
#define TORC_SRC_RING_PROBE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace torc::ring {

enum class Feature : uint8_t {
  kSetup,              // a ring can be made at all
  kNoDrop,             // completions are set aside, not dropped, when the queue is full
  kTimedWait,          // a wait with a time limit in one call (EXT_ARG)
  kBufferRing,         // a ring of provided buffers
  kMultishotAccept,    // one submission, many connections
  kMultishotReceive,   // one submission, many receives into provided buffers
  kSend,               // send and sendmsg
  kSubmitAll,          // one bad submission does not stop those behind it
  kSingleIssuer,       // the kernel may rely on one submitting thread
  kDeferTaskrun,       // completion work runs when the shard asks for it
  kCoopTaskrun,        // completion work does not interrupt the shard
  kTaskrunFlag,        // the shard sees without a call that completion work is pending
  kNoSqArray,          // no index array in the submission queue
  kDirectDescriptors,  // sockets in the ring's own table
  kRegisteredRing,     // the ring's own descriptor is registered
  kMessageRing,        // a ring wakes another that sleeps
  kNoIowait,           // a sleeping shard does not count as waiting for input/output
  kReceiveBundle,      // one receive fills several buffers
  kMinTimeout,         // a wait that gathers completions for a short time
  kSendZeroCopy,       // send without a copy in the kernel
  kCount,
};
inline constexpr size_t kFeatureCount = static_cast<size_t>(Feature::kCount);

// The features a ring may use, as bits.
class Features {
 public:
  bool Has(Feature f) const { return (bits_ >> static_cast<uint8_t>(f) & 1) != 0; }
  void Set(Feature f, bool on) {
    const uint32_t bit = uint32_t{1} << static_cast<uint8_t>(f);
    bits_ = on ? bits_ | bit : bits_ & ~bit;
  }

 private:
  uint32_t bits_ = 0;
};
static_assert(kFeatureCount <= 32);

// How much torc needs a feature.
enum class Need : uint8_t {
  kRequired,  // torc refuses to start without it
  kFallback,  // torc runs without it, in another and slower way
  kUnused,    // torc does not use it yet: shown because it decides what a later version can do here
};

struct FeatureText {
  const char* name;    // as io_uring's documentation calls it
  const char* kernel;  // the first release that has it
  Need need;
  const char* without;  // what torc does where it is missing
};

// The table of all features. `feature` is not kCount.
const FeatureText& TextOf(Feature feature);

struct Probe {
  Features found;
  std::array<int, kFeatureCount> system_error{};  // why not, where the kernel said so; 0 otherwise
  std::string kernel;                             // `uname -r`
  int io_uring_disabled = 0;    // /proc/sys/kernel/io_uring_disabled; 0 where that does not exist
  bool seccomp_filter = false;  // this process runs under one, as in most containers
  uint64_t memlock_bytes = 0;   // soft RLIMIT_MEMLOCK
};

// Tries every feature. A few milliseconds; makes and removes rings, local sockets and one thread.
Probe RunProbe();

// Empty when torc can run here; otherwise the reason and what to change, in full sentences.
std::string Refusal(const Probe& probe);

}  // namespace torc::ring

#endif  // TORC_SRC_RING_PROBE_H_
