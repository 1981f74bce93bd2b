#include "passes/recover_norms.h"

#include <cmath>

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// The statistics of the rows of a value: the last `axes` dimensions are a row.
class Rows {
 public:
  Rows(const Rewriter& rewriter, const Shape& whole, size_t axes)
      : r_(rewriter), whole_(whole), kept_(whole), axes_(axes) {
    leading_.assign(whole.begin(), whole.end() - static_cast<ptrdiff_t>(axes));
    for (size_t d = leading_.size(); d < kept_.size(); ++d) kept_[d] = 1;
  }

  // z where `x` is z - mean(z).
  std::optional<ValueId> centred(ValueId x) const {
    const ir::Node* sub = r_.made_by(x, "sub");
    if (sub == nullptr) return {};
    const auto z = mean(sub->inputs[1]);
    if (!z || r_.uncast(*z) != r_.uncast(sub->inputs[0])) return {};
    return sub->inputs[0];
  }

  // ε where `value` is 1 / sqrt(mean(x²) + ε), one element a row.
  std::optional<double> inverse_deviation(ValueId value, ValueId x) const {
    value = one_a_row(value);
    const ir::Node* node = r_.producer(value);
    if (node == nullptr) return {};
    if (node->op == "rsqrt") return variance(node->inputs[0], x);
    if (node->op == "reciprocal") return deviation(node->inputs[0], x);
    if (node->op == "div" && r_.is_scalar(node->inputs[0], 1)) return deviation(node->inputs[1], x);
    if (node->op == "pow" && r_.is_scalar(node->inputs[1], -0.5)) {
      return variance(node->inputs[0], x);
    }
    return {};
  }

  // ε where `value` is sqrt(mean(x²) + ε), one element a row.
  std::optional<double> deviation(ValueId value, ValueId x) const {
    value = one_a_row(value);
    const ir::Node* node = r_.producer(value);
    if (node == nullptr) return {};
    if (node->op == "sqrt") return variance(node->inputs[0], x);
    if (node->op == "pow" && r_.is_scalar(node->inputs[1], 0.5)) {
      return variance(node->inputs[0], x);
    }
    return {};
  }

 private:
  std::optional<double> variance(ValueId value, ValueId x) const {
    const ir::Node* add = r_.made_by(one_a_row(value), "add");
    if (add == nullptr) return {};
    for (size_t i = 0; i < 2; ++i) {
      const auto epsilon = r_.scalar(add->inputs[i]);
      if (!epsilon || !(*epsilon >= 0)) continue;
      const auto square = mean(add->inputs[1 - i]);
      if (square && is_square_of(*square, x)) return epsilon;
    }
    return {};
  }

  bool is_square_of(ValueId value, ValueId x) const {
    const ir::Node* node = r_.producer(r_.uncast(value));
    if (node == nullptr || (node->op != "mul" && node->op != "pow")) return false;
    if (r_.uncast(node->inputs[0]) != r_.uncast(x)) return false;
    return node->op == "pow" ? r_.is_scalar(node->inputs[1], 2)
                             : r_.uncast(node->inputs[1]) == r_.uncast(x);
  }

  // What `value` is the mean of, row by row.
  std::optional<ValueId> mean(ValueId value) const {
    const ir::Node* node = r_.producer(one_a_row(value));
    if (node == nullptr) return {};
    const Dim count = product(std::span(whole_).subspan(leading_.size()));
    if (node->op == "div") {
      const auto divisor = r_.size(node->inputs[1]);
      return divisor && *divisor == count ? sum(node->inputs[0]) : std::nullopt;
    }
    if (node->op != "mul" || !count.is_constant() || count.is(0)) return {};
    for (size_t i = 0; i < 2; ++i) {
      if (r_.is_scalar(node->inputs[i], 1.0 / static_cast<double>(count.constant()))) {
        return sum(node->inputs[1 - i]);
      }
    }
    return {};
  }

  std::optional<ValueId> sum(ValueId value) const {
    const ir::Node* node = r_.made_by(one_a_row(value), "reduce_sum");
    if (node == nullptr || r_.shape(node->inputs[0]) != whole_) return {};
    const std::vector<Dim>& axes = node->attributes.dims("axes");
    if (axes.size() != axes_) return {};
    std::vector<bool> reduced(whole_.size(), false);
    for (const Dim& axis : axes) reduced.at(static_cast<size_t>(axis.constant())) = true;
    for (size_t d = leading_.size(); d < whole_.size(); ++d) {
      if (!reduced[d]) return {};
    }
    return node->inputs[0];
  }

  // The value behind casts and what spreads one element a row over [rows, 1] and [rows, columns].
  ValueId one_a_row(ValueId value) const {
    while (true) {
      const ir::Node* node = r_.producer(value);
      if (node == nullptr) return value;
      const Shape& to = r_.shape(value);
      const bool is_spread =
          node->op == "broadcast" && to == whole_ && r_.shape(node->inputs[0]) == kept_;
      const bool is_reshaped =
          node->op == "reshape" && is_one_a_row(to) && is_one_a_row(r_.shape(node->inputs[0]));
      const bool is_cast = node->op == "cast" && r_.uncast(value) != value;
      if (!is_spread && !is_reshaped && !is_cast) return value;
      value = node->inputs[0];
    }
  }

