// Runs the fuzz target's checks on its corpus, cut at every byte, and on mutations of it that a
// fixed seed makes: a fuzz run of seconds that every test run affords and that always does the
// same.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/meta/stream_check.h"
#include "proto/smoke/smoke.h"

namespace torc::proto {
namespace {

constexpr char kSeeds[] = "proto/meta/fuzz_meta_seeds";

// Words that turn one path of the parser into another.
constexpr std::string_view kWords[] = {"mg ",
                                       "ms ",
                                       "md ",
                                       "ma ",
                                       "me ",
                                       "mn\r\n",
                                       " b",
                                       " v",
                                       " k",
                                       " q",
                                       " t",
                                       " s",
                                       " O1",
                                       " T30",
                                       " N30",
                                       " R30",
                                       " C1",
                                       " E1",
                                       " F1",
                                       " D1",
                                       " J1",
                                       " MA",
                                       " ME",
                                       " MD",
                                       " I",
                                       " x",
                                       " P",
                                       " L",
                                       " ?",
                                       " 7",
                                       " ",
                                       "  ",
                                       "\n",
                                       "\r\n",
                                       "\r",
                                       "-",
                                       "=",
                                       "YWJj",
                                       "YQ==",
                                       "k",
                                       "\xff",
                                       "0",
                                       "1",
                                       "2",
                                       "99999999999999999999",
                                       "set k 0 0 1\r\n"};

TEST_CASE("the same requests wherever the stream is cut") {
  const std::vector<std::string> corpus = ReadCorpus(kSeeds);
  REQUIRE(corpus.size() >= 6);
  std::string all;
  for (const std::string& input : corpus) {
    CheckStream(input, Cuts::kEvery);
    all += input;
  }
  CheckStream(all, Cuts::kEvery);
}

TEST_CASE("the parser holds on to its promises under mutation") {
  const std::vector<std::string> corpus = ReadCorpus(kSeeds);
  TextMutator mutator(20'260'411, kWords);
  for (int i = 0; i < 10'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    CheckStream(input, Cuts::kFew);
  }
}

}  // namespace
}  // namespace torc::proto
