// What a unit test includes instead of <doctest/doctest.h>, as its last include, which is where
// clang-format sorts this path.
//
// doctest and src/base/assert.h both define CHECK. After this line CHECK is doctest's, which
// reports and goes on; the code under test, included above, keeps its own, which aborts.
#ifndef TORC_THIRD_PARTY_DOCTEST_DOCTEST_H_
#define TORC_THIRD_PARTY_DOCTEST_DOCTEST_H_

#undef CHECK
#undef CHECK_EQ
#undef CHECK_LE
#undef CHECK_LT

#include <doctest/doctest.h>

#endif  // TORC_THIRD_PARTY_DOCTEST_DOCTEST_H_
