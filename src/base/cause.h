// Every way in which something fails or has to wait: one table, one row per cause.
//
//   Cause::kKeyTooLong -> {"key_too_long",                            counter, of `stats failures`
//                          "a key has more than 250 bytes",           what happened, in torc's
//                          words "CLIENT_ERROR bad command line format..",  what the client reads,
//                          or "" "hash long keys in the client"}            what to do about it
//
// A cause has words of its own: they stand in docs/errors.md and in what -v prints. What the client
// reads is another matter. Clients and their tests know memcached's lines byte for byte, so where
// memcached answers several causes with one line, so does torc, and the counters tell them apart.
//
// Evictions, misses and the like are no failures and not here; what has to wait a little is, since
// a wait that lasts is the first sign of the failure to come. docs/errors.md is this table, and
// src/server/failures_test.cc holds the two together.
//
// Owner: none. Affinity: any. Lifetime: static. Invariant: a row stands at the index of its Cause;
// counters and texts are distinct; every reply ends in "\r\n". Checked at compile time.
#ifndef TORC_SRC_BASE_CAUSE_H_
#define TORC_SRC_BASE_CAUSE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace torc {

enum class Cause : uint8_t {
  kNone,

  // Requests that cannot be understood.
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
  kBadDataChunk,
  kLineTooLong,
  kHttpRequest,
  kValueCutOff,
  kDatagramNoRequest,

  // Requests that are refused.
  kFlushDisabled,
  kShutdownDisabled,
  kValueTooLarge,
  kStoreNoEviction,
  kStoreNothingToEvict,
  kStoreExceedsShard,
  kStoreIndexFull,
  kConcatTooLarge,
  kConcatNoMemory,
  kOutOfMemoryCounting,
  kNotANumber,
  kPinsFullMissed,
  kOwnerNotAsked,

  // Commands of operators: docs/operations.md.
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
  kDetailUsage,
  kDetailDisabled,

  // Connections that are refused or end.
  kTooManyConnections,
  kAcceptFileLimit,
  kAcceptNoMemory,
  kAcceptAborted,
  kAcceptFailed,
  kConnectionNoMemory,
  kConnectionReset,
  kReceiveFailed,
  kSendReset,
  kSendFailed,
  kCloseFailed,
  kInputNoMemory,
  kReplyNoMemory,
  kSlowClientDropped,
  kStopCutOff,
  kDatagramDropped,
  kDatagramReceiveFailed,
  kDatagramReplyLost,

  // What waits, or takes the longer way; nothing is lost.
  kReceiveNoBuffer,
  kReceiveNoMemory,
  kDatagramsWait,
  kSendNoMemory,
  kBuffersShort,
  kReliefNoMemory,
  kOutputFull,
  kStoreDelayed,
  kValueDelayed,
  kOperationStalled,
  kPendingFull,
  kTaskNoMemory,
  kReleaseDelayed,
  kHandoverRefused,
  kPinsFullCopied,

  // Between a shard and the kernel.
  kCompletionOverflow,
  kCompletionLost,
  kSubmissionRefused,
  kWakeRefused,

  kCount,
};

inline constexpr size_t kCauseCount = static_cast<size_t>(Cause::kCount);

struct CauseRow {
  Cause cause;
  std::string_view counter;  // snake_case, for `stats failures` and metrics.
  std::string_view text;     // What happened: half a line.
  std::string_view reply;    // What the client reads, with its "\r\n"; empty: nothing.
  std::string_view advice;   // One line for the person who looks at the counter.
};

namespace internal {

inline constexpr std::string_view kBadFormat = "CLIENT_ERROR bad command line format\r\n";
inline constexpr std::string_view kStoreNoMemory = "SERVER_ERROR out of memory storing object\r\n";

}  // namespace internal

