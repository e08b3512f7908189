#include "src/slab/decimal.h"

namespace torc::slab {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void DecimalReader::Feed(char byte) {
  if (stage_ == Stage::kBad || stage_ == Stage::kAfterZeroByte) return;
  if (byte == '-') has_minus_ = true;
  switch (stage_) {
    case Stage::kSpace:
      if (IsSpace(byte)) return;
      if (byte == '+' || byte == '-') {
        negative_ = byte == '-';
        stage_ = Stage::kSign;
        return;
      }
      [[fallthrough]];
    case Stage::kSign:
      if (!IsDigit(byte)) {
        stage_ = Stage::kBad;
        return;
      }
      stage_ = Stage::kDigits;
      [[fallthrough]];
    case Stage::kDigits:
      if (IsDigit(byte)) {
        if (__builtin_mul_overflow(magnitude_, uint64_t{10}, &magnitude_) ||
            __builtin_add_overflow(magnitude_, static_cast<uint64_t>(byte - '0'), &magnitude_)) {
          stage_ = Stage::kBad;
        }
      } else if (byte == '\0') {
        stage_ = Stage::kAfterZeroByte;
      } else {
        stage_ = IsSpace(byte) ? Stage::kTail : Stage::kBad;
      }
      return;
    case Stage::kTail:
      if (byte == '\0') stage_ = Stage::kAfterZeroByte;
      return;
    case Stage::kAfterZeroByte:
    case Stage::kBad:
      return;
  }
}

bool DecimalReader::Finish(uint64_t* number) const {
  if (stage_ != Stage::kDigits && stage_ != Stage::kTail && stage_ != Stage::kAfterZeroByte) {
    return false;
  }
  *number = negative_ ? ~magnitude_ + 1 : magnitude_;
  return !(has_minus_ && (*number >> 63) != 0);
}

}  // namespace torc::slab
