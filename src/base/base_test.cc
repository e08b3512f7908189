#include <algorithm>
#include <vector>

#include "src/base/clock.h"
#include "src/base/intrusive_list.h"
#include "src/base/pool.h"
#include "src/base/short_bytes.h"
#include "third_party/doctest/doctest.h"

// doctest's CHECK gives way to ours in headers; tests use REQUIRE.

namespace torc {
namespace {

struct QueueTag;
struct Node : ListLink<QueueTag> {
  explicit Node(int v) : value(v) {}
  int value;
};

std::vector<int> Values(IntrusiveList<Node, QueueTag>& list) {
  std::vector<int> values;
  list.ForEach([&](Node& node) { values.push_back(node.value); });
  return values;
}

TEST_CASE("an intrusive list keeps order through pushes, removals and splices") {
  Node a(1), b(2), c(3), d(4);
  IntrusiveList<Node, QueueTag> first, second;
  first.PushBack(a);
  first.PushBack(b);
  first.PushBack(c);
  first.Remove(b);
  REQUIRE(!(IntrusiveList<Node, QueueTag>::Linked(b)));
  REQUIRE(IntrusiveList<Node, QueueTag>::Linked(c));
  REQUIRE(Values(first) == std::vector<int>{1, 3});
  second.PushBack(d);
  second.PushBack(b);
  first.Splice(second);
  REQUIRE(second.empty());
  REQUIRE(Values(first) == std::vector<int>{1, 3, 4, 2});
  while (first.PopFront() != nullptr) {
  }
  REQUIRE(first.empty());
}

TEST_CASE("a pool hands out at most its capacity, warm objects first") {
  Pool<Node> pool(3);
  Node* const a = pool.New(1);
  Node* const b = pool.New(2);
  Node* const c = pool.New(3);
  REQUIRE(a != nullptr);
  REQUIRE(c != nullptr);
  REQUIRE(pool.New(4) == nullptr);
  pool.Delete(b);
  REQUIRE(pool.used() == 2);
  REQUIRE(pool.New(5) == b);
  REQUIRE(b->value == 5);
  pool.Delete(a);
  pool.Delete(b);
  pool.Delete(c);
  REQUIRE(pool.used() == 0);
}

TEST_CASE("short copies and comparisons, of every size, touch no byte beyond") {
  for (size_t size = 0; size <= 2 * kShortBytesMax; ++size) {
    // Exactly as large, so that AddressSanitizer sees what is read beyond.
    std::vector<char> from(size), to(size + 2, '.');
    for (size_t i = 0; i < size; ++i) from[i] = static_cast<char>(i * 7 + 1);
    CopyShort(to.data() + 1, from.data(), size);
    REQUIRE(std::equal(from.begin(), from.end(), to.begin() + 1));
    REQUIRE(to.front() == '.');
    REQUIRE(to.back() == '.');

    std::vector<char> other = from;
    REQUIRE(SameShort(from.data(), other.data(), size));
    for (char& byte : other) {
      byte = static_cast<char>(byte ^ 0x40);
      REQUIRE_FALSE(SameShort(from.data(), other.data(), size));
      byte = static_cast<char>(byte ^ 0x40);
    }
  }
}

TEST_CASE("exptime: never, at once, relative, absolute") {
  ManualClock clock(1'700'000'000);
  const Epoch epoch(clock);
  clock.AdvanceSeconds(100);
  const RelativeSeconds now = epoch.Now(clock.NowNs());
  REQUIRE(now == 100 + kClockStart);
  REQUIRE(epoch.FromClient(0, now) == kNeverExpires);
  REQUIRE(epoch.FromClient(-1, now) == kAlwaysExpired);
  REQUIRE(epoch.FromClient(10, now) == now + 10);
  REQUIRE(epoch.FromClient(60 * 60 * 24 * 30, now) == now + 60 * 60 * 24 * 30);
  // One second more is a Unix time in 1970: long gone.
  REQUIRE(epoch.FromClient(60 * 60 * 24 * 30 + 1, now) == kAlwaysExpired);
  REQUIRE(epoch.FromClient(clock.WallSeconds() + 7, now) == now + 7);
  REQUIRE(epoch.ToWall(now + 7) == clock.WallSeconds() + 7);
}

}  // namespace
}  // namespace torc
