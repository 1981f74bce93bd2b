// Placement: how one tensor lies over the ranks.
#pragma once

#include <string>
#include <string_view>

#include "types/cut.h"
#include "types/reduce_op.h"
#include "types/tensor_type.h"

namespace cleave::layout {

// How one tensor lies along one mesh axis.
struct Placement {
  enum class Kind : uint8_t {
    kReplicate,  // every rank holds the whole
    kShard,      // each rank holds its pieces of dimension `dim`, as `cut` says
    kPartial,    // each rank holds a term of a reduction, of the whole's shape
  };
  Kind kind = Kind::kReplicate;
  int32_t dim = 0;                   // kShard
  Cut cut;                           // kShard
  ReduceOp reduce = ReduceOp::kSum;  // kPartial

  static Placement replicate() { return {}; }
  static Placement shard(int32_t dim, Cut cut) { return {Kind::kShard, dim, std::move(cut), {}}; }
  static Placement partial(ReduceOp op = ReduceOp::kSum) { return {Kind::kPartial, 0, {}, op}; }
  bool is_replicate() const { return kind == Kind::kReplicate; }
  bool is_shard() const { return kind == Kind::kShard; }
  bool is_partial() const { return kind == Kind::kPartial; }
  // "replicate", "shard(1, 384/32)", "partial(sum)".
  std::string text() const;
  // Error(kInvalid) for anything else.
  static Placement parse(std::string_view text);
  // With numbers for the symbols of its cut.
  Placement evaluated(const SymbolValues& values) const;
  bool operator==(const Placement&) const = default;
};

// The type that `rank` (a number or Dim::rank()) holds of a tensor along an axis of `ranks`.
TensorType local_type(const TensorType& whole, const Placement& placement, const Dim& rank,
                      int64_t ranks);

}  // namespace cleave::layout
