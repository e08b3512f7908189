// One pass over the tokens. memcached looks at them three times, once for each kind of error, and
// the first look that finds something decides; here what each look would have found is kept, and
// Verdict() picks.
#include "proto/meta/parser.h"

#include <cstring>

#include "proto/meta/base64.h"
#include "proto/text/numbers.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

// memcached looks at the first 23 tokens of a line, even of those that have too many.
constexpr size_t kTokensSeenMax = 23;

constexpr bool IsAlnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

MetaCommand CommandOf(char c) {
  switch (c) {
    case 'g':
      return MetaCommand::kGet;
    case 's':
      return MetaCommand::kSet;
    case 'd':
      return MetaCommand::kDelete;
    case 'a':
      return MetaCommand::kArithmetic;
    default:
      CHECK(c == 'e');
      return MetaCommand::kDebug;
  }
}

// Takes the next token off [*cursor, end). Empty: there is none.
std::string_view TakeToken(const char** cursor, const char* end) {
  const char* p = *cursor;
  while (p != end && *p == ' ') ++p;
  const char* const begin = p;
  while (p != end && *p != ' ') ++p;
  *cursor = p;
  return {begin, static_cast<size_t>(p - begin)};
}

class Reader {
 public:
  Reader(std::string_view line, MetaRequest* request)
      : request_(*request), cursor_(line.data() + 2), end_(line.data() + line.size() - 1) {
    if (end_[-1] == '\r') --end_;
    request_.command = CommandOf(line[1]);
    request_.mode =
        request_.command == MetaCommand::kArithmetic ? MetaMode::kIncrement : MetaMode::kSet;
  }

  void Read() {
    request_.key = TakeToken(&cursor_, end_);
    if (request_.key.empty()) return Fail(MetaError::kTooFewTokens);
    size_t tokens = 2;
    if (request_.command == MetaCommand::kSet) {
      const std::string_view size = TakeToken(&cursor_, end_);
      if (size.empty()) return Fail(MetaError::kTooFewTokens);
      if (!ReadSize(size)) return Fail(MetaError::kBadValueSize);
      ++tokens;
    }
    for (;;) {
      const std::string_view token = TakeToken(&cursor_, end_);
      if (token.empty()) break;
      if (++tokens > kTokensSeenMax) break;
      if (!IsAlnum(token[0])) return Fail(MetaError::kFlagNotAlnum);
      if (request_.command == MetaCommand::kDebug) {
        // Its only flag is b, and only in the first place.
        if (tokens == 3) request_.key_is_base64 = token[0] == 'b';
      } else if (fatal_ == MetaError::kNone) {
        ReadFlag(token);
      }
    }
    request_.swallow_value = request_.command == MetaCommand::kSet;
    const MetaError error = Verdict(tokens);
    if (error != MetaError::kNone) return Fail(error);
    request_.swallow_value = false;
    Settle();
  }

 private:
  void Fail(MetaError error) { request_.error = error; }

  bool ReadSize(std::string_view token) {
    int32_t size = 0;
    if (!ReadStrictI32(token, &size) || size < 0 || static_cast<uint32_t>(size) > kValueBytesMax) {
      return false;
    }
    request_.value_size = static_cast<uint32_t>(size);
    return true;
  }

  void Echo(char letter) {
    MetaEcho& echo = request_.echo;
    CHECK_LT(echo.letter_count, MetaEcho::kLettersMax);  // No flag stands twice.
    echo.letters[echo.letter_count++] = letter;
  }

  void ReadTime(std::string_view token, int32_t* out) {
    if (!ReadStrictI32(token, out)) bad_token_ = MetaError::kBadToken;
  }
  void ReadNumber(std::string_view token, uint64_t* out, MetaError error) {
    if (!ReadStrictU64(token, out)) bad_token_ = error;
  }

