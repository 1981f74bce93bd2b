// Matrix products of one operand, done as one.
#pragma once

#include "capabilities/capabilities.h"
#include "ops/registry.h"

namespace cleave::passes {

// Products of one value by matrices that are constants become one product by the matrices side by
// side and a split of its result; so do biases that are added to all of them. Queries, keys and
// values are then made at once, and a gate with what it lets through. Products whose readers could
// not read a part of a wider result where it lies stay alone, and so do those with an activation
// that their own kernel carries out. For backends on which a small product does not fill a device.
// The product is named as those it replaces, with + between.
bool merge_products(ir::Graph& graph, const ops::Registry& registry,
                    const capabilities::Capabilities& capabilities);

}  // namespace cleave::passes
