// A shared object that must not be taken for an engine, or must fail to make one. The test's BUILD
// builds it once for each fault.
#include <stdexcept>
#include <string_view>

#include "src/engine/plugin.h"

namespace {

using torc::engine::Engine;
using torc::engine::EngineOptions;
using torc::engine::Plugin;

constexpr std::string_view kFault = TORC_TEST_FAULT;

struct ThrowsWhenLoaded {
  ThrowsWhenLoaded() {
    if (kFault == "load_throws") throw std::runtime_error("no paper to keep items on");
  }
};
const ThrowsWhenLoaded kThrowsWhenLoaded;

Engine* Create(const EngineOptions&, std::string* error) {
  if (kFault == "create_throws") throw std::runtime_error("no paper to keep items on");
  if (kFault == "create_throws_int") throw 7;
  if (kFault == "create_fails") *error = "no paper to keep items on: buy some";
  return nullptr;
}

constexpr uint32_t SizeOr(std::string_view fault, size_t size) {
  return static_cast<uint32_t>(kFault == fault ? size + 8 : size);
}

}  // namespace

extern "C" const Plugin torc_engine_plugin = {
    .interface_version = torc::engine::kInterfaceVersion + (kFault == "version" ? 1 : 0),
    .plugin_bytes = SizeOr("plugin_bytes", sizeof(Plugin)),
    .op_bytes = SizeOr("op_bytes", sizeof(torc::engine::Op)),
    .pending_bytes = SizeOr("pending_bytes", sizeof(torc::engine::Pending)),
    .options_bytes = SizeOr("options_bytes", sizeof(EngineOptions)),
    .totals_bytes = SizeOr("totals_bytes", sizeof(torc::engine::EngineTotals)),
    .name = kFault == "no_name" ? nullptr : "bad",
    .description = "fails in one way",
    .create = kFault == "no_create" ? nullptr : &Create,
};
