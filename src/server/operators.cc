#include "src/server/operators.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "proto/text/encoder.h"
#include "src/server/stat_writer.h"

namespace torc::server {

using engine::Engine;
using engine::ItemInfo;
using engine::PinInfo;
using engine::WalkCursor;
using proto::BinaryStatus;
using proto::OperatorRequest;

namespace {

// Items of one slice, which others wait for: about 20 microseconds to find and show, and as much to
// send.
constexpr uint32_t kSliceItems = 64;
constexpr uint32_t kSlicePins = 128;
constexpr uint32_t kSlicePrefixes = 64;
constexpr uint32_t kSliceConnections = 64;
constexpr size_t kTextCapacity =
    Job::kTextBytes + (engine::kWalkOvershootMax + 1) * Job::kLineBytesMax;
// Four lines, with the longest path of a UNIX socket (sun_path) in two of them.
static_assert(kSliceConnections * (4 * 64 + 2 * 108) <= kTextCapacity);

// memcached's cachedump shows no more than this.
constexpr uint64_t kCachedumpBytesMax = 2 << 20;

// stats sizes counts in steps of 32 bytes, as memcached does, up to this size; beyond, where
// memcached would print a line for each of its items, in steps of 32 KiB.
constexpr uint64_t kSizeStep = 32;
constexpr uint64_t kFineSizesMax = 1 << 20;
constexpr uint64_t kSizeStepBeyond = 32 << 10;
constexpr size_t kFineSizes = kFineSizesMax / kSizeStep + 1;
// Key, header and chain of the largest value (-I 1g) do not fill one more step of a megabyte.
constexpr size_t kSizesMax = kFineSizes + ((uint64_t{1} << 30) + (1 << 20)) / kSizeStepBeyond;

size_t SizeIndex(uint64_t bytes) {
  if (bytes <= kFineSizesMax) return (bytes + kSizeStep - 1) / kSizeStep;
  const uint64_t beyond = bytes - kFineSizesMax;
  return std::min(kSizesMax - 1, kFineSizes - 1 + (beyond + kSizeStepBeyond - 1) / kSizeStepBeyond);
}
uint64_t SizeAt(size_t index) {
  return index < kFineSizes ? index * kSizeStep
                            : kFineSizesMax + (index - kFineSizes + 1) * kSizeStepBeyond;
}

// Writes lines into a job's text.
class Line {
 public:
  explicit Line(Job& job) : job_(job), at_(job.text.get() + job.text_size) {}
  ~Line() { job_.text_size = static_cast<size_t>(at_ - job_.text.get()); }

  Line& operator<<(std::string_view text) {
    at_ = proto::Encode(at_, text);
    return *this;
  }
  Line& operator<<(uint64_t number) {
    at_ = proto::EncodeDecimal(at_, number);
    return *this;
  }
  // As in a URI: what is no letter, digit or one of -._~ becomes %XX.
  Line& Escaped(std::string_view key) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    for (const char byte : key) {
      const auto c = static_cast<unsigned char>(byte);
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '.' || c == '_' || c == '~') {
        *at_++ = byte;
      } else {
        *at_++ = '%';
        *at_++ = kDigits[c >> 4];
        *at_++ = kDigits[c & 15];
      }
    }
    return *this;
  }

 private:
  Job& job_;
  char* at_;
};

class Dumper final : public engine::ItemVisitor, public engine::PinVisitor {
 public:
  Dumper(Job& job, const Epoch& start, RelativeSeconds now) : job_(job), start_(start), now_(now) {}

  bool Visit(const ItemInfo& item) override {
    if (!job_.request.all && !job_.request.classes[item.size_class]) return true;
    Line line(job_);
    switch (job_.kind) {
      case Job::Kind::kMetadump:
        Metadump(line, item);
        break;
      case Job::Kind::kMgdump:
        line << "mg " << item.key << "\r\n";
        break;
      case Job::Kind::kCachedump:
        if (job_.number == 0) return false;
        --job_.number;
        line << "ITEM " << item.key << " [" << uint64_t{item.value_size} << " b; "
             << (item.exptime == kNeverExpires ? 0 : Wall(item.exptime)) << " s]\r\n";
        break;
      default:
        ++job_.sizes[SizeIndex(item.item_bytes)];
        return true;
    }
    return HasRoom();
  }

