// try PROTOCOL PREFIX ADDRESS... [--user NAME --password PASSWORD]: speaks to real servers and
// prints TAP, one line for each thing that must hold. Keys begin with PREFIX, so that runs do not
// meet. Exit status: 0 if all held.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "src/client/client.h"

namespace torc::client {
namespace {

class Trial {
 public:
  Trial(Client* client, Protocol protocol, std::string prefix)
      : client_(client), protocol_(protocol), prefix_(std::move(prefix)) {}

  int Run() {
    Stores();
    Numbers();
    Expiry();
    Keys();
    Batches();
    Servers();
    Refusals();
    std::printf("1..%d\n", count_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  bool is_text() const { return protocol_ == Protocol::kText; }
  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }

  void Expect(bool holds, std::string_view what) {
    ++count_;
    failed_ += holds ? 0 : 1;
    std::printf("%sok %d - %s\n", holds ? "" : "not ", count_, std::string(what).c_str());
    // A server that does not take the first store, of a client with a wrong password perhaps, takes
    // none; and it may let a client wait for each.
    if (!holds && count_ == 1) {
      std::printf("Bail out!\n");
      std::exit(1);
    }
  }
  void Expect(const Result& result, Status wanted, std::string_view what) {
    Expect(result.status == wanted, what);
    if (result.status != wanted) {
      std::printf("# %s: %s\n", std::string(Name(result.status)).c_str(), result.text.c_str());
    }
  }

  void Stores() {
    const std::string k = Key("store");
    Expect(client_->Get(k), Status::kNotFound, "a miss");
    Expect(client_->Run({.verb = Verb::kReplace, .key = k, .value = "x"}), Status::kNotStored,
           "replace of nothing");
    Expect(client_->Run({.verb = Verb::kAdd, .key = k, .value = "middle", .client_flags = 77}),
           Status::kOk, "add");
    Expect(client_->Run({.verb = Verb::kAdd, .key = k, .value = "x"}), Status::kNotStored,
           "add of what is there");
    Expect(client_->Run({.verb = Verb::kAppend, .key = k, .value = ">"}), Status::kOk, "append");
    Expect(client_->Run({.verb = Verb::kPrepend, .key = k, .value = "<"}), Status::kOk, "prepend");
    Expect(client_->Run({.verb = Verb::kAppend, .key = Key("none"), .value = ">"}),
           Status::kNotStored, "append to nothing");
    const Result got = client_->Run({.verb = Verb::kGets, .key = k});
    Expect(got.ok() && got.value == "<middle>" && got.client_flags == 77 && got.cas != 0,
           "value, flags and CAS");
    Expect(client_->Run({.verb = Verb::kSet, .key = k, .value = "new", .cas = got.cas}),
           Status::kOk, "set with the item's CAS");
    Expect(client_->Run({.verb = Verb::kSet, .key = k, .value = "x", .cas = got.cas}),
           Status::kExists, "set with an old CAS");
    Expect(client_->Run({.verb = Verb::kSet, .key = Key("none"), .value = "x", .cas = 1}),
           Status::kNotFound, "set with the CAS of nothing");
    Expect(client_->Get(k).value == "new", "what was stored last");
    if (!is_text()) {
      Expect(client_->Run({.verb = Verb::kDelete, .key = k, .cas = got.cas}), Status::kExists,
             "delete with an old CAS");
    }
    Expect(client_->Delete(k), Status::kOk, "delete");
    Expect(client_->Delete(k), Status::kNotFound, "delete of nothing");
    for (const size_t size :
         {size_t{0}, size_t{1}, size_t{1000}, size_t{70'000}, size_t{900'000}}) {
      std::string value(size, '\n');
      for (size_t i = 0; i < size; i += 3) value[i] = static_cast<char>(i);
      Expect(client_->Set(k, value), Status::kOk, "set of any size");
      Expect(client_->Get(k).value == value, "and read back");
    }
  }

  void Numbers() {
    const std::string n = Key("number");
    Expect(client_->Run({.verb = Verb::kIncrement, .key = n}), Status::kNotFound,
           "increment of nothing");
    Expect(client_->Set(n, "10"), Status::kOk, "a number");
    Expect(client_->Run({.verb = Verb::kIncrement, .key = n, .delta = 5}).number == 15,
           "increment");
    Expect(client_->Run({.verb = Verb::kDecrement, .key = n, .delta = 1}).number == 14,
           "decrement");
    const Result zero = client_->Run({.verb = Verb::kDecrement, .key = n, .delta = 100});
    Expect(zero.ok() && zero.number == 0, "decrement stops at 0");
    Expect(client_->Set(n, "abc"), Status::kOk, "no number");
    Expect(client_->Run({.verb = Verb::kIncrement, .key = n}), Status::kNotANumber,
           "increment of no number");
    Expect(
        client_->Run({.verb = Verb::kIncrement, .key = Key("made"), .initial = 7, .makes = true}),
        is_text() ? Status::kUnsupported : Status::kOk, "increment makes the item");
    if (!is_text()) Expect(client_->Get(Key("made")).value == "7", "with its first value");
  }

  void Expiry() {
    const std::string k = Key("expiry");
    Expect(client_->Set(k, "x", -1), Status::kOk, "set of what is over already");
    Expect(client_->Get(k), Status::kNotFound, "which is not there");
    Expect(client_->Set(k, "x", 1000), Status::kOk, "set with an expiry");
    Expect(client_->Run({.verb = Verb::kGat, .key = k, .exptime = 2000}).value == "x", "gat");
    Expect(client_->Run({.verb = Verb::kTouch, .key = k, .exptime = 0}), Status::kOk, "touch");
    Expect(client_->Get(k).value == "x", "still there");
    Expect(client_->Run({.verb = Verb::kTouch, .key = k, .exptime = -1}), Status::kOk,
           "touch that ends it");
    Expect(client_->Get(k), Status::kNotFound, "gone");
    Expect(client_->Run({.verb = Verb::kTouch, .key = k}), Status::kNotFound, "touch of nothing");
    Expect(client_->Run({.verb = Verb::kGat, .key = k}), Status::kNotFound, "gat of nothing");
  }

  void Keys() {
    const std::string longest = Key(std::string(250 - prefix_.size(), 'k'));
    Expect(client_->Set(longest, "x"), Status::kOk, "the longest key");
    Expect(client_->Get(longest).value == "x", "and read back");
    Expect(client_->Get(longest + "k"), Status::kBadKey, "too long a key");
    const std::string odd = Key("a b\xc3\xa9\x01");
    const Status wanted = is_text() ? Status::kBadKey : Status::kOk;
    Expect(client_->Set(odd, "odd"), wanted, "a key of any bytes");
    if (!is_text()) Expect(client_->Get(odd).value == "odd", "and read back");
  }

  void Batches() {
    constexpr size_t kCount = 2000;
    std::vector<std::string> keys;
    std::vector<Operation> operations;
    for (size_t i = 0; i < kCount; ++i) keys.push_back(Key("batch" + std::to_string(i)));
    for (const std::string& key : keys) {
      operations.push_back({.verb = Verb::kSet, .key = key, .value = key});
    }
    size_t good = 0;
    for (const Result& result : client_->Run(operations)) good += result.ok();
    Expect(good == kCount, "a batch of sets");
    operations.clear();
    for (size_t i = 0; i < kCount; i += 2) {
      operations.push_back({.verb = Verb::kDelete, .key = keys[i]});
    }
    good = 0;
    for (const Result& result : client_->Run(operations)) good += result.ok();
    Expect(good == kCount / 2, "a batch of deletes");
    good = 0;
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const std::vector<Result> results = client_->Get(views);
    for (size_t i = 0; i < kCount; ++i) {
      good += i % 2 == 0 ? results[i].status == Status::kNotFound : results[i].value == keys[i];
    }
    Expect(good == kCount, "a batch of gets, half of them misses");
    Mixed();
    Large();
  }

  // Operations of one key take effect in their order.
  void Mixed() {
    const std::string a = Key("mixed"), none = Key("nothing");
    const std::vector<Operation> operations = {
        {.verb = Verb::kGet, .key = none},
        {.verb = Verb::kSet, .key = a, .value = "1"},
        {.verb = Verb::kGet, .key = a},
        {.verb = Verb::kIncrement, .key = a, .delta = 41},
        {.verb = Verb::kAdd, .key = a, .value = "x"},
        {.verb = Verb::kReplace, .key = none, .value = "x"},
        {.verb = Verb::kGets, .key = a},
        {.verb = Verb::kTouch, .key = none, .exptime = 5},
        {.verb = Verb::kDelete, .key = none},
        {.verb = Verb::kDelete, .key = a},
        {.verb = Verb::kGet, .key = a},
    };
    const std::vector<Result> r = client_->Run(operations);
    const Status wanted[] = {Status::kNotFound, Status::kOk,        Status::kOk,
                             Status::kOk,       Status::kNotStored, Status::kNotStored,
                             Status::kOk,       Status::kNotFound,  Status::kNotFound,
                             Status::kOk,       Status::kNotFound};
    for (size_t i = 0; i < r.size(); ++i) Expect(r[i], wanted[i], "a mixed batch, in order");
    Expect(r[2].value == "1" && r[3].number == 42 && r[6].value == "42", "and what it read");
  }

  // More in both directions than all buffers between the two hold.
  void Large() {
    const std::string value(200'000, 'v');
    std::vector<std::string> keys;
    for (int i = 0; i < 8; ++i) keys.push_back(Key("large" + std::to_string(i)));
    std::vector<Operation> operations;
    for (int round = 0; round < 5; ++round) {
      for (const std::string& key : keys) {
        operations.push_back({.verb = Verb::kSet, .key = key, .value = value});
        operations.push_back({.verb = Verb::kGet, .key = key});
      }
    }
    size_t good = 0;
    for (const Result& result : client_->Run(operations)) {
      good += result.ok() && (result.value.empty() || result.value == value);
    }
    Expect(good == operations.size(), "a batch of many megabytes, both ways");
  }

  void Servers() {
    for (size_t server = 0; server < client_->server_count(); ++server) {
      Expect(client_->RunOn(server, {.verb = Verb::kNoop}), Status::kOk, "noop");
      const Result version = client_->RunOn(server, {.verb = Verb::kVersion});
      Expect(version.ok() && version.value.find('.') != version.value.npos, "version");
      const Result stats = client_->RunOn(server, {.verb = Verb::kStats});
      Expect(stats.ok() && stats.value.find("\ncurr_items ") != stats.value.npos, "stats");
      // Each server has what the ring gave it, and nothing else had to be asked.
      const std::string key = Key("on" + std::to_string(server));
      Expect(client_->RunOn(server, {.verb = Verb::kSet, .key = key, .value = "x"}), Status::kOk,
             "set at a server");
      const Status there = client_->ServerOf(key) == server ? Status::kOk : Status::kNotFound;
      Expect(client_->Get(key), there, "is found where the ring says, and nowhere else");
    }
  }

  // The connection is of use afterwards.
  void Refusals() {
    const std::string huge(3 << 20, 'h');
    const Result refused = client_->Set(Key("huge"), huge);
    // A server may also close on it while it is still being sent.
    Expect(refused.status == Status::kTooLarge || refused.status == Status::kLost,
           "a value larger than any item");
    Expect(client_->Set(Key("after"), "x"), Status::kOk, "and the next set");
    Expect(client_->Get(Key("after")).value == "x", "and get");
  }

  Client* client_;
  Protocol protocol_;
  std::string prefix_;
  int count_ = 0;
  int failed_ = 0;
};

int Usage() {
  std::fprintf(stderr,
               "usage: try text|meta|binary PREFIX ADDRESS... [--user NAME --password PASSWORD]\n");
  return 2;
}

int Main(int argc, char** argv) {
  // What was said before a time-out kills this is the explanation.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc < 4) return Usage();
  Options options;
  const std::string_view protocol = argv[1];
  if (protocol == "text") {
    options.protocol = Protocol::kText;
  } else if (protocol == "meta") {
    options.protocol = Protocol::kMeta;
  } else if (protocol == "binary") {
    options.protocol = Protocol::kBinary;
  } else {
    return Usage();
  }
  options.timeout_ms = options.connect_timeout_ms = 30'000;
  options.retry_ms = 0;
  for (int i = 3; i < argc; ++i) {
    if (std::strcmp(argv[i], "--user") == 0 && i + 1 < argc) {
      options.user = argv[++i];
    } else if (std::strcmp(argv[i], "--password") == 0 && i + 1 < argc) {
      options.password = argv[++i];
    } else {
      options.servers.push_back({.address = argv[i]});
    }
  }
  if (options.servers.empty()) return Usage();
  Client client(options);
  return Trial(&client, options.protocol, argv[2]).Run();
}

}  // namespace
}  // namespace torc::client

int main(int argc, char** argv) { return torc::client::Main(argc, argv); }
