// Runs the fuzz target's checks on its corpus, cut at every byte, and on mutations of it that a
// fixed seed makes: a fuzz run of seconds that every test run affords and that always does the
// same.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "proto/meta/stream_check.h"

namespace torc::proto {
namespace {

std::vector<std::string> ReadCorpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("proto/meta/fuzz_meta_seeds")) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // The order of a directory is not fixed.
  std::vector<std::string> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

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

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  size_t Below(size_t bound) { return random_() % bound; }

  void Mutate(std::string* text) {
    const size_t at = Below(text->size() + 1);
    switch (Below(5)) {
      case 0:
        text->insert(at, kWords[Below(std::size(kWords))]);
        break;
      case 1:
        if (at < text->size()) (*text)[at] = static_cast<char>(Below(256));
        break;
      case 2:
        text->erase(at, 1 + Below(4));
        break;
      case 3:
        text->insert(at, text->substr(Below(text->size() + 1), 1 + Below(8)));
        break;
      case 4:
        text->insert(at, 1 + Below(260), 'k');
        break;
    }
  }

 private:
  std::mt19937 random_;  // Its numbers are the same with every library, unlike a distribution's.
};

TEST_CASE("the same requests wherever the stream is cut") {
  const std::vector<std::string> corpus = ReadCorpus();
  REQUIRE(corpus.size() >= 6);
  std::string all;
  for (const std::string& input : corpus) {
    CheckStream(input, Cuts::kEvery);
    all += input;
  }
  CheckStream(all, Cuts::kEvery);
}

TEST_CASE("the parser holds on to its promises under mutation") {
  const std::vector<std::string> corpus = ReadCorpus();
  Mutator mutator(20'260'411);
  for (int i = 0; i < 10'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    CheckStream(input, Cuts::kFew);
  }
}

}  // namespace
}  // namespace torc::proto
