// Two readers of one language. ParseLineInFull() is the definition: it splits a line into tokens
// and applies memcached's rules, odd ones included, in the order in which their errors show.
// ParseLine() recognises the plain forms that clients really send - single blanks, unsigned decimal
// numbers, nothing after the last argument but perhaps "noreply" - in one pass from left to right,
// and hands every other line to the definition. So a short cut may give up at any byte, and never
// has to know what an odd line means.
//
// Both lean on the line end: it is neither a blank nor a digit, so a scan over blanks or digits
// stops at it by itself.
#include "proto/text/parser.h"

#include <cstdint>
#include <cstring>

#include "proto/text/numbers.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

constexpr std::string_view kNoreply = "noreply";

// memcached looks at the first 23 tokens of a line and ignores the rest, a closing "noreply"
// included.
constexpr size_t kTokensMax = 23;

// Digits that fit 64 bits whatever they are.
constexpr size_t kSafeDigitsMax = 19;

// The C locale's isspace().
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Where the line end of `line` begins: at its '\n', or at one '\r' before that.
const char* LineEnd(std::string_view line) {
  const char* newline = line.data() + line.size() - 1;
  return line.size() > 1 && newline[-1] == '\r' ? newline - 1 : newline;
}

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

struct Tokens {
  std::string_view at[kTokensMax];
  size_t count = 0;

  explicit Tokens(std::string_view text) {
    while (count < kTokensMax) {
      const std::string_view token = NextToken(&text);
      if (token.empty()) break;
      at[count++] = token;
    }
  }
  bool EndInNoreply() const { return count > 0 && at[count - 1] == kNoreply; }
};

// ---- The lax numbers. ----

// C's strtoul() and strtol(), let loose on the rest of the line: white space and a
// sign may come first, and white space or a NUL must follow. White space includes bytes that do not
// separate tokens, so "\t" as a token reads the number of the next one.
struct LaxNumber {
  uint64_t magnitude;
  bool negative;
};

bool ReadLax(const char* p, const char* line_end, LaxNumber* out) {
  while (p != line_end && IsSpace(*p)) ++p;
  out->negative = p != line_end && *p == '-';
  if (p != line_end && (*p == '-' || *p == '+')) ++p;
  if (p == line_end || !IsDigit(*p)) return false;
  out->magnitude = 0;
  for (; p != line_end && IsDigit(*p); ++p) {
    if (__builtin_mul_overflow(out->magnitude, 10U, &out->magnitude)) return false;
    if (__builtin_add_overflow(out->magnitude, static_cast<unsigned>(*p - '0'), &out->magnitude)) {
      return false;
    }
  }
  return p == line_end || IsSpace(*p) || *p == '\0';
}

// Client flags: cut to 32 bits after reading 64; "-1" is refused, and what strtoul() wraps back to
// a small number is not.
bool ReadLaxFlags(std::string_view token, const char* line_end, uint32_t* out) {
  LaxNumber number;
  if (!ReadLax(token.data(), line_end, &number)) return false;
  const uint64_t value = number.negative ? -number.magnitude : number.magnitude;
  if (number.negative && (value >> 63) != 0) return false;
  *out = static_cast<uint32_t>(value);
  return true;
}

// A storage command's exptime: cut to 32 bits after reading 64.
bool ReadLaxExptime(std::string_view token, const char* line_end, int32_t* out) {
  LaxNumber number;
  if (!ReadLax(token.data(), line_end, &number)) return false;
  if (number.magnitude > (uint64_t{1} << 63) - (number.negative ? 0 : 1)) return false;
  const uint64_t value = number.negative ? -number.magnitude : number.magnitude;
  *out = static_cast<int32_t>(static_cast<uint32_t>(value));
  return true;
}

// ---- The definition: one function for each shape of command. ----

Request Fail(Request request, Cause error) {
  request.error = error;
  return request;
}

Request FinishGet(Request request, const Tokens& tokens, const char* line_end) {
  if (tokens.count < 2) return Fail(request, Cause::kTooFewTokens);
  request.rest = Between(tokens.at[1].data(), line_end);
  return request;
}

Request FinishGat(Request request, const Tokens& tokens, const char* line_end) {
  if (tokens.count < 3) return Fail(request, Cause::kTooFewTokens);
  if (!ReadStrictI32(tokens.at[1], &request.exptime)) {
    return Fail(request, Cause::kBadExptime);
  }
  request.rest = Between(tokens.at[2].data(), line_end);
  return request;
}

