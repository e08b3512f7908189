#include "src/server/options.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include "src/server/version.h"

namespace torc {
namespace {

struct Parsed {
  Options options;
  ParseResult result;
};

// Parses "torc" and `words`.
Parsed Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "torc");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  Parsed parsed;
  parsed.result = ParseOptions(static_cast<int>(words.size()), argv.data(), &parsed.options);
  return parsed;
}

Options Accepted(std::vector<std::string> words) {
  Parsed parsed = Parse(std::move(words));
  CHECK(parsed.result.action == ParseAction::kServe);
  CHECK(parsed.result.error == "");
  return parsed.options;
}

void Refused(std::vector<std::string> words, int exit_status, const std::string& error) {
  const ParseResult result = Parse(std::move(words)).result;
  CHECK(result.action == ParseAction::kExit);
  CHECK(result.exit_status == exit_status);
  CHECK(result.error == "torc: " + error + "\n");
  CHECK(result.output == "");
}

TEST_CASE("defaults are memcached's") {
  const Options options = Accepted({});
  CHECK(options.listen == std::vector<ListenAddress>{{"", 11211}});
  CHECK(options.unix_socket == "");
  CHECK(options.unix_mask == 0700);
  CHECK(options.listen_backlog == 1024);
  CHECK(options.shards == 4);
  CHECK(options.memory_bytes == 64 * 1024 * 1024);
  CHECK(options.evict);
  CHECK(options.item_bytes_max == 1024 * 1024);
  CHECK(options.connections_max == 0);
  CHECK(options.requests_per_turn == 20);
  CHECK_FALSE(options.lock_memory);
  CHECK_FALSE(options.large_pages);
  CHECK(options.user == "");
  CHECK_FALSE(options.daemon);
  CHECK(options.pid_file == "");
  CHECK_FALSE(options.core_dumps);
  CHECK(options.verbosity == 0);
  CHECK(options.flush_all_enabled);
  CHECK(options.protocol == Protocol::kUnknown);
  CHECK(options.auth_file.empty());
  CHECK_FALSE(options.sasl);
  CHECK_FALSE(options.shutdown_enabled);
  CHECK(options.idle_timeout_seconds == 0);
  CHECK(options.slab_growth_factor == 1.25);
  CHECK(options.slab_chunk_bytes_min == 48);
  CHECK(options.notices.empty());
}

TEST_CASE("-D takes the first byte for the delimiter, and turns stats detail on") {
  CHECK(Accepted({}).prefix_delimiter == ':');
  CHECK_FALSE(Accepted({}).detail_enabled);
  const Options options = Accepted({"-D", "/x"});
  CHECK(options.prefix_delimiter == '/');
  CHECK(options.detail_enabled);
  Options refused;
  char name[] = "torc", letter[] = "-D", empty[] = "";
  char* arguments[] = {name, letter, empty, nullptr};
  const ParseResult result = ParseOptions(3, arguments, &refused);
  CHECK(result.action == ParseAction::kExit);
  CHECK(result.exit_status == 1);
}

