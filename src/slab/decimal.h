// A value as incr and decr read it.
//
// Owner: none. Affinity: any. Lifetime: values. Invariant: none.
#ifndef TORC_SRC_SLAB_DECIMAL_H_
#define TORC_SRC_SLAB_DECIMAL_H_

#include <cstdint>

namespace torc::slab {

// Reads a decimal number fed byte by byte, with memcached's tolerance (its safe_strtoull): leading
// white space, a sign, leading zeros; anything may follow behind a white space or a zero byte. A
// negative number counts modulo 2^64, and is refused only if that looks negative again as a signed
// one.
class DecimalReader {
 public:
  void Feed(char byte);
  // After the last byte: whether it was a number, and which.
  bool Finish(uint64_t* number) const;

 private:
  enum class Stage : uint8_t { kSpace, kSign, kDigits, kTail, kAfterZeroByte, kBad };
  Stage stage_ = Stage::kSpace;
  bool negative_ = false;
  bool has_minus_ = false;  // anywhere before a zero byte
  uint64_t magnitude_ = 0;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_DECIMAL_H_