  void ReadFlag(std::string_view flag) {
    const char letter = flag[0];
    if (IsDigit(letter)) {
      fatal_ = MetaError::kUnknownFlag;
      return;
    }
    const uint64_t bit = uint64_t{1} << MetaRequest::FlagBit(letter);
    if ((request_.flag_set & bit) != 0) {
      fatal_ = MetaError::kDuplicateFlag;
      return;
    }
    request_.flag_set |= bit;
    const std::string_view token = flag.substr(1);
    switch (letter) {
      case 's':
      case 't':
      case 'c':
      case 'f':
      case 'l':
      case 'h':
      case 'k':
        Echo(letter);
        break;
      case 'v':
        request_.with_value = true;
        break;
      case 'q':
        request_.quiet = true;
        break;
      case 'b':
        request_.key_is_base64 = true;
        // The place counts too: a later bad token has the last word.
        if (Base64DecodedSize(request_.key) == 0) bad_token_ = MetaError::kBadBase64;
        break;
      case 'O':
        Echo(letter);
        if (token.size() > kOpaqueBytesMax) {
          opaque_too_long_ = true;
        } else {
          std::memcpy(request_.echo.opaque, token.data(), token.size());
          request_.echo.opaque_size = static_cast<uint8_t>(token.size());
        }
        break;
      case 'T':
        Echo(letter);
        ReadTime(token, &request_.exptime);
        break;
      case 'N':
        Echo(letter);
        ReadTime(token, &request_.vivify_exptime);
        break;
      case 'R':
        ReadTime(token, &request_.recache_exptime);
        break;
      case 'C':
        ReadNumber(token, &request_.cas_compare, MetaError::kBadToken);
        break;
      case 'E':
        ReadNumber(token, &request_.cas_new, MetaError::kBadToken);
        break;
      case 'D':
        ReadNumber(token, &request_.delta, MetaError::kBadDelta);
        break;
      case 'J':
        ReadNumber(token, &request_.initial, MetaError::kBadInitial);
        break;
      case 'F':
        // The only one that leaves the error of an earlier token standing.
        if (!ReadStrictU32(token, &request_.client_flags) && bad_token_ == MetaError::kNone) {
          bad_token_ = MetaError::kBadClientFlags;
        }
        break;
      case 'M':
        mode_letter_ = token.empty() ? ' ' : token[0];  // More letters are not looked at.
        break;
      case 'I':
      case 'u':
      case 'x':
      case 'P':
      case 'L':
        break;
      default:
        fatal_ = MetaError::kUnknownFlag;
        break;
    }
  }

  // Which of the errors is answered.
  MetaError Verdict(size_t tokens) {
    if (request_.key.size() > kKeyBytesMax) return MetaError::kKeyTooLong;
    if (request_.command == MetaCommand::kDebug) {
      return request_.key_is_base64 && Base64DecodedSize(request_.key) == 0 ? MetaError::kBadBase64
                                                                            : MetaError::kNone;
    }
    if (tokens > kMetaTokensMax) return MetaError::kTooManyFlags;
    if (fatal_ != MetaError::kNone) return fatal_;
    if (bad_token_ != MetaError::kNone) return bad_token_;
    if (request_.Has('M') && !ReadMode()) return MetaError::kBadMode;
    if (opaque_too_long_) return MetaError::kOpaqueTooLong;
    return MetaError::kNone;
  }

  bool ReadMode() {
    const auto choose = [this](MetaMode mode) {
      request_.mode = mode;
      return true;
    };
    if (request_.command == MetaCommand::kSet) {
      switch (mode_letter_) {
        case 'S':
          return choose(MetaMode::kSet);
        case 'E':
          return choose(MetaMode::kAdd);
        case 'A':
          return choose(MetaMode::kAppend);
        case 'P':
          return choose(MetaMode::kPrepend);
        case 'R':
          return choose(MetaMode::kReplace);
        default:
          return false;
      }
    }
    if (request_.command == MetaCommand::kArithmetic) {
      switch (mode_letter_) {
        case 'I':
        case '+':
          return choose(MetaMode::kIncrement);
        case 'D':
        case '-':
          return choose(MetaMode::kDecrement);
        default:
          return false;
      }
    }
    return true;  // Without meaning in mg and md.
  }

