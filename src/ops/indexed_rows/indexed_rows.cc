// gather_nd, scatter_nd: rows of a tensor, each named by a tuple of indices.
#include "base/check.h"
#include "ops/indexed_rows/reference.h"
#include "ops/indexing.h"
#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::Factor;
using layout::OperandFactors;
using layout::ShardingRule;

// Dimensions of data [batch.., indexed.., row..] and indices [batch.., items.., tuple].
struct Ranks {
  size_t batch = 0;
  size_t indexed = 0;
  size_t items = 0;
};

void check_ranges(const OpContext& context, const Ranks& ranks, std::string_view op) {
  for (const char* name : {"offset", "total"}) {
    if (context.attributes.has("offset") != context.attributes.has("total") ||
        (context.attributes.has(name) && context.attributes.dims(name).size() != ranks.indexed)) {
      invalid(std::string(op) + " needs offset and total for each of " +
              std::to_string(ranks.indexed) + " indices, or neither");
    }
  }
}

Ranks checked_ranks(const OpContext& context, std::string_view op) {
  const TensorType& data = context.inputs[0];
  const TensorType& indices = context.inputs[1];
  require_indices(indices, op);
  const int64_t batch = context.attributes.integer("batch_dims", 0);
  if (batch < 0 || batch >= static_cast<int64_t>(std::min(data.rank(), indices.rank()))) {
    invalid(std::string(op) + " of " + data.text() + " by " + indices.text() + " cannot have " +
            std::to_string(batch) + " batch dimensions");
  }
  Ranks ranks{.batch = static_cast<size_t>(batch)};
  ranks.items = indices.rank() - 1 - ranks.batch;
  const auto depth = indices.shape.back().as_constant();
  if (!depth || *depth < 0 || *depth > static_cast<int64_t>(data.rank() - ranks.batch)) {
    invalid(std::string(op) + " of " + data.text() + " by tuples of " +
            indices.shape.back().text() + " indices");
  }
  ranks.indexed = static_cast<size_t>(*depth);
  check_ranges(context, ranks, op);
  for (size_t d = 0; d < ranks.batch; ++d) {
    context.require_equal(data.shape[d], indices.shape[d],
                          "dimension " + std::to_string(d) + " of data and indices");
  }
  return ranks;
}

// The items' dimensions (batches first), then those of a row.
Shape shape_of_rows(const OpContext& context, const Ranks& ranks) {
  const Shape& data = context.inputs[0].shape;
  const Shape& indices = context.inputs[1].shape;
  Shape shape(indices.begin(), indices.end() - 1);
  const auto row = static_cast<std::ptrdiff_t>(ranks.batch + ranks.indexed);
  shape.insert(shape.end(), data.begin() + row, data.end());
  return shape;
}

// A rank may hold a part of one of the dimensions that are indexed, in order.
Attributes localize_rows(const LocalizeContext& context) {
  Attributes attributes = context.whole.attributes;
  const layout::Placement& data = context.placements.inputs[0];
  OpContext whole = context.whole;
  whole.guards = nullptr;
  const Ranks ranks = checked_ranks(whole, "an op by tuples of indices");
  const auto first = static_cast<int32_t>(ranks.batch);
  const auto depth = static_cast<int32_t>(ranks.indexed);
  if (!data.is_shard() || data.dim < first || data.dim >= first + depth) return attributes;
  const auto begin = whole.inputs[0].shape.begin() + first;
  std::vector<Dim> offset(ranks.indexed, Dim(0));
  const std::vector<layout::Piece> pieces = data.cut.pieces(context.rank, context.ranks);
  CLEAVE_CHECK(pieces.size() == 1, "an indexed dimension is split in one piece a rank");
  offset[static_cast<size_t>(data.dim - first)] = pieces[0].begin;
  attributes.set("offset", offset);
  attributes.set("total", std::vector<Dim>(begin, begin + depth));
  return attributes;
}

