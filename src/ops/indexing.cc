#include "ops/indexing.h"

#include "base/check.h"
#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {

void require_indices(const TensorType& indices, std::string_view op) {
  if (indices.dtype == DType::kInt64 || indices.dtype == DType::kInt32) return;
  invalid("the indices of " + std::string(op) + " are " + std::string(name_of(indices.dtype)) +
          ", but must be i32 or i64");
}

std::vector<AttributeField> indexed_fields() {
  using Kind = AttributeField::Kind;
  return {{"axis", Kind::kDim}, {"offset", Kind::kDim, false}, {"total", Kind::kDim, false}};
}

Attributes localize_indexed(const LocalizeContext& context, int64_t axis) {
  Attributes attributes = context.whole.attributes;
  const layout::Placement& data = context.placements.inputs[0];
  if (!data.is_shard() || data.dim != axis) return attributes;
  const std::vector<layout::Piece> pieces = data.cut.pieces(context.rank, context.ranks);
  CLEAVE_CHECK(pieces.size() == 1, "an indexed axis is split in one piece a rank");
  attributes.set("total", attributes.dim("total", data.cut.extent()));
  attributes.set("offset", attributes.dim("offset", 0) + pieces[0].begin);
  return attributes;
}

Attributes localize_indexed(const LocalizeContext& context) {
  return localize_indexed(context, context.whole.attributes.integer("axis"));
}

uint32_t add_gathered(layout::ShardingRule& rule, std::string name, const TensorType& data,
                      size_t dim) {
  using Kind = layout::Factor::Kind;
  const uint32_t factor =
      rule.add_factor(std::move(name), data.shape[dim],
                      is_floating(data.dtype) ? Kind::kReduction : Kind::kReplicate);
  rule.factors[factor].contiguous = true;
  return factor;
}

uint32_t add_scattered(layout::ShardingRule& rule, std::string name, const TensorType& data,
                       size_t dim) {
  const uint32_t factor = rule.add_factor(std::move(name), data.shape[dim]);
  rule.factors[factor].contiguous = true;
  return factor;
}

AttributeField scatter_field() { return {"reduce", AttributeField::Kind::kString, false}; }

void require_scatter(const OpContext& context, std::string_view op) {
  const auto reduce = scatter_reduction(context.attributes);
  const TensorType& data = context.inputs[0];
  require_same_dtype(data, context.inputs[2], "the data and updates of " + std::string(op));
  if (data.dtype == DType::kBool && (reduce == ReduceOp::kSum || reduce == ReduceOp::kProd)) {
    invalid(
        std::string(op) + " by " + std::string(name_of(*reduce)) + " has no meaning for booleans",
        "cast them to a number first");
  }
}

void add_scatter_sets(layout::ShardingRule& rule, const Attributes& attributes) {
  const auto reduce = scatter_reduction(attributes);
  // Without a reduction each element of the result is one of the data or of the updates.
  if (!reduce) return add_movement_sets(rule, {0, 2});
  rule.linear.push_back({*reduce, {0, 2}});
  if (*reduce == ReduceOp::kProd) rule.linear.push_back({ReduceOp::kSum, {0}});
}

void reference_scatter(std::optional<ReduceOp> reduce, const HostTensor& data,
                       const HostTensor& updates, const std::function<int64_t(int64_t)>& target,
                       HostTensor& out) {
  dispatch_dtype(data.dtype, [&]<class T>() {
    std::vector<Wide<T>> values;
    for (const T& value : data.data<T>()) values.push_back(widened<Wide<T>>(value));
    for (int64_t i = 0; i < updates.elements(); ++i) {
      const int64_t at = target(i);
      if (at < 0) continue;
      auto&& value = values[static_cast<size_t>(at)];
      const auto update = widened<Wide<T>>(updates.data<T>()[static_cast<size_t>(i)]);
      value = reduce ? combine<Wide<T>>(*reduce, value, update) : update;
    }
    const auto y = out.data<T>();
    for (size_t i = 0; i < y.size(); ++i) y[i] = narrowed<T>(static_cast<Wide<T>>(values[i]));
  });
}

}  // namespace cleave::ops
