// The meta commands, as memcached 1.6.45 was seen to speak them. Each row of the tables is one line
// sent to it and what it did.
#include "proto/meta/parser.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/meta/base64.h"

namespace torc::proto {
namespace {

const std::string kKey250(250, 'k');
const std::string kKey251(251, 'k');

MetaRequest Parse(std::string_view line, std::string_view line_end = "\r\n") {
  // Requests point into their line, and a case looks at one request at a time.
  static std::string kept;
  kept.assign(line);
  kept += line_end;
  CAPTURE(line);
  REQUIRE(IsMetaLine(kept));
  return ParseMetaLine(kept);
}

struct ErrorCase {
  std::string line;
  MetaError error;
  std::string_view text;
};

void CheckErrors(const std::vector<ErrorCase>& cases) {
  for (const ErrorCase& c : cases) {
    CAPTURE(c.line);
    const MetaRequest request = Parse(c.line);
    CHECK(request.error == c.error);
    CHECK(MetaErrorText(request.command, request.error) == std::string(c.text) + "\r\n");
  }
}

constexpr std::string_view kBadFormat = "CLIENT_ERROR bad command line format";
constexpr std::string_view kBadTokenText = "CLIENT_ERROR bad token in command line format";
constexpr std::string_view kDuplicate = "CLIENT_ERROR duplicate flag";
constexpr std::string_view kInvalid = "CLIENT_ERROR invalid flag";
constexpr std::string_view kTooLong = "CLIENT_ERROR options flags are too long";
constexpr std::string_view kDecoding = "CLIENT_ERROR error decoding key";
constexpr std::string_view kArithmetic = "CLIENT_ERROR invalid or duplicate flag";

std::string Repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST_CASE("meta lines are told by their first three bytes") {
  for (std::string_view line : {"mg k\r\n", "mg  k\n", "ms k 1\r\n", "md k\r\n", "ma k\n", "me k\n",
                                "mg\r\n", "mg \n", "ms \r\n"}) {
    CAPTURE(line);
    CHECK(IsMetaLine(line));
  }
  for (std::string_view line :
       {"mn\r\n", "mn x\r\n", "mg\n", "MG k\r\n", " mg k\r\n", "mgk\r\n", "mg\tk\r\n", "mx k\r\n",
        "get k\r\n", "m\r\n", "\r\n", "mg\r \n", "mg\rk\r\n"}) {
    CAPTURE(line);
    CHECK_FALSE(IsMetaLine(line));
  }
}

TEST_CASE("mg: a key, and flags of which some have tokens") {
  const MetaRequest r = Parse("mg foo s v t O123 q k C5 E6 N30 R-1 T2147483647 c f l h u");
  CHECK(r.error == MetaError::kNone);
  CHECK(r.command == MetaCommand::kGet);
  CHECK(r.key == "foo");
  CHECK(r.decoded_key_size == 3);
  CHECK(r.with_value);
  CHECK(r.quiet);
  CHECK(r.compares_cas);
  CHECK(r.cas_compare == 5);
  CHECK(r.sets_cas);
  CHECK(r.cas_new == 6);
  CHECK(r.vivifies);
  CHECK(r.vivify_exptime == 30);
  CHECK(r.recache_exptime == -1);
  CHECK(r.exptime == 2147483647);
  CHECK(r.Has('u'));
  CHECK(r.Has('R'));
  CHECK_FALSE(r.Has('b'));
  CHECK_FALSE(r.Has('x'));
  CHECK(r.echo.letters_view() == "stOkNTcflh");
  CHECK(r.echo.opaque_view() == "123");
}

TEST_CASE("blanks and line ends") {
  for (std::string_view line : {"mg k v", "mg  k  v", "mg k v ", "mg k    v   "}) {
    for (std::string_view line_end : {"\r\n", "\n"}) {
      CAPTURE(line);
      const MetaRequest r = Parse(line, line_end);
      CHECK(r.error == MetaError::kNone);
      CHECK(r.key == "k");
      CHECK(r.with_value);
    }
  }
  CHECK(Parse("mg k\tx v").key == "k\tx");
  CHECK(Parse(std::string("mg k\0x v", 8)).key == std::string("k\0x", 3));
  CHECK(Parse(std::string("mg k v\0", 7)).with_value);
}

TEST_CASE("what stands behind a flag without a token is not looked at") {
  const MetaRequest r = Parse("mg k vx sabc k-9 q! Pa/b Lc");
  CHECK(r.error == MetaError::kNone);
  CHECK(r.with_value);
  CHECK(r.quiet);
  CHECK(r.echo.letters_view() == "sk");
}

TEST_CASE("a line that lacks its key or its size") {
  CheckErrors({
      {"mg", MetaError::kTooFewTokens, kBadFormat},
      {"mg ", MetaError::kTooFewTokens, kBadFormat},
      {"ms", MetaError::kTooFewTokens, kBadFormat},
      {"ms k", MetaError::kTooFewTokens, kBadFormat},
      {"ms k ", MetaError::kTooFewTokens, kBadFormat},
      {"md", MetaError::kTooFewTokens, kBadFormat},
      {"ma", MetaError::kTooFewTokens, kBadFormat},
      {"me", MetaError::kTooFewTokens, kBadFormat},
  });
}

TEST_CASE("the size of ms is a strict number; the older S form is gone") {
  for (std::string_view size : {"S3", "x", "-1", "+3", "3x", "000000000003", "2147483646",
                                "2147483647", "4294967299", "T0", "noreply"}) {
    CAPTURE(size);
    const MetaRequest r = Parse("ms k " + std::string(size) + " T0");
    CHECK(r.error == MetaError::kBadValueSize);
    CHECK_FALSE(r.swallow_value);
    CHECK(MetaErrorText(r.command, r.error) == std::string(kBadFormat) + "\r\n");
  }
  CHECK(Parse("ms k 03").value_size == 3);
  CHECK(Parse("ms k 00000000003").value_size == 3);
  CHECK(Parse("ms k 2147483645").value_size == 2147483645);
  CHECK(Parse("ms k -").value_size == 0);
}

TEST_CASE("keys have at most 250 bytes") {
  CHECK(Parse("mg " + kKey250).error == MetaError::kNone);
  CheckErrors({
      {"mg " + kKey251, MetaError::kKeyTooLong, kBadFormat},
      {"mg " + kKey251 + " q", MetaError::kKeyTooLong, kBadFormat},
      {"mg " + kKey251 + " v v", MetaError::kKeyTooLong, kBadFormat},
      {"mg " + kKey251 + " b", MetaError::kKeyTooLong, kBadFormat},
      {"mg " + kKey251 + Repeat(" v", 30), MetaError::kKeyTooLong, kBadFormat},
      {"ms " + kKey251 + " 3", MetaError::kKeyTooLong, kBadFormat},
      {"md " + kKey251, MetaError::kKeyTooLong, kBadFormat},
      {"me " + kKey251, MetaError::kKeyTooLong, kBadFormat},
      {"ma " + kKey251, MetaError::kKeyTooLong, kArithmetic},
  });
}

TEST_CASE("a flag begins with a letter or a digit, or the line is not understood at all") {
  for (int byte = 1; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (c == ' ' || c == '\n' || c == '\r') continue;
    CAPTURE(byte);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    CHECK((Parse(std::string("mg k ") + c).error == MetaError::kFlagNotAlnum) == !alnum);
    const MetaRequest ms = Parse(std::string("ms k 3 ") + c);
    CHECK((ms.error == MetaError::kFlagNotAlnum) == !alnum);
    if (!alnum) CHECK_FALSE(ms.swallow_value);
  }
  CheckErrors({
      {"mg k v v ?", MetaError::kFlagNotAlnum, kBadFormat},
      {"mg " + kKey251 + " ?", MetaError::kFlagNotAlnum, kBadFormat},
      {"ma k ?", MetaError::kFlagNotAlnum, kBadFormat},
      {"me k ?", MetaError::kFlagNotAlnum, kBadFormat},
      // It is looked for in 23 tokens.
      {"mg k" + Repeat(" v", 20) + " ?", MetaError::kFlagNotAlnum, kBadFormat},
      {"mg k" + Repeat(" v", 21) + " ?", MetaError::kTooManyFlags, kTooLong},
      {"ms k 3" + Repeat(" v", 19) + " ?", MetaError::kFlagNotAlnum, kBadFormat},
      {"ms k 3" + Repeat(" v", 20) + " ?", MetaError::kTooManyFlags, kTooLong},
  });
}

TEST_CASE("unknown flags") {
  for (char c : std::string_view("ABGHKQSUVWXYZadegijmnoprwyz0123456789")) {
    CAPTURE(c);
    const MetaRequest r = Parse(std::string("mg k ") + c + "0");
    CHECK(r.error == MetaError::kUnknownFlag);
    CHECK(MetaErrorText(r.command, r.error) == std::string(kInvalid) + "\r\n");
  }
  // The others are known to every command, wanted or not.
  for (char c : std::string_view("CDEFIJLMNOPRTcfhklqstuvx")) {
    CAPTURE(c);
    CHECK(Parse(std::string("mg k ") + c + "0").error == MetaError::kNone);
    CHECK(Parse(std::string("md k ") + c + "0").error == MetaError::kNone);
  }
  CheckErrors({
      {"mg k noreply", MetaError::kUnknownFlag, kInvalid},
      {"mg k T 5", MetaError::kUnknownFlag, kInvalid},
  });
}

TEST_CASE("the first of duplicate and unknown flags ends the look at them") {
  CheckErrors({
      {"mg k v v", MetaError::kDuplicateFlag, kDuplicate},
      {"mg k L1 L2", MetaError::kDuplicateFlag, kDuplicate},
      {"mg k v v 5", MetaError::kDuplicateFlag, kDuplicate},
      {"mg k 5 v v", MetaError::kUnknownFlag, kInvalid},
      {"mg k Tx v v", MetaError::kDuplicateFlag, kDuplicate},
      {"mg k v v Tx", MetaError::kDuplicateFlag, kDuplicate},
      {"mg *** b v v", MetaError::kDuplicateFlag, kDuplicate},
      {"ms k 3 v v", MetaError::kDuplicateFlag, kDuplicate},
      {"ma k v v", MetaError::kDuplicateFlag, kArithmetic},
      {"ma k A", MetaError::kUnknownFlag, kArithmetic},
  });
}

TEST_CASE("at most 20 tokens, the command's name among them") {
  const std::string flags = " v c f h k l s t u O1 P L I x T5 R5 N5";  // 17
  CHECK(Parse("mg k" + flags + " C5").error == MetaError::kNone);
  CHECK(Parse("ms k 3" + flags).error == MetaError::kNone);
  CheckErrors({
      {"mg k" + flags + " C5 E5", MetaError::kTooManyFlags, kTooLong},
      {"ms k 3" + flags + " C5", MetaError::kTooManyFlags, kTooLong},
      {"mg k" + Repeat(" v", 18), MetaError::kDuplicateFlag, kDuplicate},
      {"mg k" + Repeat(" v", 19), MetaError::kTooManyFlags, kTooLong},
      {"mg k" + Repeat(" v", 1000), MetaError::kTooManyFlags, kTooLong},
      {"ma k" + Repeat(" v", 30), MetaError::kTooManyFlags, kArithmetic},
  });
  CHECK(Parse("me k" + Repeat(" v", 30)).error == MetaError::kNone);
}

TEST_CASE("times are strict numbers of 32 bits with a sign") {
  struct Row {
    std::string_view token;
    int32_t value;
  };
  constexpr Row kGood[] = {{"0", 0},
                           {"-", 0},
                           {"-1", -1},
                           {"00000000100", 100},
                           {"2147483647", 2147483647},
                           {"-2147483648", -2147483648}};
  for (const Row& row : kGood) {
    for (char flag : {'T', 'N', 'R'}) {
      CAPTURE(row.token);
      const MetaRequest r = Parse(std::string("mg k ") + flag + std::string(row.token));
      CHECK(r.error == MetaError::kNone);
      CHECK((flag == 'T'   ? r.exptime
             : flag == 'N' ? r.vivify_exptime
                           : r.recache_exptime) == row.value);
    }
  }
  for (std::string_view token : {"", "x", "+5", "5x", "--1", "2147483648", "4294967296",
                                 "99999999999", "000000000100", "0000000000000"}) {
    for (char flag : {'T', 'N', 'R'}) {
      CAPTURE(token);
      const MetaRequest r = Parse(std::string("mg k ") + flag + std::string(token));
      CHECK(r.error == MetaError::kBadToken);
      CHECK(MetaErrorText(r.command, r.error) == std::string(kBadTokenText) + "\r\n");
    }
  }
}

TEST_CASE("CAS numbers, deltas, initial values and client flags are strict numbers") {
  for (std::string_view token : {"0", "1", "18446744073709551615", "0000000000000000000001"}) {
    for (char flag : {'C', 'E', 'D', 'J'}) {
      CAPTURE(token);
      CHECK(Parse(std::string("ma k ") + flag + std::string(token)).error == MetaError::kNone);
    }
  }
  for (std::string_view token : {"", "x", "-", "-1", "+1", "18446744073709551616",
                                 "99999999999999999999", "00000000000000000000001"}) {
    CAPTURE(token);
    const std::string t(token);
    CheckErrors(
        {{"mg k C" + t, MetaError::kBadToken, kBadTokenText},
         {"mg k E" + t, MetaError::kBadToken, kBadTokenText},
         {"mg k D" + t, MetaError::kBadDelta, "CLIENT_ERROR invalid numeric delta value"},
         {"mg k J" + t, MetaError::kBadInitial, "CLIENT_ERROR invalid numeric initial value"},
         {"ma k D" + t, MetaError::kBadDelta, kArithmetic}});
  }
  CHECK(Parse("ms k 3 F4294967295").client_flags == 4294967295);
  CHECK(Parse("ms k 3 F00000000001").client_flags == 1);
  for (std::string_view token : {"", "x", "-1", "-0", "+1", "4294967296", "5x", "000000000001"}) {
    CAPTURE(token);
    CheckErrors({{"ms k 3 F" + std::string(token), MetaError::kBadClientFlags, kBadFormat}});
  }
}

TEST_CASE("of several bad tokens the last is answered, but F never overrules") {
  CheckErrors({
      {"mg k Dx Tx", MetaError::kBadToken, kBadTokenText},
      {"mg k Jx Tx", MetaError::kBadToken, kBadTokenText},
      {"mg k Tx Jx", MetaError::kBadInitial, "CLIENT_ERROR invalid numeric initial value"},
      {"mg k Fx Tx", MetaError::kBadToken, kBadTokenText},
      {"mg k Tx Fx", MetaError::kBadToken, kBadTokenText},
      {"mg *** b Tx", MetaError::kBadToken, kBadTokenText},
      {"mg *** b", MetaError::kBadBase64, kDecoding},
      {"mg *** Tx b", MetaError::kBadBase64, kDecoding},
      {"mg k Jx b", MetaError::kBadBase64, kDecoding},
      {"ma *** b", MetaError::kBadBase64, kArithmetic},
      {"me *** b", MetaError::kBadBase64, kBadFormat},
  });
}

TEST_CASE("opaque tokens have at most 31 bytes behind the O") {
  const std::string x31(31, 'x');
  CHECK(Parse("mg k O").echo.opaque_view().empty());
  CHECK(Parse("mg k O").echo.letters_view() == "O");
  CHECK(Parse("mg k O" + x31).echo.opaque_view() == x31);
  CHECK(Parse("mg k Oa\tb").echo.opaque_view() == "a\tb");
  constexpr std::string_view kText = "CLIENT_ERROR opaque token too long";
  CheckErrors({
      {"mg k Ox" + x31, MetaError::kOpaqueTooLong, kText},
      {"mg k q Ox" + x31, MetaError::kOpaqueTooLong, kText},
      {"ms k 3 Ox" + x31, MetaError::kOpaqueTooLong, kText},
      {"md k Ox" + x31, MetaError::kOpaqueTooLong, kText},
      {"ma k Ox" + x31, MetaError::kOpaqueTooLong, kText},
      {"ma k Mx Ox" + x31, MetaError::kBadMode, "CLIENT_ERROR invalid mode for ma M token"},
  });
}

TEST_CASE("modes: the first letter counts") {
  struct Row {
    std::string_view line;
    MetaMode mode;
  };
  constexpr Row kRows[] = {
      {"ms k 3", MetaMode::kSet},        {"ms k 3 MS", MetaMode::kSet},
      {"ms k 3 MSET", MetaMode::kSet},   {"ms k 3 ME", MetaMode::kAdd},
      {"ms k 3 MA", MetaMode::kAppend},  {"ms k 3 MP", MetaMode::kPrepend},
      {"ms k 3 MR", MetaMode::kReplace}, {"ma k", MetaMode::kIncrement},
      {"ma k MI", MetaMode::kIncrement}, {"ma k M+", MetaMode::kIncrement},
      {"ma k MD", MetaMode::kDecrement}, {"ma k M-", MetaMode::kDecrement},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.line);
    CHECK(Parse(row.line).error == MetaError::kNone);
    CHECK(Parse(row.line).mode == row.mode);
  }
  for (std::string_view mode : {"", "x", "s", "e", "a", "i", "I", "D", "+"}) {
    CheckErrors({{"ms k 3 M" + std::string(mode), MetaError::kBadMode,
                  "CLIENT_ERROR invalid mode for ms M token"}});
    CHECK(Parse("ms k 3 M" + std::string(mode)).swallow_value);
  }
  for (std::string_view mode : {"", "x", "i", "incr", "S", "E", "A"}) {
    CheckErrors({{"ma k M" + std::string(mode), MetaError::kBadMode,
                  "CLIENT_ERROR invalid mode for ma M token"}});
  }
  CHECK(Parse("mg k Mxyz").error == MetaError::kNone);
  CHECK(Parse("md k M").error == MetaError::kNone);
}

TEST_CASE("ms with an error drops its value, if the line was understood so far") {
  for (std::string_view flags :
       {"v v", "z", "Tx", "Fx", "C", "Mx", "b", "Oxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}) {
    CAPTURE(flags);
    const MetaRequest r = Parse("ms k 7 " + std::string(flags));
    CHECK(r.error != MetaError::kNone);
    CHECK(r.swallow_value);
    CHECK(r.value_size == 7);
  }
  CHECK(Parse("ms " + kKey251 + " 7").swallow_value);
  CHECK(Parse("ms k 7" + Repeat(" v", 30)).swallow_value);
  CHECK_FALSE(Parse("ms k 7").swallow_value);
  CHECK_FALSE(Parse("mg k v v").swallow_value);
}

TEST_CASE("which CAS numbers compare") {
  CHECK(Parse("ms k 3 C0").compares_cas);
  CHECK(Parse("ms k 3 C0 MR").compares_cas);
  CHECK_FALSE(Parse("ms k 3").compares_cas);
  CHECK_FALSE(Parse("ms k 3 C5 ME").compares_cas);
  CHECK_FALSE(Parse("ms k 3 C0 MA").compares_cas);
  CHECK(Parse("ms k 3 C5 MP").compares_cas);
  CHECK(Parse("md k C0").compares_cas);
  CHECK_FALSE(Parse("ma k C0").compares_cas);
  CHECK(Parse("ma k C5").compares_cas);
  CHECK(Parse("mg k C0").compares_cas);
}

TEST_CASE("which CAS numbers are set") {
  CHECK_FALSE(Parse("ms k 3 E0").sets_cas);
  CHECK(Parse("ms k 3 E1").sets_cas);
  CHECK(Parse("mg k N0 E0").sets_cas);
  CHECK(Parse("md k I E0").sets_cas);
  CHECK(Parse("ma k E0").sets_cas);
}

TEST_CASE("invalidation needs a CAS to compare in ms, and an overwriting mode") {
  CHECK(Parse("ms k 3 C1 I").invalidates);
  CHECK(Parse("ms k 3 C1 I MR").invalidates);
  CHECK_FALSE(Parse("ms k 3 I").invalidates);
  CHECK_FALSE(Parse("ms k 3 C1 I ME").invalidates);
  CHECK_FALSE(Parse("ms k 3 C1 I MA").invalidates);
  CHECK(Parse("md k I").invalidates);
  CHECK_FALSE(Parse("mg k I").invalidates);
  CHECK_FALSE(Parse("ma k I").invalidates);
}

TEST_CASE("absent items are made by mg, ma, and an ms that appends or prepends") {
  CHECK(Parse("mg k N0").vivifies);
  CHECK(Parse("ma k N0").vivifies);
  CHECK(Parse("ms k 3 N0 MA").vivifies);
  CHECK(Parse("ms k 3 N0 MP").vivifies);
  CHECK_FALSE(Parse("ms k 3 N0").vivifies);
  CHECK_FALSE(Parse("md k N0").vivifies);
  CHECK_FALSE(Parse("mg k").vivifies);
}

TEST_CASE("ma: delta and initial value") {
  CHECK(Parse("ma k").delta == 1);
  CHECK(Parse("ma k").initial == 0);
  CHECK(Parse("ma k D0 J7").delta == 0);
  CHECK(Parse("ma k D0 J7").initial == 7);
}

TEST_CASE("me knows b, in the first place, and nothing else") {
  CHECK_FALSE(Parse("me aw==").key_is_base64);
  CHECK(Parse("me aw== b").key_is_base64);
  CHECK(Parse("me aw== b x").key_is_base64);
  CHECK_FALSE(Parse("me aw== v b").key_is_base64);
  CHECK(Parse("me k v v 1").error == MetaError::kNone);
}

TEST_CASE("what q silences") {
  const auto silent = [](std::string_view line) {
    const MetaRequest r = Parse(line);
    std::string statuses;
    for (const auto& [status, name] : {std::pair{MetaStatus::kOk, "HD "},
                                       {MetaStatus::kMiss, "EN "},
                                       {MetaStatus::kNotFound, "NF "},
                                       {MetaStatus::kNotStored, "NS "},
                                       {MetaStatus::kExists, "EX "}}) {
      if (IsSilent(r, status)) statuses += name;
    }
    return statuses;
  };
  CHECK(silent("mg k q") == "EN ");
  CHECK(silent("ms k 3 q") == "HD ");
  CHECK(silent("md k q") == "HD ");
  CHECK(silent("ma k q") == "HD ");
  CHECK(silent("mg k") == "");
  CHECK(silent("ms k 3") == "");
}

TEST_CASE("base64, as memcached decodes it") {
  struct Row {
    std::string_view text;
    std::string_view canonical;  // "": does not decode
  };
  constexpr Row kRows[] = {
      {"YQ==", "YQ=="},
      {"YR==", "YQ=="},
      {"YWI=", "YWI="},
      {"YWJ=", "YWI="},
      {"YWJj", "YWJj"},
      {"YWJjYQ==", "YWJjYQ=="},
      {"YQ==YQ==", "YQ=="},
      {"YQ==xxxx", "YQ=="},
      {"YQ==****", "YQ=="},
      {"YWJj*", "YWJj"},
      {"YW=j", "YWA="},
      {"=QQ=", "AQ=="},
      {"YQ=x", "YQA="},
      {"YW+/", "YW+/"},
      {"AAAA", "AAAA"},
      {"Cg==", "Cg=="},
      {"Y*Q=*=", "YQ=="},
      {"YQ==x", ""},
      {"YWJjY", ""},
      {"YWJjYW", ""},
      {"YWJjYWI", ""},
      {"Y===", ""},
      {"====", ""},
      {"=", ""},
      {"YWI=x", ""},
      {"YWJjx===", ""},
      {"YW-_", ""},
      {"***", ""},
      {"k", ""},
      {"", ""},
      {"bm8==", ""},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.text);
    const size_t size = Base64DecodedSize(row.text);
    CHECK((size == 0) == row.canonical.empty());
    if (size == 0) continue;
    char decoded[64];
    const std::string_view bytes(decoded,
                                 static_cast<size_t>(DecodeBase64(decoded, row.text) - decoded));
    CHECK(bytes.size() == size);
    char encoded[64];
    CHECK(std::string_view(encoded, static_cast<size_t>(EncodeBase64(encoded, bytes) - encoded)) ==
          row.canonical);
    CHECK(Base64Size(size) == row.canonical.size());
  }
}

TEST_CASE("base64: what is encoded decodes to itself, in place too") {
  std::string bytes;
  for (int size = 1; size <= 250; ++size) {
    bytes += static_cast<char>(size * 37);
    std::string text(Base64Size(bytes.size()), '?');
    CHECK(EncodeBase64(text.data(), bytes) == text.data() + text.size());
    CHECK(Base64DecodedSize(text) == bytes.size());
    char* const end = DecodeBase64(text.data(), text);
    CHECK(std::string_view(text.data(), static_cast<size_t>(end - text.data())) == bytes);
  }
}

TEST_CASE("a key in base64 stays as it stands on the line") {
  const MetaRequest r = Parse("mg Zm9v k b v");
  CHECK(r.error == MetaError::kNone);
  CHECK(r.key_is_base64);
  CHECK(r.key == "Zm9v");
  CHECK(r.decoded_key_size == 3);
  CHECK(r.echo.letters_view() == "k");
}

}  // namespace
}  // namespace torc::proto
