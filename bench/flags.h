// Options of the form `--name value`, for the small programs of the bench.
//
// Owner: main. Affinity: startup. Lifetime: the program. Invariant: none.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace torc::bench {

class Flags {
 public:
  // `--help` prints `help` and ends the program.
  Flags(int argc, char** argv, const char* help);

  // The option's value, or `otherwise` where it was not given. Each ends the program on a value
  // that is not of its kind.
  std::string Text(const std::string& name, const std::string& otherwise);
  uint64_t Number(const std::string& name, uint64_t otherwise);
  double Real(const std::string& name, double otherwise);

  // Ends the program if there was an option that nobody asked for.
  void RefuseOthers() const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace torc::bench
