// Runs the fuzz target on its corpus and on mutations of it that a fixed seed makes: a fuzz run of
// seconds that every test run affords and that always does the same.
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Run(std::string_view input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::vector<std::string> ReadCorpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("proto/text/fuzz_parser_seeds")) {
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

TEST_CASE("the parser holds on to its promises under mutation") {
  const std::vector<std::string> corpus = ReadCorpus();
  REQUIRE(corpus.size() >= 5);
  for (const std::string& input : corpus) Run(input);
  Mutator mutator(20'250'101);
  for (int i = 0; i < 50'000; ++i) {
    std::string input = corpus[mutator.Below(corpus.size())];
    for (size_t left = 1 + mutator.Below(6); left > 0; --left) mutator.Mutate(&input);
    Run(input);
  }
}

}  // namespace
