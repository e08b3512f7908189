// The placements were printed by libmemcached 1.1.4 (memcached_generate_hash), as pylibmc's
// behaviours ketama and ketama_weighted ask for them.
#include "src/client/ketama.h"

#include <string>
#include <string_view>
#include <vector>

#include "third_party/doctest/doctest.h"

namespace torc::client {
namespace {

const std::vector<Ring::Server> kThree = {
    {"127.0.0.1", 11211, 1}, {"127.0.0.1", 11212, 1}, {"127.0.0.1", 11213, 1}};
const std::vector<Ring::Server> kNames = {
    {"10.0.0.1", 11211, 1}, {"cache-b.example", 11211, 3}, {"10.0.0.3", 4000, 2}};

// Where "foo", "été", "key:2" and on lie.
std::string Placed(const Ring& ring, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    std::string key = "key:" + std::to_string(i);
    if (i == 0) key = "foo";
    if (i == 1) key = "\xc3\xa9t\xc3\xa9";
    out += static_cast<char>('0' + static_cast<char>(ring.ServerOf(key)));
  }
  return out;
}

std::vector<size_t> Shares(const Ring& ring, size_t server_count) {
  std::vector<size_t> shares(server_count);
  for (int i = 0; i < 30000; ++i) ++shares[ring.ServerOf("user:" + std::to_string(i))];
  return shares;
}

TEST_CASE("plain ketama places keys as libmemcached does") {
  const Ring three(kThree, Placement::kKetama);
  CHECK(Placed(three, 120) ==
        "200101121220211200020101011122210200102101010122211211210221220200111202112220121011111100"
        "010202101001022112220121210022");
  CHECK(Shares(three, 3) == std::vector<size_t>{10949, 9184, 9867});
  const Ring names(kNames, Placement::kKetama);
  CHECK(Placed(names, 120) ==
        "100021222200002221220020022121202012002102021112101212111012000102201200200022201112022020"
        "111112111020011101020012220221");
  CHECK(Shares(names, 3) == std::vector<size_t>{9447, 10369, 10184});
}

TEST_CASE("weighted ketama places keys as libmemcached does") {
  const Ring three(kThree, Placement::kKetamaWeighted);
  CHECK(Placed(three, 120) ==
        "000001220100020100101210202000002101001211221100222112122100210100200211200111120112100002"
        "000021222200111211020112022220");
  CHECK(Shares(three, 3) == std::vector<size_t>{9518, 10032, 10450});
  const Ring names(kNames, Placement::kKetamaWeighted);
  CHECK(Placed(names, 120) ==
        "111110121211111110210111020211211110121011011011121011120211201112022221110101022212111111"
        "122120112211011101110112010101");
  CHECK(Shares(names, 3) == std::vector<size_t>{5034, 15718, 9248});
}

TEST_CASE("a server that goes moves none but its own keys") {
  for (const Placement placement : {Placement::kKetama, Placement::kKetamaWeighted}) {
    const Ring all(kThree, placement);
    const Ring without(std::vector<Ring::Server>{kThree[0], kThree[2]}, placement);
    for (int i = 0; i < 1000; ++i) {
      const std::string key = "key" + std::to_string(i);
      const size_t before = all.ServerOf(key);
      if (before != 1) CHECK(without.ServerOf(key) == (before == 2 ? 1 : 0));
    }
  }
}

}  // namespace
}  // namespace torc::client
