// Runs the fuzz target's checks on its corpus and on mutations of it that a fixed seed makes: a
// fuzz run of seconds that every test run affords and that always does the same.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/smoke/smoke.h"
#include "proto/udp/stream_check.h"

namespace torc::proto {
namespace {

constexpr char kSeeds[] = "proto/udp/fuzz_udp_seeds";

// Words that turn one reply into another.
constexpr std::string_view kWords[] = {"VALUE ",
                                       "VALUE k 0 ",
                                       "VA ",
                                       "END\r\n",
                                       "END",
                                       "EN\r\n",
                                       "STAT ",
                                       "ITEM ",
                                       "key=",
                                       " 0 1\r\n",
                                       " ",
                                       "\r\n",
                                       "\n",
                                       "\r",
                                       "0",
                                       "7",
                                       "99999999999999999999",
                                       "\x81",
                                       "\x81\x10",
                                       "\x12"};

TEST_CASE("frames and replies hold on to their promises under mutation") {
  const std::vector<std::string> corpus = ReadCorpus(kSeeds);
  REQUIRE(corpus.size() >= 6);
  for (const std::string& input : corpus) CheckUdp(input);
  TextMutator mutator(20'260'502, kWords);
  for (int i = 0; i < 20'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    CheckUdp(input);
  }
}

}  // namespace
}  // namespace torc::proto
