#include "comm/call.h"

namespace cleave {
namespace {

[[noreturn]] void invalid(const std::string& what) { throw Error(ErrorCode::kInvalid, what); }

const char* name_of(Operation operation) {
  switch (operation) {
    case Operation::kAllReduce:
      return "all_reduce";
    case Operation::kAllGather:
      return "all_gather";
    case Operation::kReduceScatter:
      return "reduce_scatter";
    case Operation::kRedistribute:
      return "redistribute";
    case Operation::kBroadcast:
      return "broadcast";
    case Operation::kPermute:
      return "permute";
    case Operation::kBarrier:
      return "barrier";
    case Operation::kSplit:
      return "split";
  }
  return "unknown";
}

}  // namespace

std::string to_string(const Signature& signature) {
  std::string text = name_of(signature.operation);
  switch (signature.operation) {
    case Operation::kBarrier:
    case Operation::kSplit:
      return text;
    case Operation::kAllReduce:
    case Operation::kReduceScatter:
      text += std::string("(") + to_string(signature.op) + ")";
      break;
    case Operation::kBroadcast:
      text += " from rank " + std::to_string(signature.root);
      break;
    default:
      break;
  }
  if (signature.operation != Operation::kPermute) {
    text += " of " + std::to_string(signature.count);
  }
  return text + " " + std::string(cleave::name_of(signature.type));
}

std::optional<std::string> mismatch(int rank, const Signature& own, int other,
                                    const Signature& others) {
  if (own == others) return std::nullopt;
  std::string what = "rank " + std::to_string(rank) + " called " + to_string(own) + " where rank " +
                     std::to_string(other) + " called " + to_string(others);
  if (to_string(own) == to_string(others)) what += " with another map";
  return what;
}

std::optional<std::string> mismatch(int rank, int at, const Partners& partners, int other_at,
                                    const Partners& others) {
  const std::string who = "in a permute rank " + std::to_string(rank);
  if (partners.to == other_at && others.from != at) {
    return who + " sends to a rank that does not receive from it";
  }
  if (partners.from == other_at &&
      (others.to != at || others.send_count != partners.receive_count)) {
    return who + " does not receive what its partner sends";
  }
  return std::nullopt;
}

Error mismatch_error(const std::string& what) {
  return Error(ErrorCode::kDevice, "the ranks' calls do not match: " + what,
               "all ranks have to run the same program");
}

Error failure_of(int rank, const Error& why) {
  Error failure(ErrorCode::kDevice, "rank " + std::to_string(rank) + " failed: " + why.message(),
                why.hint());
  for (const std::string& place : why.places()) failure.at(place);
  return failure;
}

int64_t bytes_of(int64_t count, DType type) {
  int64_t bytes = 0;
  if (count < 0 || __builtin_mul_overflow(count, static_cast<int64_t>(size_of(type)), &bytes)) {
    invalid("a collective of " + std::to_string(count) + " elements is not possible");
  }
  return bytes;
}

void check_root(int root, int ranks) {
  if (root >= 0 && root < ranks) return;
  invalid("rank " + std::to_string(root) + " cannot be the root of a broadcast among " +
          std::to_string(ranks) + " ranks");
}

void check_partners(int to, int from, int ranks) {
  const auto valid = [&](int partner) {
    return partner == kNoRank || (0 <= partner && partner < ranks);
  };
  if (valid(to) && valid(from)) return;
  invalid("ranks " + std::to_string(to) + " and " + std::to_string(from) +
          " cannot be the partners of a permute among " + std::to_string(ranks) + " ranks");
}

}  // namespace cleave
