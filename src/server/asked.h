// What of a request its reply depends on: it travels with the operation, through the batch, to
// another shard and back.
//
//   text      style, ends_command
//   binary    style kBinary; opcode, opaque, quiet, with_key
//   meta      style kMeta; the rest is a MetaAsked, kept beside the operation
//
// Owner: the batch entry or task that holds it. Affinity: shard. Lifetime: as theirs. Invariant:
// none.
#ifndef TORC_SRC_SERVER_ASKED_H_
#define TORC_SRC_SERVER_ASKED_H_

#include <cstdint>

#include "proto/binary/encoder.h"
#include "proto/meta/request.h"
#include "src/engine/engine.h"

namespace torc::server {

// How the result of an operation is told to the client.
enum class ReplyStyle : uint8_t {
  kUncounted,     // not at all, nor in the statistics: a removal on the side
  kSilent,        // not at all: noreply
  kValue,         // VALUE key flags size, nothing for a miss
  kValueWithCas,  // likewise with the CAS unique
  kStore,         // STORED, NOT_STORED, EXISTS, NOT_FOUND, SERVER_ERROR ...
  kDelete,        // DELETED, NOT_FOUND
  kTouch,         // TOUCHED, NOT_FOUND
  kNumber,        // the number, NOT_FOUND, CLIENT_ERROR ...
  kBinary,        // a packet, whatever the command
  kMeta,          // HD, VA, EN, NF, NS, EX
};

struct Asked {
  uint32_t opaque = 0;
  proto::Opcode opcode = proto::Opcode::kGet;
  ReplyStyle style = ReplyStyle::kSilent;
  bool ends_command : 1 = false;  // of text: END follows
  bool quiet : 1 = false;         // of binary
  bool with_key : 1 = false;      // of binary: the reply to a retrieval shows the key

  bool told() const { return style > ReplyStyle::kSilent; }
  proto::BinaryTo to() const { return {opaque, opcode}; }
};
static_assert(sizeof(Asked) == 8);

struct MetaAsked {
  proto::MetaEcho echo;
  uint32_t value_size = 0;                         // of ms: what was sent
  RelativeSeconds vivify_exptime = kNeverExpires;  // N
  proto::MetaCommand command = proto::MetaCommand::kGet;
  bool quiet = false;
  bool with_value = false;
  bool key_is_base64 = false;
};

// What some operations need besides, of which nothing else of the request is left: `extended` where
// Op::verb is kExtended, `meta` where the style is kMeta. Else neither is looked at.
struct Extra {
  Extra() {}  // NOLINT(modernize-use-equals-default): clears nothing
  union {
    engine::Extended extended;
  };
  union {
    MetaAsked meta;
  };
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_ASKED_H_
