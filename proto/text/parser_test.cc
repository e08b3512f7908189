// The language, as memcached 1.6.45 was seen to speak it. Each row of the tables is one line sent
// to it and what it did.
#include "proto/text/parser.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace torc::proto {
namespace {

const std::string kKey250(250, 'k');
const std::string kKey251(251, 'k');

// Parses `line` with the line end added, both ways, and holds the two equal.
Request Parse(std::string_view line, std::string_view line_end = "\r\n") {
  // Requests point into their line, and a case looks at one request at a time.
  static std::string kept;
  kept.assign(line);
  kept += line_end;
  const Request request = ParseLine(kept);
  const Request in_full = internal::ParseLineInFull(kept);
  CAPTURE(line);
  CHECK(request.command == in_full.command);
  CHECK(request.error == in_full.error);
  CHECK(request.noreply == in_full.noreply);
  CHECK(request.swallow_value == in_full.swallow_value);
  CHECK(request.key == in_full.key);
  CHECK(request.rest == in_full.rest);
  CHECK(request.cas == in_full.cas);
  CHECK(request.client_flags == in_full.client_flags);
  CHECK(request.exptime == in_full.exptime);
  CHECK(request.value_size == in_full.value_size);
  return request;
}

void CheckError(std::string_view line, Cause error) {
  CAPTURE(line);
  const Request request = Parse(line);
  CHECK(request.error == error);
  CHECK_FALSE(request.noreply);
}

// The keys that a retrieval command names, "<too long>" for one that is.
std::vector<std::string> Keys(const Request& request) {
  std::vector<std::string> keys;
  std::string_view rest = request.rest;
  std::string_view key;
  for (;;) {
    switch (NextKey(&rest, &key)) {
      case KeyStep::kEnd:
        return keys;
      case KeyStep::kTooLong:
        keys.push_back("<too long>");
        return keys;
      case KeyStep::kKey:
        keys.emplace_back(key);
        break;
    }
  }
}

using Strings = std::vector<std::string>;

TEST_CASE("each command is known by its name alone") {
  struct Row {
    std::string_view line;
    Command command;
  };
  constexpr Row kRows[] = {
      {"get k", Command::kGet},
      {"gets k", Command::kGets},
      {"gat 0 k", Command::kGat},
      {"gats 0 k", Command::kGats},
      {"set k 0 0 1", Command::kSet},
      {"add k 0 0 1", Command::kAdd},
      {"replace k 0 0 1", Command::kReplace},
      {"append k 0 0 1", Command::kAppend},
      {"prepend k 0 0 1", Command::kPrepend},
      {"cas k 0 0 1 1", Command::kCas},
      {"incr k 1", Command::kIncr},
      {"decr k 1", Command::kDecr},
      {"touch k 0", Command::kTouch},
      {"delete k", Command::kDelete},
      {"flush_all", Command::kFlushAll},
      {"version", Command::kVersion},
      {"verbosity 1", Command::kVerbosity},
      {"stats", Command::kStats},
      {"mn", Command::kMetaNoop},
      {"quit", Command::kQuit},
      {"shutdown", Command::kShutdown},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.line);
    CHECK(Parse(row.line).command == row.command);
    CHECK(Parse(row.line).error == Cause::kNone);
    // The same before a bare "\n", but for "mn\n", which is below memcached's shortest line.
    if (row.command != Command::kMetaNoop) CHECK(Parse(row.line, "\n").command == row.command);
    // Trailing blanks, and arguments that are too many, change nothing.
    CHECK(Parse(std::string(row.line) + "  ").error == Cause::kNone);
  }
  for (const char* line : {"GET k", "gett k", "ge k", "get\tk", "sets k 0 0 1", "replac k 0 0 1",
                           "replace_ k 0 0 1", "deletex", "flush_allx", "touchx k 0", "mnn",
                           "statsx", "Quit", "noreply x", "get_", "incr\t", "mg k", "watch"}) {
    CheckError(line, Cause::kUnknownCommand);
  }
}