  bool is_one_a_row(const Shape& shape) const { return shape == kept_ || shape == leading_; }

  const Rewriter& r_;
  Shape whole_;
  Shape kept_;     // with 1 for the dimensions of a row
  Shape leading_;  // without them
  size_t axes_;
};

bool recover_core(Rewriter& r, ValueId root, ValueId x, ValueId statistic, bool is_divisor) {
  const Shape& whole = r.shape(x);
  for (size_t axes = 1; axes <= whole.size(); ++axes) {
    const Rows rows(r, whole, axes);
    const auto epsilon =
        is_divisor ? rows.deviation(statistic, x) : rows.inverse_deviation(statistic, x);
    if (!epsilon) continue;
    const auto z = rows.centred(x);
    const ValueId operand = z.value_or(x);
    const ValueId leaves[] = {operand, r.uncast(operand)};
    if (!r.is_closed(root, leaves)) return false;
    const Dim count = static_cast<int64_t>(axes);
    return r.replace(root, r.add_for(root, z ? "layer_norm" : "rms_norm",
                                     {{"axes", count}, {"epsilon", *epsilon}}, {operand}));
  }
  return false;
}

// Whether a value can be made [normalised dimensions]: it does not differ between rows.
bool is_parameter(const Shape& shape, size_t normalised) {
  for (size_t d = 0; d + normalised < shape.size(); ++d) {
    if (!shape[d].is(1)) return false;
  }
  return true;
}

ValueId make_parameter(Rewriter& r, ValueId root, ValueId parameter, const Shape& normalised) {
  ops::Builder builder = r.before(root);
  const Shape shape = r.shape(parameter);
  const std::string name = r.graph().value(parameter).name;
  if (shape.size() > normalised.size()) {
    const Shape last(shape.end() - static_cast<ptrdiff_t>(normalised.size()), shape.end());
    parameter = builder.add1(name + "/reshape", "reshape", {{"shape", last}}, {parameter});
  }
  return builder.broadcast(parameter, normalised);
}

// Scale or bias, as operand `slot` of a normalisation that has none yet.
bool absorb(Rewriter& r, ValueId root, ValueId norm, ValueId other, size_t slot) {
  const ir::Node* found = r.producer(norm);
  if (found == nullptr || r.use_count(norm) != 1) return false;
  if (found->op != "layer_norm" && (found->op != "rms_norm" || slot != 1)) return false;
  if (found->inputs.size() > slot && found->inputs[slot].valid()) return false;
  if (slot == 1 && found->inputs.size() > 2) return false;  // the bias comes last
  const ir::Node node = *found;
  const auto axes = static_cast<size_t>(node.attributes.integer("axes"));
  const ValueId source = r.unbroadcast(other);
  if (!is_parameter(r.shape(source), axes)) return false;
  const Shape& whole = r.shape(norm);
  const Shape normalised(whole.end() - static_cast<ptrdiff_t>(axes), whole.end());
  std::vector<ValueId> inputs = node.inputs;
  inputs.resize(slot + 1);
  inputs[slot] = make_parameter(r, root, source, normalised);
  return r.replace(root, r.add_for(root, node.op, node.attributes, inputs));
}

// A normalisation in float32 of what was cast from a half type, cast back: float32 is what
// normalisations compute in anyway.
bool absorb_casts(Rewriter& r, ValueId root, ValueId norm) {
  const ir::Node* found = r.producer(norm);
  if (found == nullptr || (found->op != "layer_norm" && found->op != "rms_norm")) return false;
  const DType dtype = r.type(root).dtype;
  if (r.use_count(norm) != 1 || size_of(dtype) != 2 || !is_floating(dtype)) return false;
  std::vector<ValueId> inputs;
  for (const ValueId input : found->inputs) {
    const ir::Node* cast = r.made_by(input, "cast");
    if (cast == nullptr || r.type(cast->inputs[0]).dtype != dtype) return false;
    inputs.push_back(cast->inputs[0]);
  }
  const std::string op = found->op;
  const Attributes attributes = found->attributes;
  return r.replace(root, r.add_for(root, op, attributes, inputs));
}

bool recover(Rewriter& r, ir::NodeId id) {
  const ir::Node& node = r.graph().node(id);
  const std::string op = node.op;
  if (op != "mul" && op != "add" && op != "div" && op != "cast") return false;
  const ValueId root = node.outputs[0];
  if (!is_floating(r.type(root).dtype)) return false;
  const ValueId a = node.inputs[0];
  if (op == "cast") return absorb_casts(r, root, a);
  const ValueId b = node.inputs[1];
  if (op == "div") return recover_core(r, root, a, b, true);
  if (op == "add") return absorb(r, root, a, b, 2) || absorb(r, root, b, a, 2);
  return recover_core(r, root, a, b, false) || recover_core(r, root, b, a, false) ||
         absorb(r, root, a, b, 1) || absorb(r, root, b, a, 1);
}

}  // namespace

bool recover_norms(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, recover);
}

}  // namespace cleave::passes