TEST_CASE("short and long forms say the same") {
  const Options all_short =
      Accepted({"-p",  "1234", "-l",     "127.0.0.1", "-b", "7",          "-t", "2",    "-m",
                "128", "-M",   "-I",     "2m",        "-c", "99",         "-R", "5",    "-k",
                "-L",  "-u",   "nobody", "-d",        "-P", "/run/t.pid", "-r", "-vv",  "-F",
                "-f",  "1.5",  "-n",     "64",        "-U", "0",          "-B", "ascii"});
  const Options all_long = Accepted({"--port=1234",
                                     "--listen=127.0.0.1",
                                     "--listen-backlog=7",
                                     "--threads=2",
                                     "--memory-limit=128",
                                     "--disable-evictions",
                                     "--max-item-size=2m",
                                     "--conn-limit=99",
                                     "--max-reqs-per-event=5",
                                     "--lock-memory",
                                     "--enable-largepages",
                                     "--user=nobody",
                                     "--daemon",
                                     "--pidfile=/run/t.pid",
                                     "--enable-coredumps",
                                     "--verbose",
                                     "--verbose",
                                     "--disable-flush-all",
                                     "--slab-growth-factor=1.5",
                                     "--slab-min-size=64",
                                     "--udp-port=0",
                                     "--protocol=ascii"});
  for (const Options& options : {all_short, all_long}) {
    CHECK(options.listen == std::vector<ListenAddress>{{"127.0.0.1", 1234, Protocol::kText}});
    CHECK(options.listen_backlog == 7);
    CHECK(options.shards == 2);
    CHECK(options.memory_bytes == 128 * 1024 * 1024);
    CHECK_FALSE(options.evict);
    CHECK(options.item_bytes_max == 2 * 1024 * 1024);
    CHECK(options.connections_max == 99);
    CHECK(options.requests_per_turn == 5);
    CHECK(options.lock_memory);
    CHECK(options.large_pages);
    CHECK(options.user == "nobody");
    CHECK(options.daemon);
    CHECK(options.pid_file == "/run/t.pid");
    CHECK(options.core_dumps);
    CHECK(options.verbosity == 2);
    CHECK_FALSE(options.flush_all_enabled);
    CHECK(options.slab_growth_factor == 1.5);
    CHECK(options.slab_chunk_bytes_min == 64);
    CHECK(options.notices.empty());
  }
}

TEST_CASE("listen: lists, repeats, ports of their own, and -p in any place") {
  using List = std::vector<ListenAddress>;
  CHECK(Accepted({"-l", "127.0.0.1,10.0.0.1:99", "-p", "5"}).listen ==
        List{{"127.0.0.1", 5}, {"10.0.0.1", 99}});
  CHECK(Accepted({"-l", "127.0.0.1", "-l", "localhost"}).listen ==
        List{{"127.0.0.1", 11211}, {"localhost", 11211}});
  CHECK(Accepted({"-l", "[::1]:5,[::1],::1,fe80::1"}).listen ==
        List{{"::1", 5}, {"::1", 11211}, {"::1", 11211}, {"fe80::1", 11211}});
  CHECK(Accepted({"-l", "*"}).listen == List{{"", 11211}});
  CHECK(Accepted({"-l", "*:7,"}).listen == List{{"", 7}});
  CHECK(Accepted({"-p", "-1"}).listen == List{{"", 0}});
  CHECK(Accepted({"-l", "127.0.0.1", "-p", "-1"}).listen == List{{"127.0.0.1", 0}});
  CHECK(Accepted({"-l", "127.0.0.1:7", "-p", "0"}).listen == List{{"127.0.0.1", 7}});
}

TEST_CASE("listen: what is refused") {
  Refused({"-p", "65536"}, 64,
          "-p 65536: the port must be a number from 1 to 65535, or -1 for any free one, or 0 for "
          "no TCP");
  Refused({"-p", "0"}, 64, "-p 0: there is nothing left to listen on; give a port, or -s");
  Refused({"-l", "127.0.0.1", "-p", "0"}, 64,
          "-p 0: there is nothing left to listen on; give a port, or -s");
  Refused({"-l", ""}, 64, "-l: the list of addresses is empty");
  Refused({"-l", ","}, 64, "-l: the list of addresses is empty");
  Refused({"-l", "127.0.0.1:x"}, 64, "-l 127.0.0.1:x: the port must be a number from 1 to 65535");
  Refused({"-l", "127.0.0.1:99999"}, 64,
          "-l 127.0.0.1:99999: the port must be a number from 1 to 65535");
  Refused({"-l", ":80"}, 64, "-l :80: an address is missing before the port");
  Refused({"-l", "[::1"}, 64, "-l [::1: the address has no closing bracket");
  Refused({"-l", "[::1]x"}, 64, "-l [::1]x: only :PORT may follow the bracket");
  Refused({"-l", "notls:127.0.0.1"}, 71,
          "-l notls:127.0.0.1: TLS is not available in this version of torc");
  Refused({"-l", "proto[foo]:::1"}, 71,
          "-l proto[foo]:::1: the protocol must be ascii, binary or auto");
  for (const char* text : {"proto[ascii", "proto[ascii]", "proto[ascii]127.0.0.1"}) {
    Refused({"-l", text}, 71,
            std::string("-l ") + text + ": the protocol has no closing bracket and colon");
  }
  Refused({"-l", "tag[a:::1"}, 71, "-l tag[a:::1: the tag has no closing bracket and colon");
  for (const char* text : {"tag[]:::1", "tag[abcdefghi]:::1", "tag__:::1"}) {
    Refused({"-l", text}, 71, std::string("-l ") + text + ": a tag has 1 to 8 characters");
  }
  Refused({"-l", "unix:"}, 64, "-l unix:: the path of the socket is empty");
  Refused({"-l", "unix:/a,unix:/b"}, 64, "-l unix:/b: there is one UNIX socket already");
}

