// Ending a bench program that cannot go on: its figures would mean nothing.
#pragma once

#include <string>
#include <string_view>

namespace torc::bench {

// Writes `message` as one line to standard error and ends the program with status 1.
[[noreturn]] void Die(const std::string& message);

// Likewise, followed by the text of errno `error`.
[[noreturn]] void DieErrno(const std::string& message, int error);

// The first `limit` bytes in a form that can be printed: "STORED\r\n" is shown as STORED\r\n.
std::string Printable(std::string_view bytes, size_t limit = 240);

}  // namespace torc::bench