inline constexpr std::array<CauseRow, kCauseCount> kCauses = {{
    {Cause::kNone, "none", "nothing failed", "", ""},

    {Cause::kUnknownCommand, "unknown_command", "a command that torc does not know", "ERROR\r\n",
     "README lists the commands; or the client lost count of a value's bytes"},
    {Cause::kLineTooShort, "line_too_short", "a line of fewer bytes than any command has",
     internal::kBadFormat, "an empty line, or a value longer than its command said"},
    {Cause::kTooFewTokens, "too_few_tokens", "a command lacks an argument", internal::kBadFormat,
     "an argument is missing, or the key is empty or begins with a blank"},
    {Cause::kKeyTooLong, "key_too_long", "a key has more than 250 bytes", internal::kBadFormat,
     "hash long keys in the client"},
    {Cause::kBadValueSize, "bad_value_size", "a value's size is no number of bytes",
     internal::kBadFormat, "it must be decimal, up to 2147483645"},
    {Cause::kBadClientFlags, "bad_client_flags", "client flags are no number", internal::kBadFormat,
     "they must be decimal, of 32 bits; does the key hold a blank?"},
    {Cause::kBadStoreExptime, "bad_store_exptime", "the expiry time of a store is no number",
     internal::kBadFormat, "it must be a decimal number of seconds"},
    {Cause::kBadCas, "bad_cas", "a cas command lacks its CAS number", internal::kBadFormat,
     "cas takes the number that gets answered, of 64 bits, after the size"},
    {Cause::kBadVerbosity, "bad_verbosity", "verbosity without a level", internal::kBadFormat,
     "it takes 0, 1, 2 or 3"},
    {Cause::kBadExptime, "bad_exptime", "the time of touch, gat or flush_all is no number",
     "CLIENT_ERROR invalid exptime argument\r\n", "it must be decimal, of 32 bits"},
    {Cause::kBadDelta, "bad_delta", "incr or decr by what is no number",
     "CLIENT_ERROR invalid numeric delta argument\r\n",
     "they take a decimal number of 64 bits, without a sign"},
    {Cause::kUnknownStats, "unknown_stats", "stats of something that torc does not keep",
     "ERROR\r\n",
     "torc knows stats, and stats settings, items, slabs, sizes, cachedump, refs, conns, detail, "
     "failures, reset"},
    {Cause::kBadDataChunk, "bad_data_chunk", "a value does not end where its command said",
     "CLIENT_ERROR bad data chunk\r\n", "the client miscounts the bytes of its values"},
    {Cause::kLineTooLong, "line_too_long",
     "2,048 bytes without a line end; the connection is closed", "",
     "the client does not speak the text protocol, or lost count of a value's bytes"},
    {Cause::kHttpRequest, "http_request", "an HTTP request; the connection is closed", "",
     "a browser or a health check was pointed at this port"},
    {Cause::kValueCutOff, "value_cut_off", "a connection ended inside a value", "",
     "a client died or gave up in the middle of a store: is its time limit too short?"},
    {Cause::kDatagramNoRequest, "datagram_no_request",
     "a datagram that is no request: too short, or one of several", "",
     "over UDP a request must fit one datagram, which the client must say: use TCP for more"},

    {Cause::kFlushDisabled, "flush_disabled", "flush_all is forbidden",
     "CLIENT_ERROR flush_all not allowed\r\n", "the server runs with -F"},
    {Cause::kShutdownDisabled, "shutdown_disabled", "shutdown is forbidden",
     "SERVER_ERROR: shutdown not enabled\r\n", "end the server by SIGTERM"},
    {Cause::kValueTooLarge, "value_too_large", "a value is larger than -I allows",
     "SERVER_ERROR object too large for cache\r\n", "store less per key, compress, or raise -I"},
    {Cause::kStoreNoEviction, "store_no_eviction",
     "a store found memory full, and -M forbids eviction", internal::kStoreNoMemory,
     "raise -m, or run without -M so that old items make room"},
    {Cause::kStoreNothingToEvict, "store_nothing_to_evict",
     "a store found no item in its shard that could be evicted", internal::kStoreNoMemory,
     "all is pinned by replies under way or reserved by values that arrive: raise -m, lower -t"},
    {Cause::kStoreExceedsShard, "store_exceeds_shard",
     "a value is larger than the memory of its shard", internal::kStoreNoMemory,
     "a shard has -m divided by -t: raise -m, lower -t, or lower -I"},
    {Cause::kStoreIndexFull, "store_index_full", "a store found no place in the index for its key",
     internal::kStoreNoMemory, "the kernel refuses memory for a larger index: raise its limit"},
    {Cause::kConcatTooLarge, "concat_too_large",
     "append or prepend would make a value larger than -I allows", "NOT_STORED\r\n",
     "begin a new key in time, or raise -I"},
    {Cause::kConcatNoMemory, "concat_no_memory", "append or prepend found no memory",
     "NOT_STORED\r\n", "as for stores: raise -m, or run without -M"},
    {Cause::kOutOfMemoryCounting, "out_of_memory_counting",
     "incr or decr found no memory for its number", "SERVER_ERROR out of memory\r\n",
     "raise -m, or run without -M"},
    {Cause::kNotANumber, "not_a_number", "incr or decr of a value that is no number",
     "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
     "store a decimal number before incr or decr"},
    {Cause::kPinsFullMissed, "pins_full_missed",
     "a large value was answered as a miss: too many are being sent", "",
     "4,096 values of a shard are on their way to slow clients: find these"},
    {Cause::kOwnerNotAsked, "owner_not_asked",
     "a large value of another shard was answered as a miss: its shard could not be asked", "",
     "that shard is overloaded, or starved of its core"},

    // Commands of operators.
    {Cause::kOperatorUsage, "operator_usage",
     "an operator's command with words that it does not take", "ERROR\r\n",
     "lru_crawler, lru, slabs or cache_memlimit with other words than it knows"},
    {Cause::kOperatorNumber, "operator_number", "an argument of an operator's command is no number",
     "CLIENT_ERROR bad command line format\r\n",
     "an argument of lru_crawler, slabs or stats cachedump must be a decimal number"},
    {Cause::kCrawlerIsOff, "crawler_is_off", "a dump or crawl while lru_crawler is disabled",
     "CLIENT_ERROR lru crawler disabled\r\n", "lru_crawler enable comes first"},
    {Cause::kCrawlerIsOn, "crawler_is_on", "lru_crawler enable while it is enabled",
     "ERROR failed to start lru crawler thread\r\n",
     "lru_crawler enable, and it was enabled already: nothing to do"},
    {Cause::kCrawlerSleepTooLong, "crawler_sleep_too_long",
     "lru_crawler sleep of more than a second", "CLIENT_ERROR sleep must be one second or less\r\n",
     "lru_crawler sleep takes microseconds, up to 1000000"},
    {Cause::kTooManyDumps, "too_many_dumps", "a dump while as many run as may",
     "BUSY currently processing crawler request\r\n",
     "as many dumps as may be are running: wait for one to end"},
    {Cause::kDumpsDisabled, "dumps_disabled", "metadump where dumps are forbidden",
     "ERROR metadump not allowed\r\n", "the server runs with -X"},
    {Cause::kKeyDumpsDisabled, "key_dumps_disabled", "mgdump where dumps are forbidden",
     "ERROR key dump not allowed\r\n", "the server runs with -X"},
    {Cause::kBadClasses, "bad_classes", "a crawl or dump of a class that does not exist",
     "BADCLASS invalid class id\r\n",
     "name classes as stats slabs does, or all, or for dumps hash"},
    {Cause::kNoClasses, "no_classes", "a crawl or dump of no class",
     "NOTSTARTED no items to crawl\r\n", "the list of classes is empty"},
    {Cause::kCrawlHash, "crawl_hash", "lru_crawler crawl in hash order",
     "ERROR an unknown error happened\r\n", "lru_crawler crawl takes classes, or all"},
    {Cause::kReassignBadClass, "reassign_bad_class",
     "slabs reassign names a class that does not exist", "BADCLASS invalid src or dst class id\r\n",
     "name classes as stats slabs does"},
    {Cause::kReassignSameClass, "reassign_same_class", "slabs reassign from a class to itself",
     "SAME src and dst class are identical\r\n", "slabs reassign needs two classes"},
    {Cause::kReassignNoSpare, "reassign_no_spare",
     "slabs reassign from a class without a page to spare",
     "NOSPARE source class has no spare pages\r\n",
     "the class has one page in each shard at most, or all are in use by sends"},
    {Cause::kReassignBusy, "reassign_busy", "slabs reassign while a page is moving",
     "BUSY currently processing reassign request\r\n",
     "each shard is moving a page already: try again"},
    {Cause::kMemoryLimitTooSmall, "memory_limit_too_small", "cache_memlimit below 8 MB",
     "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
     "cache_memlimit takes megabytes, 8 at least"},
    {Cause::kMemoryLimitInBytes, "memory_limit_in_bytes", "cache_memlimit in bytes, it seems",
     "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n",
     "cache_memlimit takes megabytes"},
    {Cause::kMemoryLimitTooLarge, "memory_limit_too_large",
     "cache_memlimit beyond what was reserved",
     "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n",
     "cache_memlimit goes up to the machine's memory, and not at all with -k or -L"},
    {Cause::kLruPercents, "lru_percents", "lru tune with more than 80 percent",
     "ERROR hot and warm pcts must not exceed 80\r\n",
     "lru tune has no effect here, but the same bounds as in memcached"},
    {Cause::kLruFactors, "lru_factors", "lru tune with a factor of zero",
     "ERROR hot/warm age factors must be greater than 0\r\n",
     "lru tune has no effect here, but the same bounds as in memcached"},
    {Cause::kCachedumpUsage, "cachedump_usage", "stats cachedump lacks an argument",
     "CLIENT_ERROR bad command line\r\n",
     "stats cachedump takes a class and the most items to show, 0 for all"},
    {Cause::kCachedumpClass, "cachedump_class", "stats cachedump of a class that does not exist",
     "CLIENT_ERROR Illegal slab id\r\n", "name a class as stats slabs does"},
    {Cause::kCachedumpDisabled, "cachedump_disabled", "stats cachedump where dumps are forbidden",
     "CLIENT_ERROR stats cachedump not allowed\r\n", "the server runs with -X"},
    {Cause::kDetailUsage, "detail_usage", "stats detail with none of its three words",
     "CLIENT_ERROR usage: stats detail on|off|dump\r\n", "send on, off or dump"},
    {Cause::kDetailDisabled, "detail_disabled", "stats detail where dumps are forbidden",
     "CLIENT_ERROR stats detail not allowed\r\n", "the server runs with -X"},

    {Cause::kTooManyConnections, "too_many_connections", "a connection above -c was refused",
     "ERROR Too many open connections\r\n",
     "raise -c and the limit of open files, or pool connections in the clients"},
    {Cause::kAcceptFileLimit, "accept_file_limit",
     "no file descriptor for a new connection; accepting pauses", "",
     "raise the limit of open files (ulimit -n), look at fs.file-max"},
    {Cause::kAcceptNoMemory, "accept_no_memory",
     "the kernel has no memory for a new connection; accepting pauses", "",
     "the machine or the control group is out of memory"},
    {Cause::kAcceptAborted, "accept_aborted", "a client left before it was accepted", "",
     "time limits for connecting are short, or the queue (-b) was long"},
    {Cause::kAcceptFailed, "accept_failed",
     "the kernel rejects accepting; it is tried again after a pause", "",
     "should not happen: -v prints the kernel's error, please report it"},
    {Cause::kConnectionNoMemory, "connection_no_memory",
     "no memory for the state of a new connection; it is closed", "",
     "the machine or the control group is out of memory"},
    {Cause::kConnectionReset, "connection_reset", "a connection broke off", "",
     "the client or something on the way reset it, or keepalive found it dead"},
    {Cause::kReceiveFailed, "receive_failed",
     "the kernel rejects a receive; the connection is closed", "",
     "should not happen: -v prints the kernel's error, please report it"},
    {Cause::kSendReset, "send_reset", "a client was gone before it had its replies", "",
     "it closed or died with requests under way: is its time limit too short?"},
    {Cause::kSendFailed, "send_failed", "the kernel rejects a send; the connection is closed", "",
     "should not happen: -v prints the kernel's error, please report it"},
    {Cause::kCloseFailed, "close_failed", "the kernel reports an error on closing a connection", "",
     "should not happen: -v prints the kernel's error, please report it"},
    {Cause::kInputNoMemory, "input_no_memory",
     "no memory for what a connection received; it is closed", "",
     "see buffer_bytes in stats: clients that do not read, or a machine out of memory"},
    {Cause::kReplyNoMemory, "reply_no_memory", "no memory for a connection's reply; it is closed",
     "", "256 MiB of a shard's replies wait to be read, or the machine is out of memory"},
    {Cause::kSlowClientDropped, "slow_client_dropped",
     "a client that did not read was disconnected: buffers were short", "",
     "find the client that sends requests and does not read the replies"},
    {Cause::kStopCutOff, "stop_cut_off",
     "a connection was cut off: the server stops and its client does not read", "",
     "nothing: it took nothing for two seconds, or ten were not enough"},
    {Cause::kDatagramDropped, "datagram_dropped",
     "a datagram was dropped: its socket was full of others", "",
     "more arrives over UDP than the shard can serve: TCP does not drop, net.core.rmem_max bounds "
     "what waits"},
    {Cause::kDatagramReceiveFailed, "datagram_receive_failed",
     "the kernel rejects receiving datagrams; it is tried again after a pause", "",
     "should not happen: -v prints the kernel's error, please report it"},
    {Cause::kDatagramReplyLost, "datagram_reply_lost",
     "a reply over UDP could not be sent, and was dropped", "",
     "-v prints the kernel's error: no route, a firewall, no memory; or a value beyond 91 MB"},

    {Cause::kReceiveNoBuffer, "receive_no_buffer",
     "a receive ended because all of its shard's buffers were in use", "",
     "it starts again by itself; growing fast: more shards have more buffers"},
    {Cause::kReceiveNoMemory, "receive_no_memory", "the kernel has no memory for a receive", "",
     "it starts again by itself; the machine or the control group is out of memory"},
    {Cause::kDatagramsWait, "datagrams_wait",
     "datagrams wait in their socket: as many as may be are being served", "",
     "harmless unless datagram_dropped grows"},
    {Cause::kSendNoMemory, "send_no_memory", "the kernel has no memory for a send", "",
     "it is tried again; see net.ipv4.tcp_mem and the control group's memory"},
    {Cause::kBuffersShort, "buffers_short",
     "a connection's requests wait: its shard's buffers are nearly used up", "",
     "many clients do not read their replies: find them"},
    {Cause::kReliefNoMemory, "relief_no_memory",
     "no memory to move unread requests out of a receive buffer", "",
     "as input_no_memory; nothing is closed"},
    {Cause::kOutputFull, "output_full",
     "a connection's requests wait: 256 KiB of its replies are unread", "",
     "pipelines longer than the client reads; harmless to others"},
    {Cause::kStoreDelayed, "store_delayed",
     "stores wait a turn: the memory that was freed may still be read", "",
     "at the limit of -m a few are normal; many: stores come in large bursts, raise -m"},
    {Cause::kValueDelayed, "value_delayed", "a large value waits for room while it arrives", "",
     "as store_delayed"},
    {Cause::kOperationStalled, "operation_stalled",
     "a request waits for room in the mailbox of the shard that owns its key", "",
     "always: that shard is overloaded or starved of its core; now and then: a burst"},
    {Cause::kPendingFull, "pending_full",
     "a connection's requests wait: 128 are under way to other shards", "",
     "long pipelines of writes; harmless to others"},
    {Cause::kTaskNoMemory, "task_no_memory", "a request for another shard waits: no task is free",
     "", "other shards are overloaded, or the machine is out of memory"},
    {Cause::kReleaseDelayed, "release_delayed",
     "another shard's memory is given back late: its mailbox is full", "", "as operation_stalled"},
    {Cause::kHandoverRefused, "handover_refused",
     "a new connection stays where it came in: the better shard's mailbox is full", "",
     "connections are spread less evenly; as operation_stalled"},
    {Cause::kPinsFullCopied, "pins_full_copied",
     "a large value was copied to be sent: too many are being sent", "", "as pins_full_missed"},

    {Cause::kCompletionOverflow, "completion_overflow",
     "the completion queue was full; the kernel kept the rest", "",
     "growing steadily: a shard gets too little of its core"},
    {Cause::kCompletionLost, "completion_lost", "the kernel had no memory to keep a completion", "",
     "a connection may hang until its client gives up; the machine is out of memory"},
    {Cause::kSubmissionRefused, "submission_refused",
     "the kernel took no submissions for a turn; they are kept", "",
     "the machine or the control group is out of memory"},
    {Cause::kWakeRefused, "wake_refused",
     "a message to wake a shard found no room; the slower way is taken", "",
     "that shard gets too little of its core, or the machine is out of memory"},
}};