  bool Visit(const PinInfo& pin) override {
    Line line(job_);
    line << "REF key=";
    line.Escaped(pin.item.key) << " cls=" << uint64_t{pin.item.size_class}
                               << " size=" << pin.item.item_bytes << " refs=" << uint64_t{pin.pins}
                               << " secs=" << uint64_t{now_ - std::min(now_, pin.since)}
                               << " live=" << (pin.live ? "yes" : "no") << "\r\n";
    return HasRoom();
  }

 private:
  // memcached's line, to the byte: it ends in a blank and a bare line feed.
  void Metadump(Line& line, const ItemInfo& item) {
    line << "key=";
    line.Escaped(item.key) << " exp=";
    if (item.exptime == kNeverExpires) {
      line << "-1";
    } else {
      line << Wall(item.exptime);
    }
    line << " la=" << Wall(item.last_access) << " cas=" << item.cas
         << " fetch=" << (item.fetched ? "yes" : "no") << " cls=" << uint64_t{item.size_class}
         << " size=" << item.item_bytes << " flags=" << uint64_t{item.client_flags} << " \n";
  }
  uint64_t Wall(RelativeSeconds t) const { return static_cast<uint64_t>(start_.ToWall(t)); }
  bool HasRoom() const { return job_.text_size < Job::kTextBytes; }

  Job& job_;
  const Epoch& start_;
  const RelativeSeconds now_;
};

// memcached's names of states, for what comes closest.
std::string_view StateName(const Connection& c) {
  switch (c.state) {
    case ConnectionState::kClosing:
      return "conn_closing";
    case ConnectionState::kReserving:
    case ConnectionState::kUpload:
    case ConnectionState::kCredentials:
      return "conn_nread";
    case ConnectionState::kSwallow:
    case ConnectionState::kSkipLine:
      return "conn_swallow";
    case ConnectionState::kJob:
      return "conn_parse_cmd";
    default:
      break;
  }
  if (c.sending) return "conn_mwrite";
  if (c.state != ConnectionState::kCommand) return "conn_parse_cmd";
  return c.turn == 0 ? "conn_new_cmd" : "conn_read";
}

bool IsDump(OperatorRequest::Kind kind) {
  return kind == OperatorRequest::Kind::kMetadump || kind == OperatorRequest::Kind::kMgdump;
}

// What a dump says when it is over; the others are told apart in Operators::End.
std::string_view Ending(Job::Kind kind) {
  return kind == Job::Kind::kMgdump ? proto::kMetaEnd : proto::kEnd;
}

}  // namespace

void Operators::Say(Connection& c, std::string_view text) {
  if (!c.broken && !c.out.Append(core_.buffers, text)) core_.Break(c, Cause::kReplyNoMemory);
  core_.MarkDirty(c);
}

void Operators::Refuse(Connection& c, Cause error, bool noreply) {
  const std::string_view text = core_.FailureReply(error);
  if (!noreply) Say(c, text);
}

Job* Operators::Start(Connection& c, Job::Kind kind, bool is_dump, const Asked& asked) {
  if (is_dump) {
    if (core_.shared.dumps.fetch_add(1, std::memory_order_relaxed) >= kDumpsMax) {
      core_.shared.dumps.fetch_sub(1, std::memory_order_relaxed);
      StatWriter(core_, c, asked).Refuse(Cause::kTooManyDumps, BinaryStatus::kNoMemory);
      return nullptr;
    }
  }
  // From the heap: rare, and at most kDumpsMax of the large ones.
  auto job = std::make_unique<Job>();
  job->connection = &c;
  job->asked = asked;
  job->kind = kind;
  job->is_dump = is_dump;
  if (is_dump) job->text = std::make_unique_for_overwrite<char[]>(kTextCapacity);
  c.job = job.release();
  c.state = ConnectionState::kJob;
  return c.job;
}

