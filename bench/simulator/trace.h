// What the simulator replays: a sequence of requests for objects, each object with a size.
//
// Two kinds of sources: files of key numbers (zstd-compressed, little-endian 32-bit, in request
// order), and synthetic traces, each of which has one trait that some policy is known to fall for.
//
// Owner: main. Affinity: any (immutable once made). Lifetime: the run's. Invariant: every request
// is an index into `objects`.
#ifndef TORC_BENCH_SIMULATOR_TRACE_H_
#define TORC_BENCH_SIMULATOR_TRACE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench::simulator {

struct Object {
  uint32_t id;
  uint32_t value_size;
};

struct Trace {
  std::string name;
  std::vector<Object> objects;
  std::vector<uint32_t> requests;  // indices of `objects`
};

// Every key is "trace:object:%08x:%08x" of the id and the low half of its hash.
inline constexpr uint32_t kKeySize = 30;
std::string KeyOf(const Object& object);

// Reads a file, at most `requests_max` requests; values of 200 to 2,800 bytes by key. Ends the
// program with a message if it cannot.
Trace ReadTrace(const std::string& path, uint64_t requests_max);

// The names of the synthetic traces; what each is stands beside its code.
std::span<const std::string_view> SyntheticNames();
Trace MakeTrace(std::string_view name);

}  // namespace bench::simulator

#endif  // TORC_BENCH_SIMULATOR_TRACE_H_
