// The table of causes, its page in docs/, and what -v prints.
#include "src/server/failures.h"

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "third_party/doctest/doctest.h"

namespace torc::server {
namespace {

// The row of a cause as docs/errors.md has it.
std::string Documented(const CauseRow& row) {
  std::string reply(row.reply.substr(0, row.reply.empty() ? 0 : row.reply.size() - 2));
  // A bar would end the table's cell.
  for (size_t at = 0; (at = reply.find('|', at)) != std::string::npos; at += 2) {
    reply.insert(at, 1, '\\');
  }
  if (!reply.empty()) reply = "`" + reply + "`";
  return "| `" + std::string(row.counter) + "` | " + std::string(row.text) + " | " + reply + " | " +
         std::string(row.advice) + " |";
}

// All that must stand in docs/errors.md, between text that is free.
std::vector<std::string> DocumentedTable() {
  std::vector<std::string> lines;
  size_t group = 0;
  for (const CauseRow& row : kCauses) {
    if (row.cause == Cause::kNone) continue;
    if (group < kCauseGroups.size() && kCauseGroups[group].first == row.cause) {
      lines.push_back("## " + std::string(kCauseGroups[group++].title));
      lines.push_back("| counter | what happened | the client reads | what to do |");
      lines.push_back("|---|---|---|---|");
    }
    lines.push_back(Documented(row));
  }
  return lines;
}

TEST_CASE("no two causes share a counter or a text, and none lacks either") {
  std::set<std::string_view> counters, texts;
  for (const CauseRow& row : kCauses) {
    CAPTURE(row.counter);
    CHECK(counters.insert(row.counter).second);
    CHECK(texts.insert(row.text).second);
    CHECK(row.counter.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
    CHECK(!row.text.empty());
    // Nor is a cause's text what clients read for another.
    for (const CauseRow& other : kCauses) CHECK(std::string(row.text) + "\r\n" != other.reply);
    // They stand in a table of a page, and in a line of a log.
    for (const std::string_view text : {row.counter, row.text, row.advice}) {
      CHECK(text.find_first_of("|\r\n") == std::string_view::npos);
    }
  }
  CHECK(counters.size() == kCauseCount);
  CHECK(kCauseGroups.front().first == static_cast<Cause>(1));
}

TEST_CASE("docs/errors.md is the table: every cause, and nothing else") {
  std::ifstream file("docs/errors.md");
  REQUIRE(file.is_open());
  std::vector<std::string> found;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("|") || line.starts_with("## ")) found.push_back(line);
  }
  const std::vector<std::string> wanted = DocumentedTable();
  if (found != wanted) {
    std::ostringstream table;
    for (const std::string& line : wanted) {
      table << (line.starts_with("## ") ? "\n" + line + "\n\n" : line + "\n");
    }
    MESSAGE("what docs/errors.md must have:\n", table.str());
  }
  CHECK(found == wanted);
}

TEST_CASE("a failure is counted for its cause alone, until reset") {
  Failures failures;
  failures.Count(Cause::kKeyTooLong);
  failures.Count(Cause::kKeyTooLong, 2);
  for (const CauseRow& row : kCauses) {
    CHECK(failures.Get(row.cause) == (row.cause == Cause::kKeyTooLong ? 3 : 0));
  }
  failures.Reset();
  CHECK(failures.Get(Cause::kKeyTooLong) == 0);
}

TEST_CASE("-v says each cause once a second, and how often it was silent; -vv says every one") {
  constexpr int64_t kSecondNs = 1'000'000'000;
  std::string said;
  FailureLog log([&](std::string_view line) { said += line; });
  const auto say = [&](Cause cause, int verbosity, int64_t now_ns, int system_error = 0) {
    said.clear();
    log.Say(cause, system_error, verbosity, now_ns);
    return said;
  };
  const std::string moved = "torc: unknown_command: a command that torc does not know";
  CHECK(say(Cause::kUnknownCommand, 1, 5) == moved + "\n");
  CHECK(say(Cause::kUnknownCommand, 1, 6) == "");
  CHECK(say(Cause::kUnknownCommand, 1, 4 + kSecondNs) == "");
  CHECK(say(Cause::kConnectionReset, 1, 6, ECONNRESET) ==
        "torc: connection_reset: a connection broke off (Connection reset by peer)\n");
  CHECK(say(Cause::kUnknownCommand, 1, 5 + kSecondNs) == moved + ", and 2 more\n");
  CHECK(say(Cause::kUnknownCommand, 1, 5 + 2 * kSecondNs) == moved + "\n");
  for (int i = 0; i < 3; ++i)
    CHECK(say(Cause::kUnknownCommand, 2, 6 + 2 * kSecondNs) == moved + "\n");
  CHECK(say(Cause::kAcceptFailed, 2, 0, 99999).find("(an unknown error)") != std::string::npos);
}

TEST_CASE("every line of -v fits") {
  std::vector<std::string> lines;
  FailureLog log([&](std::string_view line) { lines.emplace_back(line); });
  for (const CauseRow& row : kCauses) {
    for (int i = 0; i < 2; ++i) log.Say(row.cause, EADDRNOTAVAIL, 1, i);
    log.Say(row.cause, EADDRNOTAVAIL, 1, int64_t{2'000'000'000});
  }
  REQUIRE(lines.size() == 2 * kCauseCount);
  for (const std::string& line : lines) CHECK(line.ends_with('\n'));
  for (size_t i = 1; i < lines.size(); i += 2) CHECK(lines[i].ends_with(", and 1 more\n"));
}

}  // namespace
}  // namespace torc::server
