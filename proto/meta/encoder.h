// Writes replies of the meta commands into a buffer that the caller has made large enough.
//
//   mg k v t c O7   VA 5 t30 c42 O7 X W\r\n      EncodeMetaHit; the value and kLineEnd are the
//                   hello\r\n                    caller's
//   mg k k O7       EN kk O7\r\n                 EncodeMetaMiss
//   ms k 5 c s      HD c43 s5\r\n                EncodeMetaStored, whatever the status
//   md k k          NF kk\r\n                    EncodeMetaDone: md, and a ma that fails
//   ma k v c        VA 2 c44\r\n17\r\n           EncodeMetaNumber
//   me k            ME k exp=-1 la=0 ...\r\n     EncodeMetaDebug
//
// The flags stand in the request's order, which MetaEcho keeps; X, Z and W behind them. Whether a
// reply is sent at all under q, IsSilent() says.
//
// Each Encode function returns one past the last byte it wrote and terminates nothing. Error
// replies come from MetaErrorText().
//
// Owner: none, these are functions. Affinity: any. Lifetime: constants are static. Invariant: no
// function writes more than kMetaReplyBytesMax.
#ifndef TORC_PROTO_META_ENCODER_H_
#define TORC_PROTO_META_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/meta/base64.h"
#include "proto/meta/request.h"

namespace torc::proto {

// The key as the reply shows it. Of a hit in mg, as_base64 is how the item was stored, otherwise
// how this request named it: memcached keeps with each item whether ms wrote its key in base64.
struct MetaKey {
  std::string_view bytes;  // decoded; at most kKeyBytesMax
  bool as_base64 = false;
};

// t of an item that never expires.
inline constexpr int64_t kTtlUnlimited = -1;

// How an item's time to live changed while the command was executed. t shows what holds at its
// place among the flags: behind T, what T set; behind N, what N set if it made the item.
struct MetaTtl {
  int64_t before = kTtlUnlimited;    // seconds left, or kTtlUnlimited. Of a made item: that.
  int64_t touched = kTtlUnlimited;   // what T set
  int64_t vivified = kTtlUnlimited;  // what N set
  bool created = false;              // N made the item
};

// What mg found.
struct MetaItem {
  uint64_t cas = 0;
  uint32_t value_size = 0;
  uint32_t client_flags = 0;
  uint32_t idle_seconds = 0;  // since the access before this one: l
  MetaTtl ttl;
  bool fetched = false;     // was it read before: h
  bool with_value = false;  // VA: asked for by v, and C did not match
  bool stale = false;       // X
  bool token_sent = false;  // Z: somebody has won before
  bool won = false;         // W: this client is to recache
};

// me: the fields that memcached shows of an item.
struct MetaDebugItem {
  uint64_t cas = 0;
  int64_t ttl = kTtlUnlimited;  // exp
  uint32_t idle_seconds = 0;    // la
  uint32_t size_class = 0;      // cls
  uint64_t size_bytes = 0;      // size: header, key and value together
  bool fetched = false;         // fetch
};

// "VA " size, all flags with the longest tokens, " Z X W", line end; a key of 250 bytes in base64.
inline constexpr size_t kMetaReplyBytesMax = 3 + 10 + 2 * 12 + 2 * 22 + 2 * 12 + 3 +
                                             (2 + kOpaqueBytesMax) +
                                             (2 + Base64Size(kKeyBytesMax) + 2) + 6 + 2 + 20 + 2;

// A hit of mg, up to the line end; with_value: the value follows.
char* EncodeMetaHit(char* out, const MetaEcho& echo, MetaKey key, const MetaItem& item);

// A miss of mg.
char* EncodeMetaMiss(char* out, const MetaEcho& echo, MetaKey key);

// Any result of ms. `cas` is the stored item's, 0 if nothing was stored; `value_size` that of the
// stored item (all of it after append and prepend), or of what was sent if nothing was stored.
char* EncodeMetaStored(char* out, const MetaEcho& echo, MetaKey key, MetaStatus status,
                       uint64_t cas, uint32_t value_size);

// Any result of md, and kNotFound, kNotStored and kExists of ma.
char* EncodeMetaDone(char* out, const MetaEcho& echo, MetaKey key, MetaStatus status);

// A success of ma, its number included if `with_value`.
char* EncodeMetaNumber(char* out, const MetaEcho& echo, MetaKey key, uint64_t number,
                       bool with_value, uint64_t cas, const MetaTtl& ttl);

// A hit of me. (A miss is "EN\r\n".)
char* EncodeMetaDebug(char* out, MetaKey key, const MetaDebugItem& item);

inline constexpr std::string_view kMetaDebugMiss = "EN\r\n";

}  // namespace torc::proto

#endif  // TORC_PROTO_META_ENCODER_H_
