#include "proto/meta/client.h"

#include <bit>
#include <cstring>

#include "proto/text/client.h"
#include "proto/text/encoder.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

// The flags whose order the reply repeats, or depends on: MetaEcho.
constexpr std::string_view kEchoed = "stcflhkOTN";

char LetterOf(unsigned bit) {
  return static_cast<char>(bit < 26 ? 'a' + static_cast<int>(bit)
                                    : 'A' + static_cast<int>(bit) - 26);
}

char* EncodeSigned(char* out, int32_t number) {
  const int64_t wide = number;  // -2^31 has no positive counterpart in 32 bits
  if (wide < 0) *out++ = '-';
  return EncodeDecimal(out, static_cast<uint64_t>(wide < 0 ? -wide : wide));
}

char ModeLetter(MetaMode mode) {
  switch (mode) {
    case MetaMode::kSet:
      return 'S';
    case MetaMode::kAdd:
      return 'E';
    case MetaMode::kAppend:
      return 'A';
    case MetaMode::kPrepend:
      return 'P';
    case MetaMode::kReplace:
      return 'R';
    case MetaMode::kIncrement:
      return 'I';
    case MetaMode::kDecrement:
      return 'D';
  }
  CHECK(false);
  return 0;
}

char* EncodeFlag(char* out, const MetaRequest& request, char flag) {
  *out++ = ' ';
  *out++ = flag;
  switch (flag) {
    case 'C':
      return EncodeDecimal(out, request.cas_compare);
    case 'D':
      return EncodeDecimal(out, request.delta);
    case 'E':
      return EncodeDecimal(out, request.cas_new);
    case 'F':
      return EncodeDecimal(out, request.client_flags);
    case 'J':
      return EncodeDecimal(out, request.initial);
    case 'M':
      *out++ = ModeLetter(request.mode);
      return out;
    case 'N':
      return EncodeSigned(out, request.vivify_exptime);
    case 'O':
      return Encode(out, request.echo.opaque_view());
    case 'R':
      return EncodeSigned(out, request.recache_exptime);
    case 'T':
      return EncodeSigned(out, request.exptime);
    default:
      return out;
  }
}

std::string_view NameOf(MetaCommand command) {
  switch (command) {
    case MetaCommand::kGet:
      return "mg ";
    case MetaCommand::kSet:
      return "ms ";
    case MetaCommand::kDelete:
      return "md ";
    case MetaCommand::kArithmetic:
      return "ma ";
    case MetaCommand::kDebug:
      return "me ";
  }
  CHECK(false);
  return {};
}

}  // namespace

void AddMetaFlag(MetaRequest* request, char flag) {
  if (request->Has(flag)) return;
  request->flag_set |= uint64_t{1} << MetaRequest::FlagBit(flag);
  if (kEchoed.find(flag) == kEchoed.npos) return;
  MetaEcho& echo = request->echo;
  CHECK_LT(echo.letter_count, MetaEcho::kLettersMax);
  echo.letters[echo.letter_count++] = flag;
}

void AddMetaOpaque(MetaRequest* request, std::string_view opaque) {
  CHECK_LE(opaque.size(), kOpaqueBytesMax);
  std::memcpy(request->echo.opaque, opaque.data(), opaque.size());
  request->echo.opaque_size = static_cast<uint8_t>(opaque.size());
  AddMetaFlag(request, 'O');
}

char* EncodeMetaRequest(char* out, const MetaRequest& request) {
  CHECK_LE(1, request.key.size());
  CHECK_LE(request.key.size(), kKeyBytesMax);
  out = Encode(out, NameOf(request.command));
  out = Encode(out, request.key);
  if (request.command == MetaCommand::kSet) {
    *out++ = ' ';
    out = EncodeDecimal(out, request.value_size);
  }
  uint64_t left = request.flag_set;
  if (request.key_is_base64) left |= uint64_t{1} << MetaRequest::FlagBit('b');
  for (const char flag : request.echo.letters_view()) {
    out = EncodeFlag(out, request, flag);
    left &= ~(uint64_t{1} << MetaRequest::FlagBit(flag));
  }
  for (; left != 0; left &= left - 1) {
    out = EncodeFlag(out, request, LetterOf(static_cast<unsigned>(std::countr_zero(left))));
  }
  return Encode(out, kLineEnd);
}

MetaAnswer ParseMetaAnswer(std::string_view received) {
  MetaAnswer answer;
  const size_t newline = received.find('\n');
  if (newline == received.npos) {
    if (received.size() > kReplyLineBytesMax) answer.step = MetaAnswerStep::kBroken;
    answer.size = received.size() + 1;
    return answer;
  }
  const std::string_view line = received.substr(0, newline + 1);
  answer.size = line.size();
  if (ParseMetaReply(line, &answer.reply)) {
    answer.step = MetaAnswerStep::kReply;
    if (!answer.reply.has_value) return answer;
    answer.size += uint64_t{answer.reply.value_size} + kLineEnd.size();
    if (received.size() < answer.size) {
      answer.step = MetaAnswerStep::kNeedMore;
      return answer;
    }
    answer.value = received.substr(line.size(), answer.reply.value_size);
    if (received.substr(line.size() + answer.reply.value_size, kLineEnd.size()) != kLineEnd) {
      answer.step = MetaAnswerStep::kBroken;
    }
    return answer;
  }
  // Not a meta command's own: then one of the text protocol's that meta commands share.
  TextReply reply;
  uint32_t value_size;
  answer.step = MetaAnswerStep::kBroken;
  if (!ParseTextReplyLine(line, &reply, &value_size)) return answer;
  if (reply.kind == TextReplyKind::kMetaNoop) answer.step = MetaAnswerStep::kNoop;
  if (reply.kind >= TextReplyKind::kError) {
    answer.step = MetaAnswerStep::kError;
    answer.error = reply.text;
  }
  return answer;
}

}  // namespace torc::proto
