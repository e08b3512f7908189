#include "src/copy/copy.h"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "src/copy/connection.h"
#include "src/copy/format.h"

namespace torc::copy {
namespace {

// A line of keys stays below what servers take for one without a doubt.
constexpr size_t kGetLineBytesMax = 2000;
// Keys whose values are asked for before the first is read. The requests must fit the sockets'
// buffers, for the server may stop reading until its replies are read.
constexpr size_t kGetBytesMax = 32 << 10;
// Items sent before their answers are read: these must fit, likewise. Each is a line of at most 100
// bytes.
constexpr size_t kAddsMax = 256;
constexpr size_t kAddBytesMax = 1 << 20;
// Up to this, an exptime is a number of seconds; beyond, a Unix time (protocol.txt).
constexpr int64_t kRelativeSecondsMax = 30 * 24 * 60 * 60;

constexpr char kUsage[] =
    "usage: torc --dump HOST:PORT FILE     all items of a server, torc or memcached, into a file\n"
    "       torc --load HOST:PORT FILE     the items of a file into a server that lacks them\n"
    "FILE may be -, standard output or input.\n";

int Fail(const std::string& error) {
  std::fprintf(stderr, "torc: %s\n", error.c_str());
  return EXIT_FAILURE;
}

template <typename Number>
bool ReadNumber(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view NextWord(std::string_view* rest) {
  const size_t begin = std::min(rest->find_first_not_of(' '), rest->size());
  const size_t end = std::min(rest->find(' ', begin), rest->size());
  const std::string_view word = rest->substr(begin, end - begin);
  rest->remove_prefix(end);
  return word;
}

// One line a second on standard error, so that a long copy can be watched.
class Progress {
 public:
  explicit Progress(const char* doing) : doing_(doing) {}
  void Note(uint64_t items, uint64_t bytes) {
    const std::time_t now = std::time(nullptr);
    if (now == told_) return;
    told_ = now;
    std::fprintf(stderr, "torc: %s: %llu items, %llu MB, %lld s\n", doing_,
                 static_cast<unsigned long long>(items),
                 static_cast<unsigned long long>(bytes / 1'000'000),
                 static_cast<long long>(now - began_));
  }

 private:
  const char* doing_;
  const std::time_t began_ = std::time(nullptr);
  std::time_t told_ = began_;
};

// ------------------------------------------------------------------------------------------- dump

struct Wanted {
  std::string key;
  int64_t exptime;
};

class Dump {
 public:
  int Run(const std::string& where, const std::string& path) {
    if (!keys_.Open(where)) return Fail(keys_.error());
    if (!values_.Open(where)) return Fail(values_.error());
    const bool to_stdout = path == "-";
    const std::string part = path + ".part";
    std::FILE* const file = to_stdout ? stdout : std::fopen(part.c_str(), "wb");
    if (file == nullptr) return Fail(part + ": " + std::strerror(errno));
    Writer writer(file);
    writer_ = &writer;
    bool whole = CopyAll();
    if (!to_stdout) {
      if (whole && fsync(fileno(file)) != 0) whole = CannotWrite();
      if (std::fclose(file) != 0 && whole) whole = CannotWrite();
      if (whole && std::rename(part.c_str(), path.c_str()) != 0) whole = CannotWrite();
      if (!whole) (void)std::remove(part.c_str());
    }
    if (!whole) return Fail(error_);
    std::fprintf(stderr, "torc: dumped %llu items, %llu bytes of keys and values",
                 static_cast<unsigned long long>(items_), static_cast<unsigned long long>(bytes_));
    if (vanished_ != 0) {
      std::fprintf(stderr, "; %llu were gone before their values were read",
                   static_cast<unsigned long long>(vanished_));
    }
    if (unreadable_ != 0) {
      std::fprintf(stderr, "; %llu have keys that the text protocol cannot ask for",
                   static_cast<unsigned long long>(unreadable_));
    }
    std::fprintf(stderr, "\n");
    return EXIT_SUCCESS;
  }

 private:
  bool CannotWrite() {
    error_ = std::string("cannot write the file: ") + std::strerror(errno);
    return false;
  }
  bool Lost(const Connection& connection) {
    error_ = connection.error();
    return false;
  }

  bool CopyAll() {
    if (!writer_->Begin(std::time(nullptr))) return CannotWrite();
    if (!keys_.Send("lru_crawler metadump hash\r\n")) return Lost(keys_);
    std::string_view line;
    if (!keys_.ReadLine(&line)) return Lost(keys_);
    // Versions of memcached that answer with the keys at once have no line of their own before.
    if (line == "OK" && !keys_.ReadLine(&line)) return Lost(keys_);
    while (line != "END") {
      if (!line.starts_with("key=")) {
        error_ = "the server does not dump its keys; it says: " + std::string(line);
        return false;
      }
      TakeKey(line);
      // What has been received is taken before the server is asked for more.
      if ((requests_bytes_ >= kGetBytesMax || !keys_.HasLine()) && !FetchValues()) return false;
      if (!keys_.ReadLine(&line)) return Lost(keys_);
    }
    if (!FetchValues()) return false;
    return writer_->End() ? true : CannotWrite();
  }

  // key=%s exp=%d ..., the key with %XX for what is no letter or digit.
  void TakeKey(std::string_view line) {
    Wanted wanted{"", 0};
    std::string_view escaped = NextWord(&line).substr(4);
    bool readable = true;
    for (size_t i = 0; i < escaped.size(); ++i) {
      unsigned char byte = static_cast<unsigned char>(escaped[i]);
      if (byte == '%' && i + 2 < escaped.size()) {
        unsigned value = 0;
        std::from_chars(&escaped[i + 1], &escaped[i + 3], value, 16);
        byte = static_cast<unsigned char>(value);
        i += 2;
      }
      readable = readable && byte != ' ' && byte != '\n' && byte != '\r' && byte != '\0';
      wanted.key += static_cast<char>(byte);
    }
    if (!readable || wanted.key.empty() || wanted.key.size() > 250) {
      ++unreadable_;
      return;
    }
    while (!line.empty()) {
      const std::string_view word = NextWord(&line);
      if (word.starts_with("exp=")) (void)ReadNumber(word.substr(4), &wanted.exptime);
    }
    if (wanted.exptime < 0) wanted.exptime = 0;  // -1: never
    requests_bytes_ += wanted.key.size() + 1;
    wanted_.push_back(std::move(wanted));
  }

  bool FetchValues() {
    if (wanted_.empty()) return true;
    std::string requests;
    std::vector<size_t> ends;  // of each request, among the wanted
    size_t line_bytes = 0;
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (line_bytes != 0 && line_bytes + wanted_[i].key.size() > kGetLineBytesMax) {
        requests += "\r\n";
        ends.push_back(i);
        line_bytes = 0;
      }
      if (line_bytes == 0) requests += "get";
      requests += ' ';
      requests += wanted_[i].key;
      line_bytes += wanted_[i].key.size() + 1;
    }
    requests += "\r\n";
    ends.push_back(wanted_.size());
    if (!values_.Send(requests)) return Lost(values_);
    size_t at = 0;
    for (const size_t end : ends) {
      if (!ReadReply(&at, end)) return false;
    }
    wanted_.clear();
    requests_bytes_ = 0;
    progress_.Note(items_, bytes_);
    return true;
  }

  // The reply to one get: VALUE key flags bytes, in the order asked for, those that are gone left
  // out.
  bool ReadReply(size_t* at, size_t end) {
    for (;;) {
      std::string_view line;
      if (!values_.ReadLine(&line)) return Lost(values_);
      if (line == "END") break;
      std::string_view rest = line;
      Record record;
      size_t size = 0;
      const bool is_value = NextWord(&rest) == "VALUE";
      const std::string_view key = NextWord(&rest);
      if (!is_value || !ReadNumber(NextWord(&rest), &record.client_flags) ||
          !ReadNumber(NextWord(&rest), &size)) {
        error_ = "the server does not give its values; it says: " + std::string(line);
        return false;
      }
      for (; *at != end && wanted_[*at].key != key; ++*at) ++vanished_;
      if (*at == end) {
        error_ = "the server answers with a key that was not asked for";
        return false;
      }
      const Wanted& wanted = wanted_[(*at)++];
      std::string_view value;
      if (!values_.Read(size + 2, &value)) return Lost(values_);
      record.key = wanted.key;
      record.value = value.substr(0, size);
      record.exptime = wanted.exptime;
      if (!writer_->Add(record)) return CannotWrite();
      ++items_;
      bytes_ += record.key.size() + size;
    }
    vanished_ += end - *at;
    *at = end;
    return true;
  }

  Connection keys_;
  Connection values_;
  Writer* writer_ = nullptr;
  std::vector<Wanted> wanted_;
  size_t requests_bytes_ = 0;
  uint64_t items_ = 0;
  uint64_t bytes_ = 0;
  uint64_t vanished_ = 0;
  uint64_t unreadable_ = 0;
  std::string error_;
  Progress progress_{"dumping"};
};

// ------------------------------------------------------------------------------------------- load

class Load {
 public:
  int Run(const std::string& where, const std::string& path) {
    const bool from_stdin = path == "-";
    std::FILE* const file = from_stdin ? stdin : std::fopen(path.c_str(), "rb");
    if (file == nullptr) return Fail(path + ": " + std::strerror(errno));
    const bool whole = CopyAll(where, path, file);
    if (!from_stdin) (void)std::fclose(file);
    std::fprintf(stderr,
                 "torc: stored %llu items, %llu bytes of keys and values; kept %llu that were "
                 "there; %llu had expired; %llu refused\n",
                 static_cast<unsigned long long>(stored_), static_cast<unsigned long long>(bytes_),
                 static_cast<unsigned long long>(kept_), static_cast<unsigned long long>(expired_),
                 static_cast<unsigned long long>(refused_));
    if (refused_ != 0) {
      std::fprintf(stderr, "torc: the first refusal: %s\n", first_refusal_.c_str());
    }
    if (!whole) return Fail(error_);
    return refused_ == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }

 private:
  bool CopyAll(const std::string& where, const std::string& path, std::FILE* file) {
    Reader reader(file);
    const auto broken = [&] {
      error_ = path + " " + reader.error();
      return false;
    };
    // The file first: a server that cannot be reached is not asked about a file that cannot be
    // read.
    if (reader.Begin() == Reader::Result::kBroken) return broken();
    if (!server_.Open(where)) return Lost();
    for (;;) {
      const Reader::Result result = reader.NextBlock();
      if (result == Reader::Result::kBroken) return broken();
      if (result == Reader::Result::kEnd) return Exchange();
      Record record;
      while (reader.Next(&record)) {
        if (!Add(record)) return false;
      }
      progress_.Note(stored_, bytes_);
    }
  }

  bool Lost() {
    error_ = server_.error();
    return false;
  }

  bool Add(const Record& record) {
    int64_t exptime = record.exptime;
    if (exptime != 0) {
      const int64_t left = exptime - std::time(nullptr);
      if (left <= 0) {
        ++expired_;
        return true;
      }
      // Counted from now where it can be: the server's clock may be another.
      if (left <= kRelativeSecondsMax) exptime = left;
    }
    requests_ += "add ";
    requests_ += record.key;
    for (const int64_t number :
         {int64_t{record.client_flags}, exptime, static_cast<int64_t>(record.value.size())}) {
      requests_ += ' ';
      requests_ += std::to_string(number);
    }
    requests_ += "\r\n";
    requests_ += record.value;
    requests_ += "\r\n";
    sizes_.push_back(record.key.size() + record.value.size());
    return sizes_.size() < kAddsMax && requests_.size() < kAddBytesMax ? true : Exchange();
  }

