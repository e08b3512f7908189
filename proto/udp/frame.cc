#include "proto/udp/frame.h"

#include <algorithm>

namespace torc::proto {
namespace {

uint16_t Read16(const char* bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 |
                               static_cast<uint8_t>(bytes[1]));
}

uint32_t Read32(const char* bytes) { return uint32_t{Read16(bytes)} << 16 | Read16(bytes + 2); }

void Write16(uint16_t value, char* bytes) {
  bytes[0] = static_cast<char>(value >> 8);
  bytes[1] = static_cast<char>(value);
}

// Of a binary reply's header.
constexpr uint8_t kReplyMagic = 0x81;
constexpr size_t kPacketHeaderBytes = 24;
constexpr uint8_t kStatOpcode = 0x10;

constexpr std::string_view kEndLine = "END\r\n";

// Lines that come in lists, whose last line is END or EN.
constexpr std::string_view kListLines[] = {"STAT ", "ITEM ", "PREFIX ", "key="};

}  // namespace

UdpHeader DecodeUdpHeader(const char* bytes) {
  return {Read16(bytes), Read16(bytes + 2), Read16(bytes + 4), Read16(bytes + 6)};
}

void EncodeUdpHeader(const UdpHeader& header, char* bytes) {
  Write16(header.request_id, bytes);
  Write16(header.sequence, bytes + 2);
  Write16(header.datagrams, bytes + 4);
  Write16(header.reserved, bytes + 6);
}

std::optional<UdpRequest> ParseUdpRequest(std::string_view datagram) {
  if (datagram.size() <= kUdpHeaderBytes) return std::nullopt;
  const UdpHeader header = DecodeUdpHeader(datagram.data());
  if (header.datagrams != 1) return std::nullopt;
  return UdpRequest{header.request_id, datagram.substr(kUdpHeaderBytes)};
}

bool UdpReplyScanner::Take(std::string_view piece) {
  for (size_t at = 0; at < piece.size() && state_ != State::kEnded;) {
    const char byte = piece[at];
    switch (state_) {
      case State::kStart:
        head_size_ = 0;
        blanks_ = 0;
        number_ = 0;
        state_ = static_cast<uint8_t>(byte) == kReplyMagic ? State::kPacket : State::kLine;
        continue;  // with the same byte
      case State::kLine:
        ++taken_;
        ++at;
        if (head_size_ < head_.size()) head_[head_size_++] = byte;
        // The size is the fourth word of "VALUE key flags size", the second of "VA size".
        if (byte == ' ') {
          if (blanks_ <= 3) ++blanks_;
        } else if (byte >= '0' && byte <= '9' && number_ <= UINT32_MAX) {
          const bool meta = head_size_ >= 3 && head_[1] == 'A' && head_[2] == ' ';
          if (meta ? blanks_ == 1 : blanks_ == 3) {
            number_ = number_ * 10 + static_cast<uint64_t>(byte - '0');
          }
        }
        if (byte == '\n') EndLine();
        break;
      case State::kPacket:
        ++taken_;
        ++at;
        head_[head_size_++] = byte;
        if (head_size_ == kPacketHeaderBytes) EndPacketHeader();
        break;
      case State::kValue:
      case State::kBody: {
        const uint64_t part = std::min<uint64_t>(skip_, piece.size() - at);
        skip_ -= part;
        taken_ += part;
        at += part;
        if (skip_ == 0) EndBody();
        break;
      }
      case State::kBehind:
        ++taken_;
        ++at;
        if (byte != kEndLine[head_size_++]) {
          state_ = State::kEnded;
        } else if (head_size_ == kEndLine.size()) {
          size_ = taken_;
          state_ = State::kEnded;
        }
        break;
      case State::kEnded:
        break;
    }
  }
  return state_ != State::kEnded;
}

void UdpReplyScanner::EndLine() {
  const std::string_view line(head_.data(), head_size_);
  const bool is_meta = line.starts_with("VA ");
  if (!list_ && (is_meta || line.starts_with("VALUE "))) {
    skip_ = number_ + 2;
    after_ = is_meta ? State::kEnded : State::kBehind;
    state_ = State::kValue;
    return;
  }
  size_ = taken_;
  const bool in_list =
      std::any_of(std::begin(kListLines), std::end(kListLines),
                  [line](std::string_view word) { return line.starts_with(word); });
  list_ = list_ || in_list;
  state_ = in_list ? State::kStart : State::kEnded;
}

void UdpReplyScanner::EndPacketHeader() {
  skip_ = Read32(&head_[8]);
  const bool last = skip_ == 0 && Read16(&head_[2]) == 0;
  list_ = static_cast<uint8_t>(head_[1]) == kStatOpcode && Read16(&head_[6]) == 0 && !last;
  after_ = list_ ? State::kStart : State::kEnded;
  state_ = State::kBody;
  if (skip_ == 0) EndBody();
}

void UdpReplyScanner::EndBody() {
  size_ = taken_;
  head_size_ = 0;
  state_ = after_;
}

}  // namespace torc::proto
