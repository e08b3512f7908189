// The user file, and what a client says before it is let in.
#include "src/server/auth.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace torc::server {
namespace {

std::string Refusal(const std::string& text) {
  UserFile users;
  std::string error;
  CHECK_FALSE(users.Parse(text, "U", &error));
  return error;
}

TEST_CASE("users: the first colon parts user and password; the line end, of either kind, ends it") {
  UserFile users;
  std::string error;
  REQUIRE(users.Parse("user:pass\nbob:b:c d\r\nempty:\n:nobody\nlast:p", "U", &error));
  CHECK(users.Check("user", "pass"));
  CHECK(users.Check("bob", "b:c d"));
  CHECK(users.Check("empty", ""));
  CHECK(users.Check("", "nobody"));
  CHECK(users.Check("last", "p"));
  for (const char* wrong : {"", "pas", "passs", "Pass", "b:c d"})
    CHECK(!users.Check("user", wrong));
  CHECK_FALSE(users.Check("use", "pass"));
  CHECK_FALSE(users.Check("nobody", ""));
  using namespace std::string_view_literals;
  CHECK_FALSE(users.Check("user", "pass\0"sv));
  CHECK_FALSE(users.Check("user\0"sv, "pass"));
  CHECK_FALSE(users.Check(std::string(300, 'u'), "pass"));
  CHECK_FALSE(users.Check("user", std::string(256 + 4, 'p')));
}

TEST_CASE("users: a file that cannot be used says why, and leaves the users as they were") {
  CHECK(Refusal("") == "Authfile [U] is empty: it must have an entry 'user:password'");
  CHECK(Refusal("a:b\n\nc:d\n") ==
        "Authfile [U] has a malformed entry. Should be 'user:password' (line 2)");
  CHECK(Refusal("a:b\nno colon") ==
        "Authfile [U] has a malformed entry. Should be 'user:password' (line 2)");
  const std::string longest = "a:" + std::string(kUserLineBytesMax - 2, 'x');
  CHECK(Refusal(longest + "x\n") ==
        "Authfile [U] has an entry that is too long: line 1 has more than 255 bytes");
  std::string many;
  for (size_t i = 0; i < kUsersMax; ++i) many += "u" + std::to_string(i) + ":p\n";
  CHECK(Refusal(many + "x:y\n") == "Authfile [U] has too many entries: at most 64 are taken");

  UserFile users;
  std::string error;
  REQUIRE(users.Parse(longest + "\n", "U", &error));
  CHECK(users.Check("a", longest.substr(2)));
  CHECK_FALSE(users.Parse("x\n", "U", &error));
  CHECK(users.Check("a", longest.substr(2)));
  REQUIRE(users.Parse(many, "U", &error));
  CHECK(users.Check("u63", "p"));
  CHECK_FALSE(users.Check("a", longest.substr(2)));
}

TEST_CASE("users: read from a file; one that is absent or not a file is refused") {
  char path[] = "/tmp/torc-auth-test-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, "a:b\n", 4) == 4);
  UserFile users;
  std::string error;
  CHECK(users.Load(path, &error));
  CHECK(users.Check("a", "b"));
  close(fd);
  unlink(path);
  CHECK_FALSE(users.Load(path, &error));
  CHECK(error == "Could not open authfile [" + std::string(path) +
                     "] for reading: No such file or directory");
  CHECK_FALSE(users.Load("/tmp", &error));
  CHECK_FALSE(users.Load("/dev/zero", &error));  // does not end: only so much of it is read
  CHECK(users.Check("a", "b"));
}

TEST_CASE("the line: a set whose size is a number; all else of it is not looked at") {
  CHECK(ParseAuthLine("set x 0 0 9\r\n") == 9);
  CHECK(ParseAuthLine("set x y z 09 noreply 1 2\r\n") == 9);
  CHECK(ParseAuthLine("set x 0 0 4294967295\r\n") == 4294967295U);
  CHECK(ParseAuthLine("set x 0 0 9 \n") == 9);
  for (const char* line :
       {"set x 0 0\r\n", "set x 0 0 9\n", "set x 0 0 -1\r\n", "set x 0 0 +9\r\n",
        "set x 0 0 9x\r\n", "set x 0 0 4294967296\r\n", "set x 0 0 \t9\r\n", "SET x 0 0 9\r\n",
        " set x 0 0 9\r\n", "add x 0 0 9\r\n", "setx 0 0 9 9\r\n", "get abc\r\n", "       \r\n"}) {
    CAPTURE(line);
    CHECK_FALSE(ParseAuthLine(line).has_value());
  }
}

TEST_CASE("the credentials: the first blank parts them") {
  UserFile users;
  std::string error;
  REQUIRE(users.Parse("user:pass\nx:\n:p\na:p q\n", "U", &error));
  for (const char* good : {"user pass\r\n", "x \r\n", " p\r\n", "a p q\r\n"}) {
    CHECK(CheckCredentials(users, good) == Cause::kNone);
  }
  CHECK(CheckCredentials(users, "user  pass\r\n") == Cause::kAuthFailed);
  CHECK(CheckCredentials(users, "user pass \r\n") == Cause::kAuthFailed);
  CHECK(CheckCredentials(users, " \r\n") == Cause::kAuthFailed);
  CHECK(CheckCredentials(users, "user\tpass\r\n") == Cause::kAuthBadFormat);
  CHECK(CheckCredentials(users, "\r\n") == Cause::kAuthBadFormat);
  CHECK(CheckCredentials(users, "user pass\n\n") == Cause::kAuthBadEnd);
  CHECK(CheckCredentials(users, "user passX\r") == Cause::kAuthBadEnd);
}

}  // namespace
}  // namespace torc::server
