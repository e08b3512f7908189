// The bytes of one batch on their way to the server: written into a buffer of their own, but for
// large values, which are sent from where they are.
//
//   buffer   | head of set | tail, head of the next | tail |
//   pieces   [ head ][ value ][ tail, head ][ value ][ tail ]
//
// Owner: a connection. Affinity: one thread. Lifetime: the connection's.
// Invariant: the pieces, in order, are the batch; without large values there are none and the
// buffer is the batch.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/die.h"

namespace torc::bench {

class Outgoing {
 public:
  // As the kernel has it for one send.
  static constexpr size_t kPiecesMax = 1024;

  // Empties it. `capacity`: what will be written at most, the same in every call.
  void Begin(size_t capacity) {
    if (buffer_ == nullptr) buffer_.reset(new char[capacity]);
    end_ = piece_begin_ = buffer_.get();
    pieces_.clear();
  }

  // Where the next bytes go, and to say where they ended.
  char* end() const { return end_; }
  void set_end(char* end) { end_ = end; }

  // Appends bytes that are not copied; they must stay until the batch is answered.
  void AppendReference(std::string_view bytes) {
    EndPiece();
    // The kernel only reads them.
    pieces_.push_back({const_cast<char*>(bytes.data()), bytes.size()});
  }

  bool empty() const { return pieces_.empty() && end_ == buffer_.get(); }

  // The whole batch, where it has no pieces.
  bool is_whole() const { return pieces_.empty(); }
  std::string_view bytes() const {
    return {buffer_.get(), static_cast<size_t>(end_ - buffer_.get())};
  }

  // The whole batch in pieces; valid until Begin.
  const msghdr* Message() {
    EndPiece();
    if (pieces_.size() > kPiecesMax) Die("--pipeline: too many large values in one batch");
    message_ = {};
    message_.msg_iov = pieces_.data();
    message_.msg_iovlen = pieces_.size();
    return &message_;
  }

 private:
  void EndPiece() {
    if (end_ == piece_begin_) return;
    pieces_.push_back({piece_begin_, static_cast<size_t>(end_ - piece_begin_)});
    piece_begin_ = end_;
  }

  std::unique_ptr<char[]> buffer_;
  char* end_ = nullptr;
  char* piece_begin_ = nullptr;  // what lies between here and end_ is in no piece yet
  std::vector<iovec> pieces_;
  msghdr message_{};
};

}  // namespace torc::bench
