// Sharding rules: an operation's index space as factors, as in einsum.
//
// A rule names the factors and the dimension of each operand that each runs along. Everything else
// (strategies, the layouts they need and give, reshards, costs) is derived from it. A matrix
// product has the factors m, n and k: splitting m or n splits the result, splitting k leaves a
// Partial result. A dimension may be several factors, major to minor (hidden = heads × head size):
// a split along one of them is in grains of those behind it, and in as many segments as those
// before it have elements (3 × heads × head size split by heads: three segments).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layout/layout.h"

namespace cleave::layout {

struct Factor {
  enum class Kind : uint8_t {
    kParallel,   // splitting it splits every result that has it; a result without it is computed
                 // by all ranks alike and is not allowed
    kReduction,  // splitting it leaves every result Partial(`reduce`)
    kReplicate,  // cannot be split (the normalised dimension of a softmax)
  };
  std::string name;
  Dim size;
  Kind kind = Kind::kParallel;
  ReduceOp reduce = ReduceOp::kSum;
  Dim grain = 1;  // blocked: split in whole multiples of this
  // A rank's part must be one piece (the op knows it by an offset): cuts of one segment only.
  bool contiguous = false;
};

// That a window slides over the dimension, of `extent` elements, as `Window` says: the factor
// counts its outputs.
struct WindowUse {
  Dim extent;
  int64_t stride = 1;
  Dim before = 0;
  int64_t size = 1;
  int64_t divisor = 1;
};

// That a dimension of an operand runs along (a part of) a factor.
struct FactorUse {
  uint32_t factor = 0;
  // The part of the factor that the dimension covers: [begin, begin + extent), for the operands of
  // a concat or split. An absent extent is the whole factor.
  Dim begin = 0;
  std::optional<Dim> extent;
  // The dimension has size factor / divisor: shared key/value heads.
  int64_t divisor = 1;
  std::optional<WindowUse> window = {};  // then it is the dimension's only factor
};

// The factors of one dimension, major to minor; empty: replicated.
using DimFactors = std::vector<FactorUse>;
using OperandFactors = std::vector<DimFactors>;  // one entry a dimension

// A set of operands in which the op is linear under `reduce`: if all of them are Partial and the
// rest are not, the results are Partial.
struct LinearSet {
  ReduceOp reduce = ReduceOp::kSum;
  std::vector<uint32_t> operands;
};

struct ShardingRule {
  std::vector<Factor> factors;
  std::vector<OperandFactors> inputs;   // one an input; absent optional inputs: empty
  std::vector<OperandFactors> outputs;  // one an output
  std::vector<LinearSet> linear;

  uint32_t add_factor(std::string name, Dim size, Factor::Kind kind = Factor::Kind::kParallel,
                      ReduceOp reduce = ReduceOp::kSum, Dim grain = 1);
  std::string text() const;  // "m n, n k -> m k" with kinds, for people
};

// A choice for one op along one mesh axis.
struct Strategy {
  enum class Kind : uint8_t {
    kWhole,   // every rank computes all of it from replicated operands
    kFactor,  // `factor` is split as `cut` says (in the factor's own units)
    kLinear,  // the operands of linear set `linear` are Partial, the rest replicated
  };
  Kind kind = Kind::kWhole;
  uint32_t factor = 0;
  Cut cut;
  uint32_t linear = 0;

  static Strategy whole() { return {}; }
  bool operator==(const Strategy&) const = default;
};
// "whole", "n" or "n[384/32]" (factor with its cut where that is not the even one), "partial".
std::string text_of(const Strategy& strategy, const ShardingRule& rule);

// What a strategy needs of each input and gives for each output. nullopt where the strategy cannot
// be carried out (a cut that does not fit an operand).
struct OperandPlacements {
  std::vector<Placement> inputs;
  std::vector<Placement> outputs;
  bool operator==(const OperandPlacements&) const = default;
};
bool replicates_all(const OperandPlacements& placements);
std::optional<OperandPlacements> placements(const ShardingRule& rule, const Strategy& strategy);
// On so many ranks: a shard that every one of them holds whole is Replicate.
std::optional<OperandPlacements> placements(const ShardingRule& rule, const Strategy& strategy,
                                            int64_t ranks);

// The cut of a factor that a shard of an operand's dimension implies, and the reverse; nullopt
// where there is none. Factors behind it scale the grains, those before it repeat the segments.
std::optional<Cut> factor_cut(const ShardingRule& rule, const OperandFactors& operand, size_t dim,
                              uint32_t factor, const Cut& dim_cut);
std::optional<Cut> dim_cut(const ShardingRule& rule, const OperandFactors& operand, size_t dim,
                           uint32_t factor, const Cut& factor_cut);

}  // namespace cleave::layout
