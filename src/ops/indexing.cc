#include "ops/indexing.h"

#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {

void require_indices(const TensorType& indices, std::string_view op) {
  if (indices.dtype == DType::kInt64 || indices.dtype == DType::kInt32) return;
  invalid("the indices of " + std::string(op) + " are " + std::string(name_of(indices.dtype)) +
          ", but must be i32 or i64");
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
