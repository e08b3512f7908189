#include "src/client/operation.h"

namespace torc::client {

std::string_view Name(Status status) {
  switch (status) {
    case Status::kOk:
      return "ok";
    case Status::kNotFound:
      return "not found";
    case Status::kNotStored:
      return "not stored";
    case Status::kExists:
      return "exists with another CAS";
    case Status::kNotANumber:
      return "not a number";
    case Status::kTooLarge:
      return "too large";
    case Status::kNoMemory:
      return "the server has no memory for it";
    case Status::kUnauthenticated:
      return "not authenticated";
    case Status::kServerError:
      return "refused by the server";
    case Status::kBadKey:
      return "not a key of this protocol";
    case Status::kUnsupported:
      return "not in this protocol";
    case Status::kUnreachable:
      return "server unreachable";
    case Status::kTimedOut:
      return "timed out";
    case Status::kLost:
      return "connection lost";
    case Status::kProtocol:
      return "not a reply";
  }
  return {};
}

}  // namespace torc::client
