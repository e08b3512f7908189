#include "bench/flags.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/die.h"

namespace torc::bench {
namespace {

template <typename Value>
Value Parse(const std::string& name, const std::string& text) {
  Value value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    Die("--" + name + ": '" + text + "' is not a number that fits");
  }
  return value;
}

}  // namespace

Flags::Flags(int argc, char** argv, const char* help) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--help") {
      std::fputs(help, stdout);
      std::exit(0);
    }
    if (!name.starts_with("--")) Die("'" + std::string(name) + "' is not an option; see --help");
    if (i + 1 == argc) Die(std::string(name) + " wants a value");
    values_[std::string(name.substr(2))] = argv[i + 1];
  }
}

std::string Flags::Text(const std::string& name, const std::string& otherwise) {
  const auto found = values_.find(name);
  if (found == values_.end()) return otherwise;
  std::string value = found->second;
  values_.erase(found);
  return value;
}

uint64_t Flags::Number(const std::string& name, uint64_t otherwise) {
  const std::string text = Text(name, "");
  return text.empty() ? otherwise : Parse<uint64_t>(name, text);
}

double Flags::Real(const std::string& name, double otherwise) {
  const std::string text = Text(name, "");
  return text.empty() ? otherwise : Parse<double>(name, text);
}

void Flags::RefuseOthers() const {
  if (!values_.empty()) Die("there is no option --" + values_.begin()->first + "; see --help");
}

}  // namespace torc::bench
