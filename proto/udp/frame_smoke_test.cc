// Runs the fuzz target's checks on its corpus and on mutations of it that a fixed seed makes: a
// fuzz run of seconds that every test run affords and that always does the same.
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

#include "proto/udp/stream_check.h"

namespace torc::proto {
namespace {

std::vector<std::string> ReadCorpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("proto/udp/fuzz_udp_seeds")) {
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

TEST_CASE("frames and replies hold on to their promises under mutation") {
  const std::vector<std::string> corpus = ReadCorpus();
  REQUIRE(corpus.size() >= 6);
  for (const std::string& input : corpus) CheckUdp(input);
  Mutator mutator(20'260'502);
  for (int i = 0; i < 20'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    CheckUdp(input);
  }
}

}  // namespace
}  // namespace torc::proto
