#include "src/copy/format.h"

#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace torc::copy {
namespace {

constexpr std::string_view kMagic = "torcdump";
constexpr size_t kHeaderBytes = 32;
constexpr size_t kBlockHeaderBytes = 16;
constexpr size_t kRecordBytes = 1 + 4 + 8 + 4;
constexpr size_t kBlockBytes = 1 << 20;
// The largest item, a header and a block before it.
constexpr uint32_t kBlockBytesMax = (1u << 30) + (4u << 20);

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

template <typename Number>
void Put(std::string* to, Number number) {
  char bytes[sizeof(number)];
  std::memcpy(bytes, &number, sizeof(number));
  to->append(bytes, sizeof(number));
}

template <typename Number>
Number Take(const char* from) {
  Number number;
  std::memcpy(&number, from, sizeof(number));
  return number;
}

uint64_t Checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

bool Write(std::FILE* file, std::string_view bytes) {
  return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
}

}  // namespace

bool Writer::Begin(int64_t unix_time) {
  std::string header(kMagic);
  Put(&header, kFormatVersion);
  Put(&header, uint32_t{0});
  Put(&header, unix_time);
  Put(&header, Checksum(header));
  return Write(file_, header);
}

bool Writer::WriteBlock() {
  if (block_records_ == 0) return true;
  std::string header;
  Put(&header, static_cast<uint32_t>(block_.size()));
  Put(&header, block_records_);
  Put(&header, Checksum(block_));
  const bool written = Write(file_, header) && Write(file_, block_);
  block_.clear();
  block_records_ = 0;
  return written;
}

bool Writer::Add(const Record& record) {
  const size_t size = kRecordBytes + record.key.size() + record.value.size();
  if (block_.size() + size > kBlockBytes && !WriteBlock()) return false;
  Put(&block_, static_cast<uint8_t>(record.key.size()));
  Put(&block_, record.client_flags);
  Put(&block_, record.exptime);
  Put(&block_, static_cast<uint32_t>(record.value.size()));
  block_.append(record.key);
  block_.append(record.value);
  ++block_records_;
  ++records_;
  return true;
}

bool Writer::End() {
  if (!WriteBlock()) return false;
  std::string records;
  Put(&records, records_);
  std::string end;
  Put(&end, uint32_t{0});
  Put(&end, uint32_t{0});
  Put(&end, Checksum(records));
  return Write(file_, end + records) && std::fflush(file_) == 0;
}

Reader::Result Reader::Broken(std::string error) {
  error_ = std::move(error);
  return Result::kBroken;
}

bool Reader::ReadBytes(std::string* out, size_t size) {
  // In steps: a wrong size must not take a gigabyte before the file ends.
  constexpr size_t kStep = 16 << 20;
  out->clear();
  while (out->size() < size) {
    const size_t before = out->size();
    out->resize(std::min(size, before + kStep));
    const size_t wanted = out->size() - before;
    const size_t got = std::fread(out->data() + before, 1, wanted, file_);
    if (got == wanted) continue;
    error_ = std::ferror(file_) != 0 ? std::string("cannot be read: ") + std::strerror(errno)
                                     : "ends too early: it is truncated";
    return false;
  }
  return true;
}

Reader::Result Reader::Begin() {
  std::string header;
  if (!ReadBytes(&header, kMagic.size())) return Broken("is no dump of torc's: it is too short");
  if (header != kMagic) return Broken("is no dump of torc's: it begins otherwise");
  std::string rest;
  if (!ReadBytes(&rest, kHeaderBytes - kMagic.size())) return Result::kBroken;
  header += rest;
  const auto version = Take<uint32_t>(&header[8]);
  if (version != kFormatVersion) {
    return Broken("has version " + std::to_string(version) + " of the format; this torc reads " +
                  std::to_string(kFormatVersion));
  }
  unix_time_ = Take<int64_t>(&header[16]);
  if (Take<uint64_t>(&header[24]) != Checksum(std::string_view(header).substr(0, 24))) {
    return Broken("is damaged: its header does not match its checksum");
  }
  return Result::kOk;
}

Reader::Result Reader::NextBlock() {
  std::string header;
  if (!ReadBytes(&header, kBlockHeaderBytes)) return Result::kBroken;
  const auto size = Take<uint32_t>(&header[0]);
  const auto records = Take<uint32_t>(&header[4]);
  const auto checksum = Take<uint64_t>(&header[8]);
  const bool is_end = size == 0;
  if (size > kBlockBytesMax || is_end != (records == 0)) {
    return Broken("is damaged: a block has an impossible size");
  }
  if (!ReadBytes(&block_, is_end ? sizeof(uint64_t) : size)) return Result::kBroken;
  if (Checksum(block_) != checksum) {
    return Broken("is damaged: a block does not match its checksum");
  }
  if (is_end) {
    if (Take<uint64_t>(block_.data()) != records_) {
      return Broken("is damaged: it has lost blocks");
    }
    return Result::kEnd;
  }
  // The checksum holds, so this is what was written; but whoever wrote it may have been wrong.
  uint32_t counted = 0;
  for (at_ = 0; at_ != block_.size(); ++counted) {
    if (block_.size() - at_ < kRecordBytes) return Broken("has a record that is cut off");
    const size_t key_size = Take<uint8_t>(&block_[at_]);
    const size_t value_size = Take<uint32_t>(&block_[at_ + 13]);
    if (block_.size() - at_ - kRecordBytes < key_size + value_size || key_size == 0 ||
        key_size > 250) {
      return Broken("has a record of an impossible size");
    }
    at_ += kRecordBytes + key_size + value_size;
  }
  if (counted != records) return Broken("has a block with another number of records than it says");
  at_ = 0;
  block_records_ = records;
  records_ += records;
  return Result::kOk;
}

bool Reader::Next(Record* record) {
  if (block_records_ == 0) return false;
  --block_records_;
  const char* const from = &block_[at_];
  const size_t key_size = Take<uint8_t>(from);
  record->client_flags = Take<uint32_t>(from + 1);
  record->exptime = Take<int64_t>(from + 5);
  const size_t value_size = Take<uint32_t>(from + 13);
  record->key = {from + kRecordBytes, key_size};
  record->value = {from + kRecordBytes + key_size, value_size};
  at_ += kRecordBytes + key_size + value_size;
  return true;
}

}  // namespace torc::copy
