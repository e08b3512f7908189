// SASL against the library itself: the mechanisms of the machine's, our users.
#include "src/server/sasl.h"

#include <doctest/doctest.h>
#include <netdb.h>

#include <cstdlib>
#include <string>

#include "src/server/auth.h"

static int resolver_calls = 0;

// In the place of libc's, for the library too: it finds the program's symbols first.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo** found) {
  ++resolver_calls;
  *found = nullptr;
  return EAI_FAIL;
}

namespace torc::server::sasl {
namespace {

using namespace std::string_view_literals;

struct WithUsers {
  WithUsers() {
    REQUIRE(users.Parse("user:pass\nbob@home:b:c\n", "U", &error));
    library = Library::Load(&users, false, &error);
    if (library == nullptr) MESSAGE(error);
    REQUIRE(library != nullptr);
  }
  UserFile users;
  std::string error;
  std::unique_ptr<Library> library;
};

TEST_CASE_FIXTURE(WithUsers, "PLAIN: users of the file are let in, and nobody else") {
  const std::unique_ptr<Session> session = library->NewSession();
  CHECK((" " + std::string(session->Mechanisms()) + " ").find(" PLAIN ") != std::string::npos);
  CHECK(session->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
  CHECK(session->Start("PLAIN", "user\0user\0pass"sv).outcome == Outcome::kDone);
  CHECK(session->Start("PLAIN", "\0bob@home\0b:c"sv).outcome == Outcome::kDone);
  for (const std::string_view wrong :
       {"\0user\0pas"sv, "\0user\0passs"sv, "\0user\0"sv, "\0use\0pass"sv, "\0\0pass"sv,
        "other\0user\0pass"sv, "\0user\0pass\0"sv, "user pass"sv, "\0"sv, "\0bob\0b:c"sv}) {
    CAPTURE(wrong);
    CHECK(session->Start("PLAIN", wrong).outcome == Outcome::kFailed);
  }
  // After any number of failures.
  CHECK(session->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
}

// Each session had the library look for the host's name: a client that began them could hold up its
// shard for as long as a name server took.
TEST_CASE_FIXTURE(WithUsers, "a session asks no name server") {
  resolver_calls = 0;
  const std::unique_ptr<Session> session = library->NewSession();
  CHECK(session->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
  CHECK(session->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
  CHECK(resolver_calls == 0);
}

TEST_CASE_FIXTURE(WithUsers, "the file is asked anew each time") {
  const std::unique_ptr<Session> session = library->NewSession();
  REQUIRE(users.Parse("user:other\n", "U", &error));
  CHECK(session->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kFailed);
  CHECK(session->Start("PLAIN", "\0user\0other"sv).outcome == Outcome::kDone);
}

TEST_CASE_FIXTURE(WithUsers,
                  "a first message may be missing: it is asked for, and comes by a step") {
  const std::unique_ptr<Session> session = library->NewSession();
  CHECK(session->Start("PLAIN", {}).outcome == Outcome::kContinue);
  CHECK(session->Step("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
  // That ended it.
  CHECK(session->Step("PLAIN", "\0user\0pass"sv).outcome == Outcome::kFailed);
  CHECK(session->Start("PLAIN", {}).outcome == Outcome::kContinue);
  CHECK(session->Step("LOGIN", "\0user\0pass"sv).outcome == Outcome::kFailed);
}

// The library's answers were read before it had given them.
TEST_CASE_FIXTURE(WithUsers, "LOGIN: what the library asks for is handed on") {
  const std::unique_ptr<Session> session = library->NewSession();
  const Answer first = session->Start("LOGIN", {});
  CHECK(first.outcome == Outcome::kContinue);
  CHECK(first.data == "Username:");
  const Answer second = session->Step("LOGIN", "user");
  CHECK(second.outcome == Outcome::kContinue);
  CHECK(second.data == "Password:");
  CHECK(session->Step("LOGIN", "pass").outcome == Outcome::kDone);
}

TEST_CASE_FIXTURE(WithUsers, "a step without a start, and mechanisms that are not offered, fail") {
  const std::unique_ptr<Session> session = library->NewSession();
  CHECK(session->Step("PLAIN", "\0user\0pass"sv).outcome == Outcome::kFailed);
  for (const char* mechanism : {"", "NONE", "plain ", "ANONYMOUS", "SCRAM-SHA-1", "DIGEST-MD5"}) {
    CAPTURE(mechanism);
    CHECK(session->Start(mechanism, "x").outcome == Outcome::kFailed);
  }
  CHECK(session->Start(std::string(1000, 'P'), "x").outcome == Outcome::kFailed);
}

TEST_CASE_FIXTURE(WithUsers, "sessions are independent, and end in any order") {
  std::unique_ptr<Session> one = library->NewSession();
  const std::unique_ptr<Session> two = library->NewSession();
  CHECK(one->Start("PLAIN", {}).outcome == Outcome::kContinue);
  CHECK(two->Start("PLAIN", {}).outcome == Outcome::kContinue);
  CHECK(two->Step("PLAIN", "\0user\0wrong"sv).outcome == Outcome::kFailed);
  CHECK(one->Step("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
  one.reset();
  CHECK(two->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kDone);
}

TEST_CASE("the library can be loaded again; without users it goes by its configuration") {
  std::string error;
  setenv("SASL_CONF_PATH", "/no/such/folder", 1);
  const std::unique_ptr<Library> library = Library::Load(nullptr, false, &error);
  CAPTURE(error);
  REQUIRE(library != nullptr);
  const std::unique_ptr<Session> session = library->NewSession();
  CHECK(session->Start("PLAIN", "\0user\0pass"sv).outcome == Outcome::kFailed);
  unsetenv("SASL_CONF_PATH");
}

TEST_CASE("MEMCACHED_SASL_PWDB: the first line of a user decides, further fields may follow") {
  const std::string_view text = "user:pass\nuser:second\nbob:b:more:fields\r\nempty:\nlast:p";
  CHECK(CheckPasswordDatabase(text, "user", "pass"));
  CHECK_FALSE(CheckPasswordDatabase(text, "user", "second"));
  CHECK_FALSE(CheckPasswordDatabase(text, "user", "pas"));
  CHECK_FALSE(CheckPasswordDatabase(text, "user", "passs"));
  CHECK_FALSE(CheckPasswordDatabase(text, "use", "pass"));
  CHECK_FALSE(CheckPasswordDatabase(text, "user:pass", ""));
  CHECK(CheckPasswordDatabase(text, "bob", "b"));
  CHECK(CheckPasswordDatabase(text, "bob", "b:more"));
  CHECK_FALSE(CheckPasswordDatabase(text, "bob", "b:mo"));
  CHECK(CheckPasswordDatabase(text, "empty", ""));
  CHECK(CheckPasswordDatabase(text, "last", "p"));
  CHECK_FALSE(CheckPasswordDatabase("", "user", ""));
}

}  // namespace
}  // namespace torc::server::sasl
