// Appends statistics to a connection's output.
//
//   text     STAT name value\r\n ... END\r\n
//   binary   a packet for each, its key the name; then one without key and value
//
// Owner: whoever answers `stats`. Affinity: shard. Lifetime: one call. Invariant: none; a
// connection whose memory is refused is broken, and takes no more.
#ifndef TORC_SRC_SERVER_STAT_WRITER_H_
#define TORC_SRC_SERVER_STAT_WRITER_H_

#include <string>
#include <string_view>

#include "proto/binary/encoder.h"
#include "proto/text/encoder.h"
#include "src/server/core.h"

namespace torc::server {

class StatWriter final : public engine::StatSink {
 public:
  // `asked`: of style kBinary, or any other for text; outlives this.
  StatWriter(Core& core, Connection& c, const Asked& asked) : core_(core), c_(c), asked_(asked) {}

  using StatSink::Put;
  void Put(std::string_view name, std::string_view value) override {
    if (asked_.style == ReplyStyle::kBinary) {
      text_.resize(proto::kBinaryHeaderBytes + name.size() + value.size());
      proto::EncodeBinaryStat(text_.data(), asked_.to(), name, value);
    } else {
      text_.resize(name.size() + value.size() + proto::kStatBytesAround);
      proto::EncodeStat(text_.data(), name, value);
    }
    Write(text_);
  }
  void End() { Answer(proto::kEnd, proto::BinaryStatus::kOk); }
  // Instead of statistics: that it is done, or why there are none.
  void Answer(std::string_view line, proto::BinaryStatus status) {
    if (asked_.style != ReplyStyle::kBinary) return Write(line);
    char packet[proto::kBinaryStatusBytesMax];
    const char* const end = proto::EncodeBinaryStatus(packet, asked_.to(), status);
    Write({packet, static_cast<size_t>(end - packet)});
  }
  void Refuse(Cause cause, proto::BinaryStatus status) {
    Answer(core_.FailureReply(cause), status);
  }

 private:
  void Write(std::string_view bytes) {
    if (!c_.broken && !c_.out.Append(core_.buffers, bytes)) core_.Break(c_, Cause::kReplyNoMemory);
    core_.MarkDirty(c_);
  }

  Core& core_;
  Connection& c_;
  const Asked& asked_;
  std::string text_;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_STAT_WRITER_H_
