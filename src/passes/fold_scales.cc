#include "passes/fold_scales.h"

#include <algorithm>
#include <cmath>

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;
using Channels = std::vector<double>;  // one number a channel

// Where a node makes channels by weights.
struct Product {
  ir::NodeId node;
  ValueId result;
  size_t axis;  // of the result
  ValueId weights;
  int64_t weight_axis;
  size_t channels;
};

std::optional<Product> product_of(const Rewriter& r, ValueId value) {
  const ir::Node* node = r.producer(value);
  if (node == nullptr || (node->op != "conv" && node->op != "matmul")) return {};
  const DType dtype = r.type(value).dtype;
  const ir::Value& weights = r.graph().value(node->inputs[1]);
  if ((dtype != DType::kFloat32 && dtype != DType::kFloat64) || !weights.is_constant() ||
      !weights.pieces.empty()) {
    return {};
  }
  Product product{r.graph().value(value).producer, value, 1, node->inputs[1], 0, 0};
  if (node->op == "matmul") {
    product.axis = r.type(value).rank() - 1;
    const bool is_transposed = node->attributes.integer("transpose_b", 0) != 0;
    product.weight_axis = static_cast<int64_t>(weights.type.rank()) - (is_transposed ? 2 : 1);
  }
  product.channels =
      static_cast<size_t>(weights.constant->shape()[static_cast<size_t>(product.weight_axis)]);
  return product;
}

// A constant operand as one finite number a channel.
std::optional<Channels> channels_of(const Rewriter& r, ValueId operand, const Product& product) {
  const ir::Value& value = r.graph().value(r.unbroadcast(operand));
  Channels result;
  if (const auto number = r.scalar(operand)) {
    result.assign(product.channels, *number);
  } else {
    const auto tensor = small_constant(value);
    const size_t rank = r.type(operand).rank();
    if (!tensor || tensor->elements() != static_cast<int64_t>(product.channels)) return {};
    // Dimensions align from the right: all elements must lie along the channels.
    const size_t at = product.axis + tensor->shape.size() - rank;
    if (at >= tensor->shape.size() || tensor->shape[at] != tensor->elements()) return {};
    for (int64_t i = 0; i < tensor->elements(); ++i) result.push_back(tensor->get(i));
  }
  const bool is_finite =
      std::all_of(result.begin(), result.end(), [](double x) { return std::isfinite(x); });
  return is_finite ? std::optional(std::move(result)) : std::nullopt;
}

// root = factor · value + shift, in `steps` ops.
struct Affine {
  Channels factor;
  Channels shift;
  size_t steps = 0;
};

bool is_affine_op(std::string_view op) {
  return op == "add" || op == "sub" || op == "mul" || op == "div";
}

// Which operand of an affine op is a constant.
std::optional<size_t> constant_operand(const Rewriter& r, const ir::Node* node) {
  if (node == nullptr || !is_affine_op(node->op)) return {};
  for (size_t i = 0; i < 2; ++i) {
    if (r.graph().value(r.unbroadcast(node->inputs[i])).is_constant()) return i;
  }
  return {};
}

// Puts value = inner ∘ c (c ∘ inner where `is_reversed`) in the place of the value; false where
// that is not affine.
bool prepend(Affine& affine, std::string_view op, const Channels& c, bool is_reversed) {
  if (op == "div" && (is_reversed || std::find(c.begin(), c.end(), 0.0) != c.end())) return false;
  for (size_t i = 0; i < c.size(); ++i) {
    double& factor = affine.factor[i];
    if (op == "mul") {
      factor *= c[i];
    } else if (op == "div") {
      factor /= c[i];
    } else {
      affine.shift[i] += op == "sub" && !is_reversed ? -factor * c[i] : factor * c[i];
      if (op == "sub" && is_reversed) factor = -factor;
    }
  }
  ++affine.steps;
  return true;
}

// What the chain of affine ops above `root` starts from.
ValueId source_of(const Rewriter& r, ValueId root) {
  ValueId value = root;
  while (const auto constant = constant_operand(r, r.producer(value))) {
    if (value != root && r.use_count(value) != 1) break;
    value = r.producer(value)->inputs[1 - *constant];
  }
  return value;
}