void Operators::Execute(Connection& c, const proto::Request& request) {
  using Kind = OperatorRequest::Kind;
  Shared& shared = core_.shared;
  const OperatorRequest asked =
      proto::ParseOperator(request.command, request.rest, core_.engine().size_classes());
  const bool crawls = IsDump(asked.kind) || asked.kind == Kind::kCrawl;
  const auto start = [&](Job::Kind kind, uint32_t number, bool is_dump = false) {
    Job* const job = Start(c, kind, is_dump);
    if (job == nullptr) return;
    job->request = asked;
    job->number = number;
    job->noreply = request.noreply;
    if (crawls) core_.counters.crawls.Add(1);
    if (is_dump) Say(c, proto::kOkLine);
  };
  Cause error = asked.error;
  if (crawls && !shared.crawler_on.load(std::memory_order_relaxed)) error = Cause::kCrawlerIsOff;
  if (IsDump(asked.kind) && !shared.options.dumps_enabled) {
    error = asked.kind == Kind::kMetadump ? Cause::kDumpsDisabled : Cause::kKeyDumpsDisabled;
  }
  if (asked.kind == Kind::kCrawlerOn && shared.crawler_on.load(std::memory_order_relaxed)) {
    error = Cause::kCrawlerIsOn;
  }
  if (asked.kind == Kind::kMemoryLimit && error == Cause::kNone &&
      uint64_t{asked.number} << 20 > core_.engine().MemoryLimitMax()) {
    error = Cause::kMemoryLimitTooLarge;
  }
  if (error != Cause::kNone) return Refuse(c, error, request.noreply);

  switch (asked.kind) {
    case Kind::kMetadump:
      return start(Job::Kind::kMetadump, 0, true);
    case Kind::kMgdump:
      return start(Job::Kind::kMgdump, 0, true);
    case Kind::kCrawl:
      return start(Job::Kind::kCrawl, 0);
    case Kind::kCrawlerOn:
    case Kind::kCrawlerOff: {
      const bool on = asked.kind == Kind::kCrawlerOn;
      shared.crawler_on.store(on, std::memory_order_relaxed);
      return start(Job::Kind::kCrawler, on);
    }
    case Kind::kCrawlerSleep:
      shared.crawler_sleep_us.store(asked.number, std::memory_order_relaxed);
      break;
    case Kind::kCrawlerToCrawl:
      shared.crawler_to_crawl.store(asked.number, std::memory_order_relaxed);
      break;
    case Kind::kReassign:
      return start(Job::Kind::kReassign, asked.from);
    case Kind::kAutomove:
      shared.automove.store(asked.number, std::memory_order_relaxed);
      return start(Job::Kind::kAutomove, asked.number != 0);
    case Kind::kMemoryLimit:
      return start(Job::Kind::kLimit, asked.number);
    case Kind::kTuning:
      break;
    case Kind::kCachedump:
      CHECK(!"parsed by ParseCachedump");
  }
  if (!request.noreply) Say(c, proto::kOkLine);
}

void Operators::Cachedump(Connection& c, std::string_view arguments) {
  const OperatorRequest asked = proto::ParseCachedump(arguments, core_.engine().size_classes());
  const Cause error = core_.shared.options.dumps_enabled ? asked.error : Cause::kCachedumpDisabled;
  if (error != Cause::kNone) return Refuse(c, error, false);
  Job* const job = Start(c, Job::Kind::kCachedump, /*is_dump=*/true);
  if (job == nullptr) return;
  job->request = asked;
  job->number = asked.number == 0 ? UINT32_MAX : asked.number;
}

void Operators::Sizes(Connection& c, const Asked& asked) {
  Job* const job = Start(c, Job::Kind::kSizes, /*is_dump=*/true, asked);
  if (job == nullptr) return;
  job->request.all = true;
  job->sizes.resize(kSizesMax);
}

