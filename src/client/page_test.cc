// The example of docs/clients.md is example.cc, which this build compiles.

#include <fstream>
#include <sstream>
#include <string>

#include "third_party/doctest/doctest.h"

namespace {

std::string TextOf(const char* path) {
  std::ifstream file(path);
  REQUIRE(file.is_open());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("the page's example is the one that compiles") {
  const std::string page = TextOf("docs/clients.md");
  const std::string example = TextOf("src/client/example.cc");
  CHECK(page.find("```cpp\n" + example + "```\n") != std::string::npos);
}

}  // namespace