// What the ops between `product` and `root` do.
std::optional<Affine> affine_of(const Rewriter& r, ValueId root, const Product& product) {
  Affine affine{Channels(product.channels, 1), Channels(product.channels, 0)};
  for (ValueId value = root; value != product.result;) {
    const ir::Node* node = r.producer(value);
    const size_t i = *constant_operand(r, node);
    const auto constant = channels_of(r, node->inputs[i], product);
    if (!constant || !prepend(affine, node->op, *constant, i == 0)) return {};
    value = node->inputs[1 - i];
  }
  return affine;
}

// Whether weights times the factors are as exact as the product's results times them were: neither
// they nor the shifts leave the range of normal floats. What is below all of it is nothing beside
// the shift.
bool is_exact(const Affine& affine) {
  constexpr double kLeast = 0x1p-100, kMost = 0x1p100, kLeastShift = 0x1p-60;
  for (size_t i = 0; i < affine.factor.size(); ++i) {
    const double factor = std::abs(affine.factor[i]), shift = std::abs(affine.shift[i]);
    if (!(factor <= kMost) || !(shift <= kMost)) return false;
    if (factor != 0 && factor < kLeast && shift < kLeastShift) return false;
  }
  return true;
}

bool all_are(const Channels& channels, double number) {
  return std::all_of(channels.begin(), channels.end(), [&](double x) { return x == number; });
}

void scale_weights(Rewriter& r, const Product& product, const Channels& factors) {
  const ir::Value& value = r.graph().value(product.weights);
  ir::RecipePtr scaled = ir::scale(value.constant, product.weight_axis, factors);
  if (small_constant(value)) scaled = ir::constant_value(scaled->read_all());
  const std::string name = value.name + "/scaled";
  r.set_input(product.node, 1, r.graph().add_constant(name, scaled));
}

// A constant of one number a channel, as wide as the product's result.
ValueId wide_constant(Rewriter& r, ValueId root, const Product& product, const Channels& channels) {
  const TensorType type = r.type(product.result);
  std::vector<int64_t> shape(type.rank() - product.axis, 1);
  shape[0] = static_cast<int64_t>(channels.size());
  HostTensor tensor(type.dtype, shape);
  for (size_t i = 0; i < channels.size(); ++i) tensor.set(static_cast<int64_t>(i), channels[i]);
  const std::string name = r.graph().node(product.node).name + "/shift";
  const ValueId constant = r.graph().add_constant(name, ir::constant_value(tensor));
  return r.before(root).broadcast(constant, type.shape);
}

bool fold(Rewriter& r, ir::NodeId id) {
  const ir::Node& node = r.graph().node(id);
  if (!is_affine_op(node.op)) return false;
  const ValueId root = node.outputs[0];
  const ValueId source = source_of(r, root);
  const auto product = product_of(r, source);
  if (!product || r.use_count(source) != 1 || r.type(source) != r.type(root)) return false;
  const auto affine = affine_of(r, root, *product);
  if (!affine || !is_exact(*affine)) return false;
  const bool is_scaled = !all_are(affine->factor, 1), is_shifted = !all_are(affine->shift, 0);
  if (affine->steps <= (is_shifted ? 1 : 0)) return false;
  if (is_scaled && r.use_count(product->weights) != 1) return false;
  if (is_scaled) scale_weights(r, *product, affine->factor);
  if (!is_shifted) return r.replace(root, source);
  const ValueId wide = wide_constant(r, root, *product, affine->shift);
  return r.replace(root, r.add_for(root, "add", {}, {source, wide}));
}

}  // namespace

bool fold_scales(ir::Graph& graph, const ops::Registry& registry) {
  Rewriter rewriter(graph, registry);
  bool changed = false;
  // The last op of a chain comes first: all of the chain is folded at once.
  const std::vector<ir::NodeId> order = graph.order();
  for (size_t i = order.size(); i-- > 0;) {
    if (!graph.node(order[i]).erased && fold(rewriter, order[i])) changed = true;
  }
  if (changed) graph.compact();
  return changed;
}

}  // namespace cleave::passes
