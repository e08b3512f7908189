// What holds for every input of the parser, as a libFuzzer target. The input is a stream: its lines
// are parsed one after the other, what is left over is an unfinished line. parser_smoke_test.cc
// runs the same on a few thousand mutations, without libFuzzer.
//
//   ./dev fuzz fuzz_parser
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/text/encoder.h"
#include "proto/text/operator.h"
#include "proto/text/parser.h"
#include "src/base/assert.h"

namespace torc::proto {
namespace {

bool Inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void CheckEqual(const Request& a, const Request& b) {
  CHECK(a.command == b.command);
  CHECK(a.error == b.error);
  CHECK(a.noreply == b.noreply);
  CHECK(a.swallow_value == b.swallow_value);
  CHECK(a.key == b.key);
  CHECK(a.rest == b.rest);
  CHECK_EQ(a.cas, b.cas);
  CHECK_EQ(a.client_flags, b.client_flags);
  CHECK(a.exptime == b.exptime);
  CHECK_EQ(a.value_size, b.value_size);
}

void CheckKeys(const Request& request, std::string_view line) {
  std::string_view rest = request.rest;
  size_t keys = 0;
  for (;;) {
    const size_t left = rest.size();
    std::string_view key;
    const KeyStep step = NextKey(&rest, &key);
    if (step != KeyStep::kKey) {
      CHECK(step == KeyStep::kTooLong || keys > 0);
      return;
    }
    ++keys;
    CHECK_LT(rest.size(), left);
    CHECK_LE(key.size(), kKeyBytesMax);
    CHECK(!key.empty() && Inside(key, line) && key.find(' ') == std::string_view::npos);
    char header[kValueHeaderBytesMax];
    const char* end = EncodeValueHeader(header, key, request.client_flags, request.value_size, 1);
    CHECK(end <= header + sizeof(header));
  }
}

void CheckOperator(const OperatorRequest& request) {
  CHECK_LT(static_cast<size_t>(request.error), kCauseCount);
  CHECK((request.classes >> 64).none());
  if (request.error != Cause::kNone) return;
  CHECK(request.from <= 63 && request.to <= 63);
}

void CheckLine(std::string_view line) {
  const Request request = ParseLine(line);
  CheckEqual(request, internal::ParseLineInFull(line));
  CHECK(Inside(request.key, line));
  CHECK(Inside(request.rest, line));
  CHECK_LE(request.value_size, kValueBytesMax);
  CHECK(!request.swallow_value || (request.error != Cause::kNone && IsStore(request.command)));
  if (request.error != Cause::kNone) return;
  CHECK(request.command != Command::kInvalid);
  const bool keyed = request.command >= Command::kSet && request.command <= Command::kDelete;
  CHECK(keyed == !request.key.empty());
  CHECK_LE(request.key.size(), kKeyBytesMax);
  CHECK(request.key.find(' ') == std::string_view::npos);
  if (IsRetrieval(request.command)) CheckKeys(request, line);
  if (IsOperator(request.command)) CheckOperator(ParseOperator(request.command, request.rest, 63));
  if (request.command == Command::kStats) CheckOperator(ParseCachedump(request.rest, 63));
}

}  // namespace
}  // namespace torc::proto

// libFuzzer declares it nowhere.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view stream(reinterpret_cast<const char*>(data), size);
  for (;;) {
    const size_t newline = stream.find('\n');
    if (newline == std::string_view::npos) break;
    torc::proto::CheckLine(stream.substr(0, newline + 1));
    stream.remove_prefix(newline + 1);
  }
  CHECK(torc::proto::MayGrow(stream) || stream.size() > torc::proto::kUnfinishedLineBytesMax);
  return 0;
}
