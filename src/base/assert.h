// Assertions, and the only macros of torc.
//
//   CHECK(condition)          always on, in every build that ships: bounds before a copy, state
//   steps, ownership. CHECK_EQ/LE/LT(a, b)      the same with both values in the message.
//   VERIFY(condition)         the costly ones: on in debug and sanitizer builds and under
//   simulation (TORC_VERIFY).
//
// Never CHECK what a peer sends or what the kernel may return: that is an error path with a test.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: a failed check prints one line and
// aborts.
#ifndef TORC_SRC_BASE_ASSERT_H_
#define TORC_SRC_BASE_ASSERT_H_

namespace torc {

// Prints "torc: check failed: TEXT at FILE:LINE" to standard error and aborts. Async-signal-safe.
[[noreturn, gnu::cold, gnu::noinline]] void CheckFailed(const char* text, const char* file,
                                                        int line);
[[noreturn, gnu::cold, gnu::noinline]] void CheckFailed(const char* text, unsigned long long a,
                                                        unsigned long long b, const char* file,
                                                        int line);

}  // namespace torc

#define CHECK(condition)                                     \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::torc::CheckFailed(#condition, __FILE__, __LINE__))

#define TORC_CHECK_OP(op, a, b)                                                     \
  (__builtin_expect(!!((a)op(b)), 1)                                                \
       ? static_cast<void>(0)                                                       \
       : ::torc::CheckFailed(#a " " #op " " #b, static_cast<unsigned long long>(a), \
                             static_cast<unsigned long long>(b), __FILE__, __LINE__))
#define CHECK_EQ(a, b) TORC_CHECK_OP(==, a, b)
#define CHECK_LE(a, b) TORC_CHECK_OP(<=, a, b)
#define CHECK_LT(a, b) TORC_CHECK_OP(<, a, b)

#ifdef TORC_VERIFY
#define VERIFY(condition) CHECK(condition)
#else
#define VERIFY(condition) static_cast<void>(sizeof(!!(condition)))
#endif

#endif  // TORC_SRC_BASE_ASSERT_H_