  // Sends what was added and reads the answers.
  bool Exchange() {
    if (!server_.Send(requests_)) return Lost();
    for (const size_t size : sizes_) {
      std::string_view line;
      if (!server_.ReadLine(&line)) return Lost();
      if (line == "STORED") {
        ++stored_;
        bytes_ += size;
      } else if (line == "NOT_STORED") {
        ++kept_;
      } else {
        if (refused_++ == 0) first_refusal_ = line;
        // One that lost count of what it is sent answers more than once: nothing after is certain.
        if (!line.starts_with("SERVER_ERROR")) {
          error_ = "the server does not understand; it says: " + std::string(line);
          return false;
        }
      }
    }
    requests_.clear();
    sizes_.clear();
    return true;
  }

  Connection server_;
  std::string requests_;
  std::vector<size_t> sizes_;
  uint64_t stored_ = 0;
  uint64_t bytes_ = 0;
  uint64_t kept_ = 0;
  uint64_t expired_ = 0;
  uint64_t refused_ = 0;
  std::string first_refusal_;
  std::string error_;
  Progress progress_{"loading"};
};

}  // namespace

bool WantsCopy(int argc, char** argv) {
  return argc > 1 && (std::strcmp(argv[1], "--dump") == 0 || std::strcmp(argv[1], "--load") == 0);
}

int RunCopy(int argc, char** argv) {
  if (argc != 4) {
    std::fputs(kUsage, stderr);
    return EX_USAGE;
  }
  return std::strcmp(argv[1], "--dump") == 0 ? Dump().Run(argv[2], argv[3])
                                             : Load().Run(argv[2], argv[3]);
}

}  // namespace torc::copy
