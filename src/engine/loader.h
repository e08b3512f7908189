// From --engine=NAME|PATH to an engine. A word with a slash is the path of a shared object, any
// other the name of an engine that is built in.
//
// A shared object that cannot be used is told of in `*error`, never by a crash: whether it lets
// itself be loaded at all, a child process tries first. What its code does to memory later cannot
// be guarded against: it is part of the server once it is loaded.
//
// Owner: main. Affinity: startup. Lifetime: functions; a loaded object stays loaded. Invariant:
// none.
#ifndef TORC_SRC_ENGINE_LOADER_H_
#define TORC_SRC_ENGINE_LOADER_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "src/engine/engine.h"
#include "src/engine/plugin.h"

namespace torc::engine {

// The plugin that `choice` names: one of `built_in`, or that of the shared object at a path. Null:
// `*error` says why, and what to do.
const Plugin* FindPlugin(std::string_view choice, std::span<const Plugin* const> built_in,
                         std::string* error);

// Makes the engine. Null: `*error` says why, also if it threw.
std::unique_ptr<Engine> CreateEngine(const Plugin& plugin, const EngineOptions& options,
                                     std::string* error);

// What --engine=help prints: a line for each, and one on paths.
std::string DescribePlugins(std::span<const Plugin* const> built_in);

}  // namespace torc::engine

#endif  // TORC_SRC_ENGINE_LOADER_H_
