#include "src/base/file_text.h"

#include <cstdio>

namespace torc {

std::string ReadFileText(const char* path) {
  std::string text;
  std::FILE* const file = std::fopen(path, "re");
  if (file == nullptr) return text;
  char part[1024];
  while (const size_t size = std::fread(part, 1, sizeof(part), file)) text.append(part, size);
  std::fclose(file);
  return text;
}

}  // namespace torc
