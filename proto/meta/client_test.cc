// Requests go through the server's parser, replies come from the server's encoder.
#include "proto/meta/client.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proto/meta/encoder.h"
#include "proto/meta/parser.h"
#include "proto/text/client.h"
#include "proto/text/encoder.h"

namespace torc::proto {
namespace {

std::string Line(const MetaRequest& request) {
  std::string out(kMetaLineBytesMax, '#');
  char* const end = EncodeMetaRequest(out.data(), request);
  REQUIRE(end <= out.data() + out.size());
  out.resize(static_cast<size_t>(end - out.data()));
  return out;
}

// A request as the parser reads it, written and read again.
void CheckRoundTrip(std::string_view text) {
  const std::string line = std::string(text) + "\r\n";
  CAPTURE(line);
  const MetaRequest request = ParseMetaLine(line);
  REQUIRE(request.error == MetaError::kNone);
  const std::string written = Line(request);
  CAPTURE(written);
  const MetaRequest read = ParseMetaLine(written);
  CHECK(read.error == MetaError::kNone);
  CHECK(read.command == request.command);
  CHECK(read.key == request.key);
  CHECK(read.flag_set == request.flag_set);
  CHECK(read.mode == request.mode);
  CHECK(read.cas_compare == request.cas_compare);
  CHECK(read.cas_new == request.cas_new);
  CHECK(read.delta == request.delta);
  CHECK(read.initial == request.initial);
  CHECK(read.exptime == request.exptime);
  CHECK(read.vivify_exptime == request.vivify_exptime);
  CHECK(read.recache_exptime == request.recache_exptime);
  CHECK(read.client_flags == request.client_flags);
  CHECK(read.value_size == request.value_size);
  CHECK(read.quiet == request.quiet);
  CHECK(read.with_value == request.with_value);
  CHECK(read.key_is_base64 == request.key_is_base64);
  CHECK(read.invalidates == request.invalidates);
  CHECK(read.echo.letters_view() == request.echo.letters_view());
  CHECK(read.echo.opaque_view() == request.echo.opaque_view());
}

TEST_CASE("requests read back by the server's parser") {
  CheckRoundTrip("mg foo");
  CheckRoundTrip("mg foo v f c t s k h l O123 q T-1 N30 R60 E18446744073709551615");
  CheckRoundTrip("mg foo T60 t N30 O" + std::string(kOpaqueBytesMax, 'o'));
  CheckRoundTrip("mg Zm9v b k v");
  CheckRoundTrip("ms foo 5");
  CheckRoundTrip("ms " + std::string(kKeyBytesMax, 'k') + " 2000000 F4294967295 T-2147483648 c");
  for (const char mode : std::string_view("SEAPR")) {
    CheckRoundTrip(std::string("ms Zm9v 0 C18446744073709551615 q I b M") + mode);
  }
  CheckRoundTrip("md foo q I T30 C5 x");
  CheckRoundTrip("ma foo v t c N0 J5 D18446744073709551615 MI");
  CheckRoundTrip("ma foo q MD");
  CheckRoundTrip("me Zm9v b");
}

TEST_CASE("a request is put together flag by flag, none twice") {
  MetaRequest request;
  request.command = MetaCommand::kSet;
  request.key = "foo";
  request.value_size = 5;
  request.exptime = 30;
  AddMetaFlag(&request, 'c');
  AddMetaFlag(&request, 'T');
  AddMetaFlag(&request, 'c');
  AddMetaFlag(&request, 'q');
  AddMetaOpaque(&request, "17");
  CHECK(Line(request) == "ms foo 5 c T30 O17 q\r\n");
}

TEST_CASE("replies of the server's encoder read back, however they arrive") {
  MetaEcho echo = ParseMetaLine("mg k t f c s k O17\r\n").echo;
  char head[kMetaReplyBytesMax];
  MetaItem item;
  item.value_size = 6;
  item.cas = 42;
  item.with_value = true;
  item.won = true;
  const std::string hit =
      std::string(head, EncodeMetaHit(head, echo, {"k"}, item)) + "a\r\nb\nc\r\n";
  const std::string number =
      std::string(head, EncodeMetaNumber(head, echo, {"k"}, 123, true, 7, {}));
  std::vector<std::string> replies = {hit, number};
  replies.emplace_back(head, EncodeMetaMiss(head, echo, {"k"}));
  for (const MetaStatus status :
       {MetaStatus::kOk, MetaStatus::kNotFound, MetaStatus::kNotStored, MetaStatus::kExists}) {
    replies.emplace_back(head, EncodeMetaStored(head, echo, {"k"}, status, 5, 6));
    replies.emplace_back(head, EncodeMetaDone(head, echo, {"k"}, status));
  }
  for (const std::string& reply : replies) {
    CAPTURE(reply);
    for (size_t size = 0; size < reply.size(); ++size) {
      const MetaAnswer answer = ParseMetaAnswer(std::string_view(reply).substr(0, size));
      CHECK(answer.step == MetaAnswerStep::kNeedMore);
      CHECK(answer.size > size);
      CHECK(answer.size <= reply.size());
    }
    const std::string followed = reply + "HD\r\n";
    const MetaAnswer answer = ParseMetaAnswer(followed);
    CHECK(answer.step == MetaAnswerStep::kReply);
    CHECK(answer.size == reply.size());
    std::string_view flags = answer.reply.flags;
    std::string opaque;
    char letter;
    std::string_view token;
    while (NextMetaFlag(&flags, &letter, &token)) {
      if (letter == 'O') opaque = token;
    }
    CHECK(opaque == "17");
  }
  CHECK(ParseMetaAnswer(hit).value == "a\r\nb\nc");
  CHECK(ParseMetaAnswer(number).value == "123");
  CHECK(ParseMetaAnswer(kMetaNoop).step == MetaAnswerStep::kNoop);
}

TEST_CASE("errors are told from replies, and both from anything else") {
  const MetaAnswer error = ParseMetaAnswer("SERVER_ERROR out of memory storing object\r\nHD\r\n");
  CHECK(error.step == MetaAnswerStep::kError);
  CHECK(error.error == "SERVER_ERROR out of memory storing object");
  CHECK(error.size == error.error.size() + 2);
  CHECK(ParseMetaAnswer("ERROR\r\n").step == MetaAnswerStep::kError);
  CHECK(ParseMetaAnswer("CLIENT_ERROR bad data chunk\r\n").step == MetaAnswerStep::kError);
  for (const std::string_view bytes : {"\r\n", "STORED\r\n", "VA\r\n", "VA x\r\n", "VA 1\r\nxyz"}) {
    CAPTURE(bytes);
    CHECK(ParseMetaAnswer(bytes).step == MetaAnswerStep::kBroken);
  }
  CHECK(ParseMetaAnswer(std::string(kReplyLineBytesMax + 1, 'x')).step == MetaAnswerStep::kBroken);
}

}  // namespace
}  // namespace torc::proto
