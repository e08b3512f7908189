// The frame of memcached's UDP protocol: eight bytes in front of each datagram, exactly as
// memcached 1.6.45 reads and writes them.
//
//   | request id 2 | sequence number 2 | datagrams 2 | reserved 2 | payload ... |    big-endian
//
//   request   one datagram of more than the header, whose number of datagrams is 1; the sequence
//             number and the reserved field are not looked at. The payload is text, meta or binary
//             commands, as over TCP.
//   reply     each reply to a command, and each value of a get, is numbered by itself, from 0, and
//             cut into datagrams of at most 1,400 bytes; all have the request's id.
//
// Where a reply ends in a stream of them is told by the stream itself: UdpReplyScanner.
//
// Owner: none. Affinity: any. Lifetime: a request's payload points into the datagram. Invariant:
// what a scanner says does not depend on how the stream is cut.
#ifndef TORC_PROTO_UDP_FRAME_H_
#define TORC_PROTO_UDP_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace torc::proto {

inline constexpr size_t kUdpHeaderBytes = 8;
// What memcached sends at most, so that a datagram fits a frame of Ethernet.
inline constexpr size_t kUdpDatagramBytesMax = 1400;
inline constexpr size_t kUdpPayloadBytesMax = kUdpDatagramBytesMax - kUdpHeaderBytes;
// More bytes than these cannot be numbered.
inline constexpr uint64_t kUdpReplyBytesMax = uint64_t{UINT16_MAX} * kUdpPayloadBytesMax;

struct UdpHeader {
  uint16_t request_id = 0;
  uint16_t sequence = 0;
  uint16_t datagrams = 0;
  uint16_t reserved = 0;

  friend bool operator==(const UdpHeader&, const UdpHeader&) = default;
};

// Reads, or writes, kUdpHeaderBytes at `bytes`.
[[nodiscard]] UdpHeader DecodeUdpHeader(const char* bytes);
void EncodeUdpHeader(const UdpHeader& header, char* bytes);

struct UdpRequest {
  uint16_t id = 0;
  std::string_view payload;  // never empty
};

// Nothing for what memcached drops: no payload, or a request in several datagrams.
[[nodiscard]] std::optional<UdpRequest> ParseUdpRequest(std::string_view datagram);

// Datagrams for a reply of `bytes`, 1 to kUdpReplyBytesMax.
[[nodiscard]] inline uint16_t UdpDatagramsOf(uint64_t bytes) {
  return static_cast<uint16_t>((bytes + kUdpPayloadBytesMax - 1) / kUdpPayloadBytesMax);
}

// Finds the end of the first reply of a stream, which may come in pieces:
//
//   VALUE k 0 1\r\nx\r\nVALUE l 0 1\r\ny\r\nEND\r\n
//   `--- one reply ---'`------- another ----------'
//
// One reply is a line; a value with its line, and the END behind it; the lines of a list (STAT and
// the like) up to their END; a binary packet; the packets of a binary stat up to the empty one.
class UdpReplyScanner {
 public:
  // Takes the next bytes of the stream. False: the reply's end is known, more need not be shown.
  bool Take(std::string_view piece);

  // The bytes of the reply, as far as they have been shown. 0: not even a part of it is whole.
  uint64_t size() const { return size_; }

 private:
  enum class State : uint8_t {
    kStart,
    kLine,    // in a line of text
    kValue,   // in a value, then kBehind or kEnded
    kBehind,  // behind a value of get: is it END?
    kPacket,  // in the header of a binary packet
    kBody,    // in its body
    kEnded,
  };

  void EndLine();
  void EndPacketHeader();
  void EndBody();

  State state_ = State::kStart;
  bool list_ = false;  // of lines, or of packets
  uint8_t head_size_ = 0;
  uint64_t taken_ = 0;
  uint64_t size_ = 0;
  uint64_t skip_ = 0;  // bytes of a value or body still to come
  State after_ = State::kEnded;
  // The start of the line, or the packet's header: all that is looked at of it.
  std::array<char, 48> head_;
  // Of a VALUE line, whose key may be longer than that: the number of blanks, and the size.
  uint8_t blanks_ = 0;
  uint64_t number_ = 0;
};

}  // namespace torc::proto

#endif  // TORC_PROTO_UDP_FRAME_H_
