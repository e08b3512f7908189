// The subject is the slab engine that copies so little in a turn that what takes several turns in
// service, an append to many megabytes, does so with values of a few hundred bytes.
#include "src/slab/slab_engine.h"
#include "tests/engine/subject.h"

namespace torc::engine {

const bool kSubjectAnswersLate = true;

std::unique_ptr<Engine> MakeSubject(const EngineOptions& options) {
  constexpr uint64_t kCopySliceBytes = 1000;
  return std::make_unique<slab::SlabEngine>(options, kCopySliceBytes);
}

}  // namespace torc::engine
