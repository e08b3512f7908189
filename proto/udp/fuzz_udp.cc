// Datagrams and streams of replies, as a libFuzzer target: stream_check.h says what must hold.
// frame_smoke_test.cc runs the same on a few thousand mutations, without libFuzzer.
//
//   ./dev fuzz fuzz_udp
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/udp/stream_check.h"

// libFuzzer declares it nowhere.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torc::proto::CheckUdp({reinterpret_cast<const char*>(data), size});
  return 0;
}
