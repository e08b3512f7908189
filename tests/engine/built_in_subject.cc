// The subject is the engine that is built in under the name TORC_TEST_ENGINE.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "src/engine/loader.h"
#include "src/server/engines.h"
#include "tests/engine/subject.h"

namespace torc::engine {

const bool kSubjectAnswersLate = false;  // none of the cases' values is large enough

std::unique_ptr<Engine> MakeSubject(const EngineOptions& options) {
  std::string error;
  const Plugin* const plugin = FindPlugin(TORC_TEST_ENGINE, server::BuiltInEngines(), &error);
  std::unique_ptr<Engine> engine;
  if (plugin != nullptr) engine = CreateEngine(*plugin, options, &error);
  if (engine == nullptr) {
    std::fprintf(stderr, "%s\n", error.c_str());
    std::abort();
  }
  return engine;
}

}  // namespace torc::engine
