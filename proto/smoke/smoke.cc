#include "proto/smoke/smoke.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace torc::proto {

std::vector<std::string> ReadCorpus(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
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

void TextMutator::Mutate(std::string* text) {
  const size_t at = Below(text->size() + 1);
  switch (Below(5)) {
    case 0:
      text->insert(at, words_[Below(words_.size())]);
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

}  // namespace torc::proto
