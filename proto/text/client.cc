#include "proto/text/client.h"

#include <cstring>

#include "proto/text/encoder.h"
#include "proto/text/numbers.h"
#include "proto/text/parser.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

std::string_view NameOf(Command command) {
  switch (command) {
    case Command::kInvalid:
      break;
    case Command::kGet:
      return "get";
    case Command::kGets:
      return "gets";
    case Command::kGat:
      return "gat";
    case Command::kGats:
      return "gats";
    case Command::kSet:
      return "set";
    case Command::kAdd:
      return "add";
    case Command::kReplace:
      return "replace";
    case Command::kAppend:
      return "append";
    case Command::kPrepend:
      return "prepend";
    case Command::kCas:
      return "cas";
    case Command::kIncr:
      return "incr";
    case Command::kDecr:
      return "decr";
    case Command::kTouch:
      return "touch";
    case Command::kDelete:
      return "delete";
    case Command::kFlushAll:
      return "flush_all";
    case Command::kVersion:
      return "version";
    case Command::kVerbosity:
      return "verbosity";
    case Command::kStats:
      return "stats";
    case Command::kMetaNoop:
      return "mn";
    case Command::kQuit:
      return "quit";
    case Command::kShutdown:
      return "shutdown";
    case Command::kLruCrawler:
      return "lru_crawler";
    case Command::kLru:
      return "lru";
    case Command::kSlabs:
      return "slabs";
    case Command::kMemoryLimit:
      return "cache_memlimit";
  }
  CHECK(false);
  return {};
}

char* EncodeToken(char* out, std::string_view token) {
  *out++ = ' ';
  return Encode(out, token);
}

char* EncodeNumber(char* out, uint64_t number) {
  *out++ = ' ';
  return EncodeDecimal(out, number);
}

char* EncodeExptime(char* out, int32_t exptime) {
  *out++ = ' ';
  const int64_t wide = exptime;  // -2^31 has no positive counterpart in 32 bits
  if (wide < 0) *out++ = '-';
  return EncodeDecimal(out, static_cast<uint64_t>(wide < 0 ? -wide : wide));
}

struct Word {
  std::string_view line;  // with "\r\n"
  TextReplyKind kind;
};

// The replies that are the same bytes always.
constexpr Word kWords[] = {
    {kEnd, TextReplyKind::kEnd},
    {kStoredLine, TextReplyKind::kStored},
    {kNotFoundLine, TextReplyKind::kNotFound},
    {kNotStoredLine, TextReplyKind::kNotStored},
    {kExistsLine, TextReplyKind::kExists},
    {kDeletedLine, TextReplyKind::kDeleted},
    {kTouchedLine, TextReplyKind::kTouched},
    {kOkLine, TextReplyKind::kOk},
    {kReset, TextReplyKind::kReset},
    {kMetaNoop, TextReplyKind::kMetaNoop},
};

std::string_view WithoutLineEnd(std::string_view line) {
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// "KEY FLAGS SIZE [CAS]"
bool ReadValueHeader(std::string_view rest, TextReply* out, uint32_t* value_size) {
  out->kind = TextReplyKind::kValue;
  out->key = NextToken(&rest);
  if (out->key.empty() || out->key.size() > kKeyBytesMax) return false;
  if (!ReadStrictU32(NextToken(&rest), &out->client_flags)) return false;
  if (!ReadStrictU32(NextToken(&rest), value_size) || *value_size > kValueBytesMax) return false;
  const std::string_view cas = NextToken(&rest);
  out->has_cas = !cas.empty();
  if (out->has_cas && !ReadStrictU64(cas, &out->cas)) return false;
  return NextToken(&rest).empty();
}

}  // namespace

char* EncodeRequest(char* out, const Request& request) {
  CHECK_LE(request.key.size(), kKeyBytesMax);
  const Command command = request.command;
  out = Encode(out, NameOf(command));
  if (command == Command::kGat || command == Command::kGats) {
    out = EncodeExptime(out, request.exptime);
  }
  if (!request.key.empty()) out = EncodeToken(out, request.key);
  if (IsStore(command)) {
    out = EncodeNumber(out, request.client_flags);
    out = EncodeExptime(out, request.exptime);
    out = EncodeNumber(out, request.value_size);
    if (command == Command::kCas) out = EncodeNumber(out, request.cas);
  }
  if (command == Command::kIncr || command == Command::kDecr) {
    out = EncodeNumber(out, request.delta);
  }
  if (command == Command::kTouch) out = EncodeExptime(out, request.exptime);
  if (command == Command::kFlushAll && request.exptime != 0) {
    out = EncodeExptime(out, request.exptime);
  }
  if (command == Command::kVerbosity) out = EncodeNumber(out, request.level);
  if (!request.rest.empty()) out = EncodeToken(out, request.rest);
  if (request.noreply) out = EncodeToken(out, "noreply");
  return Encode(out, kLineEnd);
}

bool ParseTextReplyLine(std::string_view line, TextReply* out, uint32_t* value_size) {
  TextReply reply;
  *value_size = 0;
  for (const Word& word : kWords) {
    if (line == word.line) {
      reply.kind = word.kind;
      *out = reply;
      return true;
    }
  }
  line = WithoutLineEnd(line);
  reply.text = line;
  std::string_view rest = line;
  const std::string_view first = NextToken(&rest);
  if (first == "VALUE") {
    reply.text = {};
    if (!ReadValueHeader(rest, &reply, value_size)) return false;
  } else if (first == "STAT") {
    reply.kind = TextReplyKind::kStat;
    reply.key = NextToken(&rest);
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    reply.text = rest;
  } else if (first == "VERSION") {
    reply.kind = TextReplyKind::kVersion;
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    reply.text = rest;
  } else if (first == "ERROR") {
    reply.kind = TextReplyKind::kError;
  } else if (first == "CLIENT_ERROR") {
    reply.kind = TextReplyKind::kClientError;
  } else if (first == "SERVER_ERROR") {
    reply.kind = TextReplyKind::kServerError;
  } else if (ReadStrictU64(first, &reply.number) && NextToken(&rest).empty()) {
    reply.kind = TextReplyKind::kNumber;
    reply.text = {};
  } else {
    return false;
  }
  *out = reply;
  return true;
}

TextReplyResult ParseTextReply(std::string_view received) {
  TextReplyResult result;
  const void* newline = std::memchr(received.data(), '\n', received.size());
  if (newline == nullptr) {
    if (received.size() > kReplyLineBytesMax) result.step = TextReplyStep::kBroken;
    result.size = received.size() + 1;
    return result;
  }
  const size_t line_size =
      static_cast<size_t>(static_cast<const char*>(newline) - received.data()) + 1;
  uint32_t value_size = 0;
  result.size = line_size;
  if (!ParseTextReplyLine(received.substr(0, line_size), &result.reply, &value_size)) {
    result.step = TextReplyStep::kBroken;
    return result;
  }
  if (result.reply.kind == TextReplyKind::kValue) {
    result.size += value_size + kLineEnd.size();
    if (received.size() < result.size) return result;
    result.reply.value = received.substr(line_size, value_size);
    if (received.substr(line_size + value_size, kLineEnd.size()) != kLineEnd) {
      result.step = TextReplyStep::kBroken;
      return result;
    }
  }
  result.step = TextReplyStep::kReply;
  return result;
}

}  // namespace torc::proto
