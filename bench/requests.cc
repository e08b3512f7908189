#include "bench/requests.h"

#include <algorithm>
#include <string_view>

namespace torc::bench {
namespace {

// Larger values are not copied: for them a piece of its own in a send costs less than the bytes.
constexpr size_t kCopiedSizeMax = 16384;

char* Append(std::string_view text, char* out) { return std::copy(text.begin(), text.end(), out); }

}  // namespace

Requests::Requests(const RequestMix& mix, const Keyspace& keyspace, const Protocol& protocol,
                   uint64_t seed)
    : mix_(mix),
      keyspace_(keyspace),
      protocol_(protocol),
      copied_size_max_(mix.copy_values ? SIZE_MAX : kCopiedSizeMax),
      set_size_max_(protocol.SetFrameSizeMax() + std::clamp(keyspace.value_sizes().max(),
                                                            Keyspace::kValueHeadSizeMax,
                                                            copied_size_max_)),
      popularity_(mix.popularity, keyspace.key_count()),
      random_(Mix(seed)) {
  next_size_max_ = std::max(
      {mix.set_share > 0 ? set_size_max_ : 0, mix.delete_share > 0 ? protocol.DeleteSizeMax() : 0,
       mix.set_share + mix.delete_share < 1 ? protocol.GetSizeMax(mix.keys_per_get) : 0});
}

RequestKind Requests::NextKind() {
  if (mix_.set_share + mix_.delete_share == 0) return RequestKind::kGet;
  if (mix_.set_share == 1) return RequestKind::kSet;
  const double draw = random_.Fraction();
  if (draw < mix_.set_share) return RequestKind::kSet;
  return draw < mix_.set_share + mix_.delete_share ? RequestKind::kDelete : RequestKind::kGet;
}

void Requests::AddNext(Batch& batch, Outgoing& out) {
  const RequestKind kind = NextKind();
  if (kind == RequestKind::kSet) return AddSet(popularity_.Next(random_), batch, out);
  const size_t key_begin = batch.keys.size();
  const uint32_t key_count = kind == RequestKind::kGet ? mix_.keys_per_get : 1;
  for (uint32_t i = 0; i < key_count; ++i) batch.keys.push_back(popularity_.Next(random_));
  const uint64_t* const ids = batch.keys.data() + key_begin;
  out.set_end(kind == RequestKind::kGet ? protocol_.EncodeGet(ids, key_count, out.end())
                                        : protocol_.EncodeDelete(*ids, out.end()));
  batch.requests.push_back({kind, static_cast<uint32_t>(batch.keys.size())});
}

void Requests::AddSet(uint64_t id, Batch& batch, Outgoing& out) {
  ++version_;
  if (keyspace_.ValueSize(id) <= copied_size_max_) {
    out.set_end(protocol_.EncodeSet(id, version_, out.end()));
  } else {
    char* end = protocol_.EncodeSetHead(id, out.end());
    const std::string_view rest = keyspace_.WriteValueHead(id, version_, end);
    out.set_end(end);
    out.AppendReference(rest);
    out.set_end(Append(protocol_.set_tail(), out.end()));
  }
  batch.keys.push_back(id);
  batch.requests.push_back({RequestKind::kSet, static_cast<uint32_t>(batch.keys.size())});
}

}  // namespace torc::bench