  // What the flags mean together.
  void Settle() {
    MetaRequest& r = request_;
    r.decoded_key_size =
        static_cast<uint8_t>(r.key_is_base64 ? Base64DecodedSize(r.key) : r.key.size());
    r.compares_cas = r.Has('C');
    r.sets_cas = r.Has('E');
    switch (r.command) {
      case MetaCommand::kSet: {
        const bool concatenates = r.mode == MetaMode::kAppend || r.mode == MetaMode::kPrepend;
        if (concatenates) r.compares_cas = r.cas_compare != 0;
        if (r.mode == MetaMode::kAdd) r.compares_cas = false;
        r.vivifies = r.Has('N') && concatenates;
        r.sets_cas = r.cas_new != 0;
        r.invalidates = r.Has('I') && r.compares_cas && !concatenates;
        break;
      }
      case MetaCommand::kArithmetic:
        r.compares_cas = r.cas_compare != 0;
        r.vivifies = r.Has('N');
        break;
      case MetaCommand::kDelete:
        r.invalidates = r.Has('I');
        break;
      case MetaCommand::kGet:
        r.vivifies = r.Has('N');
        break;
      case MetaCommand::kDebug:
        break;
    }
  }

  MetaRequest& request_;
  const char* cursor_;
  const char* end_;
  MetaError fatal_ = MetaError::kNone;      // The first that ends memcached's look at the flags.
  MetaError bad_token_ = MetaError::kNone;  // The last of those that do not.
  char mode_letter_ = ' ';
  bool opaque_too_long_ = false;
};

}  // namespace

MetaRequest ParseMetaLine(std::string_view line) {
  VERIFY(IsMetaLine(line) && line.find('\n') == line.size() - 1);
  MetaRequest request;
  Reader(line, &request).Read();
  return request;
}

std::string_view MetaErrorText(MetaCommand command, MetaError error) {
  constexpr std::string_view kBadFormat = "CLIENT_ERROR bad command line format\r\n";
  switch (error) {
    case MetaError::kNone:
    case MetaError::kCount:
      return {};
    case MetaError::kTooFewTokens:
    case MetaError::kBadValueSize:
    case MetaError::kFlagNotAlnum:
      return kBadFormat;
    case MetaError::kBadMode:
      return command == MetaCommand::kSet ? "CLIENT_ERROR invalid mode for ms M token\r\n"
                                          : "CLIENT_ERROR invalid mode for ma M token\r\n";
    case MetaError::kOpaqueTooLong:
      return "CLIENT_ERROR opaque token too long\r\n";
    default:
      break;
  }
  if (command == MetaCommand::kArithmetic) return "CLIENT_ERROR invalid or duplicate flag\r\n";
  switch (error) {
    case MetaError::kTooManyFlags:
      return "CLIENT_ERROR options flags are too long\r\n";
    case MetaError::kDuplicateFlag:
      return "CLIENT_ERROR duplicate flag\r\n";
    case MetaError::kUnknownFlag:
      return "CLIENT_ERROR invalid flag\r\n";
    case MetaError::kBadBase64:
      return command == MetaCommand::kDebug ? kBadFormat : "CLIENT_ERROR error decoding key\r\n";
    case MetaError::kBadToken:
      return "CLIENT_ERROR bad token in command line format\r\n";
    case MetaError::kBadInitial:
      return "CLIENT_ERROR invalid numeric initial value\r\n";
    case MetaError::kBadDelta:
      return "CLIENT_ERROR invalid numeric delta value\r\n";
    default:
      return kBadFormat;  // kKeyTooLong, kBadClientFlags
  }
}

}  // namespace torc::proto
