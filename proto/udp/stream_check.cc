#include "proto/udp/stream_check.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "proto/udp/frame.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

void CheckDatagram(std::string_view bytes) {
  const std::optional<UdpRequest> request = ParseUdpRequest(bytes);
  if (bytes.size() < kUdpHeaderBytes) {
    CHECK(!request.has_value());
    return;
  }
  const UdpHeader header = DecodeUdpHeader(bytes.data());
  char again[kUdpHeaderBytes];
  EncodeUdpHeader(header, again);
  CHECK(std::string_view(again, sizeof(again)) == bytes.substr(0, kUdpHeaderBytes));
  CHECK(request.has_value() == (bytes.size() > kUdpHeaderBytes && header.datagrams == 1));
  if (!request.has_value()) return;
  CHECK_EQ(request->id, header.request_id);
  CHECK(request->payload.data() == bytes.data() + kUdpHeaderBytes);
  CHECK_EQ(request->payload.size(), bytes.size() - kUdpHeaderBytes);
}

// The size of the first reply, shown in pieces of `step` bytes.
uint64_t SizeInSteps(std::string_view stream, size_t step) {
  UdpReplyScanner scanner;
  while (!stream.empty() && scanner.Take(stream.substr(0, step))) {
    stream.remove_prefix(std::min(step, stream.size()));
  }
  return scanner.size();
}

void CheckReplies(std::string_view stream) {
  while (!stream.empty()) {
    const uint64_t size = SizeInSteps(stream, stream.size());
    CHECK_LE(size, stream.size());
    CHECK_EQ(SizeInSteps(stream, 1), size);
    CHECK_EQ(SizeInSteps(stream, 7), size);
    if (size == 0) return;
    // What stands behind it does not matter once it is known to end.
    UdpReplyScanner alone;
    alone.Take(stream.substr(0, size));
    CHECK_EQ(alone.size(), size);
    stream.remove_prefix(size);
  }
}

}  // namespace

void CheckUdp(std::string_view bytes) {
  CheckDatagram(bytes);
  CheckReplies(bytes);
}

}  // namespace torc::proto
