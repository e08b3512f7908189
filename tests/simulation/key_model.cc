#include "tests/simulation/key_model.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace torc::simulation {

using engine::Verb;

namespace {

constexpr int64_t kMonthSeconds = int64_t{60} * 60 * 24 * 30;
constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache";
constexpr std::string_view kNoMemoryStoring = "SERVER_ERROR out of memory storing object";
constexpr std::string_view kNoMemoryCounting = "SERVER_ERROR out of memory";
constexpr std::string_view kNotANumber =
    "CLIENT_ERROR cannot increment or decrement non-numeric value";

bool Allows(const std::string* reply, std::string_view text) {
  return reply == nullptr || *reply == text;
}

// The beginning of a value, for messages.
std::string Beginning(std::string_view value) {
  std::string text;
  for (const char c : value.substr(0, 24)) text += c >= ' ' && c <= '~' ? c : '.';
  return text + " (" + std::to_string(value.size()) + " bytes)";
}

// A number as memcached's incr reads one from a value that begins with a digit: behind it may stand
// anything that begins with a blank or a zero byte, as a decr leaves it. Null: not a number.
std::optional<uint64_t> NumberIn(std::string_view value) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc()) return std::nullopt;
  std::string_view rest = value.substr(static_cast<size_t>(end - value.data()));
  if (!rest.empty() && rest[0] != '\0' && std::isspace(static_cast<unsigned char>(rest[0])) == 0) {
    return std::nullopt;
  }
  // It takes a minus sign anywhere for the reason that a signed number would be negative.
  rest = rest.substr(0, rest.find('\0'));
  if (number > INT64_MAX && rest.find('-') != std::string_view::npos) return std::nullopt;
  return number;
}

}  // namespace

std::vector<KeyModel::State> KeyModel::Before(const Window& window) const {
  std::vector<State> before;
  bool absent = false;
  for (const State& state : states_) {
    if (!state.has_value()) {
      absent = true;
      continue;
    }
    if (state->expires_to > window.second_from) before.push_back(state);
    if (leniency_.lossy || state->expires_from <= window.second_to) absent = true;
  }
  if (absent) before.push_back(std::nullopt);
  return before;
}

void KeyModel::SetExpiry(Item* item, const Command& command, const Window& window) const {
  const int64_t exptime = command.exptime;
  if (exptime == 0) {
    item->expires_from = item->expires_to = kNever;
  } else if (exptime < 0) {
    item->expires_from = item->expires_to = 1;
  } else if (exptime > kMonthSeconds) {
    item->expires_from = item->expires_to =
        std::max<int64_t>(exptime - leniency_.start_wall_second, 1);
  } else {
    item->expires_from = window.second_from + exptime;
    item->expires_to = window.second_to + exptime;
  }
}

void KeyModel::Become(std::vector<State> after, const Command& command, std::string_view reply) {
  if (after.empty()) {
    throw Mismatch("\"" + command.wire.substr(0, std::min<size_t>(command.wire.find('\r'), 80)) +
                   "\" was answered with \"" + std::string(reply) + "\"; possible: " + Describe());
  }
  // One state for each value, so that they stay few: what differs in the expiry alone expires at
  // some time between the two.
  states_.clear();
  for (State& state : after) {
    const auto same = std::find_if(states_.begin(), states_.end(), [&](const State& other) {
      if (!state.has_value() || !other.has_value()) return !state.has_value() && !other.has_value();
      return state->client_flags == other->client_flags && state->cas == other->cas &&
             (state->value == other->value || *state->value == *other->value);
    });
    if (same == states_.end()) {
      states_.push_back(std::move(state));
    } else if (state.has_value()) {
      (*same)->expires_from = std::min((*same)->expires_from, state->expires_from);
      (*same)->expires_to = std::max((*same)->expires_to, state->expires_to);
    }
  }
}

std::string KeyModel::Describe() const {
  std::string text;
  for (const State& state : states_) {
    if (!text.empty()) text += " or ";
    text += state.has_value() ? Beginning(*state->value) : "absent";
  }
  return text;
}

