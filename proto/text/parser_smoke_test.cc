// Runs the fuzz target on its corpus and on mutations of it that a fixed seed makes: a fuzz run of
// seconds that every test run affords and that always does the same.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/smoke/smoke.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Run(std::string_view input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

constexpr char kSeeds[] = "proto/text/fuzz_parser_seeds";

// Words that turn one path of the parser into another.
constexpr std::string_view kWords[] = {"get ",
                                       "gets ",
                                       "set ",
                                       "cas ",
                                       "incr ",
                                       "touch ",
                                       "delete ",
                                       "flush_all",
                                       "noreply",
                                       " noreply",
                                       " ",
                                       "  ",
                                       "\r\n",
                                       "\n",
                                       "\r",
                                       "\t",
                                       "-",
                                       "+",
                                       "0",
                                       "1",
                                       "2147483645",
                                       "2147483648",
                                       "4294967296",
                                       "18446744073709551615",
                                       "18446744073709551616",
                                       "000000000000",
                                       "HTTP/1.1",
                                       "k"};

TEST_CASE("the parser holds on to its promises under mutation") {
  const std::vector<std::string> corpus = torc::proto::ReadCorpus(kSeeds);
  REQUIRE(corpus.size() >= 5);
  for (const std::string& input : corpus) Run(input);
  torc::proto::TextMutator mutator(20'250'101, kWords);
  for (int i = 0; i < 50'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    Run(input);
  }
}

}  // namespace