// The row of `cause`. Requires cause < Cause::kCount.
constexpr const CauseRow& RowOf(Cause cause) { return kCauses[static_cast<size_t>(cause)]; }

// The table in parts, as docs/errors.md shows it: each begins with `first` and ends where the next
// begins.
struct CauseGroup {
  Cause first;
  std::string_view title;
};
inline constexpr std::array<CauseGroup, 6> kCauseGroups = {{
    {Cause::kUnknownCommand, "Requests that cannot be understood"},
    {Cause::kFlushDisabled, "Requests that are refused"},
    {Cause::kOperatorUsage, "Commands of operators"},
    {Cause::kTooManyConnections, "Connections that are refused or end"},
    {Cause::kReceiveNoBuffer, "What waits or takes the longer way; nothing is lost"},
    {Cause::kCompletionOverflow, "Between a shard and the kernel"},
}};

namespace internal {

constexpr bool CausesAreWellFormed() {
  for (size_t i = 0; i < kCauseCount; ++i) {
    const CauseRow& row = kCauses[i];
    if (static_cast<size_t>(row.cause) != i || row.counter.empty() || row.text.empty())
      return false;
    if (i > 0 && row.advice.empty()) return false;
    if (!row.reply.empty() && !row.reply.ends_with("\r\n")) return false;
    for (size_t j = 0; j < i; ++j) {
      if (row.counter == kCauses[j].counter || row.text == kCauses[j].text) return false;
    }
  }
  return true;
}
static_assert(CausesAreWellFormed());

}  // namespace internal
}  // namespace torc

#endif  // TORC_SRC_BASE_CAUSE_H_