Request FinishStore(Request request, const Tokens& tokens, const char* line_end) {
  // Up to here memcached does not know how long the value is, so it can neither skip it nor trust a
  // "noreply".
  if (tokens.count < 5) return Fail(request, Cause::kTooFewTokens);
  int32_t value_size = 0;
  if (!ReadStrictI32(tokens.at[4], &value_size) || value_size < 0 ||
      static_cast<uint32_t>(value_size) > kValueBytesMax) {
    return Fail(request, Cause::kBadValueSize);
  }
  request.value_size = static_cast<uint32_t>(value_size);
  request.noreply = tokens.EndInNoreply();
  request.swallow_value = true;
  request.key = tokens.at[1];
  if (request.key.size() > kKeyBytesMax) return Fail(request, Cause::kKeyTooLong);
  if (!ReadLaxFlags(tokens.at[2], line_end, &request.client_flags)) {
    return Fail(request, Cause::kBadClientFlags);
  }
  if (!ReadLaxExptime(tokens.at[3], line_end, &request.exptime)) {
    return Fail(request, Cause::kBadStoreExptime);
  }
  if (request.command == Command::kCas &&
      (tokens.count < 6 || !ReadStrictU64(tokens.at[5], &request.cas))) {
    return Fail(request, Cause::kBadCas);
  }
  request.swallow_value = false;
  return request;
}

// incr, decr, touch and delete: a key, and what `arguments` counts after it.
Request FinishKeyed(Request request, const Tokens& tokens, size_t arguments) {
  if (tokens.count < 2 + arguments) return Fail(request, Cause::kTooFewTokens);
  request.noreply = tokens.EndInNoreply();
  request.key = tokens.at[1];
  if (request.key.size() > kKeyBytesMax) return Fail(request, Cause::kKeyTooLong);
  if (request.command == Command::kTouch) {
    if (!ReadStrictI32(tokens.at[2], &request.exptime)) {
      return Fail(request, Cause::kBadExptime);
    }
  } else if (request.command != Command::kDelete) {
    if (!ReadStrictU64(tokens.at[2], &request.delta)) return Fail(request, Cause::kBadDelta);
  }
  return request;
}

Request FinishFlushAll(Request request, const Tokens& tokens) {
  request.noreply = tokens.EndInNoreply();
  const bool has_delay = tokens.count > (request.noreply ? 2U : 1U);
  if (has_delay && !ReadStrictI32(tokens.at[1], &request.exptime)) {
    return Fail(request, Cause::kBadExptime);
  }
  return request;
}

Request FinishVerbosity(Request request, const Tokens& tokens) {
  request.noreply = tokens.EndInNoreply();
  uint32_t level = 0;
  if (tokens.count < 2 || !ReadStrictU32(tokens.at[1], &level)) {
    return Fail(request, Cause::kBadVerbosity);
  }
  request.level = level;
  return request;
}

Request FinishUnknown(Request request, const Tokens& tokens) {
  // A web browser, or a web page that makes one post its forms here: leave before a line of the
  // request can be a command.
  if (tokens.count > 1 && tokens.at[tokens.count - 1].starts_with("HTTP/")) {
    request.command = Command::kQuit;
    return Fail(request, Cause::kHttpRequest);
  }
  request.noreply = tokens.EndInNoreply();
  return Fail(request, Cause::kUnknownCommand);
}

struct Name {
  std::string_view text;
  Command command;
  // memcached finds its rare commands by their token, the others by the bytes at the start of the
  // line.
  bool after_blanks;
};
constexpr Name kNames[] = {
    {"get", Command::kGet, false},
    {"gets", Command::kGets, false},
    {"gat", Command::kGat, false},
    {"gats", Command::kGats, false},
    {"set", Command::kSet, false},
    {"add", Command::kAdd, false},
    {"replace", Command::kReplace, false},
    {"append", Command::kAppend, false},
    {"prepend", Command::kPrepend, false},
    {"cas", Command::kCas, false},
    {"incr", Command::kIncr, false},
    {"decr", Command::kDecr, false},
    {"touch", Command::kTouch, false},
    {"delete", Command::kDelete, false},
    {"version", Command::kVersion, false},
    {"stats", Command::kStats, false},
    {"mn", Command::kMetaNoop, false},
    {"quit", Command::kQuit, false},
    {"flush_all", Command::kFlushAll, true},
    {"verbosity", Command::kVerbosity, true},
    {"shutdown", Command::kShutdown, true},
    {"lru_crawler", Command::kLruCrawler, true},
    {"lru", Command::kLru, true},
    {"slabs", Command::kSlabs, true},
    {"cache_memlimit", Command::kMemoryLimit, true},
};

Command FindCommand(const Tokens& tokens, bool after_blanks) {
  if (tokens.count == 0) return Command::kInvalid;
  for (const Name& name : kNames) {
    if (name.text == tokens.at[0] && (name.after_blanks || !after_blanks)) return name.command;
  }
  return Command::kInvalid;
}

