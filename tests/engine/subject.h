// The engine that the tests of this folder are about: each test links one definition of this.
//
// Owner: none. Affinity: one thread. Lifetime: functions. Invariant: none.
#ifndef TORC_TESTS_ENGINE_SUBJECT_H_
#define TORC_TESTS_ENGINE_SUBJECT_H_

#include <memory>

#include "src/engine/engine.h"

namespace torc::engine {

// Dies if there is none.
std::unique_ptr<Engine> MakeSubject(const EngineOptions& options);

// Whether it answers some operations later, even if options.config is empty.
extern const bool kSubjectAnswersLate;

}  // namespace torc::engine

#endif  // TORC_TESTS_ENGINE_SUBJECT_H_
