#include "bench/die.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace torc::bench {

void Die(const std::string& message) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, message.c_str());
  std::exit(1);
}

void DieErrno(const std::string& message, int error) { Die(message + ": " + strerror(error)); }

std::string Printable(std::string_view bytes, size_t limit) {
  std::string out;
  for (const char byte : bytes.substr(0, limit)) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '\r') {
      out += "\\r";
    } else if (byte == '\n') {
      out += "\\n";
    } else if (code >= 0x20 && code < 0x7f && byte != '\\') {
      out += byte;
    } else {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", code);
      out += hex;
    }
  }
  if (bytes.size() > limit) out += "... (" + std::to_string(bytes.size()) + " bytes)";
  return out;
}

}  // namespace torc::bench