TEST_CASE("listen: a protocol and a tag of its own, with -B for the others") {
  using List = std::vector<ListenAddress>;
  CHECK(Accepted({}).listen[0].protocol == Protocol::kUnknown);
  const Options options = Accepted({"-l", "proto[binary]:127.0.0.1:7,proto_auto_:tag[x]:[::1]",
                                    "-l", "tag_12345678_:10.0.0.1", "-B", "ascii"});
  CHECK(options.protocol == Protocol::kText);
  CHECK(options.listen == List{{"127.0.0.1", 7, Protocol::kBinary},
                               {"::1", 11211, Protocol::kUnknown},
                               {"10.0.0.1", 11211, Protocol::kText}});
  CHECK(Accepted({"-B", "binary"}).listen == List{{"", 11211, Protocol::kBinary}});
  CHECK(Accepted({"-B", "auto"}).protocol == Protocol::kUnknown);
  for (const char* text : {"x", "negotiating", ""}) {
    Refused({"-B", text}, 64,
            std::string("-B ") + text + ": the protocol must be auto, ascii or binary");
  }
}

TEST_CASE("authentication closes the protocol that it does not cover") {
  const Options text = Accepted({"-Y", "users"});
  CHECK(text.auth_file == "users");
  CHECK(text.protocol == Protocol::kText);
  CHECK(text.listen[0].protocol == Protocol::kText);
  const Options binary = Accepted({"-S", "-l", "proto[binary]:127.0.0.1"});
  CHECK(binary.sasl);
  CHECK(binary.protocol == Protocol::kBinary);
  CHECK(Accepted({"-S", "-s", "/run/torc.sock"}).protocol == Protocol::kBinary);
  CHECK(Accepted({"-S", "-Y", "users"}).protocol == Protocol::kUnknown);
  CHECK(Accepted({"-S", "-Y", "users", "-B", "binary"}).protocol == Protocol::kBinary);
  for (const char* protocol : {"auto", "binary"}) {
    Refused({"-Y", "users", "-B", protocol}, 64,
            "-Y alone leaves the binary protocol open: add -S, or take -B ascii");
  }
  for (const char* protocol : {"auto", "ascii"}) {
    Refused({"-B", protocol, "-S"}, 64,
            "-S alone leaves the text protocol open: add -Y, or take -B binary");
  }
  Refused({"-Y", "users", "-l", "proto[binary]:127.0.0.1"}, 71,
          "-Y alone leaves the binary protocol open: add -S, or take proto[ascii]");
  Refused({"-S", "-l", "proto[auto]:127.0.0.1"}, 71,
          "-S alone leaves the text protocol open: add -Y, or take proto[binary]");
}