// ---- The short cuts. Each gives false for whatever is not plain. Those for numbers are put in
// place: a cursor that is passed by reference goes through memory, once for each digit. ----

// Reads 1 to `digits_max` (at most kSafeDigitsMax) digits. The digits must end there.
[[gnu::always_inline]] inline bool TakeDigits(const char** cursor, size_t digits_max,
                                              uint64_t* out) {
  const char* p = *cursor;
  if (!IsDigit(*p)) return false;
  uint64_t value = 0;
  do {
    value = value * 10 + static_cast<uint64_t>(*p - '0');
    ++p;
  } while (IsDigit(*p));
  if (static_cast<size_t>(p - *cursor) > digits_max) return false;  // `value` may have wrapped.
  *cursor = p;
  *out = value;
  return true;
}

// 32 bits: the digits of the largest number, so no leading zeros to speak of.
[[gnu::always_inline]] inline bool TakeNumber(const char** cursor, uint64_t max, uint64_t* out) {
  constexpr size_t kDigitsMax32 = 10;
  return TakeDigits(cursor, kDigitsMax32, out) && *out <= max;
}

bool TakeBlank(const char** cursor) {
  if (**cursor != ' ') return false;
  ++*cursor;
  return true;
}

// A key and the single blank after it.
bool TakeKey(const char** cursor, const char* line_end, std::string_view* key) {
  const char* p = *cursor;
  const void* found = std::memchr(p, ' ', static_cast<size_t>(line_end - p));
  if (found == nullptr) return false;
  const char* blank = static_cast<const char*>(found);
  *key = Between(p, blank);
  *cursor = blank + 1;
  return !key->empty() && key->size() <= kKeyBytesMax;
}

// The end of the line, or " noreply" before it.
bool TakeEnd(const char* p, const char* line_end, bool* noreply) {
  constexpr std::string_view kLastWord = " noreply";
  *noreply = p != line_end;
  return p == line_end || Between(p, line_end) == kLastWord;
}

bool TakeStore(const char* p, const char* line_end, Request* request) {
  uint64_t client_flags = 0;
  uint64_t exptime = 0;
  uint64_t value_size = 0;
  if (!TakeKey(&p, line_end, &request->key) ||                         //
      !TakeNumber(&p, UINT32_MAX, &client_flags) || !TakeBlank(&p) ||  //
      !TakeNumber(&p, INT32_MAX, &exptime) || !TakeBlank(&p) ||        //
      !TakeNumber(&p, kValueBytesMax, &value_size)) {
    return false;
  }
  if (request->command == Command::kCas &&
      (!TakeBlank(&p) || !TakeDigits(&p, kSafeDigitsMax, &request->cas))) {
    return false;
  }
  request->client_flags = static_cast<uint32_t>(client_flags);
  request->exptime = static_cast<int32_t>(exptime);
  request->value_size = static_cast<uint32_t>(value_size);
  return TakeEnd(p, line_end, &request->noreply);
}

bool TakeCount(const char* p, const char* line_end, Request* request) {
  return TakeKey(&p, line_end, &request->key) && TakeDigits(&p, kSafeDigitsMax, &request->delta) &&
         TakeEnd(p, line_end, &request->noreply);
}

bool TakeTouch(const char* p, const char* line_end, Request* request) {
  uint64_t exptime = 0;
  if (!TakeKey(&p, line_end, &request->key) || !TakeNumber(&p, INT32_MAX, &exptime)) return false;
  request->exptime = static_cast<int32_t>(exptime);
  return TakeEnd(p, line_end, &request->noreply);
}

// A key alone.
bool TakeDelete(const char* p, const char* line_end, Request* request) {
  request->key = Between(p, line_end);
  return !request->key.empty() && request->key.size() <= kKeyBytesMax && request->key != kNoreply &&
         request->key.find(' ') == std::string_view::npos;
}

bool TakeKeys(const char* p, const char* line_end, Request* request) {
  while (*p == ' ') ++p;
  request->rest = Between(p, line_end);
  return p != line_end;
}

bool TakeTimedKeys(const char* p, const char* line_end, Request* request) {
  uint64_t exptime = 0;
  if (!TakeNumber(&p, INT32_MAX, &exptime) || !TakeBlank(&p)) return false;
  request->exptime = static_cast<int32_t>(exptime);
  return TakeKeys(p, line_end, request);
}

