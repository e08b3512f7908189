// Requests go through the server's parser, replies come from the server's encoder.
#include "proto/text/client.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proto/text/encoder.h"
#include "proto/text/parser.h"

namespace torc::proto {
namespace {

std::string Line(const Request& request) {
  std::string out(kRequestLineBytesMax + request.rest.size(), '#');
  char* const end = EncodeRequest(out.data(), request);
  REQUIRE(end <= out.data() + out.size());
  out.resize(static_cast<size_t>(end - out.data()));
  return out;
}

Request Keyed(Command command, std::string_view key) {
  Request request;
  request.command = command;
  request.key = key;
  return request;
}

// The request that the server reads is the one that was written.
void CheckRoundTrip(const Request& request) {
  const std::string line = Line(request);
  CAPTURE(line);
  REQUIRE(line.find('\n') == line.size() - 1);
  const Request read = ParseLine(line);
  CHECK(read.error == Cause::kNone);
  CHECK(read.command == request.command);
  CHECK(read.key == request.key);
  std::string_view rest = read.rest;
  std::string_view rest_wanted = request.rest;
  for (;;) {
    const std::string_view token = NextToken(&rest);
    CHECK(token == NextToken(&rest_wanted));
    if (token.empty()) break;
  }
  CHECK(read.cas == request.cas);
  CHECK(read.client_flags == request.client_flags);
  CHECK(read.exptime == request.exptime);
  CHECK(read.value_size == request.value_size);
  CHECK(read.noreply == request.noreply);
}

TEST_CASE("requests read back by the server's parser") {
  const std::string key_longest(kKeyBytesMax, 'k');
  for (const std::string_view key : {std::string_view("k"), std::string_view(key_longest)}) {
    for (const bool noreply : {false, true}) {
      for (int i = static_cast<int>(Command::kSet); i <= static_cast<int>(Command::kCas); ++i) {
        for (const int32_t exptime : {0, 1, -1, INT32_MAX, INT32_MIN}) {
          Request request = Keyed(static_cast<Command>(i), key);
          request.client_flags = UINT32_MAX;
          request.exptime = exptime;
          request.value_size = kValueBytesMax;
          if (request.command == Command::kCas) request.cas = UINT64_MAX;
          request.noreply = noreply;
          CheckRoundTrip(request);
        }
      }
      for (const Command command : {Command::kIncr, Command::kDecr}) {
        Request request = Keyed(command, key);
        request.delta = UINT64_MAX;
        request.noreply = noreply;
        CheckRoundTrip(request);
      }
      Request touch = Keyed(Command::kTouch, key);
      touch.exptime = -7;
      touch.noreply = noreply;
      CheckRoundTrip(touch);
      Request remove = Keyed(Command::kDelete, key);
      remove.noreply = noreply;
      CheckRoundTrip(remove);
    }
  }
}

TEST_CASE("requests without a key, and with lists") {
  for (const Command command : {Command::kVersion, Command::kMetaNoop, Command::kQuit,
                                Command::kStats, Command::kFlushAll}) {
    CheckRoundTrip(Keyed(command, ""));
  }
  Request flush = Keyed(Command::kFlushAll, "");
  flush.exptime = 30;
  flush.noreply = true;
  CheckRoundTrip(flush);
  Request verbosity = Keyed(Command::kVerbosity, "");
  verbosity.level = 2;
  CheckRoundTrip(verbosity);
  for (const Command command : {Command::kGet, Command::kGets, Command::kGat, Command::kGats}) {
    Request request = Keyed(command, "");
    request.rest = "a bb ccc";
    if (command == Command::kGat || command == Command::kGats) request.exptime = -1;
    CheckRoundTrip(request);
  }
  Request stats = Keyed(Command::kStats, "");
  stats.rest = "items";
  CheckRoundTrip(stats);
  CHECK(Line(stats) == "stats items\r\n");
}

// A printed form of a reply, to hold two against each other.
std::string Shown(const TextReply& reply) {
  return std::to_string(static_cast<int>(reply.kind)) + " key=" + std::string(reply.key) +
         " value=" + std::string(reply.value) + " text=" + std::string(reply.text) +
         " flags=" + std::to_string(reply.client_flags) + " cas=" + std::to_string(reply.cas) +
         (reply.has_cas ? "!" : "") + " number=" + std::to_string(reply.number);
}

std::vector<std::string> ReadAll(std::string_view stream) {
  std::vector<std::string> replies;
  while (!stream.empty()) {
    const TextReplyResult result = ParseTextReply(stream);
    REQUIRE(result.step == TextReplyStep::kReply);
    REQUIRE(result.size <= stream.size());
    replies.push_back(Shown(result.reply));
    stream.remove_prefix(result.size);
  }
  return replies;
}

template <typename... Arguments>
std::string Header(Arguments... arguments) {
  char buffer[kValueHeaderBytesMax];
  return std::string(buffer, EncodeValueHeader(buffer, arguments...));
}

// Of each reply every proper prefix asks for more, and never for more than there is.
TEST_CASE("replies of the server's encoder read back, however they arrive") {
  char number[kNumberLineBytesMax];
  char stat[64];
  const std::vector<std::string> replies = {
      Header("key", uint32_t{17}, uint32_t{5}) + "he\nlo\r\n",
      Header("key", uint32_t{0}, uint32_t{0}) + "\r\n",
      Header("key", UINT32_MAX, uint32_t{4}, UINT64_MAX) + "\r\n\r\n\r\n",
      std::string(kEnd),
      std::string(kStoredLine),
      std::string(kNotStoredLine),
      std::string(kExistsLine),
      std::string(kNotFoundLine),
      std::string(kDeletedLine),
      std::string(kTouchedLine),
      std::string(kOkLine),
      std::string(kReset),
      std::string(kMetaNoop),
      std::string(number, EncodeNumberLine(number, UINT64_MAX)),
      std::string(stat, EncodeStat(stat, "pid", "a value with blanks")),
      std::string(stat, EncodeStat(stat, "curr_items", uint64_t{12})),
      "VERSION 1.6.45\r\n",
      "ERROR\r\n",
      "CLIENT_ERROR bad data chunk\r\n",
      "SERVER_ERROR object too large for cache\r\n",
  };
  std::string stream;
  for (const std::string& reply : replies) {
    CAPTURE(reply);
    for (size_t size = 0; size < reply.size(); ++size) {
      const TextReplyResult result = ParseTextReply(std::string_view(reply).substr(0, size));
      CHECK(result.step == TextReplyStep::kNeedMore);
      CHECK(result.size > size);
      CHECK(result.size <= reply.size());
    }
    stream += reply;
  }
  const std::vector<std::string> shown = ReadAll(stream);
  REQUIRE(shown.size() == replies.size());
  CHECK(shown[0] == "0 key=key value=he\nlo text= flags=17 cas=0 number=0");
  CHECK(shown[2] ==
        "0 key=key value=\r\n\r\n text= flags=4294967295 cas=18446744073709551615! number=0");
  CHECK(shown[13] == "11 key= value= text= flags=0 cas=0 number=18446744073709551615");
  CHECK(shown[14] == "13 key=pid value= text=a value with blanks flags=0 cas=0 number=0");
  CHECK(shown[16] == "12 key= value= text=1.6.45 flags=0 cas=0 number=0");
  CHECK(shown[19] ==
        "16 key= value= text=SERVER_ERROR object too large for cache flags=0 cas=0 number=0");
  for (size_t i = 3; i < 13; ++i) {
    CHECK(ParseTextReply(replies[i]).reply.kind ==
          static_cast<TextReplyKind>(static_cast<size_t>(TextReplyKind::kEnd) + i - 3));
  }
}

TEST_CASE("what is no reply is broken, and an endless line too") {
  for (const std::string_view bytes :
       {"\r\n", "HELLO\r\n", "VALUE\r\n", "VALUE k\r\n", "VALUE k 0\r\n", "VALUE k x 1\r\n",
        "VALUE k 0 1 c\r\n", "VALUE k 0 1 2 3\r\n", "VALUE k 0 4294967295\r\n",
        "VALUE k 0 1\r\nxyz", "12x\r\n", "\x81\n"}) {
    CAPTURE(bytes);
    CHECK(ParseTextReply(bytes).step == TextReplyStep::kBroken);
  }
  const std::string endless(kReplyLineBytesMax + 1, 'x');
  CHECK(ParseTextReply(endless).step == TextReplyStep::kBroken);
}

}  // namespace
}  // namespace torc::proto
