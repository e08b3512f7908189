#include "src/server/output.h"

#include <deque>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "src/ring/sim_ring.h"
#include "src/server/task.h"
#include "third_party/doctest/doctest.h"

namespace torc::server {
namespace {

// Values to pin: an item is a string, shown in pieces of kPieceBytes.
class FakeEngine final : public engine::Engine {
 public:
  static constexpr size_t kPieceBytes = 1000;

  std::span<const char> Piece(const void* item, size_t offset) const override {
    const std::string& value = *static_cast<const std::string*>(item);
    const size_t end = std::min(value.size(), (offset / kPieceBytes + 1) * kPieceBytes);
    return {value.data() + offset, end - offset};
  }

  std::string_view name() const override { return "fake"; }
  bool reads_are_shared() const override { return true; }
  uint64_t ValueSizeMax(size_t, uint32_t) const override { return 0; }
  void BeginTurn(ShardId, RelativeSeconds) override {}
  void EndTurn(ShardId) override {}
  size_t Execute(ShardId, std::span<engine::Op>) override { return 0; }
  ReserveResult Reserve(ShardId, const engine::Op&, engine::Reservation*) override {
    return ReserveResult::kNoMemory;
  }
  std::span<char> Window(const engine::Reservation&, size_t) const override { return {}; }
  void Abandon(ShardId, engine::Reservation) override {}
  bool Pin(ShardId, const void*) override { return true; }
  void Unpin(ShardId, const void*) override {}
  void Flush(ShardId, RelativeSeconds) override {}
  bool Background(ShardId) override { return false; }
  engine::EngineTotals Totals() const override { return {}; }
  void Statistics(engine::StatGroup, engine::StatSink&) const override {}
  void ResetCounters(ShardId) override {}
  void CheckInvariants(ShardId) const override {}
};

struct Fixture : PinHolder {
  ring::SimWorld world{1, 1, {}};
  Buffers buffers{world.ring(0)};
  FakeEngine engine;
  Output out;
  std::deque<std::string> values;
  std::map<const void*, int> pins;

