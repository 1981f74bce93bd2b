// all_reduce, all_gather, reduce_scatter, all_to_all: what ranks of a local graph exchange; and
// shard, the part that a rank takes of what it holds whole.
#include "ops/collectives/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using Kind = AttributeField::Kind;
using layout::Cut;

// The fields of a cut, as Cut::to_attributes writes them.
void add_cut_fields(std::vector<AttributeField>& fields) {
  fields.push_back({"cut_extent", Kind::kDims, true});
  fields.push_back({"cut_grain", Kind::kDims, true});
  fields.push_back({"cut_group", Kind::kDims, true});
  fields.push_back({"cut_window", Kind::kDims, false});
}

int64_t ranks_of(const Attributes& attributes) {
  const int64_t ranks = attributes.integer("ranks");
  if (ranks < 1) invalid("a collective of " + std::to_string(ranks) + " ranks");
  return ranks;
}

// The rank that types and parts are of: every rank at once, unless one is named.
Dim rank_of(const Attributes& attributes) { return attributes.dim("rank", Dim::rank()); }

ReduceOp reduce_of(const Attributes& attributes) {
  const auto op = parse_reduce_op(attributes.string("reduce"));
  if (!op) invalid("there is no reduction '" + attributes.string("reduce") + "'");
  return *op;
}

// The part of `whole` that a cut of `axis` leaves to the rank of the op.
TensorType part_type(const OpContext& context, const TensorType& whole, size_t axis,
                     const Cut& cut) {
  context.require_equal(whole.shape.at(axis), cut.extent(),
                        "axis " + std::to_string(axis) + " of " + whole.text() +
                            " and the extent of its cut " + cut.text());
  TensorType part = whole;
  part.shape[axis] = cut.local_extent(rank_of(context.attributes), ranks_of(context.attributes));
  return part;
}

void require_part(const OpContext& context, const TensorType& actual, const TensorType& part) {
  const std::string what = "a rank's part of a tensor is " + actual.text() + ", not " + part.text();
  if (actual.rank() != part.rank()) invalid(what);
  for (size_t d = 0; d < part.rank(); ++d) {
    context.require_equal(actual.shape[d], part.shape[d], what);
  }
}

class Collective : public OpDefinition {
 public:
  explicit Collective(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  bool is_collective() const override { return true; }

  std::vector<AttributeField> fields() const override {
    return {{"ranks", Kind::kDim, true}, {"rank", Kind::kDim, false}};
  }

  void reference(const Attributes&, std::span<const HostTensor* const>,
                 std::span<HostTensor>) const override {
    internal_error("the collective " + std::string(name_) + " was run by one rank alone", __FILE__,
                   __LINE__);
  }

  std::vector<HostTensor> reference_ranks(std::span<const Attributes> attributes,
                                          ByRank inputs) const final {
    CLEAVE_CHECK(!inputs.empty() && attributes.size() == inputs.size() &&
                     ranks_of(attributes[0]) == static_cast<int64_t>(inputs.size()),
                 "the collective " + std::string(name_) + " has not the operands of all its ranks");
    return results(attributes[0], inputs);
  }

 protected:
  virtual std::vector<HostTensor> results(const Attributes& attributes, ByRank inputs) const = 0;

 private:
  std::string_view name_;
};

class AllReduce final : public Collective {
 public:
  AllReduce() : Collective("all_reduce") {}

  std::vector<AttributeField> fields() const override {
    std::vector<AttributeField> fields = Collective::fields();
    fields.push_back({"reduce", Kind::kString, true});
    return fields;
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    ranks_of(context.attributes);
    reduce_of(context.attributes);
    return {context.inputs[0]};
  }
  std::vector<HostTensor> results(const Attributes& attributes, ByRank inputs) const override {
    return std::vector<HostTensor>(inputs.size(),
                                   reference_reduce_terms(inputs, reduce_of(attributes)));
  }
};

class AllGather final : public Collective {
 public:
  AllGather() : Collective("all_gather") {}