void Operators::Detail(Connection& c, DetailAction action, const Asked& asked) {
  StatWriter out(core_, c, asked);
  if (!core_.shared.options.dumps_enabled) {
    return out.Refuse(Cause::kDetailDisabled, BinaryStatus::kNotFound);
  }
  switch (action) {
    case DetailAction::kDump:
      Start(c, Job::Kind::kPrefixes, /*is_dump=*/true, asked);
      return;
    case DetailAction::kOn:
    case DetailAction::kOff:
      core_.shared.detail.store(action == DetailAction::kOn, std::memory_order_relaxed);
      return out.Answer(proto::kOkLine, BinaryStatus::kOk);
    case DetailAction::kUnknown:
      return out.Refuse(Cause::kDetailUsage, BinaryStatus::kNotFound);
  }
}

void Operators::RunSlice(Job& job) {
  Engine& engine = core_.engine();
  const ShardId self = core_.self();
  Dumper dumper(job, core_.shard.start(), core_.shard.now());
  job.text_size = 0;
  switch (job.kind) {
    case Job::Kind::kMetadump:
    case Job::Kind::kMgdump:
    case Job::Kind::kCachedump:
    case Job::Kind::kSizes:
      engine.Walk(self, &job.cursor, kSliceItems, dumper);
      return;
    case Job::Kind::kRefs:
      engine.ListPins(self, &job.cursor, kSlicePins, dumper);
      return;
    case Job::Kind::kConnections:
      return ListConnections(job);
    case Job::Kind::kPrefixes:
      return AddPrefixes(job);
    case Job::Kind::kCrawl:
      engine.Crawl(self);
      break;
    case Job::Kind::kCrawler:
      engine.SetCrawler(self, job.number != 0);
      break;
    case Job::Kind::kAutomove:
      engine.SetAutomove(self, job.number != 0);
      break;
    case Job::Kind::kLimit:
      engine.SetMemoryLimit(self, uint64_t{job.number} << 20);
      break;
    case Job::Kind::kReassign:
      switch (engine.MovePage(self, job.number)) {
        case Engine::MoveResult::kMoved:
          job.moved = true;
          break;
        case Engine::MoveResult::kBusy:
          job.busy = true;
          break;
        case Engine::MoveResult::kNoSpare:
          break;
      }
      break;
  }
  job.cursor.done = true;
}

void Operators::ListConnections(Job& job) {
  const Roster& roster = core_.roster;
  const std::string_view unix_path = core_.shared.options.unix_socket;
  const RelativeSeconds now = core_.shard.now();
  // Listeners come first: their number does not change.
  const size_t listeners = roster.listeners().size();
  Line line(job);
  // Numbers differ over all shards, and stay as long as the connection.
  const auto put = [&](size_t place, std::string_view name) -> Line& {
    return line << "STAT " << uint64_t{place} * core_.shard.shards() + core_.self() << ":" << name
                << " ";
  };
  uint64_t& place = job.cursor.position;
  const uint64_t end = std::min(place + kSliceConnections, listeners + roster.entries().size());
  for (; place < end; ++place) {
    if (place < listeners) {
      const Roster::Listener& listener = roster.listeners()[place];
      const bool datagram = listener.command_at != nullptr;
      const RelativeSeconds command_at = datagram ? *listener.command_at : kClockStart;
      if (datagram) put(place, "UDP") << "UDP\r\n";
      put(place, "addr") << TextOf(LocalAddress(listener.fd), unix_path, datagram) << "\r\n";
      put(place, "state") << (datagram ? "conn_read\r\n" : "conn_listening\r\n");
      put(place, "secs_since_last_cmd") << uint64_t{now - command_at} << "\r\n";
      continue;
    }
    const Roster::Entry& entry = roster.entries()[place - listeners];
    if (entry.connection == nullptr) continue;
    const Connection& c = *entry.connection;
    put(place, "addr") << TextOf(entry.peer, unix_path) << "\r\n";
    put(place, "listen_addr") << TextOf(entry.local, unix_path) << "\r\n";
    put(place, "state") << StateName(c) << "\r\n";
    put(place, "secs_since_last_cmd") << uint64_t{now - std::min(now, c.command_at)} << "\r\n";
  }
  job.cursor.done = place == listeners + roster.entries().size();
}

