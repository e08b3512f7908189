// Runs the fuzz target's checks on its corpus, cut at every byte, and on mutations of it that a
// fixed seed makes: a fuzz run of seconds that every test run affords and that always does the
// same.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/binary/stream_check.h"
#include "proto/smoke/smoke.h"

namespace torc::proto {
namespace {

constexpr char kSeeds[] = "proto/binary/fuzz_binary_seeds";

class Mutator : public Dice {
 public:
  using Dice::Dice;

  void Mutate(std::string* bytes) {
    if (bytes->empty()) bytes->push_back('\x80');
    const size_t at = Below(bytes->size());
    switch (Below(6)) {
      case 0:  // In the first header: magic, opcode and the sizes are there.
        (*bytes)[Below(std::min<size_t>(12, bytes->size()))] = static_cast<char>(Below(256));
        break;
      case 1:
        (*bytes)[at] = static_cast<char>(Below(256));
        break;
      case 2:
        ++(*bytes)[at];
        break;
      case 3:
        --(*bytes)[at];
        break;
      case 4:
        bytes->erase(at, 1 + Below(4));
        break;
      case 5:
        bytes->insert(at, bytes->substr(Below(bytes->size()), 1 + Below(24)));
        break;
    }
  }
};

TEST_CASE("the same requests wherever the stream is cut") {
  const std::vector<std::string> corpus = ReadCorpus(kSeeds);
  REQUIRE(corpus.size() >= 9);
  for (const std::string& input : corpus) CheckPackets(input, PacketCuts::kEvery);
}

TEST_CASE("the parser holds on to its promises under mutation") {
  const std::vector<std::string> corpus = ReadCorpus(kSeeds);
  Mutator mutator(20'260'411);
  for (int i = 0; i < 20'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    CheckPackets(input, PacketCuts::kFew);
  }
}

}  // namespace
}  // namespace torc::proto
