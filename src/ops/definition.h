// OpDefinition: all that the compiler knows about an operation. One class an op, in the op's
// folder; `registry.h` collects them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "layout/sharding_rule.h"
#include "types/host_tensor.h"

namespace cleave::ops {

// An op with its operands, as type inference, rules and costs see it.
struct OpContext {
  const Attributes& attributes;
  std::span<const TensorType> inputs;  // absent optional inputs: see `present`
  // The value of each input that is a small constant, else null; empty where none is known.
  std::span<const HostTensor* const> values = {};
  // Where not empty: whether each input is there.
  std::span<const bool> present = {};
  // Equalities that inference relied on and could not prove are added here, where not null.
  std::vector<SizeGuard>* guards = nullptr;

  bool has(size_t input) const {
    return input < inputs.size() && (present.empty() || present[input]);
  }
  // Requires two dimensions to be equal: Error(kInvalid) naming `what` where they cannot be, a
  // guard where it cannot be proven. Returns the simpler of the two.
  Dim require_equal(const Dim& a, const Dim& b, std::string_view what) const;
};

// One attribute that an op takes.
struct AttributeField {
  std::string_view name;
  enum class Kind { kDim, kDims, kReal, kReals, kString, kStrings, kType } kind;
  bool required = true;
};

// How a rank's part of an op differs from the whole: the strategy and both sets of types.
struct LocalizeContext {
  const OpContext& whole;
  std::span<const TensorType> whole_outputs;
  const layout::ShardingRule& rule;
  const layout::Strategy& strategy;
  const layout::OperandPlacements& placements;
  std::span<const TensorType> local_inputs;
  std::span<const TensorType> local_outputs;
  Dim rank;  // a number or Dim::rank()
  int64_t ranks = 1;
};

// What an op costs on one device, as expressions of its (local) sizes.
struct Work {
  Dim flops;  // multiply-adds count two
  Dim bytes;  // read and written once
  // A matrix product's shape where the work is one (batch products of m × k by k × n).
  struct Product {
    Dim batch, m, n, k;
  };
  std::optional<Product> product;
  // Elements that are worked on together, where the time of a byte depends on it; else 0.
  Dim width = 0;
  // Where an op has kinds of work with times of their own: which one. "depthwise"
  std::string_view kind = {};
};

class OpDefinition {
 public:
  virtual ~OpDefinition() = default;

  virtual std::string_view name() const = 0;
  virtual std::vector<AttributeField> fields() const { return {}; }
  // The types of the results; Error(kInvalid) says what does not fit.
  virtual std::vector<TensorType> infer_types(const OpContext& context) const = 0;
  // The default has no factors: the op is computed whole by every rank.
  virtual layout::ShardingRule rule(const OpContext& context) const;
  // The attributes of the local op; the default keeps them.
  virtual Attributes localize(const LocalizeContext& context) const;
  // The plain kernel. Sizes in the attributes are evaluated; outputs have their final shapes.
  virtual void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                         std::span<HostTensor> outputs) const = 0;
  // The default counts operands once and one operation an output element.
  virtual Work work(const OpContext& context, std::span<const TensorType> outputs) const;
  // Element-wise ops are fused into chains: the name of their scalar operation.
  virtual bool is_elementwise() const { return false; }
  // Collectives move data between ranks: they are interpreted over all ranks at once.
  virtual bool is_collective() const { return false; }
  // A collective's results by rank, from its evaluated attributes and its one operand by rank.
  virtual std::vector<HostTensor> reference_ranks(std::span<const Attributes> attributes,
                                                  std::span<const HostTensor* const> inputs) const;
  // For composites: builds the same result from primitives. Returns the output values.
  virtual bool is_composite() const { return false; }
  virtual std::vector<ir::ValueId> decompose(ir::Graph& graph, const ir::Node& node) const;
};

// Error(kInvalid) where the op has not between `least` and `most` inputs. Within them, an absent
// one is an error only where it is one of the first `least`.
void require_inputs(const OpContext& context, size_t least, size_t most);
// The attribute `name` as a dimension of an operand of `rank` dimensions; Error(kInvalid) where it
// is not one.
size_t axis_of(const Attributes& attributes, std::string_view name, size_t rank);

// The rule of an op whose operands all have the output's shape, dimension by dimension; linear sets
// are the caller's.
layout::ShardingRule elementwise_rule(const OpContext& context, const Shape& shape);

}  // namespace cleave::ops
