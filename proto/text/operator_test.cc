#include "proto/text/operator.h"

#include <doctest/doctest.h>

#include <string_view>

namespace torc::proto {
namespace {

using Kind = OperatorRequest::Kind;

constexpr uint32_t kClasses = 63;

OperatorRequest Crawler(std::string_view arguments) {
  return ParseOperator(Command::kLruCrawler, arguments, kClasses);
}
OperatorRequest Slabs(std::string_view arguments) {
  return ParseOperator(Command::kSlabs, arguments, kClasses);
}
Cause Lru(std::string_view arguments) {
  return ParseOperator(Command::kLru, arguments, kClasses).error;
}
OperatorRequest Limit(std::string_view arguments) {
  return ParseOperator(Command::kMemoryLimit, arguments, kClasses);
}
OperatorRequest Cachedump(std::string_view arguments) {
  return ParseCachedump(arguments, kClasses);
}

// All of it was seen of memcached 1.6.45.

TEST_CASE("classes are a list, all, or hash") {
  CHECK(Crawler(" metadump all").kind == Kind::kMetadump);
  CHECK(Crawler(" metadump all").all);
  CHECK(Crawler(" mgdump hash").all);
  const OperatorRequest some = Crawler(" metadump 1,63,");
  CHECK(some.error == Cause::kNone);
  CHECK(!some.all);
  CHECK(some.classes.count() == 2);
  CHECK(some.classes[1]);
  CHECK(some.classes[63]);
  CHECK(Crawler(" metadump 64").error == Cause::kBadClasses);
  CHECK(Crawler(" metadump 0").error == Cause::kBadClasses);
  CHECK(Crawler(" metadump 1,x").error == Cause::kBadClasses);
  CHECK(Crawler(" metadump ALL").error == Cause::kBadClasses);
  CHECK(Crawler(" crawl ,").error == Cause::kNoClasses);
  CHECK(Crawler(" crawl hash").error == Cause::kCrawlHash);
}

TEST_CASE("the crawler counts its words") {
  CHECK(Crawler("").error == Cause::kOperatorUsage);
  CHECK(Crawler(" metadump").error == Cause::kOperatorUsage);
  CHECK(Crawler(" metadump all x").error == Cause::kOperatorUsage);
  CHECK(Crawler(" enable").kind == Kind::kCrawlerOn);
  CHECK(Crawler(" disable").kind == Kind::kCrawlerOff);
  CHECK(Crawler(" enable noreply").error == Cause::kOperatorUsage);
  CHECK(Crawler(" sleep 1000000").number == 1000000);
  CHECK(Crawler(" sleep 1000001").error == Cause::kCrawlerSleepTooLong);
  CHECK(Crawler(" sleep -1").error == Cause::kOperatorNumber);
  CHECK(Crawler(" tocrawl 4294967295").number == 4294967295);
  CHECK(Crawler(" tocrawl 4294967296").error == Cause::kOperatorNumber);
}

TEST_CASE("slabs reassign and automove") {
  const OperatorRequest move = Slabs(" reassign 1 0");
  CHECK(move.kind == Kind::kReassign);
  CHECK(move.from == 1);
  CHECK(move.to == 0);
  CHECK(Slabs(" reassign 1 1").error == Cause::kReassignSameClass);
  CHECK(Slabs(" reassign -1 1").error == Cause::kReassignBadClass);
  CHECK(Slabs(" reassign 1 64").error == Cause::kReassignBadClass);
  CHECK(Slabs(" reassign x 1").error == Cause::kOperatorNumber);
  CHECK(Slabs(" reassign 1").error == Cause::kOperatorUsage);
  CHECK(Slabs(" reassign 1 2 3").error == Cause::kOperatorUsage);
  CHECK(Slabs(" automove 2").number == 2);
  CHECK(Slabs(" automove 0 x y").kind == Kind::kAutomove);
  CHECK(Slabs(" automove 3").error == Cause::kOperatorUsage);
  CHECK(Slabs(" automove x").error == Cause::kOperatorNumber);
  CHECK(Slabs(" automove ratio 0.5").error == Cause::kNone);
  CHECK(Slabs(" automove freeratio").error == Cause::kOperatorUsage);
  CHECK(Slabs(" automove window x").error == Cause::kOperatorNumber);
  CHECK(Slabs("").error == Cause::kOperatorUsage);
}

TEST_CASE("lru is read and has nothing to do") {
  CHECK(Lru(" mode flat") == Cause::kNone);
  CHECK(Lru(" mode flat x") == Cause::kNone);
  CHECK(Lru(" mode x") == Cause::kOperatorUsage);
  CHECK(Lru(" temp_ttl -1") == Cause::kNone);
  CHECK(Lru(" temp_ttl 99999999999") == Cause::kOperatorUsage);
  CHECK(Lru(" tune 10 25 .5 2.") == Cause::kNone);
  CHECK(Lru(" tune 10 25 1x 2") == Cause::kOperatorUsage);
  CHECK(Lru(" tune 40 60 1 2") == Cause::kLruPercents);
  CHECK(Lru(" tune 10 25 0 2") == Cause::kLruFactors);
  CHECK(Lru(" tune 10 25 1") == Cause::kOperatorUsage);
}

TEST_CASE("cache_memlimit") {
  CHECK(Limit(" 8").number == 8);
  CHECK(Limit(" 100 200").number == 100);
  CHECK(Limit(" 7").error == Cause::kMemoryLimitTooSmall);
  CHECK(Limit(" 1000000001").error == Cause::kMemoryLimitInBytes);
  CHECK(Limit(" 8x").error == Cause::kOperatorUsage);
  CHECK(Limit("").error == Cause::kOperatorUsage);
}

TEST_CASE("stats cachedump") {
  const OperatorRequest dump = Cachedump(" 1 10 20");
  CHECK(dump.error == Cause::kNone);
  CHECK(dump.classes[1]);
  CHECK(dump.number == 10);
  CHECK(Cachedump(" 1").error == Cause::kCachedumpUsage);
  CHECK(Cachedump(" 1 x").error == Cause::kOperatorNumber);
  CHECK(Cachedump(" 64 0").error == Cause::kCachedumpClass);
  CHECK(Cachedump(" 0 0").error == Cause::kNone);
}

}  // namespace
}  // namespace torc::proto
