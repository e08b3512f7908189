// The price of the engine interface: the slab engine called as the server calls it, through
// engine::Engine, and called directly, as the final class that it is, so that the compiler knows
// every function. A turn is what a shard does in one: BeginTurn, Execute, EndTurn, Background.
//
//   bazel run -c opt //bench:engine_border [-- --tiny]
//
// The two take turns, in short stretches; each figure is the median over them, of processor time
// for an operation. The last column is what an operation loses, in per cent of kPipelinedGetNs.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/die.h"
#include "src/slab/slab_engine.h"

namespace {

using torc::bench::Die;
using torc::engine::Engine;
using torc::engine::Op;
using torc::engine::Result;
using torc::engine::Verb;

// What one get costs the server in pipelines of 16, kernel included (bench/README.md).
constexpr double kPipelinedGetNs = 500;
constexpr size_t kKeys = 10'000;
constexpr size_t kValueBytes = 100;

struct Work {
  std::vector<std::string> keys;
  std::vector<Op> ops;
};

Op MakeOp(Verb verb, const std::string& key) {
  Op op;
  op.hash = torc::engine::HashKey(key);
  op.key = key.data();
  op.key_size = static_cast<uint8_t>(key.size());
  op.verb = verb;
  return op;
}

double ProcessorNs() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Nanoseconds for an operation, over `turns` turns of `batch` gets. `E` is engine::Engine or
// slab::SlabEngine: the same code, but for how the calls are bound.
template <typename E>
[[gnu::noinline]] double Measure(E& engine, Work& work, size_t batch, size_t turns) {
  size_t hits = 0;
  size_t from = 0;
  const double start_ns = ProcessorNs();
  for (size_t turn = 0; turn < turns; ++turn) {
    if (from + batch > work.ops.size()) from = 0;
    const std::span<Op> ops(&work.ops[from], batch);
    from += batch;
    engine.BeginTurn(0, torc::kClockStart);
    if (engine.Execute(0, ops) != batch) Die("a get had to wait");
    for (const Op& op : ops) hits += op.result == Result::kHit;
    engine.EndTurn(0);
    (void)engine.Background(0);
  }
  const double spent_ns = ProcessorNs() - start_ns;
  if (hits != batch * turns) Die("a get missed");
  return spent_ns / static_cast<double>(batch * turns);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const bool tiny = argc > 1 && std::strcmp(argv[1], "--tiny") == 0;
  const size_t stretches = tiny ? 3 : 201;
  const size_t stretch_ops = tiny ? 10'000 : 200'000;

  torc::engine::EngineOptions options;
  options.shards = 1;
  std::string error;
  // By way of the plugin, so that the compiler cannot see which class it is.
  const std::unique_ptr<Engine> bordered(torc::slab::kPlugin.create(options, &error));
  if (bordered == nullptr) Die(error.c_str());
  torc::slab::SlabEngine& direct = static_cast<torc::slab::SlabEngine&>(*bordered);

  Work work;
  const std::string value(kValueBytes, 'v');
  for (size_t i = 0; i < kKeys; ++i) work.keys.push_back("key:" + std::to_string(i));
  for (const std::string& key : work.keys) {
    Op op = MakeOp(Verb::kSet, key);
    op.value = value.data();
    op.value_size = kValueBytes;
    bordered->BeginTurn(0, torc::kClockStart);
    if (bordered->Execute(0, {&op, 1}) != 1 || op.result != Result::kStored) Die("no room");
    bordered->EndTurn(0);
    (void)bordered->Background(0);
    work.ops.push_back(MakeOp(Verb::kGet, key));
  }

  std::printf("%6s %12s %12s %12s %10s\n", "batch", "direct ns", "bordered ns", "border ns",
              "of a get");
  for (const size_t batch : {size_t{1}, size_t{16}, size_t{64}, size_t{512}}) {
    std::vector<double> direct_ns, bordered_ns, border_ns;
    for (size_t i = 0; i < stretches; ++i) {
      const size_t turns = stretch_ops / batch;
      direct_ns.push_back(Measure(direct, work, batch, turns));
      bordered_ns.push_back(Measure<Engine>(*bordered, work, batch, turns));
      border_ns.push_back(bordered_ns.back() - direct_ns.back());
    }
    const double border = Median(border_ns);
    std::printf("%6zu %12.2f %12.2f %12.2f %9.2f%%\n", batch, Median(direct_ns),
                Median(bordered_ns), border, border / kPipelinedGetNs * 100);
  }
  return 0;
}