// Four bytes as the number that a load of them gives.
constexpr uint32_t Word(const char (&text)[5]) {
  uint32_t word = 0;
  for (int i = 3; i >= 0; --i) word = word << 8 | static_cast<unsigned char>(text[i]);
  return word;
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

// Reads the plain forms. False: `request` holds nothing of use.
bool TakePlain(std::string_view line, Request* request) {
  using Take = bool (*)(const char*, const char*, Request*);
  const auto finish = [&](Command command, std::string_view remaining_name, Take take) {
    const size_t name_bytes = 4 + remaining_name.size();
    if (!line.substr(4).starts_with(remaining_name)) return false;
    request->command = command;
    return take(line.data() + name_bytes, LineEnd(line), request);
  };
  uint32_t word;
  std::memcpy(&word, line.data(), sizeof(word));
  switch (word) {
    case Word("get "):
      return finish(Command::kGet, "", TakeKeys);
    case Word("gets"):
      return finish(Command::kGets, " ", TakeKeys);
    case Word("gat "):
      return finish(Command::kGat, "", TakeTimedKeys);
    case Word("gats"):
      return finish(Command::kGats, " ", TakeTimedKeys);
    case Word("set "):
      return finish(Command::kSet, "", TakeStore);
    case Word("add "):
      return finish(Command::kAdd, "", TakeStore);
    case Word("repl"):
      return finish(Command::kReplace, "ace ", TakeStore);
    case Word("appe"):
      return finish(Command::kAppend, "nd ", TakeStore);
    case Word("prep"):
      return finish(Command::kPrepend, "end ", TakeStore);
    case Word("cas "):
      return finish(Command::kCas, "", TakeStore);
    case Word("incr"):
      return finish(Command::kIncr, " ", TakeCount);
    case Word("decr"):
      return finish(Command::kDecr, " ", TakeCount);
    case Word("touc"):
      return finish(Command::kTouch, "h ", TakeTouch);
    case Word("dele"):
      return finish(Command::kDelete, "te ", TakeDelete);
    case Word("mn\r\n"):
      request->command = Command::kMetaNoop;
      return true;
    default:
      return false;
  }
}

// The shortest line that memcached looks at, its line end included: "mn\r\n". (So "mn\n" is an
// error.)
constexpr size_t kLineBytesMin = 4;

}  // namespace

std::string_view NextToken(std::string_view* rest) {
  const size_t begin = rest->find_first_not_of(' ');
  if (begin == std::string_view::npos) {
    *rest = {};
    return {};
  }
  const size_t end = rest->find(' ', begin);
  const std::string_view token =
      rest->substr(begin, end == std::string_view::npos ? end : end - begin);
  rest->remove_prefix(begin + token.size());
  return token;
}

bool MayGrow(std::string_view received) {
  constexpr size_t kLeadingBlanksMax = 100;
  if (received.size() <= kUnfinishedLineBytesMax) return true;
  const size_t blanks = received.find_first_not_of(' ');
  if (blanks == std::string_view::npos || blanks > kLeadingBlanksMax) return false;
  const std::string_view command = received.substr(blanks);
  return command.starts_with("get ") || command.starts_with("gets ");
}

namespace internal {

Request ParseLineInFull(std::string_view line) {
  Request request;
  if (line.size() < kLineBytesMin) return Fail(request, Cause::kLineTooShort);
  const char* line_end = LineEnd(line);
  const Tokens tokens(Between(line.data(), line_end));
  request.command = FindCommand(tokens, line.front() == ' ');
  switch (request.command) {
    case Command::kGet:
    case Command::kGets:
      return FinishGet(request, tokens, line_end);
    case Command::kGat:
    case Command::kGats:
      return FinishGat(request, tokens, line_end);
    case Command::kSet:
    case Command::kAdd:
    case Command::kReplace:
    case Command::kAppend:
    case Command::kPrepend:
    case Command::kCas:
      return FinishStore(request, tokens, line_end);
    case Command::kIncr:
    case Command::kDecr:
    case Command::kTouch:
      return FinishKeyed(request, tokens, 1);
    case Command::kDelete:
      return FinishKeyed(request, tokens, 0);
    case Command::kFlushAll:
      return FinishFlushAll(request, tokens);
    case Command::kVerbosity:
      return FinishVerbosity(request, tokens);
    case Command::kShutdown:
    case Command::kLruCrawler:
    case Command::kLru:
    case Command::kSlabs:
    case Command::kMemoryLimit:
      request.noreply = tokens.EndInNoreply();
      [[fallthrough]];
    case Command::kStats:
      request.rest = Between(tokens.at[0].data() + tokens.at[0].size(), line_end);
      return request;
    case Command::kVersion:
    case Command::kMetaNoop:
    case Command::kQuit:
      return request;
    case Command::kInvalid:
      break;
  }
  return FinishUnknown(request, tokens);
}

}  // namespace internal

Request ParseLine(std::string_view line) {
  VERIFY(!line.empty() && line.find('\n') == line.size() - 1);
  Request request;  // the one that is returned, not copied
  if (line.size() < kLineBytesMin || !TakePlain(line, &request)) {
    request = internal::ParseLineInFull(line);
  }
  return request;
}

}  // namespace torc::proto
