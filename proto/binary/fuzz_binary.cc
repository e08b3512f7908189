// A connection of the binary protocol, as a libFuzzer target: stream_check.h says what must hold.
// parser_smoke_test.cc runs the same on a few thousand mutations, without libFuzzer.
//
//   ./dev fuzz fuzz_binary
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/binary/stream_check.h"

// libFuzzer declares it nowhere.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torc::proto::CheckPackets({reinterpret_cast<const char*>(data), size},
                            torc::proto::PacketCuts::kFew);
  return 0;
}
