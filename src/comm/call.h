// A call of a collective as one rank makes it: what the ranks must agree on, and the checks and
// errors that all implementations have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "comm/communicator.h"

namespace cleave {

enum class Operation : uint8_t {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kRedistribute,
  kBroadcast,
  kPermute,
  kBarrier,
  kSplit,
};

// What all ranks must agree on in a call.
struct Signature {
  Operation operation = Operation::kBarrier;
  DType type = DType::kFloat32;
  ReduceOp op = ReduceOp::kSum;
  int root = kNoRank;
  int64_t count = 0;
  uint64_t map = 0;  // hash of the maps and the shape
  bool operator==(const Signature&) const = default;
};

// "all_reduce(sum) of 64 f32"
std::string to_string(const Signature& signature);

// What a rank of a permute sends to whom and receives from whom.
struct Partners {
  int to = kNoRank;
  int from = kNoRank;
  int64_t send_count = 0;
  int64_t receive_count = 0;
};

// How the call of `rank` differs from that of `other`; ranks as errors name them. Nothing where
// they are equal.
std::optional<std::string> mismatch(int rank, const Signature& own, int other,
                                    const Signature& others);

// How the `partners` of rank `at` do not fit to those of a rank `other_at` of the same permute;
// `rank` is how errors name the former.
std::optional<std::string> mismatch(int rank, int at, const Partners& partners, int other_at,
                                    const Partners& others);

// The error of all ranks where their calls do not match.
Error mismatch_error(const std::string& what);

// The error that all ranks of the group throw because `rank` threw `why`.
Error failure_of(int rank, const Error& why);

// ---- arguments: Error(kInvalid) where a call cannot be carried out ----

int64_t bytes_of(int64_t count, DType type);
void check_root(int root, int ranks);
void check_partners(int to, int from, int ranks);

}  // namespace cleave
