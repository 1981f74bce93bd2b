#include "passes/constant_folding.h"

#include <algorithm>

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::RecipePtr;
using ir::ValueId;

std::optional<std::vector<int64_t>> numbers(std::span<const Dim> dims) {
  std::vector<int64_t> values;
  for (const Dim& dim : dims) {
    if (!dim.is_constant()) return std::nullopt;
    values.push_back(dim.constant());
  }
  return values;
}

std::optional<int64_t> bytes_of(const TensorType& type) {
  const auto shape = numbers(type.shape);
  if (!shape) return std::nullopt;
  auto bytes = static_cast<int64_t>(size_of(type.dtype));
  for (const int64_t extent : *shape) {
    if (extent < 0 || (extent > 0 && bytes > ir::kSmallConstantBytes / extent)) {
      return ir::kSmallConstantBytes + 1;
    }
    bytes *= extent;
  }
  return bytes;
}

bool is_small(const TensorType& type) {
  const auto bytes = bytes_of(type);
  return bytes && *bytes <= ir::kSmallConstantBytes;
}

class Folder {
 public:
  Folder(Rewriter& rewriter, ir::NodeId id)
      : rewriter_(rewriter), node_(rewriter.graph().node(id)) {}

  bool run() {
    if (!node_.regions.empty() || node_.op == "broadcast" || node_.outputs.empty()) return false;
    const ops::OpDefinition& definition = rewriter_.registry().at(node_.op);
    if (definition.is_collective()) return false;
    if (const auto recipes = move(); !recipes.empty()) return replace(recipes);
    if (fold_number(definition)) return true;
    const auto results = compute(definition);
    if (results.empty()) return false;
    std::vector<RecipePtr> recipes;
    for (const HostTensor& result : results) recipes.push_back(ir::constant_value(result));
    return replace(recipes);
  }

 private:
  bool replace(const std::vector<RecipePtr>& recipes) {
    bool changed = false;
    for (size_t i = 0; i < recipes.size(); ++i) {
      const ValueId old = node_.outputs[i];
      if (rewriter_.graph().is_output(old) || rewriter_.use_count(old) == 0) continue;
      const ValueId constant =
          rewriter_.graph().add_constant(rewriter_.graph().value(old).name, recipes[i]);
      changed = rewriter_.replace(old, constant) || changed;
    }
    return changed;
  }

  // A constant's value: its own, or that of a constant broadcast to a small shape.
  std::optional<HostTensor> value_of(ValueId id) const {
    if (rewriter_.graph().value(id).is_constant())
      return small_constant(rewriter_.graph().value(id));
    const ir::Node* node = rewriter_.made_by(id, "broadcast");
    if (node == nullptr || !is_small(rewriter_.type(id))) return std::nullopt;
    const auto source = value_of(node->inputs[0]);
    if (!source) return std::nullopt;
    HostTensor result(source->dtype, *numbers(rewriter_.shape(id)));
    const HostTensor* operand = &*source;
    rewriter_.registry().at("broadcast").reference(node->attributes, {&operand, 1}, {&result, 1});
    return result;
  }

  std::vector<HostTensor> compute(const ops::OpDefinition& definition) const {
    std::vector<HostTensor> results;
    for (const ValueId output : node_.outputs) {
      const TensorType& type = rewriter_.type(output);
      if (!is_small(type)) return {};
      results.emplace_back(type.dtype, *numbers(type.shape));
    }
    std::vector<HostTensor> values(node_.inputs.size());
    std::vector<const HostTensor*> operands(node_.inputs.size(), nullptr);
    for (size_t i = 0; i < node_.inputs.size(); ++i) {
      if (!node_.inputs[i].valid()) continue;
      auto value = value_of(node_.inputs[i]);
      if (!value) return {};
      values[i] = std::move(*value);
      operands[i] = &values[i];
    }
    try {
      definition.reference(node_.attributes.evaluated({}), operands, results);
    } catch (const Error&) {  // of sizes that depend on symbols, or of data: reported when it runs
      return {};
    }
    return results;
  }