  std::vector<AttributeField> fields() const override {
    std::vector<AttributeField> fields = Collective::fields();
    fields.push_back({"axis", Kind::kDim, true});
    add_cut_fields(fields);
    return fields;
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    TensorType whole = context.inputs[0];
    const size_t axis = axis_of(context.attributes, "axis", whole.rank());
    const Cut cut = Cut::from_attributes(context.attributes);
    whole.shape[axis] = cut.extent();
    require_part(context, context.inputs[0], part_type(context, whole, axis, cut));
    return {whole};
  }
  std::vector<HostTensor> results(const Attributes& attributes, ByRank inputs) const override {
    const auto axis = static_cast<size_t>(attributes.integer("axis"));
    return std::vector<HostTensor>(
        inputs.size(), reference_gather_shards(inputs, axis, Cut::from_attributes(attributes)));
  }
};

class ReduceScatter final : public Collective {
 public:
  ReduceScatter() : Collective("reduce_scatter") {}

  std::vector<AttributeField> fields() const override {
    std::vector<AttributeField> fields = Collective::fields();
    fields.push_back({"axis", Kind::kDim, true});
    fields.push_back({"reduce", Kind::kString, true});
    add_cut_fields(fields);
    return fields;
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    reduce_of(context.attributes);
    const size_t axis = axis_of(context.attributes, "axis", context.inputs[0].rank());
    return {part_type(context, context.inputs[0], axis, Cut::from_attributes(context.attributes))};
  }
  std::vector<HostTensor> results(const Attributes& attributes, ByRank inputs) const override {
    const HostTensor whole = reference_reduce_terms(inputs, reduce_of(attributes));
    const auto axis = static_cast<size_t>(attributes.integer("axis"));
    return reference_shards(whole, axis, Cut::from_attributes(attributes),
                            static_cast<int64_t>(inputs.size()));
  }
};

class AllToAll final : public Collective {
 public:
  AllToAll() : Collective("all_to_all") {}

  std::vector<AttributeField> fields() const override {
    std::vector<AttributeField> fields = Collective::fields();
    fields.push_back({"shape", Kind::kDims, true});
    fields.push_back({"from_axis", Kind::kDim, true});
    fields.push_back({"from_extent", Kind::kDims, true});
    fields.push_back({"from_grain", Kind::kDims, true});
    fields.push_back({"from_group", Kind::kDims, true});
    fields.push_back({"from_window", Kind::kDims, false});
    fields.push_back({"to_axis", Kind::kDim, true});
    fields.push_back({"to_extent", Kind::kDims, true});
    fields.push_back({"to_grain", Kind::kDims, true});
    fields.push_back({"to_group", Kind::kDims, true});
    fields.push_back({"to_window", Kind::kDims, false});
    return fields;
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const Attributes& attributes = context.attributes;
    const TensorType whole{context.inputs[0].dtype, attributes.dims("shape")};
    const size_t from = axis_of(attributes, "from_axis", whole.rank());
    const size_t to = axis_of(attributes, "to_axis", whole.rank());
    require_part(context, context.inputs[0],
                 part_type(context, whole, from, Cut::from_attributes(attributes, "from_")));
    return {part_type(context, whole, to, Cut::from_attributes(attributes, "to_"))};
  }
  std::vector<HostTensor> results(const Attributes& attributes, ByRank inputs) const override {
    const auto from = static_cast<size_t>(attributes.integer("from_axis"));
    const auto to = static_cast<size_t>(attributes.integer("to_axis"));
    const HostTensor whole =
        reference_gather_shards(inputs, from, Cut::from_attributes(attributes, "from_"));
    return reference_shards(whole, to, Cut::from_attributes(attributes, "to_"),
                            static_cast<int64_t>(inputs.size()));
  }
};

// Not a collective: every rank takes its part of what it holds.
class Shard final : public OpDefinition {
 public:
  std::string_view name() const override { return "shard"; }

  std::vector<AttributeField> fields() const override {
    std::vector<AttributeField> fields = {
        {"ranks", Kind::kDim, true}, {"rank", Kind::kDim, false}, {"axis", Kind::kDim, true}};
    add_cut_fields(fields);
    return fields;
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const size_t axis = axis_of(context.attributes, "axis", context.inputs[0].rank());
    return {part_type(context, context.inputs[0], axis, Cut::from_attributes(context.attributes))};
  }
  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    outputs[0] = reference_shard(*inputs[0], static_cast<size_t>(attributes.integer("axis")),
                                 Cut::from_attributes(attributes), attributes.integer("rank"),
                                 ranks_of(attributes));
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_collectives() {
  return {std::make_shared<AllReduce>(), std::make_shared<AllGather>(),
          std::make_shared<ReduceScatter>(), std::make_shared<AllToAll>(),
          std::make_shared<Shard>()};
}

}  // namespace cleave::ops
