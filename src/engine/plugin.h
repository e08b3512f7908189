// What an engine is chosen by: its name, a line about it, and how to make one. The engines that are
// built in each have a Plugin; a shared object exports one under the name torc_engine_plugin:
//
//   extern "C" const torc::engine::Plugin torc_engine_plugin = {
//       .name = "mine", .description = "keeps items on paper", .create = &Create};
//
// Versions: `interface_version` rises with every change to the classes of engine.h that an engine
// or a caller could notice, and the sizes catch a change for which that was forgotten. An engine is
// built again for each version, with the compiler and the standard library of the server.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: interface_version stays the first field.
#ifndef TORC_SRC_ENGINE_PLUGIN_H_
#define TORC_SRC_ENGINE_PLUGIN_H_

#include <cstdint>
#include <string>

#include "src/engine/engine.h"

namespace torc::engine {

inline constexpr uint32_t kInterfaceVersion = 3;

struct Plugin {
  uint32_t interface_version = kInterfaceVersion;
  uint32_t plugin_bytes = sizeof(Plugin);
  uint32_t op_bytes = sizeof(Op);
  uint32_t pending_bytes = sizeof(Pending);
  uint32_t options_bytes = sizeof(EngineOptions);
  uint32_t totals_bytes = sizeof(EngineTotals);

  const char* name = nullptr;         // as --engine takes it
  const char* description = nullptr;  // one line, for --engine=help
  // Makes an engine, to be deleted by the caller. Null: `*error` says why, and what to do.
  // May throw. Called once, before there are other threads.
  Engine* (*create)(const EngineOptions& options, std::string* error) = nullptr;
};

}  // namespace torc::engine

#endif  // TORC_SRC_ENGINE_PLUGIN_H_
