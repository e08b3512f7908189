#include "src/server/statistics.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <initializer_list>
#include <string>

#include "proto/text/encoder.h"
#include "proto/text/parser.h"
#include "src/server/stat_writer.h"

namespace torc::server {
namespace {

using engine::EngineTotals;
using engine::StatGroup;

constexpr std::string_view kDetailName = "detail";

// The sum of one counter over all workers.
class Sums {
 public:
  explicit Sums(const Shared& shared) : shared_(shared) {}
  uint64_t operator()(Counter Counters::* counter) const {
    uint64_t sum = 0;
    for (const Core* core : shared_.cores) sum += (core->counters.*counter).Get();
    return sum;
  }
  // Of failures with one of these causes.
  uint64_t operator()(std::initializer_list<Cause> causes) const {
    uint64_t sum = 0;
    for (const Core* core : shared_.cores) {
      for (const Cause cause : causes) sum += core->failures.Get(cause);
    }
    return sum;
  }

 private:
  const Shared& shared_;
};

std::string Seconds(const timeval& t) {
  char text[32];
  const int size = std::snprintf(text, sizeof(text), "%ld.%06ld", static_cast<long>(t.tv_sec),
                                 static_cast<long>(t.tv_usec));
  return {text, static_cast<size_t>(size)};
}

std::string Decimals(double value) {
  char text[32];
  const int size = std::snprintf(text, sizeof(text), "%.2f", value);
  return {text, static_cast<size_t>(size)};
}

std::string_view YesNo(bool value) { return value ? "yes" : "no"; }

std::string_view NameOf(Protocol protocol) {
  switch (protocol) {
    case Protocol::kText:
      return "ascii";
    case Protocol::kBinary:
      return "binary";
    case Protocol::kUnknown:
      break;
  }
  return "auto-negotiate";
}

// What memcached's own parts count and torc does not have: for dashboards that ask for the name,
// and true, since none of it ever happens.
constexpr std::string_view kNeverHappens[] = {
    "slab_reassign_rescues",
    "slab_reassign_chunk_rescues",
    "slab_reassign_inline_reclaim",
    "slab_reassign_busy_items",
    "slab_reassign_busy_deletes",
    "slab_reassign_running",
    "lru_crawler_running",
    "lru_maintainer_juggles",
    "log_worker_dropped",
    "log_worker_written",
    "log_watcher_skipped",
    "log_watcher_sent",
    "log_watchers",
    "unexpected_napi_ids",
    "round_robin_fallback",
};

void GeneralStatistics(Core& core, StatWriter& out) {
  const Shared& shared = core.shared;
  const Sums sum(shared);
  const EngineTotals totals = core.engine().Totals();
  const uint32_t curr_connections = shared.connections.load(std::memory_order_relaxed);
  uint64_t buffer_bytes = 0;
  uint64_t structures = 0;
  uint64_t messages = 0;
  uint64_t mailbox_full = 0;
  uint64_t overflows = 0;
  uint64_t lost = 0;
  uint64_t enters = 0;
  uint64_t submissions = 0;
  uint64_t turn_us_max = 0;
  uint64_t background_us_max = 0;
  bool accepting = true;
  for (const Core* other : shared.cores) {
    buffer_bytes += other->buffers.size_bytes();
    structures += other->counters.connections_peak.Get();
    messages += other->shard.counters().messages_sent.Get();
    mailbox_full += other->shard.counters().mailbox_full.Get();
    overflows += other->shard.ring_counters().completion_overflows.Get();
    lost += other->shard.ring_counters().completions_lost.Get();
    enters += other->shard.ring_counters().enters.Get();
    submissions += other->shard.ring_counters().submissions.Get();
    turn_us_max = std::max(turn_us_max, other->shard.counters().turn_us_max.Get());
    background_us_max =
        std::max(background_us_max, other->shard.counters().background_us_max.Get());
    accepting = accepting && other->counters.accepting.Get() != 0;
  }
  const uint64_t memory_refused =
      sum({Cause::kConnectionNoMemory, Cause::kInputNoMemory, Cause::kReplyNoMemory,
           Cause::kTaskNoMemory, Cause::kPinsFullMissed, Cause::kOwnerNotAsked});
  const ProcessUse process = shared.process_use();
  const int64_t uptime = core.shard.now() - kClockStart;

  out.Put("pid", static_cast<uint64_t>(process.pid));
  out.Put("uptime", static_cast<uint64_t>(uptime));
  out.Put("time", static_cast<uint64_t>(core.shard.start().ToWall(core.shard.now())));
  out.Put("version", kMemcachedVersion);
  out.Put("torc_version", kVersion);
  out.Put("pointer_size", uint64_t{8 * sizeof(void*)});
  out.Put("rusage_user", Seconds(process.user));
  out.Put("rusage_system", Seconds(process.system));
  out.Put("max_connections", uint64_t{shared.connections_max});
  out.Put("curr_connections", uint64_t{curr_connections});
  out.Put("total_connections", sum(&Counters::connections_total));
  out.Put("rejected_connections", sum({Cause::kTooManyConnections}));
  out.Put("connection_structures", structures);
  out.Put("response_obj_oom", memory_refused);
  out.Put("read_buf_bytes", uint64_t{shared.cores.size()} * kReceiveBuffers * kReceiveBufferBytes);
  out.Put("read_buf_oom", sum({Cause::kReceiveNoBuffer, Cause::kReceiveNoMemory}));
  out.Put("cmd_get", sum(&Counters::cmd_get));
  out.Put("cmd_set", sum(&Counters::cmd_set));
  out.Put("cmd_flush", sum(&Counters::cmd_flush));
  out.Put("cmd_touch", sum(&Counters::cmd_touch));
  out.Put("cmd_meta", sum(&Counters::cmd_meta));
  out.Put("get_hits", sum(&Counters::get_hits));
  out.Put("get_misses", sum(&Counters::get_misses));
  out.Put("get_expired", sum(&Counters::get_expired));
  out.Put("get_flushed", sum(&Counters::get_flushed));
  out.Put("delete_misses", sum(&Counters::delete_misses));
  out.Put("delete_hits", sum(&Counters::delete_hits));
  out.Put("incr_misses", sum(&Counters::incr_misses));
  out.Put("incr_hits", sum(&Counters::incr_hits));
  out.Put("decr_misses", sum(&Counters::decr_misses));
  out.Put("decr_hits", sum(&Counters::decr_hits));
  out.Put("cas_misses", sum(&Counters::cas_misses));
  out.Put("cas_hits", sum(&Counters::cas_hits));
  out.Put("cas_badval", sum(&Counters::cas_badval));
  out.Put("touch_hits", sum(&Counters::touch_hits));
  out.Put("touch_misses", sum(&Counters::touch_misses));
  out.Put("store_too_large", sum({Cause::kValueTooLarge}));
  out.Put("store_no_memory", sum({Cause::kStoreNoEviction, Cause::kStoreNothingToEvict,
                                  Cause::kStoreExceedsShard, Cause::kStoreIndexFull}));
  out.Put("auth_cmds", sum(&Counters::auth_cmds));
  out.Put("auth_errors", sum(&Counters::auth_errors));
  if (shared.options.idle_timeout_seconds != 0) out.Put("idle_kicks", sum({Cause::kIdleTimeout}));
  out.Put("bytes_read", sum(&Counters::bytes_read));
  out.Put("bytes_written", sum(&Counters::bytes_written));
  out.Put("limit_maxbytes", totals.memory_limit_bytes);
  out.Put("accepting_conns", uint64_t{accepting});
  out.Put("listen_disabled_num",
          sum({Cause::kAcceptFileLimit, Cause::kAcceptNoMemory, Cause::kAcceptFailed}));
  out.Put("time_in_listen_disabled_us", sum(&Counters::listen_disabled_us));
  out.Put("threads", uint64_t{shared.cores.size()});
  out.Put("conn_yields", sum(&Counters::yields));
  out.Put("hash_power_level", totals.index_power);
  out.Put("hash_bytes", totals.index_bytes);
  out.Put("hash_is_expanding", uint64_t{totals.index_growing});
  for (const std::string_view name : kNeverHappens) out.Put(name, uint64_t{0});
  out.Put("lru_crawler_starts", sum(&Counters::crawls));
  out.Put("slabs_moved", totals.pages_moved);
  out.Put("malloc_fails", memory_refused);
  out.Put("bytes", totals.item_bytes);
  out.Put("curr_items", totals.items);
  out.Put("total_items", totals.items_stored);
  out.Put("slab_global_page_pool", totals.pages_free);
  out.Put("expired_unfetched", totals.expired_unfetched);
  out.Put("evicted_unfetched", totals.evicted_unfetched);
  out.Put("evicted_active", totals.evicted_active);
  out.Put("evictions", totals.evictions);
  out.Put("reclaimed", totals.reclaimed);
  // torc's own.
  out.Put("shard_messages", messages);
  out.Put("mailbox_full", mailbox_full);
  out.Put("connections_handed_over", sum(&Counters::connections_handed_over));
  out.Put("bytes_read_into_items", sum(&Counters::bytes_read_into_items));
  out.Put("buffer_bytes", buffer_bytes);
  out.Put("eviction_bytes", totals.eviction_bytes);
  out.Put("page_table_bytes", totals.page_table_bytes);
  out.Put("slow_clients_dropped", sum({Cause::kSlowClientDropped}));
  out.Put("output_full", sum({Cause::kOutputFull}));
  out.Put("tasks_stalled", sum({Cause::kOperationStalled}));
  out.Put("stores_delayed", sum({Cause::kStoreDelayed}));
  out.Put("turn_us_max", turn_us_max);
  out.Put("background_us_max", background_us_max);
  out.Put("ring_enters", enters);
  out.Put("ring_submissions", submissions);
  out.Put("ring_completion_overflows", overflows);
  out.Put("ring_completions_lost", lost);
  out.End();
}

// The listening addresses as -l would take them; memcached prints NULL without -l.
std::string Interfaces(const Options& options) {
  std::string text;
  for (const ListenAddress& address : options.listen) {
    if (address.host.empty()) continue;
    if (!text.empty()) text += ',';
    text += address.host;
  }
  return text.empty() ? "NULL" : text;
}

void SettingsStatistics(Core& core, StatWriter& out) {
  const Options& options = core.shared.options;
  char mask[16];
  std::snprintf(mask, sizeof(mask), "%o", options.unix_mask);
  const EngineTotals totals = core.engine().Totals();
  out.Put("maxbytes", totals.memory_limit_bytes);
  out.Put("maxconns", uint64_t{core.shared.connections_max});
  out.Put("tcpport", options.listen.empty() ? uint64_t{0} : uint64_t{options.listen[0].port});
  out.Put("udpport",
          options.listen_udp.empty() ? uint64_t{0} : uint64_t{options.listen_udp[0].port});
  out.Put("inter", Interfaces(options));
  out.Put("verbosity",
          static_cast<uint64_t>(core.shared.verbosity.load(std::memory_order_relaxed)));
  out.Put("oldest", uint64_t{0});
  out.Put("evictions", options.evict ? "on" : "off");
  out.Put("domain_socket", options.unix_socket.empty() ? "NULL" : options.unix_socket);
  out.Put("umask", mask);
  out.Put("growth_factor", Decimals(options.slab_growth_factor));
  out.Put("chunk_size", uint64_t{options.slab_chunk_bytes_min});
  out.Put("num_threads", uint64_t{core.shared.cores.size()});
  out.Put("num_threads_per_udp",
          options.listen_udp.empty() ? uint64_t{0} : uint64_t{core.shared.cores.size()});
  out.Put("stat_key_prefix", std::string_view(&options.prefix_delimiter, 1));
  out.Put("detail_enabled", YesNo(core.shared.detail.load(std::memory_order_relaxed)));
  out.Put("reqs_per_event", uint64_t{options.requests_per_turn});
  out.Put("cas_enabled", YesNo(true));
  out.Put("tcp_backlog", uint64_t{options.listen_backlog});
  out.Put("binding_protocol", NameOf(options.protocol));
  out.Put("auth_enabled_sasl", YesNo(options.sasl));
  out.Put("auth_enabled_ascii", options.auth_file.empty() ? "no" : options.auth_file);
  out.Put("item_size_max", uint64_t{options.item_bytes_max});
  out.Put("maxconns_fast", YesNo(true));
  out.Put("hashpower_init", uint64_t{0});
  out.Put("slab_reassign", YesNo(true));
  out.Put("slab_automove", uint64_t{core.shared.automove.load(std::memory_order_relaxed)});
  out.Put("slab_page_bytes", totals.page_size_bytes);
  out.Put("lru_crawler", YesNo(core.shared.crawler_on.load(std::memory_order_relaxed)));
  out.Put("lru_crawler_sleep",
          uint64_t{core.shared.crawler_sleep_us.load(std::memory_order_relaxed)});
  out.Put("lru_crawler_tocrawl",
          uint64_t{core.shared.crawler_to_crawl.load(std::memory_order_relaxed)});
  out.Put("flush_enabled", YesNo(options.flush_all_enabled));
  out.Put("dump_enabled", YesNo(options.dumps_enabled));
  out.Put("shutdown_command", YesNo(options.shutdown_enabled));
  out.Put("hash_algorithm", "xxh3");
  out.Put("idle_timeout", uint64_t{options.idle_timeout_seconds});
  out.Put("client_flags_size", uint64_t{4});
  out.Put("engine", core.engine().name());
  out.Put("engine_config", options.engine_config.empty() ? "NULL" : options.engine_config);
  out.End();
}

// Every cause, docs/errors.md, zeros included: what is not there never happened.
void FailureStatistics(Core& core, StatWriter& out) {
  const Sums sum(core.shared);
  for (const CauseRow& row : kCauses) {
    if (row.cause != Cause::kNone) out.Put(row.counter, sum({row.cause}));
  }
  out.End();
}

enum class Topic : uint8_t {
  kGeneral,
  kReset,
  kSettings,
  kFailures,
  kItems,
  kSlabs,
  kSizes,
  kDetail,
  kRefs,
  kCachedump,
  kConnections,
  kNone,
};

// Of a line. memcached takes any beginning of the name for some topics.
Topic TopicOf(std::string_view argument) {
  const auto begins = [argument](std::string_view name) { return name.starts_with(argument); };
  if (argument.empty()) return Topic::kGeneral;
  if (begins("reset")) return Topic::kReset;
  if (begins("settings")) return Topic::kSettings;
  if (argument == "failures") return Topic::kFailures;
  if (argument == "items") return Topic::kItems;
  if (argument == "slabs") return Topic::kSlabs;
  if (argument == "sizes") return Topic::kSizes;
  if (argument == "refs") return Topic::kRefs;
  if (begins("cachedump")) return Topic::kCachedump;
  if (begins("conns")) return Topic::kConnections;
  return begins("detail") ? Topic::kDetail : Topic::kNone;
}

// Of a packet's key, which for some topics need only begin with the name.
Topic BinaryTopicOf(std::string_view key) {
  if (key.empty()) return Topic::kGeneral;
  if (key.starts_with("reset")) return Topic::kReset;
  if (key.starts_with("settings")) return Topic::kSettings;
  if (key.starts_with(kDetailName)) return Topic::kDetail;
  if (key == "failures") return Topic::kFailures;
  if (key == "items") return Topic::kItems;
  if (key == "slabs") return Topic::kSlabs;
  return key == "sizes" ? Topic::kSizes : Topic::kNone;
}

// What `stats detail` is to do: a line's next word; of a packet's key, what the rest begins with.
DetailAction DetailActionOf(std::string_view word) {
  if (word == "dump") return DetailAction::kDump;
  if (word == "on") return DetailAction::kOn;
  return word == "off" ? DetailAction::kOff : DetailAction::kUnknown;
}
DetailAction BinaryDetailActionOf(std::string_view rest) {
  if (rest.starts_with(" dump")) return DetailAction::kDump;
  if (rest.starts_with(" on")) return DetailAction::kOn;
  return rest.starts_with(" off") ? DetailAction::kOff : DetailAction::kUnknown;
}

}  // namespace

void WriteStatistics(Core& core, Operators& operators, Connection& c, std::string_view arguments,
                     const Asked& asked) {
  StatWriter out(core, c, asked);
  const bool binary = asked.style == ReplyStyle::kBinary;
  switch (binary ? BinaryTopicOf(arguments) : TopicOf(proto::NextToken(&arguments))) {
    case Topic::kGeneral:
      return GeneralStatistics(core, out);
    case Topic::kReset:
      core.ResetCounters();
      core.engine().ResetCounters(core.self());
      c.broadcast_kind = MessageKind::kReset;
      c.broadcast_next = 0;
      c.reply = binary ? LateReply(asked, proto::BinaryStatus::kOk) : LateReply(proto::kReset);
      c.state = ConnectionState::kBroadcast;
      return;
    case Topic::kSettings:
      return SettingsStatistics(core, out);
    case Topic::kFailures:
      return FailureStatistics(core, out);
    case Topic::kItems:
      core.engine().Statistics(StatGroup::kItems, out);
      return out.End();
    case Topic::kSlabs:
      core.engine().Statistics(StatGroup::kSlabs, out);
      return out.End();
    case Topic::kSizes:
      return operators.Sizes(c, asked);
    case Topic::kDetail:
      return operators.Detail(c,
                              binary ? BinaryDetailActionOf(arguments.substr(kDetailName.size()))
                                     : DetailActionOf(proto::NextToken(&arguments)),
                              asked);
    case Topic::kRefs:
      return operators.Refs(c);
    case Topic::kCachedump:
      return operators.Cachedump(c, arguments);
    case Topic::kConnections:
      return operators.Connections(c);
    case Topic::kNone:
      return out.Refuse(Cause::kUnknownStats, proto::BinaryStatus::kNotFound);
  }
}

}  // namespace torc::server
