#include "src/server/prefixes.h"

namespace torc::server {

void Prefixes::Count(std::string_view key, char delimiter, const PrefixCounts& counts) {
  const size_t size = key.find(delimiter);
  if (size == std::string_view::npos) return;
  const std::string_view prefix = key.substr(0, size);
  auto at = map_.find(prefix);
  if (at == map_.end()) {
    if (map_.size() == kPrefixesMax) return;
    at = map_.emplace(prefix, PrefixCounts{}).first;
  }
  at->second += counts;
}

}  // namespace torc::server
