#include "tests/simulation/client.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace torc::simulation {

using engine::Verb;
using Kind = Command::Kind;

namespace {

constexpr uint32_t kPrivateKeys = 6;
constexpr size_t kNameSizeMin = 12;  // a shared value is never shorter, so that its name fits
constexpr uint64_t kWrongCas = uint64_t{1} << 60;

// A list of keys up to this size is read whole before the first is answered.
constexpr size_t kWholeLineBytesMax = 4000;

// memcached counts this and the key against -I.
constexpr uint32_t kItemOverheadMax = 400;

constexpr std::string_view kBadChunk = "CLIENT_ERROR bad data chunk";
constexpr std::string_view kNoMemory = "SERVER_ERROR out of memory storing object";
constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache";
constexpr std::string_view kBadLine = "CLIENT_ERROR bad command line format";

struct Fixed {
  std::string_view line;
  std::string_view reply;
};
constexpr Fixed kFixed[] = {
    {"mn", "MN"},
    {"verbosity 1", "OK"},
    {"nonsense", "ERROR"},
    {"get", kBadLine},
    {"shutdown", "SERVER_ERROR: shutdown not enabled"},
    {"stats nonsense", "ERROR"},
    {"incr c0 many", "CLIENT_ERROR invalid numeric delta argument"},
    {"touch c0 soon", "CLIENT_ERROR invalid exptime argument"},
    {"set c0 0 0 much", kBadLine},
    {"stats reset", "RESET"},
    {"lru_crawler crawl all", "OK"},
    {"stats detail on", "OK"},
    {"lru_crawler metadump nonsense", "BADCLASS invalid class id"},
    {"slabs automove 0", "OK"},
    {"slabs automove 1", "OK"},
    {"lru mode flat", "OK"},
    {"cache_memlimit 7", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m"},
};

std::string_view VerbName(Verb verb) {
  switch (verb) {
    case Verb::kAdd:
      return "add";
    case Verb::kReplace:
      return "replace";
    case Verb::kAppend:
      return "append";
    case Verb::kPrepend:
      return "prepend";
    case Verb::kCas:
      return "cas";
    default:
      return "set";
  }
}

bool ToNumber(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view NextWord(std::string_view* rest) {
  const size_t end = std::min(rest->find(' '), rest->size());
  const std::string_view word = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return word;
}

}  // namespace

std::string Content(uint64_t name, size_t size) {
  std::string bytes = std::to_string(name) + ":";
  if (bytes.size() > size) return bytes.substr(0, size);
  size_t at = bytes.size();
  bytes.resize(size);
  // Each group of eight bytes follows from the name and its place; line ends and all others occur.
  while (at < size) {
    const uint64_t group = (name * 0x9E3779B97F4A7C15 + at) * 0xD6E8FEB86659FD93;
    const size_t part = std::min<size_t>(8, size - at);
    std::memcpy(&bytes[at], &group, part);
    at += part;
  }
  return bytes;
}

uint64_t NameOf(std::string_view value) {
  uint64_t name = 0;
  const size_t colon = value.substr(0, 24).find(':');
  if (colon == std::string_view::npos || !ToNumber(value.substr(0, colon), &name) ||
      Content(name, value.size()) != value) {
    throw Mismatch("a value of " + std::to_string(value.size()) +
                   " bytes is not one that was written: \"" + std::string(value.substr(0, 24)) +
                   "\"");
  }
  return name;
}

Script Script::Any(Random* random) {
  Script script;
  script.commands = static_cast<uint32_t>(random->Between(5, 120));
  script.depth = static_cast<uint32_t>(random->Chance(300) ? 1 : random->Between(2, 60));
  script.split_chance = static_cast<uint32_t>(random->Below(600));
  script.pause_chance = static_cast<uint32_t>(random->Chance(300) ? random->Below(100) : 0);
  script.idle_chance = static_cast<uint32_t>(random->Below(900));
  script.noreply_chance = static_cast<uint32_t>(random->Below(300));
  script.shared_chance = static_cast<uint32_t>(random->Below(600));
  script.keys_max = static_cast<uint32_t>(random->Chance(100) ? 400 : random->Between(1, 30));
  script.long_keys = random->Chance(200);
  const uint64_t ending = random->Below(10);
  script.ending = ending < 4   ? Ending::kQuit
                  : ending < 7 ? Ending::kHalfClose
                  : ending < 8 ? Ending::kHalfCommand
                               : Ending::kReset;
  return script;
}

Client::Client(uint32_t number, ring::SimClient wire, const Script& script, uint64_t seed,
               Commons* commons)
    : number_(number),
      wire_(wire),
      script_(script),
      random_(seed),
      commons_(*commons),
      models_(kPrivateKeys, KeyModel(commons->leniency)),
      commands_left_(script.commands) {}

void Client::Trace(std::string_view what, std::string_view text) const {
  if (commons_.trace == nullptr) return;
  *commons_.trace +=
      "step " + std::to_string(commons_.tick) + " client " + std::to_string(number_) + " ";
  *commons_.trace += what;
  *commons_.trace += ' ';
  const size_t end = text.find('\r');
  *commons_.trace += text.substr(0, std::min<size_t>({end, text.size(), 100}));
  *commons_.trace += '\n';
}

std::string Client::Describe() const {
  std::string text = "client " + std::to_string(number_) + ": " + std::to_string(waiting_.size()) +
                     " commands wait, " + std::to_string(heard_.size() - heard_at_) +
                     " bytes heard, " + std::to_string(wire_.unread()) + " unread, " +
                     std::to_string(wire_.unreceived()) + " unreceived";
  if (!waiting_.empty()) {
    const std::string& wire = waiting_.front().wire;
    text += ", first \"" + wire.substr(0, std::min<size_t>(wire.find('\r'), 80)) + "\"";
  }
  return text;
}

bool Client::Act() {
  if (done_ || random_.Chance(script_.idle_chance)) return false;
  bool moved = false;
  if (!write_closed_ && random_.Below(3) != 0) moved = Say() || moved;
  if (done_) return true;
  if (commons_.tick >= pause_until_) {
    if (random_.Chance(script_.pause_chance)) {
      pause_until_ = commons_.tick + random_.Below(2000);
    } else {
      moved = Hear() || moved;
    }
  }
  return moved;
}

// ---- saying

bool Client::Say() {
  bool moved = false;
  for (uint64_t turns = random_.Between(1, 20); turns > 0; --turns) {
    if (writing_) {
      if (!WriteSome()) return moved;
      moved = true;
      continue;
    }
    // A reset comes in the midst of it all.
    if (script_.ending == Script::Ending::kReset && commands_left_ == 0 && random_.Chance(200)) {
      Trace("resets", "");
      wire_.Reset();
      Abandon();
      return true;
    }
    if (commands_left_ == 0) return End() || moved;
    const auto answered = std::count_if(waiting_.begin(), waiting_.end(),
                                        [](const Command& c) { return c.answered(); });
    if (answered >= script_.depth) return moved;
    --commands_left_;
    Begin(Invent());
  }
  return moved;
}

// Puts a part of the command on its way. False: nothing could be written.
bool Client::WriteSome() {
  Command& command = waiting_.back();
  std::string_view rest = std::string_view(command.wire).substr(written_);
  if (random_.Chance(script_.split_chance)) rest = rest.substr(0, random_.Between(1, rest.size()));
  const size_t size = wire_.Write(rest);
  if (size == 0) return false;
  written_ += size;
  if (written_ == command.wire.size()) {
    writing_ = false;
    command.tick_last = commons_.tick;
    // Large ones are not needed any more; the line is, for messages.
    if (command.wire.size() > 500) command.wire.resize(500);
  }
  return true;
}

bool Client::End() {
  switch (script_.ending) {
    case Script::Ending::kQuit: {
      if (!waiting_.empty() && waiting_.back().kind == Kind::kQuit) return false;
      Command quit;
      quit.kind = Kind::kQuit;
      quit.wire = "quit\r\n";
      Begin(std::move(quit));
      return true;
    }
    case Script::Ending::kHalfCommand: {
      static constexpr std::string_view kHalf[] = {"set c0 0 0 100\r\nhalf a value", "get c", "\r",
                                                   "set c0 0 0 9000\r\n", "get c0 c1 c2 c3"};
      if (wire_.Write(kHalf[random_.Below(std::size(kHalf))]) == 0) return false;
      break;
    }
    case Script::Ending::kHalfClose:
      break;
    case Script::Ending::kReset:
      return false;
  }
  Trace("closes", "its side");
  wire_.CloseWrite();
  write_closed_ = true;
  return true;
}

void Client::Begin(Command command) {
  Trace("says", command.wire);
  command.tick_first = commons_.tick;
  command.second_first = commons_.second;
  waiting_.push_back(std::move(command));
  written_ = 0;
  writing_ = true;
  ++commons_.commands;
}

Key Client::PrivateKey(uint32_t number) const {
  std::string name = "p" + std::to_string(number_) + "." + std::to_string(number);
  if (script_.long_keys && number % 2 == 1) name.resize(250, 'x');
  return {std::move(name), KeyKind::kPrivate, number};
}

Key Client::SharedKey(uint32_t number) const {
  return {"s" + std::to_string(number), KeyKind::kShared, number};
}

Key Client::CounterKey(uint32_t number) const {
  return {"n" + std::to_string(number), KeyKind::kCounter, number};
}

Key Client::AnyKey() {
  if (random_.Chance(script_.shared_chance)) {
    return SharedKey(static_cast<uint32_t>(random_.Below(commons_.shared.size())));
  }
  return PrivateKey(static_cast<uint32_t>(random_.Below(kPrivateKeys)));
}

size_t Client::AnySize() {
  if (random_.Chance(commons_.large_chance)) return random_.Below(commons_.large_bytes_max + 1);
  if (random_.Chance(150)) return random_.Below(20'000);
  return random_.Below(commons_.value_bytes_max + 1);
}

int64_t Client::AnyExptime() {
  const uint64_t kind = random_.Below(20);
  if (kind < 15) return 0;
  if (kind < 18) return static_cast<int64_t>(random_.Between(1, 100));
  if (kind < 19) return -1;
  const int64_t unix_time = commons_.leniency.start_wall_second + commons_.second +
                            static_cast<int64_t>(random_.Below(200)) - 20;
  return std::min<int64_t>(unix_time,
                           INT32_MAX);  // what the protocol takes, even where years have passed
}

Command Client::Invent() {
  const uint64_t kind = random_.Below(100);
  if (kind < 35) return InventGet();
  if (kind < 70) return InventStore();
  if (kind < 76) return InventLine();

  Command command;
  command.noreply = random_.Chance(script_.noreply_chance);
  const std::string_view end = command.noreply ? " noreply\r\n" : "\r\n";
  if (kind < 86) {
    command.kind = Kind::kCount;
    const bool counter = commons_.counters && random_.Chance(500);
    const Key key = counter
                        ? CounterKey(static_cast<uint32_t>(random_.Below(commons_.counted.size())))
                        : PrivateKey(static_cast<uint32_t>(random_.Below(kPrivateKeys)));
    if (counter && random_.Chance(200)) {
      command.kind = Kind::kStore;
      command.verb = Verb::kAdd;
      command.value = std::make_shared<const std::string>("0");
      command.keys = {key};
      command.wire = "add " + key.name + " 0 0 1" + std::string(end) + "0\r\n";
      return command;
    }
    const bool up = counter || random_.Chance(500);
    command.verb = up ? Verb::kIncrement : Verb::kDecrement;
    command.delta = counter               ? random_.Between(1, 100)
                    : random_.Chance(100) ? random_.Next()
                                          : random_.Below(1000);
    command.keys = {key};
    command.wire = std::string(up ? "incr " : "decr ") + key.name + " " +
                   std::to_string(command.delta) + std::string(end);
    return command;
  }
  const Key key = AnyKey();
  command.keys = {key};
  if (kind < 92) {
    command.kind = Kind::kTouch;
    command.exptime = AnyExptime();
    command.wire = "touch " + key.name + " " + std::to_string(command.exptime) + std::string(end);
  } else if (kind < 99 || !commons_.flushes) {
    command.kind = Kind::kDelete;
    command.wire = "delete " + key.name + std::string(end);
  } else {
    command.kind = Kind::kFlush;
    command.keys.clear();
    command.exptime = random_.Chance(300) ? static_cast<int64_t>(random_.Between(1, 20)) : 0;
    command.wire = "flush_all" +
                   (command.exptime != 0 ? " " + std::to_string(command.exptime) : "") +
                   std::string(end);
  }
  return command;
}

Command Client::InventGet() {
  Command command;
  command.kind = Kind::kGet;
  command.with_cas = random_.Chance(400);
  command.touches = random_.Chance(100);
  const uint64_t keys = random_.Chance(600) ? 1 : random_.Between(1, script_.keys_max);
  command.wire = std::string(command.touches ? (command.with_cas ? "gats" : "gat")
                                             : (command.with_cas ? "gets" : "get"));
  if (command.touches) {
    command.exptime = AnyExptime();
    command.wire += " " + std::to_string(command.exptime);
  }
  for (uint64_t i = 0; i < keys; ++i) {
    Key key = AnyKey();
    if (commons_.counters && !command.touches && random_.Chance(20)) {
      key = CounterKey(static_cast<uint32_t>(random_.Below(commons_.counted.size())));
    }
    command.wire += " " + key.name;
    command.keys.push_back(std::move(key));
  }
  if (random_.Chance(20) && command.wire.size() < kWholeLineBytesMax) {
    // One key that is too long spoils them all, unless the line is so long that some are answered
    // before it is there.
    command.kind = Kind::kLine;
    command.expected = kBadLine;
    command.wire += " " + std::string(251, 'k') + " p0";
  }
  // A line as long as that can only be a get or gets; for others it ends the connection.
  if (command.touches && command.wire.size() > 2000) return InventGet();
  command.wire += "\r\n";
  return command;
}

Command Client::InventStore() {
  static constexpr Verb kVerbs[] = {Verb::kSet,     Verb::kSet,    Verb::kSet,     Verb::kAdd,
                                    Verb::kReplace, Verb::kAppend, Verb::kPrepend, Verb::kCas};
  Command command;
  command.kind = Kind::kStore;
  command.verb = kVerbs[random_.Below(std::size(kVerbs))];
  Key key = AnyKey();
  const bool shared = key.kind == KeyKind::kShared;
  // A shared value is written once and whole.
  if (shared && (command.verb == Verb::kAppend || command.verb == Verb::kPrepend)) {
    command.verb = Verb::kSet;
  }
  command.noreply = random_.Chance(script_.noreply_chance);
  command.client_flags = random_.Chance(500) ? 0 : static_cast<uint32_t>(random_.Next());
  command.exptime = AnyExptime();
  size_t size = AnySize();
  if (shared) size = std::max(size, kNameSizeMin);
  if (random_.Chance(10)) {
    size = commons_.item_bytes_max + random_.Below(1000);
    command.too_large = true;
  } else {
    size = std::min<size_t>(size, commons_.item_bytes_max - kItemOverheadMax);
  }
  const uint64_t name = (uint64_t{number_} << 20) + ++values_;
  std::string bytes =
      !shared && random_.Chance(150)
          ? std::to_string(random_.Chance(100) ? random_.Next() : random_.Below(1000))
          : Content(name, size);
  if (command.too_large) bytes = Content(name, size);
  command.wire = std::string(VerbName(command.verb)) + " " + key.name + " " +
                 std::to_string(command.client_flags) + " " + std::to_string(command.exptime) +
                 " " + std::to_string(bytes.size());
  if (command.verb == Verb::kCas) {
    if (shared) {
      const auto seen = cas_seen_.find(key.number);
      command.cas = seen != cas_seen_.end() ? seen->second : kWrongCas;
    } else {
      const uint64_t seen = models_[key.number].cas_seen();
      command.cas = seen != 0 && random_.Chance(800) ? seen : kWrongCas;
    }
    command.wire += " " + std::to_string(command.cas);
  }
  command.wire += command.noreply ? " noreply\r\n" : "\r\n";
  command.wire += bytes;
  if (!command.too_large && random_.Chance(20)) {
    // As many bytes as announced, and then something else.
    command.kind = Kind::kLine;
    command.expected = kBadChunk;
    command.wire += "!!";
    return command;
  }
  command.wire += "\r\n";
  command.value = std::make_shared<const std::string>(std::move(bytes));
  command.keys.push_back(std::move(key));
  return command;
}

Command Client::InventLine() {
  Command command;
  if (random_.Chance(200)) {
    static constexpr std::string_view kListings[] = {
        "stats",       "stats items",      "stats slabs",           "stats settings",
        "stats sizes", "stats refs",       "stats cachedump 1 100", "lru_crawler mgdump all",
        "stats conns", "stats detail dump"};
    command.kind = Kind::kStats;
    command.wire = std::string(kListings[random_.Below(std::size(kListings))]) + "\r\n";
    return command;
  }
  const Fixed& fixed = kFixed[random_.Below(std::size(kFixed))];
  // For memcached a line of three bytes is too short, whatever it says.
  const bool newline_alone = fixed.line.size() > 2 && random_.Chance(200);
  command.wire = std::string(fixed.line) + (newline_alone ? "\n" : "\r\n");
  command.expected = fixed.reply;
  return command;
}

// ---- hearing

bool Client::Hear() {
  const size_t most = random_.Chance(300) ? random_.Between(1, 200) : SIZE_MAX;
  const std::string bytes = wire_.Read(most);
  heard_ += bytes;
  bool judged = false;
  while (!waiting_.empty() && HearOne()) judged = true;
  if (heard_at_ > (64 << 10) || heard_at_ == heard_.size()) {
    heard_.erase(0, heard_at_);
    heard_at_ = 0;
  }
  if (waiting_.empty() && heard_at_ != heard_.size()) {
    throw Mismatch("bytes that nobody asked for: \"" + heard_.substr(heard_at_, 60) + "\"");
  }
  if (wire_.AtEnd()) {
    // The server may break a connection only where the ring does, and close it only where it was
    // asked to.
    const bool asked =
        write_closed_ || (!waiting_.empty() && !writing_ && waiting_.back().kind == Kind::kQuit);
    const bool all_heard = std::none_of(waiting_.begin(), waiting_.end(),
                                        [](const Command& c) { return c.answered(); });
    if (!commons_.may_break && !(asked && all_heard)) {
      throw Mismatch("the server closed the connection; " + Describe());
    }
    Trace("ends", "");
    Abandon();
    return true;
  }
  return judged || !bytes.empty();
}

bool Client::TakeLine(std::string_view* line) {
  const size_t end = heard_.find('\n', heard_at_);
  if (end == std::string::npos) return false;
  if (end == heard_at_ || heard_[end - 1] != '\r')
    throw Mismatch("a reply's line ends in \\n alone");
  *line = std::string_view(heard_).substr(heard_at_, end - 1 - heard_at_);
  heard_at_ = end + 1;
  return true;
}

// VALUE key flags size[ cas]\r\nbytes\r\n ... END\r\n. Views in `reply` stay valid until the next
// Hear.
bool Client::TakeGet(const Command& command, Reply* reply) {
  const size_t start = heard_at_;
  const auto incomplete = [&] {
    heard_at_ = start;
    return false;
  };
  reply->hits.assign(command.keys.size(), std::nullopt);
  size_t next_key = 0;
  std::string_view line;
  while (true) {
    if (!TakeLine(&line)) return incomplete();
    if (line == "END") return true;
    std::string_view rest = line;
    uint64_t flags = 0;
    uint64_t size = 0;
    uint64_t cas = 0;
    const bool is_value = NextWord(&rest) == "VALUE";
    const std::string_view key = NextWord(&rest);
    if (!is_value || !ToNumber(NextWord(&rest), &flags) || !ToNumber(NextWord(&rest), &size) ||
        (command.with_cas && !ToNumber(NextWord(&rest), &cas)) || !rest.empty()) {
      throw Mismatch("not a reply to a get: \"" + std::string(line.substr(0, 300)) + "\"");
    }
    // Keys that missed are left out; the others come in the order they were asked for.
    while (next_key < command.keys.size() && command.keys[next_key].name != key) ++next_key;
    if (next_key == command.keys.size()) {
      throw Mismatch("a value for a key that was not asked for, or not now: " + std::string(key));
    }
    if (heard_.size() - heard_at_ < size + 2) return incomplete();
    if (heard_.compare(heard_at_ + size, 2, "\r\n") != 0) {
      throw Mismatch("a value of " + std::string(key) + " is longer or shorter than its size");
    }
    reply->hits[next_key++] =
        Hit{std::string_view(heard_).substr(heard_at_, size), static_cast<uint32_t>(flags), cas};
    heard_at_ += size + 2;
  }
}

bool Client::HearOne() {
  Command& command = waiting_.front();
  const bool whole = waiting_.size() > 1 || !writing_;
  if (!command.answered()) {
    // Judged with the next one that is answered: only then is it known to be over. Until then all
    // that is known stays true.
    if (!whole || waiting_.size() == 1) return false;
    const auto next = std::find_if(waiting_.begin(), waiting_.end(),
                                   [](const Command& c) { return c.answered(); });
    if (next == waiting_.end() || heard_at_ == heard_.size()) return false;
    Judge(command, {command.tick_last, kNever, command.second_first, commons_.second}, nullptr);
    waiting_.pop_front();
    return true;
  }
  const size_t start = heard_at_;
  // A long list of keys is executed while its line still arrives.
  Window window{command.kind == Kind::kGet ? command.tick_first : command.tick_last, commons_.tick,
                command.second_first, commons_.second};
  if (command.kind == Kind::kGet) {
    Reply reply;
    if (!TakeGet(command, &reply)) return false;
    Trace("hears", "END of " + command.wire);
    JudgeGet(command, window, reply);
  } else {
    std::string_view line;
    if (!TakeLine(&line)) return false;
    if (command.kind == Kind::kStats) {
      // Only so many walk over all items at a time.
      while (line != "END" && line != "EN" && !line.starts_with("BUSY")) {
        const bool listed = line.starts_with("STAT ") || line.starts_with("ITEM ") ||
                            line.starts_with("REF ") || line.starts_with("mg ") ||
                            line.starts_with("PREFIX ") || line == "OK";
        if (!listed) throw Mismatch("not of a listing: " + std::string(line));
        if (!TakeLine(&line)) {
          heard_at_ = start;
          return false;
        }
      }
    }
    const std::string reply(line);
    Trace("hears", reply + " of " + command.wire);
    if (!whole) throw Mismatch("an answer to a command that is not all there: " + reply);
    Judge(command, window, &reply);
  }
  if (!whole) throw Mismatch("an answer to a get that is not all there");
  waiting_.pop_front();
  return true;
}

void Client::Expect(const Command& command, std::string_view reply,
                    std::string_view expected) const {
  if (reply == expected) return;
  throw Mismatch("\"" + command.wire.substr(0, std::min<size_t>(command.wire.find('\r'), 80)) +
                 "\" was answered with \"" + std::string(reply) + "\" instead of \"" +
                 std::string(expected) + "\"");
}

void Client::Judge(const Command& command, const Window& window, const std::string* reply) {
  switch (command.kind) {
    case Kind::kStore:
      return JudgeStore(command, window, reply);
    case Kind::kCount:
      return JudgeCount(command, window, reply);
    case Kind::kDelete:
    case Kind::kTouch:
      return JudgeDelete(command, window, reply);
    case Kind::kFlush:
      return JudgeFlush(command, window, reply);
    case Kind::kLine:
      // Before the value's bytes are looked at, room is made for it.
      if (reply != nullptr &&
          !(command.expected == kBadChunk && commons_.leniency.lossy && *reply == kNoMemory)) {
        Expect(command, *reply, command.expected);
      }
      return;
    case Kind::kStats:
    case Kind::kQuit:
    case Kind::kGet:
      return;
  }
}

void Client::JudgeGet(const Command& command, const Window& window, const Reply& reply) {
  const Interval when{window.tick_from, window.tick_to};
  for (size_t i = 0; i < command.keys.size(); ++i) {
    const Key& key = command.keys[i];
    const Hit* const hit = reply.hits[i].has_value() ? &*reply.hits[i] : nullptr;
    ++(hit != nullptr ? commons_.hits : commons_.misses);
    switch (key.kind) {
      case KeyKind::kPrivate:
        models_[key.number].Get(command, window, hit);
        break;
      case KeyKind::kShared: {
        History& history = commons_.shared[key.number];
        if (hit == nullptr) {
          if (!commons_.leniency.false_misses) history.WasAbsent(when);
          break;
        }
        const uint64_t name = NameOf(hit->value);
        history.Read(name, when);
        if (hit->cas != 0) {
          history.SawCas(name, hit->cas);
          cas_seen_[key.number] = hit->cas;
        }
        break;
      }
      case KeyKind::kCounter:
        if (hit != nullptr) {
          uint64_t number = 0;
          if (!ToNumber(hit->value, &number)) throw Mismatch("a counter is not a number");
          commons_.counted[key.number].Read(number, when);
        }
        break;
    }
  }
}

void Client::JudgeStore(const Command& command, const Window& window, const std::string* reply) {
  const Key& key = command.keys[0];
  if (key.kind == KeyKind::kPrivate) return models_[key.number].Run(command, window, reply);
  if (key.kind == KeyKind::kCounter) {
    if (reply == nullptr) return;
    if (*reply == "STORED") return commons_.counted[key.number].Created();
    return Expect(command, *reply, "NOT_STORED");
  }
  History& history = commons_.shared[key.number];
  const uint64_t name = NameOf(*command.value);
  const Interval when{window.tick_from, window.tick_to};
  // A set that is refused removes the value when its line is read, before its bytes are.
  const Interval refused{command.tick_first, window.tick_to};
  if (command.too_large) {
    if (reply == nullptr) return;
    Expect(command, *reply, kTooLarge);
    if (command.verb == Verb::kSet) history.WasAbsent(refused);
    return;
  }
  if (reply == nullptr) {
    // Perhaps; the moment is unknown.
    history.Wrote(name, {window.tick_from, kNever});
  } else if (*reply == "STORED") {
    if (command.verb == Verb::kCas) {
      history.Swapped(command.cas, name, when);
    } else {
      history.Wrote(name, when);
    }
  } else if (*reply == kNoMemory && commons_.leniency.lossy) {
    if (command.verb == Verb::kSet) history.WasAbsent(refused);
  } else if (command.verb == Verb::kAdd) {
    Expect(command, *reply, "NOT_STORED");
  } else if (command.verb == Verb::kReplace) {
    Expect(command, *reply, "NOT_STORED");
    history.WasAbsent(when);
  } else if (command.verb == Verb::kCas && *reply == "NOT_FOUND") {
    history.WasAbsent(when);
  } else if (command.verb == Verb::kCas) {
    Expect(command, *reply, "EXISTS");
  } else {
    Expect(command, *reply, "STORED");
  }
}

void Client::JudgeCount(const Command& command, const Window& window, const std::string* reply) {
  const Key& key = command.keys[0];
  if (key.kind == KeyKind::kPrivate) return models_[key.number].Run(command, window, reply);
  CounterHistory& history = commons_.counted[key.number];
  uint64_t number = 0;
  if (reply == nullptr) {
    history.Sent(command.delta);
  } else if (ToNumber(*reply, &number)) {
    history.Counted(command.delta, number, {window.tick_from, window.tick_to});
  } else {
    Expect(command, *reply, "NOT_FOUND");
  }
}

// delete and touch.
void Client::JudgeDelete(const Command& command, const Window& window, const std::string* reply) {
  const Key& key = command.keys[0];
  if (key.kind == KeyKind::kPrivate) return models_[key.number].Run(command, window, reply);
  if (reply == nullptr) return;
  const bool touch = command.kind == Kind::kTouch;
  if (*reply != "NOT_FOUND") Expect(command, *reply, touch ? "TOUCHED" : "DELETED");
  if (!touch || *reply == "NOT_FOUND") {
    commons_.shared[key.number].WasAbsent({window.tick_from, window.tick_to});
  }
}

void Client::JudgeFlush(const Command& command, const Window& window, const std::string* reply) {
  if (reply != nullptr) Expect(command, *reply, "OK");
  if (command.exptime != 0) return;  // happens later; a run with flushes is lossy
  for (KeyModel& model : models_) model.Flush();
  if (reply == nullptr) return;
  for (History& history : commons_.shared) history.WasAbsent({window.tick_from, window.tick_to});
}

void Client::Abandon() {
  for (Command& command : waiting_) {
    // What may have been executed counts as without an answer.
    const Window window{command.tick_first, kNever, command.second_first, commons_.second};
    if (command.keys.size() != 1 || command.keys[0].kind == KeyKind::kPrivate) continue;
    if (command.kind == Kind::kStore && command.verb != Verb::kCas)
      JudgeStore(command, window, nullptr);
    if (command.kind == Kind::kStore && command.verb == Verb::kCas) {
      commons_.shared[command.keys[0].number].Wrote(NameOf(*command.value),
                                                    {window.tick_from, kNever});
    }
    if (command.kind == Kind::kCount) JudgeCount(command, window, nullptr);
  }
  waiting_.clear();
  done_ = true;
}

}  // namespace torc::simulation