  // An element-wise op of equal numbers, whatever the shape.
  bool fold_number(const ops::OpDefinition& definition) {
    const ValueId old = node_.outputs[0];
    if (!definition.is_elementwise() || node_.outputs.size() != 1 || node_.inputs.empty() ||
        std::none_of(node_.inputs.begin(), node_.inputs.end(), [&](ValueId input) {
          return rewriter_.made_by(input, "broadcast") != nullptr;
        })) {
      return false;
    }
    std::vector<HostTensor> values;
    for (const ValueId input : node_.inputs) {
      const ValueId source = rewriter_.unbroadcast(input);
      const auto tensor = small_constant(rewriter_.graph().value(source));
      if (!tensor || tensor->elements() != 1) return false;
      values.push_back(*tensor);
      values.back().shape.clear();
    }
    std::vector<const HostTensor*> operands;
    for (const HostTensor& value : values) operands.push_back(&value);
    HostTensor result(rewriter_.type(old).dtype, {});
    try {
      definition.reference(node_.attributes.evaluated({}), operands, {&result, 1});
    } catch (const Error&) {
      return false;
    }
    const ValueId constant =
        rewriter_.graph().add_constant(node_.name + "/number", ir::constant_value(result));
    const ValueId wide =
        rewriter_.add_for(old, "broadcast", {{"shape", rewriter_.shape(old)}}, {constant});
    return rewriter_.replace(old, wide);
  }

  // What ops that move elements make of large constants; empty where this is not such an op.
  std::vector<RecipePtr> move() const {
    std::vector<RecipePtr> sources;
    for (const ValueId id : node_.inputs) {
      if (!id.valid()) return {};
      const ir::Value& value = rewriter_.graph().value(id);
      if (!value.is_constant() || !value.pieces.empty()) return {};
      sources.push_back(value.constant);
    }
    if (sources.empty()) return {};
    std::vector<std::vector<int64_t>> shapes;
    for (const ValueId output : node_.outputs) {
      const auto shape = numbers(rewriter_.shape(output));
      if (!shape) return {};
      shapes.push_back(*shape);
    }
    if (is_small(rewriter_.type(node_.outputs[0])) &&
        sources[0]->bytes() <= ir::kSmallConstantBytes) {
      return {};  // a value is better than a recipe
    }
    const Attributes& attributes = node_.attributes;
    if (node_.op == "transpose") return {ir::transpose(sources[0], attributes.integers("perm"))};
    if (node_.op == "reshape") return {ir::reshape(sources[0], shapes[0])};
    if (node_.op == "cast") return {ir::cast(sources[0], attributes.dtype("to"))};
    if (node_.op == "concat") return {ir::concat(sources, attributes.integer("axis"))};
    if (node_.op == "slice") return slice(sources[0], shapes[0]);
    if (node_.op == "split") return split(sources[0], shapes);
    return {};
  }

  std::vector<RecipePtr> slice(const RecipePtr& source, const std::vector<int64_t>& extent) const {
    const auto begin = numbers(node_.attributes.dims("begin"));
    const std::vector<Dim>& steps = node_.attributes.dims("step");
    if (!begin || std::any_of(steps.begin(), steps.end(), [](const Dim& d) { return !d.is(1); })) {
      return {};
    }
    for (size_t d = 0; d < begin->size(); ++d) {
      if ((*begin)[d] < 0 || (*begin)[d] + extent[d] > source->shape()[d]) return {};
    }
    return {ir::slice(source, {*begin, extent})};
  }

  std::vector<RecipePtr> split(const RecipePtr& source,
                               const std::vector<std::vector<int64_t>>& shapes) const {
    const auto axis = static_cast<size_t>(node_.attributes.integer("axis"));
    std::vector<RecipePtr> parts;
    ir::Box box{std::vector<int64_t>(source->shape().size(), 0), {}};
    for (const std::vector<int64_t>& shape : shapes) {
      box.extent = shape;
      parts.push_back(ir::slice(source, box));
      box.begin[axis] += shape[axis];
    }
    return parts;
  }

  Rewriter& rewriter_;
  const ir::Node node_;  // a copy: adding nodes moves the graph's own
};

}  // namespace

bool constant_folding(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, [](Rewriter& rewriter, ir::NodeId id) {
    return Folder(rewriter, id).run();
  });
}

}  // namespace cleave::passes
