#include "src/server/engines.h"

#include "src/map/map_engine.h"
#include "src/slab/slab_engine.h"

namespace torc::server {

std::span<const engine::Plugin* const> BuiltInEngines() {
  static constexpr const engine::Plugin* kPlugins[] = {&slab::kPlugin, &map::kPlugin};
  return kPlugins;
}

}  // namespace torc::server
