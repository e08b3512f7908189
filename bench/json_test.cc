#include "bench/json.h"

#include <doctest/doctest.h>

#include <limits>

namespace torc::bench {
namespace {

TEST_CASE("json: members of each kind") {
  JsonObject inner;
  inner.Add("share", 0.5).Add("nothing", std::numeric_limits<double>::quiet_NaN());
  JsonObject json;
  json.Add("count", 7).Add("yes", true).Add("name", "a \"b\"\\\n").Add("inner", inner);
  json.AddText("pairs", "[[1, 2]]");
  CHECK(json.text() == R"({"count": 7, "yes": true, "name": "a \"b\"\\\u000a", )"
                       R"("inner": {"share": 0.5000, "nothing": 0.0000}, "pairs": [[1, 2]]})");
}

}  // namespace
}  // namespace torc::bench
