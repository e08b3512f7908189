// The client's side of the meta commands: reply lines read back. For tests and for a client; the
// server does not need it.
//
//   "VA 5 t30 c42 Oabc W\r\n"   -> {kOk, has_value, value_size = 5}, NextMetaFlag(): t "30", ...
//   "CLIENT_ERROR ...\r\n"      -> no reply of a meta command: ParseMetaReply gives false
//
// Owner: none, these are functions. Affinity: any. Lifetime: views point into the line. Invariant:
// a line that is not understood gives false and leaves the reply as it was.
#ifndef TORC_PROTO_META_REPLY_H_
#define TORC_PROTO_META_REPLY_H_

#include <cstdint>
#include <string_view>

#include "proto/meta/request.h"

namespace torc::proto {

struct MetaReply {
  MetaStatus status = MetaStatus::kOk;
  bool has_value = false;  // value_size bytes and "\r\n" follow
  uint32_t value_size = 0;
  std::string_view flags;  // for NextMetaFlag
};

// Reads a reply line of mg, ms, md or ma. Requires that `line` ends with its '\n'.
[[nodiscard]] bool ParseMetaReply(std::string_view line, MetaReply* out);

// Takes the next flag off the front of `flags`: its letter, and what stands behind it up to the
// next blank. False: there is none.
[[nodiscard]] bool NextMetaFlag(std::string_view* flags, char* letter, std::string_view* token);

}  // namespace torc::proto

#endif  // TORC_PROTO_META_REPLY_H_