// Batches and rows pass through: they are parallel. `indexed` adds the factor of a dimension of
// data that is indexed.
struct RowFactors {
  ShardingRule rule;
  OperandFactors data, indices, rows;

  RowFactors(OpContext context, std::string_view op, decltype(&add_gathered) indexed,
             Factor::Kind items) {
    context.guards = nullptr;  // those of type inference
    const Ranks ranks = checked_ranks(context, op);
    const Shape& data_shape = context.inputs[0].shape;
    const Shape& index_shape = context.inputs[1].shape;
    for (size_t d = 0; d < ranks.batch; ++d) {
      data.push_back(along(rule.add_factor("b" + std::to_string(d), data_shape[d])));
    }
    indices = data;
    for (size_t d = ranks.batch; d < ranks.batch + ranks.items; ++d) {
      indices.push_back(along(rule.add_factor("i" + std::to_string(d), index_shape[d], items)));
    }
    rows = indices;
    indices.emplace_back();  // the tuple
    for (size_t d = ranks.batch; d < data_shape.size(); ++d) {
      if (d < ranks.batch + ranks.indexed) {
        data.push_back(along(indexed(rule, "v" + std::to_string(d), context.inputs[0], d)));
        continue;
      }
      data.push_back(along(rule.add_factor("d" + std::to_string(d), data_shape[d])));
      rows.push_back(data.back());
    }
  }
};

class GatherNd final : public OpDefinition {
 public:
  std::string_view name() const override { return "gather_nd"; }
  std::vector<AttributeField> fields() const override {
    return {{"batch_dims", AttributeField::Kind::kDim, false},
            {"offset", AttributeField::Kind::kDims, false},
            {"total", AttributeField::Kind::kDims, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 2, 2);
    return {{context.inputs[0].dtype, shape_of_rows(context, checked_ranks(context, name()))}};
  }

  ShardingRule rule(const OpContext& context) const override {
    RowFactors factors(context, name(), add_gathered, Factor::Kind::kParallel);
    factors.rule.inputs = {factors.data, factors.indices};
    factors.rule.outputs = {factors.rows};
    add_movement_sets(factors.rule, {0});
    return factors.rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    return localize_rows(context);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_gather_nd(attributes, *inputs[0], *inputs[1], outputs[0]);
  }

  // Only the rows that are taken are read.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = movement_work(outputs);
    work.bytes += context.inputs[1].bytes();
    return work;
  }
};

class ScatterNd final : public OpDefinition {
 public:
  std::string_view name() const override { return "scatter_nd"; }
  std::vector<AttributeField> fields() const override {
    return {scatter_field(),
            {"offset", AttributeField::Kind::kDims, false},
            {"total", AttributeField::Kind::kDims, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 3);
    const Shape rows = shape_of_rows(context, checked_ranks(context, name()));
    require_scatter(context, name());
    const Shape& updates = context.inputs[2].shape;
    if (updates.size() != rows.size()) {
      invalid("scatter_nd has updates " + text_of(updates) + " where it takes " + text_of(rows));
    }
    for (size_t d = 0; d < rows.size(); ++d) {
      context.require_equal(rows[d], updates[d],
                            "dimension " + std::to_string(d) + " of the updates");
    }
    return {context.inputs[0]};
  }

  ShardingRule rule(const OpContext& context) const override {
    RowFactors factors(context, name(), add_scattered, Factor::Kind::kReplicate);
    factors.rule.inputs = {factors.data, factors.indices, factors.rows};
    factors.rule.outputs = {factors.data};
    add_scatter_sets(factors.rule, context.attributes);
    return factors.rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    return localize_rows(context);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_scatter_nd(attributes, *inputs[0], *inputs[1], *inputs[2], outputs[0]);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_indexed_rows() {
  return {std::make_shared<GatherNd>(), std::make_shared<ScatterNd>()};
}

}  // namespace cleave::ops
