#include "src/server/auth.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "proto/text/numbers.h"
#include "proto/text/parser.h"

namespace torc::server {
namespace {

// Files larger than this have too many users, or lines that are too long.
constexpr size_t kFileBytesMax = kUsersMax * (kUserLineBytesMax + 2);

// One more byte than kFileBytesMax at most. False: errno says why.
bool ReadUpTo(const std::string& path, std::string* text) {
  // O_NONBLOCK: a FIFO without a writer is not waited for.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  text->resize(kFileBytesMax + 1);
  size_t size = 0;
  ssize_t got = 1;
  while (got > 0 && size < text->size()) {
    got = read(fd, text->data() + size, text->size() - size);
    if (got < 0 && errno == EINTR)
      got = 1;
    else if (got > 0)
      size += static_cast<size_t>(got);
  }
  const int failure = errno;
  close(fd);
  errno = failure;
  text->resize(size);
  return got >= 0;
}

}  // namespace

bool SameSecret(std::span<const char> a, std::span<const char> b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

void UserFile::Fill(Padded* padded, std::string_view text) {
  static_assert(kUserLineBytesMax <= 255);
  padded->fill(0);
  (*padded)[0] = static_cast<char>(text.size());
  std::memcpy(padded->data() + 1, text.data(), text.size());
}

bool UserFile::Load(const std::string& path, std::string* error) {
  std::string text;
  if (!ReadUpTo(path, &text)) {
    *error = "Could not open authfile [" + path + "] for reading: " + std::strerror(errno);
    return false;
  }
  const bool good = Parse(text, path, error);
  explicit_bzero(text.data(), text.size());
  return good;
}

bool UserFile::Parse(std::string_view text, const std::string& path, std::string* error) {
  std::vector<Entry> users;
  const std::string name = "Authfile [" + path + "] ";
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    // The password ends there, as in memcached: files that were written elsewhere.
    line = line.substr(0, line.find_first_of(std::string_view("\r\0", 2)));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      *error = name + "has a malformed entry. Should be 'user:password' (line " +
               std::to_string(number) + ")";
      return false;
    }
    if (line.size() > kUserLineBytesMax) {
      *error = name + "has an entry that is too long: line " + std::to_string(number) +
               " has more than " + std::to_string(kUserLineBytesMax) + " bytes";
      return false;
    }
    if (users.size() == kUsersMax) {
      *error = name + "has too many entries: at most " + std::to_string(kUsersMax) + " are taken";
      return false;
    }
    Entry& entry = users.emplace_back();
    Fill(&entry.user, line.substr(0, colon));
    Fill(&entry.password, line.substr(colon + 1));
  }
  if (users.empty()) {
    *error = name + "is empty: it must have an entry 'user:password'";
    return false;
  }
  const std::scoped_lock lock(mutex_);
  users_ = std::move(users);
  return true;
}

bool UserFile::Check(std::string_view user, std::string_view password) const {
  // No user has such a name or password, and nothing is given away by saying so at once.
  if (user.size() > kUserLineBytesMax || password.size() > kUserLineBytesMax) return false;
  Entry asked;
  Fill(&asked.user, user);
  Fill(&asked.password, password);
  const std::scoped_lock lock(mutex_);
  bool found = false;
  for (const Entry& entry : users_) {
    const bool same_user = SameSecret(entry.user, asked.user);
    const bool same_password = SameSecret(entry.password, asked.password);
    found |= static_cast<bool>(static_cast<int>(same_user) & static_cast<int>(same_password));
  }
  return found;
}

std::optional<uint32_t> ParseAuthLine(std::string_view line) {
  // Whatever they are: "set x 0 0 9\n" announces nothing.
  std::string_view rest = line.substr(0, line.size() - 2);
  uint32_t size = 0;
  if (!rest.starts_with("set ")) return std::nullopt;
  for (int skipped = 0; skipped < 4; ++skipped) (void)proto::NextToken(&rest);
  if (!proto::ReadStrictU32(proto::NextToken(&rest), &size)) return std::nullopt;
  return size;
}

Cause CheckCredentials(const UserFile& users, std::string_view received) {
  if (!received.ends_with("\r\n")) return Cause::kAuthBadEnd;
  received.remove_suffix(2);
  const size_t blank = received.find(' ');
  if (blank == std::string_view::npos) return Cause::kAuthBadFormat;
  return users.Check(received.substr(0, blank), received.substr(blank + 1)) ? Cause::kNone
                                                                            : Cause::kAuthFailed;
}

}  // namespace torc::server
