// cache_example HOST:PORT...: counts how often it was run, and shows who ran it last.
#include <cstdio>
#include <string>
#include <vector>

#include "src/client/client.h"

using torc::client::Client;
using torc::client::Operation;
using torc::client::Options;
using torc::client::Protocol;
using torc::client::Result;
using torc::client::Status;
using torc::client::Verb;

int main(int argc, char** argv) {
  Options options;
  options.protocol = Protocol::kMeta;
  options.timeout_ms = 200;
  for (int i = 1; i < argc; ++i) options.servers.push_back({.address = argv[i]});
  if (options.servers.empty()) return 2;
  Client cache(options);

  // One operation: a miss is not a failure, and neither is the server's absence a surprise.
  const Result last = cache.Get("example:last");
  if (last.ok()) {
    std::printf("last run by %s\n", last.value.c_str());
  } else if (last.status != Status::kNotFound) {
    std::printf("%s: %s\n", std::string(Name(last.status)).c_str(), last.text.c_str());
    return 1;
  }

  // A batch: to each server its own part, all of them under way at once.
  const std::vector<Operation> batch = {
      {.verb = Verb::kSet, .key = "example:last", .value = "me", .exptime = 3600},
      {.verb = Verb::kIncrement, .key = "example:runs", .initial = 1, .makes = true},
  };
  for (const Result& result : cache.Run(batch)) {
    if (!result.ok()) return 1;
    if (result.number != 0)
      std::printf("run %llu\n", static_cast<unsigned long long>(result.number));
  }
  return 0;
}
