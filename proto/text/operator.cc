// How many words a command takes is memcached's: some take any number beyond those that they look
// at, some not one more, a "noreply" that is meant as such included.
#include "proto/text/operator.h"

#include <cstdlib>
#include <cstring>

#include "proto/text/numbers.h"
#include "proto/text/parser.h"

namespace torc::proto {
namespace {

using Kind = OperatorRequest::Kind;

constexpr size_t kWordsMax = 8;
constexpr uint32_t kSleepMax = 1'000'000;
constexpr uint32_t kMegabytesMin = 8;
constexpr uint32_t kMegabytesMax = 1'000'000'000;
constexpr uint32_t kLruPercentMax = 80;

struct Words {
  std::string_view at[kWordsMax];  // empty beyond count
  size_t count = 0;

  explicit Words(std::string_view text) {
    while (count < kWordsMax) {
      at[count] = NextToken(&text);
      if (at[count].empty()) break;
      ++count;
    }
  }
};

OperatorRequest Fail(Cause error) {
  OperatorRequest request;
  request.error = error;
  return request;
}

OperatorRequest Make(Kind kind, uint32_t number = 0) {
  OperatorRequest request;
  request.kind = kind;
  request.number = number;
  return request;
}

// What strtod takes, the whole word.
bool ReadDouble(std::string_view word, double* out) {
  char text[64];
  if (word.empty() || word.size() >= sizeof(text)) return false;
  std::memcpy(text, word.data(), word.size());
  text[word.size()] = '\0';
  char* end;
  *out = std::strtod(text, &end);
  return end == text + word.size();
}

// "all", and "hash" where `hash` says so, or numbers with commas between them.
OperatorRequest ReadClasses(Kind kind, std::string_view list, uint32_t class_max) {
  OperatorRequest request = Make(kind);
  if (list == "all" || list == "hash") {
    if (list == "hash" && kind == Kind::kCrawl) request.error = Cause::kCrawlHash;
    request.all = true;
    return request;
  }
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view number = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    if (number.empty()) continue;
    uint32_t id;
    if (!ReadStrictU32(number, &id) || id == 0 || id > class_max) {
      request.error = Cause::kBadClasses;
      return request;
    }
    request.classes.set(id);
  }
  if (request.classes.none()) request.error = Cause::kNoClasses;
  return request;
}

OperatorRequest ReadCrawler(const Words& words, uint32_t class_max) {
  const std::string_view what = words.at[0];
  if (words.count == 1 && what == "enable") return Make(Kind::kCrawlerOn);
  if (words.count == 1 && what == "disable") return Make(Kind::kCrawlerOff);
  if (words.count != 2) return Fail(Cause::kOperatorUsage);
  if (what == "crawl") return ReadClasses(Kind::kCrawl, words.at[1], class_max);
  if (what == "metadump") return ReadClasses(Kind::kMetadump, words.at[1], class_max);
  if (what == "mgdump") return ReadClasses(Kind::kMgdump, words.at[1], class_max);
  uint32_t number;
  if (what == "sleep") {
    if (!ReadStrictU32(words.at[1], &number)) return Fail(Cause::kOperatorNumber);
    if (number > kSleepMax) return Fail(Cause::kCrawlerSleepTooLong);
    return Make(Kind::kCrawlerSleep, number);
  }
  if (what == "tocrawl") {
    if (!ReadStrictU32(words.at[1], &number)) return Fail(Cause::kOperatorNumber);
    return Make(Kind::kCrawlerToCrawl, number);
  }
  return Fail(Cause::kOperatorUsage);
}

OperatorRequest ReadReassign(const Words& words, uint32_t class_max) {
  int32_t from, to;
  if (!ReadStrictI32(words.at[1], &from) || !ReadStrictI32(words.at[2], &to)) {
    return Fail(Cause::kOperatorNumber);
  }
  if (from == to) return Fail(Cause::kReassignSameClass);
  const auto bad = [&](int32_t id) { return id < 0 || static_cast<uint32_t>(id) > class_max; };
  if (bad(from) || bad(to)) return Fail(Cause::kReassignBadClass);
  OperatorRequest request = Make(Kind::kReassign);
  request.from = static_cast<uint32_t>(from);
  request.to = static_cast<uint32_t>(to);
  return request;
}

OperatorRequest ReadSlabs(const Words& words, uint32_t class_max) {
  if (words.count == 3 && words.at[0] == "reassign") return ReadReassign(words, class_max);
  if (words.count < 2 || words.at[0] != "automove") return Fail(Cause::kOperatorUsage);
  uint32_t number;
  double ratio;
  if (words.at[1] == "ratio" || words.at[1] == "freeratio") {
    return ReadDouble(words.at[2], &ratio) ? Make(Kind::kTuning) : Fail(Cause::kOperatorUsage);
  }
  if (words.at[1] == "window") {
    return ReadStrictU32(words.at[2], &number) ? Make(Kind::kTuning) : Fail(Cause::kOperatorNumber);
  }
  if (!ReadStrictU32(words.at[1], &number)) return Fail(Cause::kOperatorNumber);
  return number <= 2 ? Make(Kind::kAutomove, number) : Fail(Cause::kOperatorUsage);
}

OperatorRequest ReadTune(const Words& words) {
  uint32_t hot, warm;
  double hot_factor, warm_factor;
  if (!ReadStrictU32(words.at[1], &hot) || !ReadStrictU32(words.at[2], &warm) ||
      !ReadDouble(words.at[3], &hot_factor) || !ReadDouble(words.at[4], &warm_factor)) {
    return Fail(Cause::kOperatorUsage);
  }
  // Wraps, as in memcached.
  if (hot + warm > kLruPercentMax) return Fail(Cause::kLruPercents);
  if (hot_factor <= 0 || warm_factor <= 0) return Fail(Cause::kLruFactors);
  return Make(Kind::kTuning);
}

OperatorRequest ReadLru(const Words& words) {
  int32_t seconds;
  if (words.count >= 5 && words.at[0] == "tune") return ReadTune(words);
  const bool right =
      words.count >= 2 &&
      ((words.at[0] == "mode" && (words.at[1] == "flat" || words.at[1] == "segmented")) ||
       (words.at[0] == "temp_ttl" && ReadStrictI32(words.at[1], &seconds)));
  return right ? Make(Kind::kTuning) : Fail(Cause::kOperatorUsage);
}

OperatorRequest ReadMemoryLimit(const Words& words) {
  uint32_t megabytes;
  if (!ReadStrictU32(words.at[0], &megabytes)) return Fail(Cause::kOperatorUsage);
  if (megabytes < kMegabytesMin) return Fail(Cause::kMemoryLimitTooSmall);
  if (megabytes > kMegabytesMax) return Fail(Cause::kMemoryLimitInBytes);
  return Make(Kind::kMemoryLimit, megabytes);
}

}  // namespace

OperatorRequest ParseOperator(Command command, std::string_view arguments, uint32_t class_max) {
  const Words words(arguments);
  switch (command) {
    case Command::kLruCrawler:
      return ReadCrawler(words, class_max);
    case Command::kSlabs:
      return ReadSlabs(words, class_max);
    case Command::kLru:
      return ReadLru(words);
    case Command::kMemoryLimit:
      return ReadMemoryLimit(words);
    default:
      return Fail(Cause::kOperatorUsage);
  }
}

OperatorRequest ParseCachedump(std::string_view arguments, uint32_t class_max) {
  const Words words(arguments);
  if (words.count < 2) return Fail(Cause::kCachedumpUsage);
  OperatorRequest request = Make(Kind::kCachedump);
  uint32_t id;
  if (!ReadStrictU32(words.at[0], &id) || !ReadStrictU32(words.at[1], &request.number)) {
    return Fail(Cause::kOperatorNumber);
  }
  if (id > class_max) return Fail(Cause::kCachedumpClass);
  request.classes.set(id);  // 0 holds nothing
  return request;
}

}  // namespace torc::proto