TEST_CASE("a UNIX socket takes the place of TCP") {
  const Options options = Accepted({"-s", "/run/torc.sock", "-a", "0770"});
  CHECK(options.listen.empty());
  CHECK(options.unix_socket == "/run/torc.sock");
  CHECK(options.unix_mask == 0770);
  CHECK(options.notices.empty());
  const Options with_port = Accepted({"-s", "/run/torc.sock", "-p", "0"});
  CHECK(with_port.listen.empty());
  CHECK(with_port.notices ==
        std::vector<std::string>{"-s takes the place of TCP: -p and -l have no effect"});
  const Options beside = Accepted({"-l", "unix:/run/torc.sock,127.0.0.1", "-a", "755"});
  CHECK(beside.unix_socket == "/run/torc.sock");
  CHECK(beside.listen == std::vector<ListenAddress>{{"127.0.0.1", 11211}});
  CHECK(Accepted({"-l", "unix:/run/torc.sock"}).listen.empty());
  Refused({"-a", "9"}, 1, "-a 9: the access rights must be an octal number from 0 to 777");
  Refused({"-a", "1777"}, 1, "-a 1777: the access rights must be an octal number from 0 to 777");
}

TEST_CASE("sizes") {
  CHECK(Accepted({"-m", "1g"}).memory_bytes == 1ULL << 30);
  CHECK(Accepted({"-m", "100M"}).memory_bytes == 100ULL << 20);
  CHECK(Accepted({"-I", "1k"}).item_bytes_max == 1024);
  CHECK(Accepted({"-I", "2000"}).item_bytes_max == 2000);
  CHECK(Accepted({"-I", "32m"}).item_bytes_max == 32U << 20);
  CHECK(Accepted({"-I", "32m", "-m", "64"}).item_bytes_max == 32U << 20);  // In either order.
  CHECK(Accepted({"-m", "4g", "-I", "1024m"}).item_bytes_max == 1U << 30);

  const std::string memory =
      ": the memory for items must be a number of megabytes above 0, or one with the suffix m or g";
  for (const char* text : {"0", "x", "-1", "64k", "64mb", "", "g", "99999999999999999999"}) {
    Refused({"-m", text}, 64, std::string("-m ") + text + memory);
  }
  const std::string item =
      ": the largest item must be a number of bytes from 1024 (1k) to 1073741824 (1024m), or one "
      "with the suffix k or m";
  for (const char* text : {"x", "", "0", "-1", "1023", "0k", "1025m", "1073741825", "1g", "2mb"}) {
    Refused({"-I", text}, 64, std::string("-I ") + text + item);
  }
  Refused({"-I", "33m"}, 64,
          "-I 34603008: the largest item cannot be above half of -m, which is 67108864 bytes");
  Refused({"-m", "1"}, 64,
          "-I 1048576: the largest item cannot be above half of -m, which is 1048576 bytes");
}

TEST_CASE("numbers") {
  Refused({"-t", "0"}, 1, "-t 0: the number of threads must be a number from 1 to 128");
  Refused({"-t", "129"}, 1, "-t 129: the number of threads must be a number from 1 to 128");
  Refused({"-t", "4x"}, 1, "-t 4x: the number of threads must be a number from 1 to 128");
  Refused({"-c", "0"}, 1, "-c 0: the number of connections must be a number from 1 to 2147483647");
  Refused({"-R", "0"}, 1,
          "-R 0: the number of requests per event must be a number from 1 to 2147483647");
  Refused({"-b", "-1"}, 1, "-b -1: the backlog must be a number from 0 to 2147483647");
  Refused({"-n", "0"}, 1, "-n 0: the smallest chunk must be a number from 1 to 2147483647");
  for (const char* text : {"1", "0", "x", "nan", "inf", "1.5x", ""}) {
    Refused({"-f", text}, 1, std::string("-f ") + text + ": the factor must be a number above 1");
  }
  CHECK(Accepted({"-vvvv"}).verbosity == 3);
}