TEST_CASE("short lines") {
  for (const char* line : {"", " ", "\r", "g", "m"}) CheckError(line, Cause::kLineTooShort);
  for (const char* line : {"mn", "ge", "", "x\r"}) {
    CHECK(Parse(line, "\n").error == Cause::kLineTooShort);
  }
  CheckError("  ", Cause::kUnknownCommand);
  CheckError("ge", Cause::kUnknownCommand);
  CHECK(Parse("mnx", "\n").error == Cause::kUnknownCommand);
}

TEST_CASE("leading blanks hide all but the rare commands") {
  for (const char* line :
       {" get k", "   get k", " set k 0 0 1", " delete k", " mn", " version", " quit", " stats"}) {
    CheckError(line, Cause::kUnknownCommand);
  }
  CHECK(Parse(" flush_all").command == Command::kFlushAll);
  CHECK(Parse("  flush_all 7").exptime == 7);
  CHECK(Parse(" verbosity 1").level == 1);
  CHECK(Parse(" shutdown").command == Command::kShutdown);
}

TEST_CASE("noreply is the last of at most 23 tokens, in unknown commands too") {
  struct Row {
    std::string line;
    bool noreply;
  };
  const Row rows[] = {
      {"set k 0 0 1 noreply", true},
      {"set k 0 0 1 noreply ", true},
      {"set k 0 0 1 x noreply", true},
      {"set k 0 0 1 noreply x", false},
      {"set k 0 0 1 norepl", false},
      {"set k 0 0 1 noreplyy", false},
      {"set k 0 0 1 NOREPLY", false},
      {"set k 0 0 1\tnoreply", false},
      {"set noreply 0 0 1", false},
      {"cas k 0 0 1 9 noreply", true},
      {"cas k 0 0 1 noreply", true},  // It stands where the CAS should: an error, and a silent one.
      {"incr k 1 noreply", true},
      {"incr k noreply", true},
      {"touch k 0 noreply", true},
      {"delete k noreply", true},
      {"delete k 0 noreply", true},
      {"delete noreply", true},
      {"delete noreply x", false},
      {"flush_all noreply", true},
      {"flush_all 0 noreply", true},
      {"flush_all  noreply", true},
      {"verbosity noreply", true},
      {"verbosity 1 2 3 noreply", true},
      {"shutdown noreply", true},
      {"foo noreply", true},
      {" get k noreply", true},
      {"noreply", true},
      {"foo\tnoreply", false},
      // Commands that always answer.
      {"get k noreply", false},
      {"gat 0 noreply", false},
      {"version noreply", false},
      {"stats noreply", false},
      {"mn noreply", false},
      {"quit noreply", false},
      // Errors that show before memcached looks for it.
      {"set noreply", false},
      {"set k 0 0 x noreply", false},
      {"set k 0 0 -1 noreply", false},
      {"incr noreply", false},
      {"touch noreply", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    CHECK(Parse(row.line).noreply == row.noreply);
  }
  for (const char* command : {"set k 0 0 1", "incr k 1", "delete k", "foo", "flush_all 0"}) {
    std::string line = command;
    size_t tokens = 1;
    for (char c : line) tokens += c == ' ' ? 1 : 0;
    while (++tokens < 23) line += " x";
    CHECK(Parse(line + " noreply").noreply);
    CHECK(Parse(line + " noreply x").noreply);
    CHECK_FALSE(Parse(line + " x noreply").noreply);
  }
}

TEST_CASE("lists of keys") {
  CHECK(Keys(Parse("get k")) == Strings{"k"});
  CHECK(Keys(Parse("get  k   kk ")) == Strings{"k", "kk"});
  CHECK(Keys(Parse("gets noreply")) == Strings{"noreply"});
  CHECK(Keys(Parse("get k\tkk")) == Strings{"k\tkk"});
  CHECK(Keys(Parse("get k\r")) == Strings{"k\r"});  // One '\r' belongs to the line end.
  CHECK(Keys(Parse("get k\r", "\n")) == Strings{"k"});
  CHECK(Keys(Parse(std::string_view("get \0 k", 7))) == Strings{std::string(1, '\0'), "k"});
  CHECK(Keys(Parse("get " + kKey250)) == Strings{kKey250});
  CHECK(Keys(Parse("get a " + kKey251 + " b")) == Strings{"a", "<too long>"});
  std::string line = "get";
  Strings many;
  for (int i = 0; i < 3000; ++i) {
    many.push_back("key" + std::to_string(i));
    line += " " + many.back();
  }
  CHECK(Keys(Parse(line)) == many);
  for (const char* bare : {"get", "get ", "get  ", "gets", "gat", "gat 0", "gat 0  ", "gats 1"}) {
    CheckError(bare, Cause::kTooFewTokens);
  }
}

TEST_CASE("gat: the time is read strictly, before any key") {
  CHECK(Parse("gat 100 k").exptime == 100);
  CHECK(Parse("gat -1 k").exptime == -1);
  CHECK(Parse("gat - k").exptime == 0);
  CHECK(Parse("gat 2147483647 k").exptime == 2147483647);
  CHECK(Parse("gat -2147483648 k").exptime == -2147483648);
  CHECK(Keys(Parse("gats 5  a b")) == Strings{"a", "b"});
  for (const char* exptime : {"x", "5x", "+5", "0x10", "1.5", "2147483648", "-2147483649",
                              "99999999999", "000000000005", "--1", "\t1"}) {
    CheckError("gat " + std::string(exptime) + " k " + kKey251, Cause::kBadExptime);
  }
}

TEST_CASE("storage: plain lines") {
  const Request request = Parse("set user:17 4294967295 2147483647 1048576");
  CHECK(request.error == Cause::kNone);
  CHECK(request.key == "user:17");
  CHECK(request.client_flags == 4294967295);
  CHECK(request.exptime == 2147483647);
  CHECK(request.value_size == 1048576);
  CHECK_FALSE(request.noreply);
  CHECK_FALSE(request.swallow_value);
  CHECK(Parse("cas k 0 0 1 18446744073709551615").cas == 18446744073709551615U);
  CHECK(Parse("set  k  1  2  3").value_size == 3);
  CHECK(Parse("set " + kKey250 + " 0 0 1").error == Cause::kNone);
  CHECK(Parse("set k 0 0 2147483645").value_size == kValueBytesMax);
}

TEST_CASE("storage: errors before the value's size is known leave the value in the stream") {
  const std::pair<const char*, Cause> rows[] = {
      {"set", Cause::kTooFewTokens},
      {"set k 0 0", Cause::kTooFewTokens},
      {"cas k 0 0 ", Cause::kTooFewTokens},
      {"set k 0 0 noreply", Cause::kBadValueSize},
      {"set k x 0 x", Cause::kBadValueSize},
      {"set k 0 0 -1", Cause::kBadValueSize},
      {"set k 0 0 +5", Cause::kBadValueSize},
      {"set k 0 0 5x", Cause::kBadValueSize},
      {"set k 0 0 5\r", Cause::kBadValueSize},
      {"set k 0 0 0x5", Cause::kBadValueSize},
      {"set k 0 0 \t5", Cause::kBadValueSize},
      {"set k 0 0 2147483646", Cause::kBadValueSize},
      {"set k 0 0 4294967297", Cause::kBadValueSize},
      {"set k 0 0 000000000005", Cause::kBadValueSize},
  };
  for (const auto& [line, error] : rows) {
    CheckError(line, error);
    CHECK_FALSE(Parse(line).swallow_value);
  }
  // A size of no digits, and one below zero that is not.
  CHECK(Parse("set k 0 0 -").error == Cause::kNone);
  CHECK(Parse("set k 0 0 -").value_size == 0);
  CHECK(Parse("set k 0 0 -0").error == Cause::kNone);
  CHECK(Parse("set k 0 0 00000000005").value_size == 5);
}

TEST_CASE("storage: later errors swallow the value") {
  const std::pair<std::string, Cause> rows[] = {
      {"set " + kKey251 + " 0 0 5", Cause::kKeyTooLong},
      {"set " + kKey251 + " x 0 5", Cause::kKeyTooLong},
      {"set k x 0 5", Cause::kBadClientFlags},
      {"append k x x 5", Cause::kBadClientFlags},
      {"set k 0 x 5", Cause::kBadStoreExptime},
      {"cas k 0 0 5", Cause::kBadCas},
      {"cas k 0 0 5 x", Cause::kBadCas},
      {"cas k 0 0 5 +1", Cause::kBadCas},
      {"cas k 0 0 5 -1", Cause::kBadCas},
      {"cas k 0 0 5 18446744073709551616", Cause::kBadCas},
      {"cas k 0 0 5 00000000000000000000001", Cause::kBadCas},
  };
  for (const auto& [line, error] : rows) {
    CheckError(line, error);
    CHECK(Parse(line).swallow_value);
    CHECK(Parse(line).value_size == 5);
    CHECK(Parse(line + " noreply").noreply);
    CHECK(Parse(line + " noreply").swallow_value);
  }
}

TEST_CASE("storage: flags and exptime are read by strtoul and strtol, and cut to 32 bits") {
  const auto flags = [](std::string_view text) {
    return Parse("set k " + std::string(text) + " 9 3");
  };
  const std::pair<std::string_view, uint32_t> good_flags[] = {
      {"0", 0},
      {"+1", 1},
      {"-0", 0},
      {"4294967296", 0},
      {"4294967301", 5},
      {"9223372036854775808", 0},
      {"18446744073709551615", 4294967295},
      {"-18446744073709551615", 1},
      {"\t5", 5},
      {"5\t", 5},
      {"5\tx", 5},
      {"5\v7", 5},
      {{"5\0x", 3}, 5},
      {"\v\f\r7", 7},
      {"\t", 9},  // It runs on to the next token.
      {"0000000000000000000000000000000000000000007", 7},
  };
  for (const auto& row : good_flags) {
    const std::string_view text = row.first;
    CAPTURE(text);
    CHECK(flags(text).error == Cause::kNone);
    CHECK(flags(text).client_flags == row.second);
  }
  for (std::string_view text :
       {std::string_view("x"), std::string_view("-1"), std::string_view("-9223372036854775808"),
        std::string_view("18446744073709551616"), std::string_view("+"), std::string_view("-"),
        std::string_view("+-1"), std::string_view("--5"), std::string_view("\0", 1),
        std::string_view("5x"), std::string_view("0x10"), std::string_view("5\x85")}) {
    CAPTURE(text);
    CHECK(flags(text).error == Cause::kBadClientFlags);
  }

  const auto exptime = [](std::string_view text) {
    return Parse("set k 0 " + std::string(text) + " 3");
  };
  const std::pair<std::string_view, int32_t> good_exptimes[] = {
      {"+100", 100},
      {"-1", -1},
      {"-0", 0},
      {"\t100", 100},
      {"100\tx", 100},
      {"\t", 3},
      {"2147483648", -2147483648},
      {"4294967295", -1},
      {"4294967296", 0},
      {"4294967301", 5},
      {"-2147483649", 2147483647},
      {"-4294967290", 6},
      {"9223372036854775807", -1},
      {"-9223372036854775808", 0},
  };
  for (const auto& row : good_exptimes) {
    const std::string_view text = row.first;
    CAPTURE(text);
    CHECK(exptime(text).error == Cause::kNone);
    CHECK(exptime(text).exptime == row.second);
  }
  for (std::string_view text :
       {"x", "5x", "+", "-", "9223372036854775808", "-9223372036854775809", "1.5"}) {
    CAPTURE(text);
    CHECK(exptime(text).error == Cause::kBadStoreExptime);
  }
}

TEST_CASE("incr, decr, touch, delete") {
  CHECK(Parse("incr k 1").delta == 1);
  CHECK(Parse("decr k 18446744073709551615").delta == 18446744073709551615U);
  CHECK(Parse("incr k 0000000000000000000005").delta == 5);
  CHECK(Parse("incr k 1 x y").delta == 1);
  CHECK(Parse("touch k -1").exptime == -1);
  CHECK(Parse("touch k -0000000005").exptime == -5);
  CHECK(Parse("delete k x y").key == "k");
  CHECK(Parse("delete  k").key == "k");
  for (const char* delta : {"x", "-1", "-0", "+1", "1x", "0x1", "\t1", "18446744073709551616",
                            "28446744073709551616", "00000000000000000000005"}) {
    CheckError("incr k " + std::string(delta), Cause::kBadDelta);
    CheckError("decr k " + std::string(delta), Cause::kBadDelta);
  }
  for (const char* exptime : {"x", "+1", "1x", "2147483648", "4294967297", "000000000005"}) {
    CheckError("touch k " + std::string(exptime), Cause::kBadExptime);
  }
  for (const char* line : {"incr", "incr k", "decr k ", "touch k", "delete", "delete "}) {
    CheckError(line, Cause::kTooFewTokens);
  }
  // The key is looked at before the number.
  CheckError("incr " + kKey251 + " x", Cause::kKeyTooLong);
  CheckError("touch " + kKey251 + " x", Cause::kKeyTooLong);
  CheckError("delete " + kKey251, Cause::kKeyTooLong);
  CHECK(Parse("delete " + kKey250).error == Cause::kNone);
}

TEST_CASE("flush_all, verbosity, stats, shutdown") {
  CHECK(Parse("flush_all").exptime == 0);
  CHECK(Parse("flush_all 10 noreply").exptime == 10);
  CHECK(Parse("flush_all -1").exptime == -1);
  CHECK(Parse("flush_all 0 x").error == Cause::kNone);
  CheckError("flush_all x", Cause::kBadExptime);
  CheckError("flush_all +1", Cause::kBadExptime);
  CheckError("flush_all noreply 0", Cause::kBadExptime);
  CHECK(Parse("flush_all noreply noreply").error == Cause::kBadExptime);

  CHECK(Parse("verbosity 4294967295").level == 4294967295);
  for (const char* line : {"verbosity", "verbosity x", "verbosity -1", "verbosity -",
                           "verbosity +1", "verbosity 4294967296", "verbosity 000000000001"}) {
    CheckError(line, Cause::kBadVerbosity);
  }

  std::string_view rest = Parse("stats  reset  x ").rest;
  CHECK(NextToken(&rest) == "reset");
  CHECK(NextToken(&rest) == "x");
  CHECK(NextToken(&rest) == "");
  CHECK(NextToken(&rest) == "");
  rest = Parse("stats ").rest;
  CHECK(NextToken(&rest) == "");
  rest = Parse("shutdown graceful").rest;
  CHECK(NextToken(&rest) == "graceful");
}

TEST_CASE("a web request ends the connection") {
  CHECK(Parse("GET / HTTP/1.1").command == Command::kQuit);
  CHECK(Parse("GET / HTTP/1.1").error == Cause::kHttpRequest);
  CheckError("HTTP/1.1", Cause::kUnknownCommand);
  CheckError("GET / HTTP", Cause::kUnknownCommand);
}

TEST_CASE("unfinished lines may grow past 2,048 bytes only as lists of keys") {
  const auto may_grow = [](std::string line, size_t bytes) {
    line.resize(bytes, 'k');
    return MayGrow(line);
  };
  for (const char* start : {"", "xx", "set k", "gat 0 ", "get", " ", "mn "}) {
    CAPTURE(start);
    CHECK(may_grow(start, 2048));
    CHECK_FALSE(may_grow(start, 2049));
  }
  for (const char* start : {"get ", "gets ", " get ", "  gets "}) {
    CAPTURE(start);
    CHECK(may_grow(start, 2049));
    CHECK(may_grow(start, 100'000));
  }
  CHECK(may_grow(std::string(100, ' ') + "get ", 2049));
  CHECK_FALSE(may_grow(std::string(101, ' ') + "get ", 2049));
  CHECK_FALSE(MayGrow(std::string(2049, ' ')));
}

}  // namespace
}  // namespace torc::proto