// The cursor's position is no more than whether there was a slice before: "" may be a prefix.
void Operators::AddPrefixes(Job& job) {
  const Prefixes::Map& own = core_.prefixes.map();
  auto next = job.cursor.position == 0 ? own.begin() : own.upper_bound(job.last_prefix);
  for (uint32_t i = 0; i < kSlicePrefixes && next != own.end(); ++i, ++next) {
    job.prefixes[next->first] += next->second;
    job.last_prefix = next->first;
  }
  job.cursor.position = 1;
  job.cursor.done = next == own.end();
}

void Operators::TakeSlice(Connection& c, Job& job) {
  if (job.text_size != 0) {
    job.shown_bytes += job.text_size;
    Say(c, {job.text.get(), job.text_size});
  }
  if (job.kind == Job::Kind::kCachedump &&
      (job.number == 0 || job.shown_bytes >= kCachedumpBytesMax)) {
    job.shard = core_.shard.shards();
  } else if (job.cursor.done) {
    ++job.shard;
    job.cursor = {};
  }
}

Operators::Step Operators::Continue(Connection& c) {
  Job& job = *c.job;
  if (job.under_way) return Step::kBlocked;
  if (job.shard == core_.shard.shards()) {
    End(c, job);
    return Step::kDone;
  }
  if (job.shard == core_.self()) {
    RunSlice(job);
    TakeSlice(c, job);
    return Step::kShare;
  }
  if (!desk_.ReserveSend(c, job.shard)) return Step::kLater;
  job.under_way = true;
  core_.shard.Send(job.shard, {static_cast<uint32_t>(MessageKind::kJob), 0, &job});
  return Step::kBlocked;
}

void Operators::OnRequest(ShardId from, const shard::Message& message) {
  RunSlice(*static_cast<Job*>(message.payload));
  core_.shard.Answer(from, message);
}

void Operators::OnAnswer(const shard::Message& message) {
  Job& job = *static_cast<Job*>(message.payload);
  Connection& c = *job.connection;
  job.under_way = false;
  TakeSlice(c, job);
  desk_.Settle(c);
}

void Operators::End(Connection& c, Job& job) {
  c.state = ConnectionState::kCommand;  // first: what follows may close the connection
  if (job.kind == Job::Kind::kSizes) {
    EndSizes(c, job);
  } else if (job.kind == Job::Kind::kPrefixes) {
    EndPrefixes(c, job);
  } else if (job.is_dump) {
    Say(c, Ending(job.kind));
  } else if (job.kind == Job::Kind::kReassign && !job.moved) {
    Refuse(c, job.busy ? Cause::kReassignBusy : Cause::kReassignNoSpare, job.noreply);
  } else if (!job.noreply) {
    Say(c, proto::kOkLine);
  }
  Drop(c);
}

void Operators::EndSizes(Connection& c, const Job& job) {
  StatWriter out(core_, c, job.asked);
  for (size_t i = 0; i < job.sizes.size(); ++i) {
    if (job.sizes[i] == 0) continue;
    char name[proto::kDecimalBytesMax];
    const char* const name_end = proto::EncodeDecimal(name, SizeAt(i));
    out.Put({name, static_cast<size_t>(name_end - name)}, job.sizes[i]);
  }
  out.End();
}

// Binary has text's lines as one value, with their END.
void Operators::EndPrefixes(Connection& c, const Job& job) {
  std::string lines;
  for (const auto& [prefix, counts] : job.prefixes) {
    lines += "PREFIX " + prefix + " get " + std::to_string(counts.gets) + " hit " +
             std::to_string(counts.hits) + " set " + std::to_string(counts.sets) + " del " +
             std::to_string(counts.deletes) + "\r\n";
  }
  lines += proto::kEnd;
  if (job.asked.style != ReplyStyle::kBinary) return Say(c, lines);
  StatWriter out(core_, c, job.asked);
  out.Put("detailed", lines);
  out.End();
}

void Operators::Drop(Connection& c) {
  if (c.job == nullptr) return;
  CHECK(!c.job->under_way);
  if (c.job->is_dump) core_.shared.dumps.fetch_sub(1, std::memory_order_relaxed);
  delete c.job;
  c.job = nullptr;
}

}  // namespace torc::server
