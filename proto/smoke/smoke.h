// A fuzz run of seconds that every test run affords and that always does the same: the seeds of a
// fuzz target, and mutations of them that a fixed seed makes.
//
//   for (const std::string& input : ReadCorpus("proto/text/fuzz_parser_seeds")) Check(input);
//   TextMutator mutator(1, kWords);   mutator.Mutate(&input);   Check(input);
//
// Owner: the test. Affinity: one thread. Lifetime: a mutator's words outlive it. Invariant: the
// same seed makes the same mutations, with every library.
#ifndef TORC_PROTO_SMOKE_SMOKE_H_
#define TORC_PROTO_SMOKE_SMOKE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace torc::proto {

// The files of `folder`, in the order of their names.
std::vector<std::string> ReadCorpus(const std::string& folder);

// Numbers that are the same with every library, unlike a distribution's.
class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  size_t Below(size_t bound) { return random_() % bound; }

 private:
  std::mt19937 random_;
};

// Mutates text: bytes that change, go, come twice or many times, and words.
class TextMutator : public Dice {
 public:
  TextMutator(uint32_t seed, std::span<const std::string_view> words) : Dice(seed), words_(words) {}
  void Mutate(std::string* text);

 private:
  std::span<const std::string_view> words_;  // that turn one path of the parser into another
};

}  // namespace torc::proto

#endif  // TORC_PROTO_SMOKE_SMOKE_H_
