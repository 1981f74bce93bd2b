// What the ops that only move elements share.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/definition.h"

namespace cleave::ops {

// Moving elements commutes with every reduction: a linear set of `operands` for each.
void add_movement_sets(layout::ShardingRule& rule, const std::vector<uint32_t>& operands);

// Elements of the outputs are read once and written once.
Work movement_work(std::span<const TensorType> outputs);

// Error(kInvalid) naming `what` where `value` is negative for all values of its symbols.
void require_not_negative(const Dim& value, std::string_view what);

// output[i, j, …] = input[offset + i·strides[0] + j·strides[1] + …], counted in elements.
// Error(kInvalid) where that lies outside of the input.
void copy_strided(const HostTensor& input, int64_t offset, const std::vector<int64_t>& strides,
                  HostTensor& output);

// Copies the box of `extent` at `from_begin` to `to_begin`. Error(kInvalid) where it does not fit.
void copy_box(const HostTensor& from, const std::vector<int64_t>& from_begin, HostTensor& to,
              const std::vector<int64_t>& to_begin, const std::vector<int64_t>& extent);

// An op of one operand whose attribute `shape` is the shape of its result.
class ShapingOp : public OpDefinition {
 public:
  std::vector<AttributeField> fields() const override;
  // On a rank the shape is that of the rank's result.
  Attributes localize(const LocalizeContext& context) const override;
};

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape);

}  // namespace cleave::ops