  void ReleasePin(ShardId owner, const void* item) override {
    REQUIRE(owner == 3);
    REQUIRE(--pins[item] >= 0);
  }
  int pins_left() const {
    int sum = 0;
    for (const auto& [item, count] : pins) sum += count;
    return sum;
  }
  const void* Pinned(std::string value) {
    values.push_back(std::move(value));
    ++pins[&values.back()];
    return &values.back();
  }
  // What Gather shows. `more`: what it says about the rest.
  bool more = false;
  std::string Sendable(size_t pieces_max = 1000, uint64_t bytes_max = UINT64_MAX) {
    std::vector<iovec> pieces(pieces_max);
    uint64_t bytes = 0;
    const size_t count = out.Gather(engine, pieces, bytes_max, &bytes, &more);
    std::string text;
    for (size_t i = 0; i < count; ++i) {
      REQUIRE(pieces[i].iov_len > 0);
      text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
    REQUIRE(text.size() == bytes);
    return text;
  }
  size_t Pieces() {
    std::vector<iovec> pieces(1000);
    uint64_t bytes = 0;
    return out.Gather(engine, pieces, UINT64_MAX, &bytes, &more);
  }
  void Consume(uint64_t bytes) { out.Consume(buffers, *this, bytes); }
  void CheckNothingHeld() {
    CHECK(out.empty());
    CHECK(out.bytes() == 0);
    CHECK(out.held_bytes() == 0);
    CHECK(!out.has_gap());
    CHECK(buffers.blocks_used() == 0);
    CHECK(pins_left() == 0);
  }
};

TEST_CASE_FIXTURE(Fixture, "replies are shown in order and go as they are sent") {
  CHECK(!out.sendable());
  REQUIRE(out.Append(buffers, "STORED\r\n"));
  REQUIRE(out.AppendConstant(buffers, "END\r\n"));
  REQUIRE(out.Append(buffers, "DELETED\r\n"));
  CHECK(out.bytes() == 22);
  CHECK(Sendable() == "STORED\r\nEND\r\nDELETED\r\n");
  Consume(3);
  CHECK(Sendable() == "RED\r\nEND\r\nDELETED\r\n");
  Consume(5);  // to the end of a node
  CHECK(Sendable() == "END\r\nDELETED\r\n");
  Consume(7);  // into another one
  CHECK(Sendable() == "LETED\r\n");
  Consume(7);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "no more bytes are shown than asked for, wherever that cuts them") {
  std::string value;
  while (value.size() < 2500) value += std::to_string(value.size());
  REQUIRE(out.Append(buffers, "VALUE "));
  REQUIRE(out.AppendPinned(buffers, Pinned(value), 3, static_cast<uint32_t>(value.size())));
  REQUIRE(out.AppendConstant(buffers, "\r\n"));
  const std::string all = Sendable();
  for (uint64_t most = 1; most <= all.size() + 1; ++most) {
    REQUIRE(Sendable(1000, most) == all.substr(0, most));
    REQUIRE(more == (most < all.size()));
  }
  for (size_t sent = 0; sent < all.size();) {
    const std::string slice = Sendable(1000, 300);
    REQUIRE(slice == all.substr(sent, 300));
    Consume(slice.size());
    sent += slice.size();
  }
  CheckNothingHeld();
}

// A send that is said to be followed by more must be.
TEST_CASE_FIXTURE(Fixture, "more is left only where it can be sent at once") {
  Task tasks[2];
  REQUIRE(out.AppendPinned(buffers, Pinned("0123456789"), 3, 10));
  OutNode* const silent = out.AppendPending(buffers, &tasks[0]);
  OutNode* const gap = out.AppendPending(buffers, &tasks[1]);
  REQUIRE(out.AppendConstant(buffers, "behind"));
  CHECK(Sendable(1, 9) == "012345678");
  CHECK(more);
  CHECK(Sendable(1, 10) == "0123456789");
  CHECK(!more);
  out.FillConstant(silent, {});
  CHECK(Sendable(1, 10) == "0123456789");
  CHECK(!more);
  out.FillConstant(gap, {});
  CHECK(Sendable(1) == "0123456789");
  CHECK(more);
  Consume(10);
  CHECK(Sendable() == "behind");
  CHECK(!more);
  Consume(6);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "less may be committed than was reserved, and nothing at all") {
  char* const room = out.Reserve(buffers, 100);
  REQUIRE(room != nullptr);
  std::memcpy(room, "abc", 3);
  out.Commit(3);
  REQUIRE(out.Reserve(buffers, 50) == room + 3);
  REQUIRE(out.Append(buffers, "def"));
  CHECK(Sendable() == "abcdef");
  // A block that has no room for it is left as it is.
  REQUIRE(out.Reserve(buffers, sizeof(Block::bytes)) != nullptr);
  out.Commit(0);
  CHECK(Sendable() == "abcdef");
  Consume(6);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture,
                  "bytes that are being sent stay where they are while more are appended") {
  REQUIRE(out.Append(buffers, "first"));
  std::vector<iovec> pieces(4);
  uint64_t bytes = 0;
  REQUIRE(out.Gather(engine, pieces, UINT64_MAX, &bytes, &more) == 1);
  REQUIRE(out.Append(buffers, std::string(3 * sizeof(Block::bytes), 'x')));
  CHECK(std::string_view(static_cast<const char*>(pieces[0].iov_base), 5) == "first");
  Consume(5);
  CHECK(Sendable() == std::string(3 * sizeof(Block::bytes), 'x'));
  out.Clear(buffers, *this);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture,
                  "a pinned value is shown in its pieces and let go when the last byte is sent") {
  std::string value;
  while (value.size() < 2500) value += std::to_string(value.size());
  REQUIRE(out.Append(buffers, "VALUE "));
  REQUIRE(out.AppendPinned(buffers, Pinned(value), 3, static_cast<uint32_t>(value.size())));
  REQUIRE(out.AppendConstant(buffers, "\r\n"));
  CHECK(Sendable() == "VALUE " + value + "\r\n");
  CHECK(Sendable(2) == "VALUE " + value.substr(0, 1000));
  Consume(6 + 1500);  // in the midst of a piece
  CHECK(Sendable(1) == value.substr(1500, 500));
  CHECK(Sendable() == value.substr(1500) + "\r\n");
  Consume(value.size() - 1500 - 1);
  CHECK(pins_left() == 1);
  Consume(1);
  CHECK(pins_left() == 0);
  Consume(2);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "nothing behind a gap is shown until it is filled, in any order") {
  Task tasks[3];
  REQUIRE(out.Append(buffers, "0"));
  OutNode* const first = out.AppendPending(buffers, &tasks[0]);
  REQUIRE(out.Append(buffers, "2"));
  OutNode* const second = out.AppendPending(buffers, &tasks[1]);
  OutNode* const third = out.AppendPending(buffers, &tasks[2]);
  REQUIRE(out.Append(buffers, "5"));
  CHECK(Sendable() == "0");

  REQUIRE(out.FillCopy(buffers, third, "4"));
  CHECK(Sendable() == "0");
  out.FillConstant(first, "1");
  CHECK(Sendable() == "012");
  Consume(3);
  CHECK(!out.sendable());
  CHECK(out.has_gap());
  Output reply;
  REQUIRE(reply.Append(buffers, "3a"));
  REQUIRE(reply.AppendPinned(buffers, Pinned("3b"), 3, 2));
  REQUIRE(reply.AppendConstant(buffers, "3c"));
  out.FillFrom(buffers, second, reply);
  CHECK(reply.empty());
  CHECK(!out.has_gap());
  CHECK(Sendable() == "3a3b3c45");
  CHECK(out.bytes() == 8);
  REQUIRE(out.Append(buffers, "6"));
  CHECK(Sendable() == "3a3b3c456");
  Consume(9);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "small replies at the front become one piece, up to a gap or a value") {
  Task tasks[6];
  OutNode* gaps[5];
  for (int i = 0; i < 5; ++i) {
    gaps[i] = out.AppendPending(buffers, &tasks[i]);
    REQUIRE(out.Append(buffers, std::string(1, static_cast<char>('a' + i))));
  }
  OutNode* const last = out.AppendPending(buffers, &tasks[5]);
  REQUIRE(out.AppendPinned(buffers, Pinned("value"), 3, 5));
  for (int i = 0; i < 4; ++i) out.FillConstant(gaps[i], "12");
  out.Join(buffers);
  CHECK(Pieces() == 1);
  CHECK(Sendable() == "12a12b12c12d");

  // With one send under way, whose bytes must not move.
  Consume(1);
  REQUIRE(out.FillCopy(buffers, gaps[4], "3"));
  out.FillConstant(last, {});
  out.Join(buffers);
  CHECK(Sendable() == "2a12b12c12d3evalue");
  CHECK(Pieces() == 4);
  Consume(11);
  out.Join(buffers);
  CHECK(Sendable() == "3evalue");
  REQUIRE(out.Append(buffers, "f"));
  CHECK(Sendable() == "3evaluef");
  Consume(8);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "what became one piece can be appended to, and cleared") {
  Task tasks[4];
  for (Task& task : tasks) {
    OutNode* const gap = out.AppendPending(buffers, &task);
    REQUIRE(out.FillCopy(buffers, gap, "1"));
  }
  out.Join(buffers);
  CHECK(Pieces() == 1);
  REQUIRE(out.Append(buffers, "2"));
  CHECK(Sendable() == "11112");
  out.Clear(buffers, *this);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "a gap filled with nothing at the end leaves nothing behind") {
  Task task;
  OutNode* const gap = out.AppendPending(buffers, &task);
  CHECK(!out.sendable());
  CHECK(!out.empty());
  out.FillConstant(gap, {});
  CHECK(Sendable().empty());
  Consume(0);
  CheckNothingHeld();
}

TEST_CASE_FIXTURE(Fixture, "what is cleared tells its tasks that there is no gap any more") {
  Task task;
  REQUIRE(out.Append(buffers, "x"));
  task.gap = out.AppendPending(buffers, &task);
  REQUIRE(out.AppendPinned(buffers, Pinned("value"), 3, 5));
  Consume(1);
  out.Clear(buffers, *this);
  CHECK(task.gap == nullptr);
  CheckNothingHeld();
}

// Random steps against a list of texts, in which a gap is a text that is not there yet.
TEST_CASE_FIXTURE(Fixture, "random walk against a string") {
  static const std::string kConstant(5000, 'c');
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return random() % n; };
    std::list<std::optional<std::string>> oracle;
    struct Gap {
      Task task;
      std::list<std::optional<std::string>>::iterator text;
    };
    std::list<Gap> gaps;
    const auto text_of = [&](size_t size) {
      std::string text;
      while (text.size() < size) text += std::to_string(random()) + " ";
      text.resize(size);
      return text;
    };
    // Sizes around those of blocks now and then.
    const auto any_size = [&]() -> size_t {
      const uint64_t kind = below(20);
      if (kind < 15) return below(60);
      if (kind < 19) return below(5000);
      return sizeof(Block::bytes) - 3 + below(sizeof(Block::bytes));
    };
    const auto append = [&](Output& to, std::string* appended) {
      switch (below(5)) {
        case 0: {
          const std::string text = text_of(any_size());
          REQUIRE(to.Append(buffers, text));
          *appended += text;
          break;
        }
        case 1: {
          const std::string text = text_of(below(4000));
          char* const room = to.Reserve(buffers, static_cast<uint32_t>(text.size() + below(300)));
          REQUIRE(room != nullptr);
          std::memcpy(room, text.data(), text.size());
          to.Commit(static_cast<uint32_t>(text.size()));
          *appended += text;
          break;
        }
        case 2: {
          const std::string text = kConstant.substr(0, below(kConstant.size()));
          REQUIRE(to.AppendConstant(buffers, std::string_view(kConstant).substr(0, text.size())));
          *appended += text;
          break;
        }
        case 3: {
          const std::string text = text_of(1 + any_size());
          REQUIRE(to.AppendPinned(buffers, Pinned(text), 3, static_cast<uint32_t>(text.size())));
          *appended += text;
          break;
        }
        default: {
          Block* const block = buffers.NewBlock();
          REQUIRE(block != nullptr);
          const std::string text = text_of(below(sizeof(Block::bytes) + 1));
          std::memcpy(block->bytes, text.data(), text.size());
          block->used = static_cast<uint32_t>(text.size());
          REQUIRE(to.AppendBlock(buffers, block));
          *appended += text;
          break;
        }
      }
    };
    const auto fill = [&](Gap& gap) {
      std::string text;
      OutNode* const node = gap.task.gap;
      switch (below(3)) {
        case 0:
          text = text_of(below(kGapCopyBytesMax));
          REQUIRE(out.FillCopy(buffers, node, text));
          break;
        case 1:
          text = kConstant.substr(0, below(kConstant.size()));
          out.FillConstant(node, std::string_view(kConstant).substr(0, text.size()));
          break;
        default: {
          Output reply;
          for (uint64_t i = below(4); i > 0; --i) append(reply, &text);
          out.FillFrom(buffers, node, reply);
          break;
        }
      }
      *gap.text = text;
    };

