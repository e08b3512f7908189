// The main() of every unit test. `bazel test --test_filter='*pattern*'` picks test cases by name.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdlib>

#include "third_party/doctest/doctest.h"

int main(int argc, char** argv) {
  doctest::Context context;
  if (const char* filter = std::getenv("TESTBRIDGE_TEST_ONLY")) {
    context.addFilter("test-case", filter);
  }
  context.applyCommandLine(argc, argv);
  return context.run();
}
