// The engines that are built in: the one place that names them.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: none.
#ifndef TORC_SRC_SERVER_ENGINES_H_
#define TORC_SRC_SERVER_ENGINES_H_

#include <span>

#include "src/engine/plugin.h"

namespace torc::server {

// The default comes first.
std::span<const engine::Plugin* const> BuiltInEngines();

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_ENGINES_H_
