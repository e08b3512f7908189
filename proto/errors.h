// Every error that torc tells a client: one table, one row per cause.
//
//   ErrorId::kKeyTooLong -> { "CLIENT_ERROR bad command line format\r\n",   what the client reads
//                             "key_too_long",                               its counter's name
//                             "keys have at most 250 bytes" }               what to do about it
//
// torc gives each cause its own words, except where memcached answers several causes with the same
// line: clients and their tests know those lines byte for byte, so memcached's text wins and the
// causes differ in the counter alone.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: a row stands at the index of its
// ErrorId; counter names are distinct; every text ends in "\r\n". All three are checked at compile
// time.
#ifndef TORC_PROTO_ERRORS_H_
#define TORC_PROTO_ERRORS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace torc::proto {

enum class ErrorId : uint8_t {
  kNone,
  // The command line.
  kUnknownCommand,
  kLineTooShort,
  kTooFewTokens,
  kKeyTooLong,
  kBadValueSize,
  kBadClientFlags,
  kBadStoreExptime,
  kBadCas,
  kBadVerbosity,
  kBadExptime,
  kBadDelta,
  kUnknownStats,
  // The value and the store.
  kBadDataChunk,
  kValueTooLarge,
  kOutOfMemoryStoring,
  kOutOfMemoryCounting,
  kNotANumber,
  // What the server does not allow.
  kFlushDisabled,
  kShutdownDisabled,
  kTooManyConnections,
  // Commands of operators.
  kOperatorUsage,
  kOperatorNumber,
  kCrawlerIsOff,
  kCrawlerIsOn,
  kCrawlerSleepTooLong,
  kTooManyDumps,
  kDumpsDisabled,
  kKeyDumpsDisabled,
  kBadClasses,
  kNoClasses,
  kCrawlHash,
  kReassignBadClass,
  kReassignSameClass,
  kReassignNoSpare,
  kReassignBusy,
  kMemoryLimitTooSmall,
  kMemoryLimitInBytes,
  kMemoryLimitTooLarge,
  kLruPercents,
  kLruFactors,
  kCachedumpUsage,
  kCachedumpClass,
  kCachedumpDisabled,
  kCount,
};

struct ErrorRow {
  ErrorId id;
  std::string_view text;     // As sent, with its "\r\n". Empty for kNone.
  std::string_view counter;  // snake_case, for `stats failures` and metrics.
  std::string_view advice;   // One line for the person who looks at the counter.
};

inline constexpr size_t kErrorCount = static_cast<size_t>(ErrorId::kCount);

