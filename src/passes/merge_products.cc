#include "passes/merge_products.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::NodeId;
using ir::ValueId;
using Uses = std::vector<std::vector<ir::Graph::Use>>;

// A product, with the bias that is added to it and nothing else is done with, where there is one.
struct Product {
  NodeId node;
  ValueId weight;
  ValueId bias;    // a constant vector
  ValueId result;  // behind the bias
  int64_t columns = 0;
};

class Merge {
 public:
  Merge(ir::Graph& graph, const ops::Registry& registry,
        const capabilities::Capabilities& capabilities)
      : r_(graph, registry), capabilities_(capabilities), uses_(graph.uses()) {}

  bool run() {
    // What all products of a group have in common, in the order in which groups begin.
    using Key = std::tuple<ValueId, int64_t, int64_t, bool>;
    std::map<Key, size_t> found;
    std::vector<std::vector<Product>> groups;
    for (const NodeId id : r_.graph().order()) {
      const auto product = product_of(id);
      if (!product) continue;
      const ir::Node& node = r_.graph().node(id);
      const Key key{node.inputs[0], transposed(node, "transpose_a"),
                    transposed(node, "transpose_b"), product->bias.valid()};
      const auto [at, is_new] = found.emplace(key, groups.size());
      if (is_new) groups.emplace_back();
      groups[at->second].push_back(*product);
    }
    std::erase_if(groups, [](const auto& group) { return group.size() < 2; });
    for (const auto& group : groups) merge(group);
    if (!groups.empty()) r_.graph().compact();
    return !groups.empty();
  }

 private:
  static int64_t transposed(const ir::Node& node, std::string_view which) {
    return node.attributes.integer(which, 0);
  }
  const std::vector<ir::Graph::Use>& uses(ValueId value) const { return uses_[value.index()]; }

  // What nothing but one reader, and no result of the graph, wants.
  const ir::Graph::Use* only_use(ValueId value) const {
    const bool is_one = uses(value).size() == 1 && !r_.graph().is_output(value);
    return is_one ? &uses(value).front() : nullptr;
  }

  std::optional<Product> product_of(NodeId id) const {
    const ir::Node& node = r_.graph().node(id);
    if (node.op != "matmul" || node.inputs.size() != 2) return {};
    const ir::Value& weight = r_.graph().value(node.inputs[1]);
    if (!weight.is_constant() || weight.type.rank() != 2 || !weight.pieces.empty() ||
        only_use(node.inputs[1]) == nullptr) {
      return {};
    }
    const size_t columns = transposed(node, "transpose_b") != 0 ? 0 : 1;
    Product product{id, node.inputs[1], {}, node.outputs[0], weight.constant->shape()[columns]};
    take_bias(product);
    if (r_.graph().is_output(product.result) || uses(product.result).empty()) return {};
    for (const ir::Graph::Use& use : uses(product.result)) {
      if (!reads_part(product.result, use) || is_activation(use)) return {};
    }
    return product;
  }

  void take_bias(Product& product) const {
    const ir::Graph::Use* use = only_use(product.result);
    if (use == nullptr) return;
    const ir::Node& node = r_.graph().node(use->node);
    if (node.op != "add") return;
    const ValueId bias = r_.unbroadcast(node.inputs[1 - use->input]);
    const ir::Value& value = r_.graph().value(bias);
    if (!value.is_constant() || !value.pieces.empty() || value.type.rank() != 1 ||
        value.constant->shape()[0] != product.columns ||
        r_.shape(node.outputs[0]) != r_.shape(product.result)) {
      return;
    }
    product.bias = bias;
    product.result = node.outputs[0];
  }

  bool is_activation(const ir::Graph::Use& use) const {
    const std::string& op = r_.graph().node(use.node).op;
    return op == "relu" || op == "gelu" || op == "gelu_tanh";
  }

  // Whether a reader takes columns of a wider matrix as they lie, by itself or behind views that
  // leave rows as they are.
  bool reads_part(ValueId value, const ir::Graph::Use& use) const {
    const ir::Node& node = r_.graph().node(use.node);
    const ops::OpDefinition& definition = r_.registry().at(node.op);
    if (definition.is_elementwise() || capabilities_.reads_strided(node.op, use.input)) return true;
    if (node.op == "matmul") return capabilities_.reads_rows(node.op, use.input);
    if (node.op != "transpose" && node.op != "split" && node.op != "slice" &&
        !(node.op == "reshape" && splits_columns(r_.shape(value), r_.shape(node.outputs[0])))) {
      return false;
    }
    for (const ValueId output : node.outputs) {
      if (r_.graph().is_output(output)) return false;
      for (const ir::Graph::Use& next : uses(output)) {
        if (!reads_part(output, next)) return false;
      }
    }
    return true;
  }
  // Dimensions of 1 may be anywhere.
  static bool splits_columns(const Shape& from, const Shape& to) {
    const auto more_than_one = [](auto begin, auto end) {
      Shape shape;
      std::copy_if(begin, end, std::back_inserter(shape),
                   [](const Dim& dim) { return !dim.is(1); });
      return shape;
    };
    const Shape rows = more_than_one(from.begin(), from.end() - 1);
    const Shape parts = more_than_one(to.begin(), to.end());
    return parts.size() >= rows.size() && std::equal(rows.begin(), rows.end(), parts.begin());
  }

  void merge(const std::vector<Product>& group) {
    ir::Graph& graph = r_.graph();
    const ir::Node& first = graph.node(group.front().node);
    const bool turned = transposed(first, "transpose_b") != 0;
    const ValueId operand = first.inputs[0];
    const Attributes attributes = first.attributes;
    std::string name;
    std::vector<ir::RecipePtr> weights, biases;
    std::vector<Dim> sizes;
    for (const Product& product : group) {
      name += (name.empty() ? "" : "+") + graph.node(product.node).name;
      weights.push_back(graph.value(product.weight).constant);
      if (product.bias.valid()) biases.push_back(graph.value(product.bias).constant);
      sizes.emplace_back(product.columns);
    }
    ops::Builder builder = r_.before(graph.node(group.front().node).outputs[0]);
    const ValueId weight =
        graph.add_constant(name + "/weight", ir::concat(std::move(weights), turned ? 0 : 1));
    ValueId result = builder.add1(name, "matmul", attributes, {operand, weight});
    if (!biases.empty()) {
      const ValueId bias = graph.add_constant(name + "/bias", ir::concat(std::move(biases), 0));
      result = builder.add1(name + "/add", "add", {},
                            {result, builder.broadcast(bias, graph.type(result).shape)});
    }
    const auto axis = static_cast<int64_t>(graph.type(result).rank()) - 1;
    const std::vector<ValueId> parts =
        builder.add(name + "/split", "split", {{"axis", Dim(axis)}, {"sizes", sizes}}, {result});
    for (size_t i = 0; i < group.size(); ++i) {
      const std::string old = graph.value(group[i].result).name;
      graph.rename(group[i].result, old + "/replaced");
      graph.rename(parts[i], old);
      r_.replace(group[i].result, parts[i]);
    }
  }

  Rewriter r_;
  const capabilities::Capabilities& capabilities_;
  const Uses uses_;
};

}  // namespace

bool merge_products(ir::Graph& graph, const ops::Registry& registry,
                    const capabilities::Capabilities& capabilities) {
  return Merge(graph, registry, capabilities).run();
}

}  // namespace cleave::passes
