// Reads the arguments of what operators ask: lru_crawler, lru, slabs, cache_memlimit and stats
// cachedump, with memcached's answers to what is wrong with them.
//
//   "lru_crawler metadump 1,5"  ->  {kMetadump, classes = 1 and 5}
//   "slabs reassign 3 3"        ->  error kReassignSameClass
//
// Owner: none, functions. Affinity: any. Lifetime: static. Invariant: where error is kNone, the
// fields that the kind uses are set; of a wrong list of classes, the kind is.
#ifndef TORC_PROTO_TEXT_OPERATOR_H_
#define TORC_PROTO_TEXT_OPERATOR_H_

#include <bitset>
#include <cstdint>
#include <string_view>

#include "proto/text/request.h"
#include "src/base/cause.h"

namespace torc::proto {

// Class numbers are below this.
inline constexpr uint32_t kClassNumbersMax = 2048;

struct OperatorRequest {
  enum class Kind : uint8_t {
    kMetadump,        // classes, all
    kMgdump,          // classes, all
    kCachedump,       // classes: one of them, or none; number: the most items, 0: all
    kCrawl,           // classes, all
    kCrawlerOn,       // lru_crawler enable
    kCrawlerOff,      // lru_crawler disable
    kCrawlerSleep,    // number: microseconds
    kCrawlerToCrawl,  // number: items
    kReassign,        // from, to: classes, 0 for the pool of free pages
    kAutomove,        // number: 0, 1 or 2
    kTuning,          // right, and of memcached's inner parts alone: nothing to do
    kMemoryLimit,     // number: megabytes
  };
  Kind kind = Kind::kTuning;
  Cause error = Cause::kNone;
  bool all = false;  // every class
  uint32_t number = 0;
  uint32_t from = 0;
  uint32_t to = 0;
  std::bitset<kClassNumbersMax> classes;
};

// Reads the `arguments` of an operator's command (IsOperator). Classes have the numbers 1 to
// `class_max`, below kClassNumbersMax.
[[nodiscard]] OperatorRequest ParseOperator(Command command, std::string_view arguments,
                                            uint32_t class_max);
// Likewise what follows "stats cachedump".
[[nodiscard]] OperatorRequest ParseCachedump(std::string_view arguments, uint32_t class_max);

}  // namespace torc::proto

#endif  // TORC_PROTO_TEXT_OPERATOR_H_