    for (int step = 0; step < 2000; ++step) {
      switch (below(6)) {
        case 0:
        case 1: {
          std::string text;
          append(out, &text);
          oracle.push_back(text);
          break;
        }
        case 2: {
          gaps.emplace_back();
          Gap& gap = gaps.back();
          gap.task.gap = out.AppendPending(buffers, &gap.task);
          REQUIRE(gap.task.gap != nullptr);
          gap.text = oracle.insert(oracle.end(), std::nullopt);
          break;
        }
        case 3: {
          if (gaps.empty()) break;
          const auto gap = std::next(gaps.begin(), static_cast<long>(below(gaps.size())));
          fill(*gap);
          gaps.erase(gap);
          break;
        }
        default: {
          std::string sendable;
          uint64_t bytes = 0;
          bool before_gap = true;
          for (const std::optional<std::string>& text : oracle) {
            before_gap = before_gap && text.has_value();
            if (before_gap) sendable += *text;
            if (text.has_value()) bytes += text->size();
          }
          REQUIRE(out.bytes() == bytes);
          REQUIRE(out.has_gap() == !gaps.empty());
          const std::string shown = Sendable(1 + below(20));
          REQUIRE(sendable.starts_with(shown));
          REQUIRE(Sendable() == sendable);
          size_t sent = below(4) == 0 ? shown.size() : below(shown.size() + 1);
          Consume(sent);
          while (!oracle.empty() && oracle.front().has_value() && oracle.front()->size() <= sent) {
            sent -= oracle.front()->size();
            oracle.pop_front();
          }
          if (sent != 0) oracle.front()->erase(0, sent);
          break;
        }
      }
    }
    if (below(2) == 0) {
      out.Clear(buffers, *this);
      for (const Gap& gap : gaps) REQUIRE(gap.task.gap == nullptr);
    } else {
      for (Gap& gap : gaps) fill(gap);
      Consume(out.bytes());
    }
    CheckNothingHeld();
    values.clear();
    pins.clear();
  }
}

}  // namespace
}  // namespace torc::server
