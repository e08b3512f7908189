// SASL for the binary protocol (-S): what stands between its three commands and Cyrus SASL.
//
//   list     Session::Mechanisms()              -> "PLAIN SCRAM-SHA-1"
//   auth     Session::Start(mechanism, data)    -> kDone | kContinue and a challenge | kFailed
//   step     Session::Step(mechanism, data)     -> likewise
//
// Users are those of -Y where it is given, else those of the file that MEMCACHED_SASL_PWDB names,
// as in memcached, else whatever the library's own configuration says (memcached.conf in
// SASL_CONF_PATH, or where the library looks for it). The first two know passwords and so decide
// for mechanisms that send one, PLAIN and LOGIN.
//
// The library is loaded when -S asks for it, and only then: linked, it would take a few hundred
// kilobytes of every server's memory.
//
// Owner: Library: main; Session: a worker. Affinity: Library: startup, then any; Session: shard.
// Lifetime: a library outlives its sessions; there is one at a time, as Cyrus keeps its state in
// globals, and its last sessions must end on no thread while it is destroyed. Invariant: a session
// has an exchange under way only between a kContinue and the next answer.
#ifndef TORC_SRC_SERVER_SASL_H_
#define TORC_SRC_SERVER_SASL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace torc::server {
class UserFile;
}

namespace torc::server::sasl {

enum class Outcome : uint8_t {
  kDone,      // the client is who it says
  kContinue,  // it has to answer `data`
  kFailed,
};

struct Answer {
  Outcome outcome = Outcome::kFailed;
  // For the client: a challenge, or what proves the server to it. Valid until the session's next
  // call or end.
  std::string_view data;
};

// One connection's exchange. Made with its first SASL command; gone with it.
class Session {
 public:
  virtual ~Session() = default;

  // Names of what the client may choose from, blanks between. Valid until the next call.
  virtual std::string_view Mechanisms() = 0;
  // Begins an exchange; one that was under way is forgotten. `data` is the client's first message,
  // which may be empty.
  virtual Answer Start(std::string_view mechanism, std::string_view data) = 0;
  // Goes on with it. kFailed without one, and for another mechanism than it began with.
  virtual Answer Step(std::string_view mechanism, std::string_view data) = 0;
};

class Library {
 public:
  virtual ~Library() = default;

  // Loads and starts the library. `users` may be null, else outlives it. Null: `error` says what is
  // missing and what to do.
  [[nodiscard]] static std::unique_ptr<Library> Load(const UserFile* users, bool verbose,
                                                     std::string* error);

  // Null: out of memory, or the library refuses. Any thread.
  [[nodiscard]] virtual std::unique_ptr<Session> NewSession() = 0;
};

// Whether `text`, lines of user:password[:anything] as memcached reads MEMCACHED_SASL_PWDB, has
// this user with this password.
[[nodiscard]] bool CheckPasswordDatabase(std::string_view text, std::string_view user,
                                         std::string_view password);

}  // namespace torc::server::sasl

#endif  // TORC_SRC_SERVER_SASL_H_
