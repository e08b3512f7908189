#include "proto/meta/reply.h"

#include "proto/text/numbers.h"
#include "proto/text/parser.h"

namespace torc::proto {

bool ParseMetaReply(std::string_view line, MetaReply* out) {
  if (!line.ends_with('\n')) return false;
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::string_view code = NextToken(&line);
  MetaReply reply;
  if (code == "VA") {
    reply.has_value = true;
    if (!ReadStrictU32(NextToken(&line), &reply.value_size)) return false;
  } else if (code == "EN") {
    reply.status = MetaStatus::kMiss;
  } else if (code == "NF") {
    reply.status = MetaStatus::kNotFound;
  } else if (code == "NS") {
    reply.status = MetaStatus::kNotStored;
  } else if (code == "EX") {
    reply.status = MetaStatus::kExists;
  } else if (code != "HD") {
    return false;
  }
  reply.flags = line;
  *out = reply;
  return true;
}

bool NextMetaFlag(std::string_view* flags, char* letter, std::string_view* token) {
  const std::string_view flag = NextToken(flags);
  if (flag.empty()) return false;
  *letter = flag[0];
  *token = flag.substr(1);
  return true;
}

}  // namespace torc::proto