void KeyModel::Get(const Command& command, const Window& window, const Hit* hit) {
  std::vector<State> after;
  for (State& state : Before(window)) {
    if (!state.has_value()) {
      if (hit == nullptr) after.push_back(state);
      continue;
    }
    if (hit == nullptr) {
      if (leniency_.false_misses) {
        after.push_back(state);
        if (command.touches) {
          SetExpiry(&*state, command, window);
          after.push_back(state);
        }
      }
      continue;
    }
    if (*state->value != hit->value || state->client_flags != hit->client_flags) continue;
    if (hit->cas != 0 && state->cas != 0 && hit->cas != state->cas) continue;
    if (hit->cas != 0) state->cas = hit->cas;
    if (command.touches) SetExpiry(&*state, command, window);
    after.push_back(state);
  }
  if (hit != nullptr && hit->cas != 0) cas_seen_ = hit->cas;
  Become(std::move(after), command, hit == nullptr ? "END" : "VALUE " + Beginning(hit->value));
}

void KeyModel::Store(const Command& command, const Window& window, const std::string* reply,
                     const State& state, std::vector<State>* after) const {
  if (command.too_large) {
    if (Allows(reply, kTooLarge)) {
      after->push_back(command.verb == Verb::kSet ? std::nullopt : state);
    }
    return;
  }
  if (leniency_.lossy && Allows(reply, kNoMemoryStoring)) after->push_back(std::nullopt);
  if (leniency_.lossy && command.verb != Verb::kSet && Allows(reply, kNoMemoryStoring)) {
    after->push_back(state);
  }
  const bool present = state.has_value();
  Item item{.value = command.value, .client_flags = command.client_flags};
  SetExpiry(&item, command, window);
  std::string_view text = "STORED";
  switch (command.verb) {
    case Verb::kAdd:
      if (present) text = "NOT_STORED";
      break;
    case Verb::kReplace:
      if (!present) text = "NOT_STORED";
      break;
    case Verb::kAppend:
    case Verb::kPrepend: {
      if (!present) {
        text = "NOT_STORED";
        break;
      }
      const bool append = command.verb == Verb::kAppend;
      item = *state;
      item.cas = 0;
      item.value = std::make_shared<const std::string>(append ? *state->value + *command.value
                                                              : *command.value + *state->value);
      // The sum may be too large, or find no memory: the item stays as it was.
      if (Allows(reply, "NOT_STORED") && (leniency_.lossy || item.value->size() > 60'000)) {
        after->push_back(state);
      }
      break;
    }
    case Verb::kCas:
      if (!present) {
        text = "NOT_FOUND";
      } else if (state->cas != command.cas) {
        text = "EXISTS";
      }
      break;
    default:
      break;
  }
  if (!Allows(reply, text)) return;
  if (text == "STORED") {
    after->push_back(item);
  } else {
    after->push_back(state);
  }
}

void KeyModel::Count(const Command& command, const std::string* reply, const State& state,
                     std::vector<State>* after) const {
  if (!state.has_value()) {
    if (Allows(reply, "NOT_FOUND")) after->push_back(state);
    return;
  }
  const std::optional<uint64_t> number = NumberIn(*state->value);
  if (!number.has_value()) {
    if (Allows(reply, kNotANumber)) after->push_back(state);
    return;
  }
  const uint64_t counted = command.verb == Verb::kIncrement ? *number + command.delta
                           : command.delta > *number        ? 0
                                                            : *number - command.delta;
  if (leniency_.lossy && Allows(reply, kNoMemoryCounting)) after->push_back(state);
  std::string text = std::to_string(counted);
  if (!Allows(reply, text)) return;
  text.resize(std::max(text.size(), state->value->size()), ' ');
  Item item = *state;
  item.cas = 0;
  item.value = std::make_shared<const std::string>(text);
  after->push_back(item);
}

void KeyModel::Run(const Command& command, const Window& window, const std::string* reply) {
  std::vector<State> after;
  for (State& state : Before(window)) {
    switch (command.kind) {
      case Command::Kind::kStore:
        Store(command, window, reply, state, &after);
        break;
      case Command::Kind::kCount:
        Count(command, reply, state, &after);
        break;
      case Command::Kind::kDelete:
        if (Allows(reply, state.has_value() ? "DELETED" : "NOT_FOUND")) {
          after.push_back(std::nullopt);
        }
        break;
      case Command::Kind::kTouch:
        if (!Allows(reply, state.has_value() ? "TOUCHED" : "NOT_FOUND")) break;
        if (state.has_value()) SetExpiry(&*state, command, window);
        after.push_back(state);
        break;
      default:
        throw Mismatch("a command that no key model knows");
    }
  }
  Become(std::move(after), command, reply == nullptr ? "(nothing)" : *reply);
}

}  // namespace torc::simulation
