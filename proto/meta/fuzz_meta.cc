// The lines of a connection, meta commands among them, as a libFuzzer target: stream_check.h says
// what must hold. parser_smoke_test.cc runs the same on a few thousand mutations, without
// libFuzzer.
//
//   ./dev fuzz fuzz_meta
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/meta/stream_check.h"

// libFuzzer declares it nowhere.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torc::proto::CheckStream({reinterpret_cast<const char*>(data), size}, torc::proto::Cuts::kFew);
  return 0;
}