TEST_CASE("UDP is off, on the port of -U, or on that of an address") {
  using List = std::vector<ListenAddress>;
  CHECK(Accepted({}).listen_udp.empty());
  CHECK(Accepted({"-U", "0"}).listen_udp.empty());
  const Options both = Accepted({"-p", "1", "-U", "2", "-l", "a,b:3"});
  CHECK(both.listen == List{{"a", 1}, {"b", 3}});
  CHECK(both.listen_udp == List{{"a", 2}, {"b", 3}});
  const Options alone = Accepted({"-U", "2"});
  CHECK(alone.listen == List{{"", 2}});
  CHECK(alone.listen_udp == List{{"", 2}});
  const Options any = Accepted({"-U", "-1", "-p", "7"});
  CHECK(any.listen == List{{"", 7}});
  CHECK(any.listen_udp == List{{"", 0}});
  const Options without_tcp = Accepted({"-p", "0", "-U", "2"});
  CHECK(without_tcp.listen.empty());
  CHECK(without_tcp.listen_udp == List{{"", 2}});
  const Options by_path = Accepted({"-s", "/x", "-U", "2"});
  CHECK(by_path.listen_udp.empty());
  CHECK(by_path.notices == std::vector<std::string>{"-s takes the place of UDP: -U has no effect"});
  Refused({"-U", "2", "-S"}, 64, "-U leaves the door open that -Y and -S shut: UDP knows no users");
  for (const char* text : {"x", "65536", "-2", ""}) {
    Refused({"-U", text}, 64,
            std::string("-U ") + text +
                ": the port must be a number from 1 to 65535, or -1 for any free one, or 0 for no "
                "UDP");
  }
}

TEST_CASE("what this version does not have is refused by name") {
  Refused({"-Z"}, 1, "-Z: TLS is not available in this version of torc");
}

TEST_CASE("extended options") {
  CHECK(Accepted({"-o", "modern,hashpower=20,no_lru_crawler"}).notices ==
        std::vector<std::string>{"-o modern has no effect in torc",
                                 "-o hashpower has no effect in torc",
                                 "-o no_lru_crawler has no effect in torc"});
  Refused({"-o", "modern,foo=1"}, 1, "-o foo: no such extended option");
  Refused({"-o", "ext_path=/x:1G"}, 1, "-o ext_path: not available in this version of torc");
  CHECK(Accepted({"-o", "modern,idle_timeout=10"}).idle_timeout_seconds == 10);
  CHECK(Accepted({"-o", "idle_timeout=0"}).idle_timeout_seconds == 0);
  for (const char* text : {"idle_timeout", "idle_timeout=", "idle_timeout=x", "idle_timeout=-1"}) {
    Refused({"-o", text}, 1,
            std::string("-o ") + text + ": idle_timeout needs a number of seconds, or 0");
  }
}

TEST_CASE("words that are no options") {
  Refused({"-q"}, 1, "-q: no such option; torc -h lists them");
  Refused({"-Mq"}, 1, "-q: no such option; torc -h lists them");
  Refused({"--foo=1"}, 1, "--foo: no such option; torc -h lists them");
  Refused({"--help=1"}, 1, "--help: takes no argument");
  Refused({"-p"}, 1, "-p: needs an argument");
  Refused({"--port"}, 1, "--port: needs an argument");
  CHECK(Accepted({"extra", "-p", "7"}).notices ==
        std::vector<std::string>{"'extra' is not an option: ignored"});
}

TEST_CASE("help, version, licence and doctor end the reading") {
  const ParseResult version = Parse({"-V", "-t", "0"}).result;
  CHECK(version.action == ParseAction::kExit);
  CHECK(version.exit_status == 0);
  CHECK(version.output == "torc " + std::string(kVersion) + "\n");
  CHECK(Parse({"--help"}).result.output == UsageText());
  CHECK(Parse({"-i"}).result.output.find("BSD") != std::string::npos);
  CHECK(Parse({"--doctor"}).result.action == ParseAction::kDoctor);
  CHECK(Parse({"--engine=help"}).result.action == ParseAction::kListEngines);
}

TEST_CASE("the help text lists every option, one a line") {
  std::istringstream text(UsageText());
  std::string letters;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("  -")) letters += line[3];
  }
  CHECK(letters == "plUsaBbtmMIcRkLYSAoduPrFXDvhVifnCW");
}

TEST_CASE("the help text fits 100 columns") {
  std::istringstream text(UsageText());
  for (std::string line; std::getline(text, line);) CHECK(line.size() <= 100);
}

}  // namespace
}  // namespace torc
