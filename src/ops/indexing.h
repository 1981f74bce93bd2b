// What the definitions of the ops that reach elements by indices share (types/indexing.h).
#pragma once

#include <functional>

#include "ops/definition.h"
#include "types/indexing.h"

namespace cleave::ops {

// Error(kInvalid) where an op's indices are not i32 or i64.
void require_indices(const TensorType& indices, std::string_view op);

// --- Indices along a dimension of the first operand, of which a rank may hold a part: the
// attributes `offset` and `total` are what IndexRange has of it.
std::vector<AttributeField> indexed_fields();  // with `axis`
Attributes localize_indexed(const LocalizeContext& context, int64_t axis);
Attributes localize_indexed(const LocalizeContext& context);  // along `axis`

// The factor of a dimension from which elements are taken: a rank with part of it finds some of
// them and zeros for the rest, a Partial sum.
uint32_t add_gathered(layout::ShardingRule& rule, std::string name, const TensorType& data,
                      size_t dim);
// That of a dimension into which updates go: a rank takes those of its part.
uint32_t add_scattered(layout::ShardingRule& rule, std::string name, const TensorType& data,
                       size_t dim);

// --- Scatters, whose operands are data, indices and updates.
AttributeField scatter_field();
// Checks the types of data and updates, and the attribute.
void require_scatter(const OpContext& context, std::string_view op);
void add_scatter_sets(layout::ShardingRule& rule, const Attributes& attributes);
// out = data with updates[i] brought into element target(i), in the order of i and rounded once;
// an update whose target is negative is left out.
void reference_scatter(std::optional<ReduceOp> reduce, const HostTensor& data,
                       const HostTensor& updates, const std::function<int64_t(int64_t)>& target,
                       HostTensor& out);

}  // namespace cleave::ops