inline constexpr std::array<ErrorRow, kErrorCount> kErrors = {{
    {ErrorId::kNone, "", "none", ""},

    {ErrorId::kUnknownCommand, "ERROR\r\n", "unknown_command",
     "the client speaks a command that torc does not know, or lost count of a value's bytes"},
    // The next eight share memcached's one text for a line that it cannot read.
    {ErrorId::kLineTooShort, "CLIENT_ERROR bad command line format\r\n", "line_too_short",
     "no command has so few bytes: an empty line, or a value longer than its command said"},
    {ErrorId::kTooFewTokens, "CLIENT_ERROR bad command line format\r\n", "too_few_tokens",
     "an argument is missing, or the key is empty or begins with a blank"},
    {ErrorId::kKeyTooLong, "CLIENT_ERROR bad command line format\r\n", "key_too_long",
     "keys have at most 250 bytes: hash long ones in the client"},
    {ErrorId::kBadValueSize, "CLIENT_ERROR bad command line format\r\n", "bad_value_size",
     "the value's size must be a decimal number of bytes, up to 2147483645"},
    {ErrorId::kBadClientFlags, "CLIENT_ERROR bad command line format\r\n", "bad_client_flags",
     "the flags must be a decimal number of 32 bits; does the key hold a blank?"},
    {ErrorId::kBadStoreExptime, "CLIENT_ERROR bad command line format\r\n", "bad_store_exptime",
     "the expiry time of a storage command must be a decimal number of seconds"},
    {ErrorId::kBadCas, "CLIENT_ERROR bad command line format\r\n", "bad_cas",
     "cas needs the number that gets answered, of 64 bits, after the size"},
    {ErrorId::kBadVerbosity, "CLIENT_ERROR bad command line format\r\n", "bad_verbosity",
     "verbosity needs a level: 0, 1, 2 or 3"},
    {ErrorId::kBadExptime, "CLIENT_ERROR invalid exptime argument\r\n", "bad_exptime",
     "the time of touch, gat or flush_all must be a decimal number of 32 bits"},
    {ErrorId::kBadDelta, "CLIENT_ERROR invalid numeric delta argument\r\n", "bad_delta",
     "incr and decr need a decimal number of 64 bits, without a sign"},
    {ErrorId::kUnknownStats, "ERROR\r\n", "unknown_stats",
     "torc knows stats, and stats settings, items, slabs, sizes, cachedump, refs, failures, reset"},

    {ErrorId::kBadDataChunk, "CLIENT_ERROR bad data chunk\r\n", "bad_data_chunk",
     "the value was longer or shorter than its command said: the client miscounts bytes"},
    {ErrorId::kValueTooLarge, "SERVER_ERROR object too large for cache\r\n", "value_too_large",
     "store less per key, compress, or raise -I"},
    {ErrorId::kOutOfMemoryStoring, "SERVER_ERROR out of memory storing object\r\n",
     "out_of_memory_storing", "raise -m, or run without -M so that old items make room"},
    {ErrorId::kOutOfMemoryCounting, "SERVER_ERROR out of memory\r\n", "out_of_memory_counting",
     "incr or decr needed a longer number and found no room: raise -m, or run without -M"},
    {ErrorId::kNotANumber, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
     "not_a_number", "the key holds text: store a decimal number before incr or decr"},

    {ErrorId::kFlushDisabled, "CLIENT_ERROR flush_all not allowed\r\n", "flush_disabled",
     "the server runs with -F"},
    {ErrorId::kShutdownDisabled, "SERVER_ERROR: shutdown not enabled\r\n", "shutdown_disabled",
     "end the server by SIGTERM"},
    {ErrorId::kTooManyConnections, "ERROR Too many open connections\r\n", "too_many_connections",
     "raise -c and the limit of open files, or pool connections in the clients"},

    // Commands of operators: docs/operations.md.
    {ErrorId::kOperatorUsage, "ERROR\r\n", "operator_usage",
     "lru_crawler, lru, slabs or cache_memlimit with other words than it knows"},
    {ErrorId::kOperatorNumber, "CLIENT_ERROR bad command line format\r\n", "operator_number",
     "an argument of lru_crawler, slabs or stats cachedump must be a decimal number"},
    {ErrorId::kCrawlerIsOff, "CLIENT_ERROR lru crawler disabled\r\n", "crawler_is_off",
     "lru_crawler enable comes first"},
    {ErrorId::kCrawlerIsOn, "ERROR failed to start lru crawler thread\r\n", "crawler_is_on",
     "lru_crawler enable, and it was enabled already: nothing to do"},
    {ErrorId::kCrawlerSleepTooLong, "CLIENT_ERROR sleep must be one second or less\r\n",
     "crawler_sleep_too_long", "lru_crawler sleep takes microseconds, up to 1000000"},
    {ErrorId::kTooManyDumps, "BUSY currently processing crawler request\r\n", "too_many_dumps",
     "as many dumps as may be are running: wait for one to end"},
    {ErrorId::kDumpsDisabled, "ERROR metadump not allowed\r\n", "dumps_disabled",
     "the server runs with -X"},
    {ErrorId::kKeyDumpsDisabled, "ERROR key dump not allowed\r\n", "key_dumps_disabled",
     "the server runs with -X"},
    {ErrorId::kBadClasses, "BADCLASS invalid class id\r\n", "bad_classes",
     "name classes as stats slabs does, or all, or for dumps hash"},
    {ErrorId::kNoClasses, "NOTSTARTED no items to crawl\r\n", "no_classes",
     "the list of classes is empty"},
    {ErrorId::kCrawlHash, "ERROR an unknown error happened\r\n", "crawl_hash",
     "lru_crawler crawl takes classes, or all"},
    {ErrorId::kReassignBadClass, "BADCLASS invalid src or dst class id\r\n", "reassign_bad_class",
     "name classes as stats slabs does"},
    {ErrorId::kReassignSameClass, "SAME src and dst class are identical\r\n", "reassign_same_class",
     "slabs reassign needs two classes"},
    {ErrorId::kReassignNoSpare, "NOSPARE source class has no spare pages\r\n", "reassign_no_spare",
     "the class has one page in each shard at most, or all are in use by sends"},
    {ErrorId::kReassignBusy, "BUSY currently processing reassign request\r\n", "reassign_busy",
     "each shard is moving a page already: try again"},
    {ErrorId::kMemoryLimitTooSmall, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
     "memory_limit_too_small", "cache_memlimit takes megabytes, 8 at least"},
    {ErrorId::kMemoryLimitInBytes, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n",
     "memory_limit_in_bytes", "cache_memlimit takes megabytes"},
    {ErrorId::kMemoryLimitTooLarge, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n",
     "memory_limit_too_large",
     "cache_memlimit goes up to the machine's memory, and not at all with -k or -L"},
    {ErrorId::kLruPercents, "ERROR hot and warm pcts must not exceed 80\r\n", "lru_percents",
     "lru tune has no effect here, but the same bounds as in memcached"},
    {ErrorId::kLruFactors, "ERROR hot/warm age factors must be greater than 0\r\n", "lru_factors",
     "lru tune has no effect here, but the same bounds as in memcached"},
    {ErrorId::kCachedumpUsage, "CLIENT_ERROR bad command line\r\n", "cachedump_usage",
     "stats cachedump takes a class and the most items to show, 0 for all"},
    {ErrorId::kCachedumpClass, "CLIENT_ERROR Illegal slab id\r\n", "cachedump_class",
     "name a class as stats slabs does"},
    {ErrorId::kCachedumpDisabled, "CLIENT_ERROR stats cachedump not allowed\r\n",
     "cachedump_disabled", "the server runs with -X"},
}};

// The row of `id`. Requires id < ErrorId::kCount.
constexpr const ErrorRow& Error(ErrorId id) { return kErrors[static_cast<size_t>(id)]; }

// What the client reads for `id`, with its "\r\n". Static storage.
constexpr std::string_view ErrorText(ErrorId id) { return Error(id).text; }

namespace internal {

constexpr bool ErrorsAreWellFormed() {
  for (size_t i = 0; i < kErrorCount; ++i) {
    if (static_cast<size_t>(kErrors[i].id) != i || kErrors[i].counter.empty()) return false;
    if (i > 0 && !kErrors[i].text.ends_with("\r\n")) return false;
    for (size_t j = 0; j < i; ++j) {
      if (kErrors[i].counter == kErrors[j].counter) return false;
    }
  }
  return true;
}
static_assert(ErrorsAreWellFormed());

}  // namespace internal
}  // namespace torc::proto

#endif  // TORC_PROTO_ERRORS_H_
