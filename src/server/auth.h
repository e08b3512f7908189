// Who may come in: the user file of -Y, and what a client says before it is let in.
//
//   user:password\n           at most kUsersMax lines of at most kUserLineBytesMax bytes, each with
//   bob:a:b c\n               a colon: what stands before the first one is the user, all behind it
//                             the password
//
//   set any 0 0 9\r\n         the only command that a client of the text protocol has until then:
//   user password\r\n         key, flags and exptime are not looked at (protocol.txt,
//   "Authentication")
//
// A comparison looks at every byte of every user, whatever is asked, so that its time says nothing.
// The file is read again on SIGHUP; one that cannot be used leaves the users as they are.
//
// Owner: main, or a test. Affinity: any; a lock, held for as long as a comparison takes, since
// nobody compares often. Lifetime: outlives the server. Invariant: users_ has no more than size_.
#ifndef TORC_SRC_SERVER_AUTH_H_
#define TORC_SRC_SERVER_AUTH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/cause.h"

namespace torc::server {

// memcached reads the first eight users and ignores the others without a word; torc refuses what it
// does not take.
inline constexpr size_t kUsersMax = 64;
// A line of the user file without its end. memcached's, which cuts a longer one off.
inline constexpr size_t kUserLineBytesMax = 255;

// Whether both are the same bytes. Looks at all of them, if both are as long.
[[nodiscard]] bool SameSecret(std::span<const char> a, std::span<const char> b);

class UserFile {
 public:
  // Reads `path` (as it is: main makes it absolute before it changes folders). False: `error` says
  // what is wrong, and the users are those that were.
  [[nodiscard]] bool Load(const std::string& path, std::string* error);
  // Likewise, of the file's text; `path` only names it in `error`.
  [[nodiscard]] bool Parse(std::string_view text, const std::string& path, std::string* error);

  // Whether there is a user of this name with this password. The time depends on the number of
  // users alone.
  [[nodiscard]] bool Check(std::string_view user, std::string_view password) const;

 private:
  // Sizes, which fit a byte, and contents padded with zeros: compared as a whole.
  using Padded = std::array<char, 256>;
  struct Entry {
    Padded user{};
    Padded password{};
  };
  static void Fill(Padded* padded, std::string_view text);

  mutable std::mutex mutex_;
  std::vector<Entry> users_;
};

// The size of the credentials that an authenticating line announces; nothing for any other line.
// `line` has its end, of which memcached takes two bytes for granted, and at least
// kAuthLineBytesMin bytes.
[[nodiscard]] std::optional<uint32_t> ParseAuthLine(std::string_view line);
// A shorter line closes the connection of a client that was not let in yet.
inline constexpr size_t kAuthLineBytesMin = 7;
// A line that announces more is answered at once, and what follows is the next command.
inline constexpr uint32_t kAuthTokenBytesMax = 16384;
// More than any user and password have: beyond, credentials are dropped unread and fail.
inline constexpr uint32_t kCredentialsBytesMax = 2 * kUserLineBytesMax;

// Judges what follows such a line: "user password\r\n". kNone: the client may come in.
[[nodiscard]] Cause CheckCredentials(const UserFile& users, std::string_view received);

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_AUTH_H_
