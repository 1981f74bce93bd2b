#include "ops/attention/decompose.h"

#include <limits>

#include "ops/composite.h"

namespace cleave::ops {
namespace {

using ir::ValueId;

// Keys or values [B, G, T, D] as [B, heads, T, D]: each head repeated for its queries.
ValueId repeat_heads(Composite& c, ValueId keys, const Dim& heads) {
  const Attributes& attributes = c.node().attributes;
  const Shape shape = c.shape(keys);
  if (!attributes.has("group")) {
    if (shape[1] == heads) return keys;
    const auto group = exact_div(heads, shape[1]);
    const Dim repeats = group ? *group : floor_div(heads, shape[1]);
    const ValueId split = c.reshape(keys, {shape[0], shape[1], 1, shape[2], shape[3]});
    const ValueId spread = c.broadcast(split, {shape[0], shape[1], repeats, shape[2], shape[3]});
    return c.reshape(spread, {shape[0], heads, shape[2], shape[3]});
  }
  // A rank's heads may begin and end inside a group.
  const ValueId head = c.apply("iota", {},
                               {{"shape", Shape{heads}},
                                {"axis", Dim(0)},
                                {"to", DType::kInt64},
                                {"offset", attributes.dim("head_offset", 0)}});
  const ValueId group = c.broadcast(c.size(DType::kInt64, attributes.dim("group")), {heads});
  const ValueId offset =
      c.broadcast(c.size(DType::kInt64, attributes.dim("kv_offset", 0)), {heads});
  const ValueId index = c.apply("sub", {c.apply("div", {head, group}), offset});
  return c.apply("gather", {keys, index}, {{"axis", Dim(1)}});
}

// Row i sees the columns up to i + row_offset + T - rows_total: bool [S, T].
ValueId causal_visible(Composite& c, const Dim& rows, const Dim& columns) {
  const Attributes& attributes = c.node().attributes;
  const Dim shift = attributes.dim("row_offset", 0) + columns - attributes.dim("rows_total", rows);
  const auto index = [&](int64_t axis, const Dim& offset) {
    return c.apply("iota", {},
                   {{"shape", Shape{rows, columns}},
                    {"axis", Dim(axis)},
                    {"to", DType::kInt64},
                    {"offset", offset}});
  };
  return c.apply("less_equal", {index(1, 0), index(0, shift)});
}

// Softmax along the last dimension where -inf hides a column; a row without columns gives zeros.
ValueId masked_softmax(Composite& c, ValueId scores) {
  const Shape shape = c.shape(scores);
  const DType dtype = c.dtype(scores);
  const double lowest = dtype == DType::kFloat64 ? std::numeric_limits<double>::lowest()
                                                 : std::numeric_limits<float>::lowest();
  const ValueId hidden = c.apply(
      "equal", {scores, c.constant(dtype, -std::numeric_limits<double>::infinity(), shape)});
  const ValueId finite = c.apply("max", {scores, c.constant(dtype, lowest, shape)});
  const ValueId weights = c.apply("softmax", {finite}, {{"axis", Dim(3)}});
  return c.apply("where", {hidden, c.constant(dtype, 0, shape), weights});
}

}  // namespace

std::vector<ValueId> decompose_attention(ir::Graph& graph, const ir::Node& node) {
  Composite c(graph, node);
  const Attributes& attributes = c.node().attributes;
  const std::vector<ValueId>& inputs = c.node().inputs;
  const DType dtype = c.dtype(inputs[0]);
  const ValueId q = c.wide(inputs[0]);
  const Dim heads = c.shape(q)[1];
  const ValueId k = repeat_heads(c, c.wide(inputs[1]), heads);
  const ValueId v = repeat_heads(c, c.wide(inputs[2]), heads);
  const DType wide = c.dtype(q);

  ValueId scores = c.apply("matmul", {q, k}, {{"transpose_b", Dim(1)}});
  const Shape shape = c.shape(scores);
  scores = c.apply("mul", {scores, c.constant(wide, attributes.real("scale"), shape)});
  const auto hide_unless = [&](ValueId visible) {
    const ValueId hidden = c.constant(wide, -std::numeric_limits<double>::infinity(), shape);
    scores = c.apply("where", {c.broadcast(visible, shape), scores, hidden});
  };
  const bool causal = attributes.integer("causal", 0) != 0;
  const bool masked = inputs.size() > 3 && inputs[3].valid();
  if (masked && c.dtype(inputs[3]) == DType::kBool) {
    hide_unless(inputs[3]);
  } else if (masked) {
    scores = c.apply("add", {scores, c.broadcast(c.cast(inputs[3], wide), shape)});
  }
  if (causal) hide_unless(causal_visible(c, shape[2], shape[3]));
  ValueId weights;
  if (causal || masked) {
    weights = masked_softmax(c, scores);
  } else {
    weights = c.apply("softmax", {scores}, {{"axis", Dim(3)}});
  }
  return {c.cast(c.apply("matmul", {weights, v}), dtype)};
}

}  // namespace cleave::ops
