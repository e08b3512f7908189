// Writes JSON, member by member, on one line.
//
//   JsonObject run;
//   run.Add("requests", tally.requests);
//   run.Add("latency", JsonObject().Add("p50_us", 51.5));
//   run.text()  ->  {"requests": 7, "latency": {"p50_us": 51.5000}}
//
// Owner: whoever made it. Affinity: one thread. Lifetime: any. Invariant: text() is valid JSON, if
// strings are plain ASCII.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdio>
#include <string>
#include <string_view>

namespace torc::bench {

class JsonObject {
 public:
  JsonObject& Add(std::string_view name, double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.4f", std::isfinite(value) ? value : 0.0);
    return AddText(name, text);
  }
  template <std::integral Integer>
  JsonObject& Add(std::string_view name, Integer value) {
    if constexpr (std::same_as<Integer, bool>) return AddText(name, value ? "true" : "false");
    return AddText(name, std::to_string(value));
  }
  JsonObject& Add(std::string_view name, const std::string& value) {
    return AddText(name, Quoted(value));
  }
  JsonObject& Add(std::string_view name, const char* value) {
    return Add(name, std::string(value));
  }
  JsonObject& Add(std::string_view name, const JsonObject& value) {
    return AddText(name, value.text());
  }

  // A member whose value is JSON already.
  JsonObject& AddText(std::string_view name, const std::string& json) {
    if (!members_.empty()) members_ += ", ";
    members_ += Quoted(name) + ": " + json;
    return *this;
  }

  std::string text() const { return "{" + members_ + "}"; }

 private:
  static std::string Quoted(std::string_view text) {
    std::string quoted = "\"";
    for (const char byte : text) {
      if (byte == '"' || byte == '\\') quoted += '\\';
      if (static_cast<unsigned char>(byte) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(byte));
        quoted += escape;
      } else {
        quoted += byte;
      }
    }
    return quoted + '"';
  }

  std::string members_;
};

}  // namespace torc::bench
