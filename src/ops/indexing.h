// What the definitions of the ops that reach elements by indices share (types/indexing.h).
#pragma once

#include <functional>

#include "ops/definition.h"
#include "types/indexing.h"

namespace cleave::ops {

// Error(kInvalid) where an op's indices are not i32 or i64.
void require_indices(const TensorType& indices, std::string_view op);

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
