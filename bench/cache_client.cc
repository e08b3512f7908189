#include "bench/cache_client.h"

#include <string>

#include "bench/die.h"

namespace torc::bench {
namespace {

constexpr int kSilenceMsMax = 60'000;

}  // namespace

client::Options ServerAt(uint16_t port, size_t connections) {
  client::Options options;
  options.placement = client::Placement::kKetama;  // its hash of a key is the cheaper one
  options.connect_timeout_ms = kSilenceMsMax;
  options.timeout_ms = kSilenceMsMax;
  for (size_t i = 0; i < connections; ++i) options.servers.push_back({std::to_string(i)});
  options.dial = [address = "127.0.0.1:" + std::to_string(port)](
                     const std::string&, client::Deadline deadline, std::string* error) {
    return client::Dial(address, deadline, error);
  };
  return options;
}

std::string Words(const client::Result& result) {
  std::string words(client::Name(result.status));
  if (!result.text.empty()) words += ": " + Printable(result.text);
  return words;
}

}  // namespace torc::bench
