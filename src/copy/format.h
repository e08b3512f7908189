// The file that `torc --dump` writes and `torc --load` reads: keys, values, client flags, expiry.
// docs/operations.md describes it for other readers.
//
//   header   | "torcdump" | version 4 | 0 4 | unix time 8 | checksum 8 |
//   block    | bytes 4 | records 4 | checksum 8 | records ... |       bytes and records not 0
//   record   | key size 1 | client flags 4 | exptime 8 | value size 4 | key | value |
//   ...
//   end      | 0 4 | 0 4 | checksum 8 of: | records in all 8 |
//
// Numbers are little-endian; checksums are XXH3, 64 bits, of what stands before them in the header
// and behind them elsewhere. exptime is the Unix time at which the item expires, 0 for never: an
// item does not live longer for having been in a file. A block is about a megabyte, or one larger
// item, and is believed as a whole or not at all; a file without its end is truncated.
//
// Owner: the caller. Affinity: any. Lifetime: as said. Invariant: what Writer writes, Reader reads.
#ifndef TORC_SRC_COPY_FORMAT_H_
#define TORC_SRC_COPY_FORMAT_H_

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace torc::copy {

inline constexpr uint32_t kFormatVersion = 1;

struct Record {
  std::string_view key;    // 1 to 250 bytes
  std::string_view value;  // up to 1 GiB and a little: what -I allows
  uint32_t client_flags = 0;
  int64_t exptime = 0;  // Unix time, 0: never
};

class Writer {
 public:
  // Writes to `file`, which stays the caller's.
  explicit Writer(std::FILE* file) : file_(file) {}

  // Each returns false where the file takes no more: errno says why.
  [[nodiscard]] bool Begin(int64_t unix_time);
  [[nodiscard]] bool Add(const Record& record);
  // The end of the file. Flushes.
  [[nodiscard]] bool End();

 private:
  [[nodiscard]] bool WriteBlock();

  std::FILE* file_;
  std::string block_;
  uint32_t block_records_ = 0;
  uint64_t records_ = 0;
};

class Reader {
 public:
  explicit Reader(std::FILE* file) : file_(file) {}

  enum class Result : uint8_t { kOk, kEnd, kBroken };
  // Reads the header. kBroken: error() says what is wrong.
  [[nodiscard]] Result Begin();
  // Reads the next block and checks it. kEnd: the file is whole and over.
  [[nodiscard]] Result NextBlock();
  // The next record of the block; false: there is none. Its views are valid until NextBlock.
  [[nodiscard]] bool Next(Record* record);

  int64_t unix_time() const { return unix_time_; }
  const std::string& error() const { return error_; }

 private:
  Result Broken(std::string error);
  // Reads exactly `size` bytes. False: the file ends before.
  [[nodiscard]] bool ReadBytes(std::string* out, size_t size);

  std::FILE* file_;
  int64_t unix_time_ = 0;
  std::string block_;
  size_t at_ = 0;
  uint32_t block_records_ = 0;
  uint64_t records_ = 0;
  std::string error_;
};

}  // namespace torc::copy

#endif  // TORC_SRC_COPY_FORMAT_H_
