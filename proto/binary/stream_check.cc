#include "proto/binary/stream_check.h"

#include <algorithm>
#include <string>

#include "proto/binary/encoder.h"
#include "proto/binary/parser.h"
#include "proto/binary/reply.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

// All that a request says, as text: equal texts, equal requests.
std::string Describe(const BinaryRequest& r) {
  std::string text;
  for (uint64_t number :
       {static_cast<uint64_t>(r.opcode), static_cast<uint64_t>(r.command),
        static_cast<uint64_t>(r.step), static_cast<uint64_t>(r.error), r.cas, r.delta, r.initial,
        uint64_t{r.client_flags}, uint64_t{r.exptime}, uint64_t{r.value_size}, uint64_t{r.opaque},
        uint64_t{r.quiet}, uint64_t{r.with_key}}) {
    text += std::to_string(number) + ' ';
  }
  return text + '[' + std::string(r.key) + "]\n";
}

void CheckStatusReply(BinaryTo to, BinaryStatus status) {
  char buffer[kBinaryStatusBytesMax];
  const char* const end = EncodeBinaryStatus(buffer, to, status, UINT64_MAX);
  const size_t size = static_cast<size_t>(end - buffer);
  CHECK_LE(size, sizeof(buffer));
  const BinaryReplyResult result = ParseBinaryReply({buffer, size});
  CHECK(result.step == BinaryReplyStep::kReply);
  CHECK_EQ(result.packet_size, size);
  CHECK(result.reply.opcode == to.opcode);
  CHECK_EQ(result.reply.opaque, to.opaque);
  CHECK_EQ(result.reply.status, static_cast<uint16_t>(status));
  CHECK(result.reply.value == BinaryStatusText(status));
}

void CheckReplies(const BinaryRequest& request) {
  const BinaryTo to = To(request);
  for (BinaryStatus status :
       {BinaryStatus::kOk, BinaryStatus::kNotFound, BinaryStatus::kExists, BinaryStatus::kTooLarge,
        BinaryStatus::kInvalidArguments, BinaryStatus::kNotStored, BinaryStatus::kNotANumber,
        BinaryStatus::kAuthError, BinaryStatus::kUnknownCommand, BinaryStatus::kNoMemory}) {
    CheckStatusReply(to, status);
  }
  char buffer[kBinaryValueHeadBytesMax + 3];
  char* end = EncodeBinaryValue(buffer, to, request.with_key ? request.key : std::string_view{},
                                request.client_flags, 3, request.cas);
  CHECK(end <= buffer + kBinaryValueHeadBytesMax);
  std::memcpy(end, "abc", 3);
  const BinaryReply reply = ParseBinaryReply({buffer, static_cast<size_t>(end + 3 - buffer)}).reply;
  CHECK(reply.value == "abc");
  CHECK(reply.key == (request.with_key ? request.key : std::string_view{}));
  CHECK_EQ(reply.client_flags(), request.client_flags);
  CHECK_EQ(reply.cas, request.cas);
  char number[kBinaryNumberBytes];
  CHECK(EncodeBinaryNumber(number, to, request.delta, request.cas) == number + sizeof(number));
  CHECK_EQ(ParseBinaryReply({number, sizeof(number)}).reply.number(), request.delta);
}

void CheckRequest(const BinaryRequest& request, std::string_view head) {
  CHECK(request.step == BinaryStep::kRequest);
  CHECK_LE(request.head_size, head.size());
  CHECK_LE(request.head_size, kBinaryHeadBytesMax);
  CHECK_LE(request.value_size, kBinaryBodyBytesMax);
  if (request.error != BinaryError::kNone) {
    CHECK(StatusOf(request.error) != BinaryStatus::kOk);
    CHECK(request.value_size == 0 || !ClosesAfter(request.error));
    return;
  }
  CHECK(request.command != BinaryCommand::kInvalid);
  CHECK_LE(request.key.size(), kKeyBytesMax);
  CHECK(request.key.empty() ||
        (request.key.data() > head.data() &&
         request.key.data() + request.key.size() == head.data() + request.head_size));
  CHECK(request.value_size == 0 || IsStore(request.command) ||
        request.command == BinaryCommand::kSaslAuth || request.command == BinaryCommand::kSaslStep);
  // Written again, it reads the same. (A flush with an expiry of 0 has become one without.)
  char again[kBinaryHeadBytesMax];
  const char* const end = EncodeBinaryRequest(again, request);
  CHECK(end <= again + sizeof(again));
  CHECK(Describe(ParseBinary({again, static_cast<size_t>(end - again)})) == Describe(request));
  CheckReplies(request);
}

// The server's side of a connection, without the server.
class PacketReader {
 public:
  void Feed(std::string_view bytes) {
    while (!bytes.empty() && !closed_) {
      if (skip_ > 0) {
        const size_t size = std::min<size_t>(skip_, bytes.size());
        skip_ -= size;
        bytes.remove_prefix(size);
        continue;
      }
      // No byte more than asked for: what lies behind the head must not matter.
      const size_t size = std::min(wanted_ - head_.size(), bytes.size());
      head_ += bytes.substr(0, size);
      bytes.remove_prefix(size);
      if (head_.size() == wanted_) HandleHead();
    }
  }
  // As Feed, but each packet is shown with all that follows it, as it lies in a receive buffer.
  void FeedAtOnce(std::string_view bytes) {
    while (!closed_) {
      const BinaryRequest request = ParseBinary(bytes);
      if (request.step == BinaryStep::kNeedMore) {
        CHECK_LT(bytes.size(), request.head_size);
        return;
      }
      Handle(request, bytes);
      bytes.remove_prefix(request.head_size);
      bytes.remove_prefix(std::min<size_t>(skip_, bytes.size()));
    }
  }
  const std::string& requests() const { return requests_; }

 private:
  void HandleHead() {
    const BinaryRequest request = ParseBinary(head_);
    if (request.step == BinaryStep::kNeedMore) {
      CHECK_LT(wanted_, request.head_size);
      wanted_ = request.head_size;
      return;
    }
    Handle(request, head_);
    head_.clear();
    wanted_ = kBinaryHeaderBytes;
  }
  void Handle(const BinaryRequest& request, std::string_view head) {
    requests_ += Describe(request);
    skip_ = request.value_size;
    if (request.step == BinaryStep::kClose) {
      closed_ = true;
      return;
    }
    CheckRequest(request, head);
    closed_ = ClosesAfter(request.error) || request.command == BinaryCommand::kQuit;
  }

  std::string head_;
  std::string requests_;
  size_t wanted_ = kBinaryHeaderBytes;
  uint64_t skip_ = 0;
  bool closed_ = false;
};

std::string Requests(std::string_view first, std::string_view second) {
  PacketReader reader;
  reader.Feed(first);
  reader.Feed(second);
  return reader.requests();
}

}  // namespace

void CheckPackets(std::string_view stream, PacketCuts cuts) {
  PacketReader at_once;
  at_once.FeedAtOnce(stream);
  const std::string whole = at_once.requests();
  PacketReader bytewise;
  for (size_t i = 0; i < stream.size(); ++i) bytewise.Feed(stream.substr(i, 1));
  CHECK(bytewise.requests() == whole);
  const size_t step = cuts == PacketCuts::kEvery ? 1 : stream.size() / 4 + 1;
  for (size_t at = 0; at < stream.size(); at += step) {
    CHECK(Requests(stream.substr(0, at), stream.substr(at)) == whole);
  }
}

}  // namespace torc::proto
