// Replays traces through torc's engine and through other policies, and prints miss ratios.
//
//   simulator [--policies=NAME,...] [--mib=N,...] [--requests=N] FILE|NAME...
//
// A FILE is a trace as trace.h says; a NAME one of the synthetic ones; `synthetic` all of them.
// Policies are those of policies.h and torc, torc4 (the engine, with 1 and with 4 shards). One line
// for each trace and size, tab-separated, for people and for plot.py.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/simulator/policies.h"
#include "bench/simulator/torc.h"
#include "bench/simulator/trace.h"

namespace bench::simulator {
namespace {

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  for (size_t from = 0; from <= text.size();) {
    const size_t to = std::min(text.find(',', from), text.size());
    parts.emplace_back(text.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

double MissRatio(const std::string& name, const Trace& trace, uint64_t capacity_bytes) {
  const std::unique_ptr<Policy> policy = name == "torc" ? MakeTorc(trace, capacity_bytes, 1)
                                         : name == "torc4"
                                             ? MakeTorc(trace, capacity_bytes, 4)
                                             : MakePolicy(name, trace, capacity_bytes);
  uint64_t misses = 0;
  for (const uint32_t object : trace.requests) misses += !policy->Request(object);
  return static_cast<double>(misses) / static_cast<double>(trace.requests.size());
}

int Main(int argc, char** argv) {
  std::vector<std::string> policies = {"torc", "torc4"};
  for (const std::string_view name : PolicyNames()) policies.emplace_back(name);
  std::vector<std::string> sizes = {"32", "64"};
  uint64_t requests_max = 1'500'000;
  std::vector<std::string> sources;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const auto value = [&](std::string_view option) -> const char* {
      return arg.starts_with(option) ? argv[i] + option.size() : nullptr;
    };
    if (const char* const v = value("--policies=")) {
      policies = Split(v);
    } else if (const char* const mib = value("--mib=")) {
      sizes = Split(mib);
    } else if (const char* const most = value("--requests=")) {
      requests_max = std::strtoull(most, nullptr, 10);
    } else if (arg.starts_with("-")) {
      std::fprintf(stderr,
                   "usage: simulator [--policies=NAME,...] [--mib=N,...] [--requests=N] "
                   "FILE|NAME...\n");
      return 1;
    } else if (arg == "synthetic") {
      for (const std::string_view name : SyntheticNames()) sources.emplace_back(name);
    } else {
      sources.emplace_back(arg);
    }
  }

  std::printf("trace\tMiB");
  for (const std::string& policy : policies) std::printf("\t%s", policy.c_str());
  std::printf("\n");
  for (const std::string& source : sources) {
    const bool is_file = source.find_first_of("./") != std::string::npos;
    const Trace trace = is_file ? ReadTrace(source, requests_max) : MakeTrace(source);
    for (const std::string& size : sizes) {
      const double mib = std::strtod(size.c_str(), nullptr);
      std::printf("%s\t%s", trace.name.c_str(), size.c_str());
      for (const std::string& policy : policies) {
        std::printf("\t%.4f", MissRatio(policy, trace, static_cast<uint64_t>(mib * (1 << 20))));
        std::fflush(stdout);
      }
      std::printf("\n");
    }
  }
  return 0;
}

}  // namespace
}  // namespace bench::simulator

int main(int argc, char** argv) { return bench::simulator::Main(argc, argv); }
