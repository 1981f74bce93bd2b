#include "passes/rewriter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cleave::passes {
namespace {

// Ops whose result has the elements of their operand, each any number of times.
bool moves_elements(std::string_view op) {
  return op == "broadcast" || op == "reshape" || op == "transpose" || op == "slice" ||
         op == "split" || op == "reverse";
}

std::optional<double> uniform(const ir::Value& value) {
  if (!value.pieces.empty()) return std::nullopt;
  if (const auto fill = value.constant->fill()) return fill;
  const auto tensor = small_constant(value);
  if (!tensor || tensor->elements() == 0) return std::nullopt;
  const double first = tensor->get(0);
  for (int64_t i = 1; i < tensor->elements(); ++i) {
    if (tensor->get(i) != first) return std::nullopt;
  }
  return first;
}

// The relative error with which constants of a type are written.
double rounding_of(DType dtype) {
  if (dtype == DType::kBFloat16) return 8e-3;
  return dtype == DType::kFloat16 ? 1e-3 : 1e-6;
}

}  // namespace

std::optional<HostTensor> small_constant(const ir::Value& value) {
  if (!value.is_constant() || !value.pieces.empty() ||
      value.constant->bytes() > ir::kSmallConstantBytes) {
    return std::nullopt;
  }
  if (const HostTensor* tensor = value.constant->value()) return *tensor;
  try {
    return value.constant->read_all();
  } catch (const Error&) {  // planning works without the files of weights
    return std::nullopt;
  }
}

const ir::Node* Rewriter::producer(ir::ValueId value) const {
  if (!value.valid()) return nullptr;
  const ir::NodeId id = graph_.value(value).producer;
  return id.valid() ? &graph_.node(id) : nullptr;
}

const ir::Node* Rewriter::made_by(ir::ValueId value, std::string_view op) const {
  const ir::Node* node = producer(value);
  return node != nullptr && node->op == op ? node : nullptr;
}

ir::ValueId Rewriter::unbroadcast(ir::ValueId value) const {
  while (const ir::Node* node = made_by(value, "broadcast")) value = node->inputs[0];
  return value;
}

ir::ValueId Rewriter::uncast(ir::ValueId value) const {
  while (const ir::Node* node = made_by(value, "cast")) {
    if (!is_floating(type(value).dtype) || !is_floating(type(node->inputs[0]).dtype)) break;
    value = node->inputs[0];
  }
  return value;
}

std::optional<double> Rewriter::scalar(ir::ValueId value) const {
  while (value.valid() && !graph_.value(value).is_constant()) {
    const ir::Node* node = producer(value);
    if (node == nullptr) return std::nullopt;
    const bool widened = node->op == "cast" && is_floating(type(value).dtype);
    if (!widened && !moves_elements(node->op)) return std::nullopt;
    value = node->inputs[0];
  }
  return value.valid() ? uniform(graph_.value(value)) : std::nullopt;
}

std::optional<Dim> Rewriter::size(ir::ValueId value) const {
  if (const auto number = scalar(value)) {
    if (*number != std::floor(*number) || std::abs(*number) > 1e15) return std::nullopt;
    return Dim(static_cast<int64_t>(*number));
  }
  while (const ir::Node* node = producer(value)) {
    if (node->op == "shape_values") {
      const std::vector<Dim>& values = node->attributes.dims("values");
      return values.size() == 1 ? std::optional(values[0]) : std::nullopt;
    }
    if (node->op != "cast" && !moves_elements(node->op)) return std::nullopt;
    value = node->inputs[0];
  }
  return std::nullopt;
}

bool Rewriter::is_scalar(ir::ValueId value, double number) const {
  const auto found = scalar(value);
  return found && std::abs(*found - number) <= std::abs(number) * rounding_of(type(value).dtype);
}

void Rewriter::count_uses() const {
  if (is_counted_ && uses_.size() == graph_.value_count()) return;
  uses_.assign(graph_.value_count(), 0);
  for (size_t i = 0; i < graph_.node_count(); ++i) {
    const ir::Node& node = graph_.node(ir::NodeId(i));
    if (node.erased) continue;
    for (const ir::ValueId input : node.inputs) {
      if (input.valid()) ++uses_[input.index()];
    }
  }
  for (const ir::ValueId output : graph_.outputs()) ++uses_[output.index()];
  is_counted_ = true;
}

size_t Rewriter::use_count(ir::ValueId value) const {
  count_uses();
  return uses_.at(value.index());
}

bool Rewriter::is_closed(ir::ValueId root, std::span<const ir::ValueId> leaves) const {
  constexpr size_t kMostNodes = 64;
  const auto is_leaf = [&](ir::ValueId value) {
    return !value.valid() || !graph_.value(value).producer.valid() ||
           std::find(leaves.begin(), leaves.end(), value) != leaves.end();
  };
  const auto contains = [](const std::vector<ir::NodeId>& nodes, ir::NodeId id) {
    return std::find(nodes.begin(), nodes.end(), id) != nodes.end();
  };
  std::vector<ir::NodeId> inside{graph_.value(root).producer};
  for (size_t i = 0; i < inside.size(); ++i) {
    for (const ir::ValueId input : graph_.node(inside[i]).inputs) {
      if (is_leaf(input)) continue;
      const ir::NodeId made_by = graph_.value(input).producer;
      if (!contains(inside, made_by)) inside.push_back(made_by);
    }
    if (inside.size() > kMostNodes) return false;
  }
  std::vector<ir::NodeId> free;
  const auto is_free = [&](ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    if (!moves_elements(node.op) && node.op != "iota" && node.op != "shape_values") return false;
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ir::ValueId input) {
      return is_leaf(input) || contains(free, graph_.value(input).producer);
    });
  };
  for (bool found = true; found;) {
    found = false;
    for (const ir::NodeId id : inside) {
      if (contains(free, id) || !is_free(id)) continue;
      free.push_back(id);
      found = true;
    }
  }
  for (const ir::NodeId id : inside) {
    if (id == inside[0] || contains(free, id)) continue;
    for (const ir::ValueId output : graph_.node(id).outputs) {
      size_t uses = 0;
      for (const ir::NodeId reader : inside) {
        const std::vector<ir::ValueId>& inputs = graph_.node(reader).inputs;
        uses += static_cast<size_t>(std::count(inputs.begin(), inputs.end(), output));
      }
      if (uses != use_count(output)) return false;
    }
  }
  return true;
}

ops::Builder Rewriter::before(ir::ValueId value) {
  is_counted_ = false;
  ops::Builder builder(graph_, registry_);
  builder.insert_before(graph_.value(value).producer);
  return builder;
}

ir::ValueId Rewriter::add_for(ir::ValueId root, std::string_view op, Attributes attributes,
                              std::vector<ir::ValueId> inputs) {
  const ir::NodeId old = graph_.value(root).producer;
  const std::string name = graph_.node(old).name;
  const ir::ValueId value = before(root).add1(name, op, std::move(attributes), std::move(inputs));
  std::swap(graph_.node(old).name, graph_.node(graph_.value(value).producer).name);
  if (!graph_.is_output(root)) {  // `replace` renames results
    const std::string value_name = graph_.value(root).name;
    graph_.rename(root, value_name + "/replaced");
    graph_.rename(value, value_name);
  }
  return value;
}

bool Rewriter::replace(ir::ValueId root, ir::ValueId by) {
  if (root == by) return false;
  if (graph_.is_output(root)) {
    if (!graph_.value(by).producer.valid() || graph_.is_output(by)) return false;
    const std::string name = graph_.value(root).name;
    graph_.rename(root, name + "/replaced");
    graph_.rename(by, name);
  }
  graph_.replace_uses(root, by);
  is_counted_ = false;
  drop_unread(graph_.value(root).producer);
  return true;
}

void Rewriter::set_input(ir::NodeId node, size_t input, ir::ValueId value) {
  const ir::ValueId old = graph_.node(node).inputs.at(input);
  graph_.node(node).inputs[input] = value;
  is_counted_ = false;
  if (old.valid() && graph_.value(old).producer.valid()) drop_unread(graph_.value(old).producer);
}

void Rewriter::drop_unread(ir::NodeId first) {
  count_uses();
  std::vector<ir::NodeId> pending{first};
  while (!pending.empty()) {
    const ir::NodeId id = pending.back();
    pending.pop_back();
    const ir::Node& node = graph_.node(id);
    const bool is_read = std::any_of(node.outputs.begin(), node.outputs.end(),
                                     [&](ir::ValueId v) { return uses_[v.index()] > 0; });
    if (is_read || node.erased) continue;
    for (const ir::ValueId input : node.inputs) {
      if (!input.valid()) continue;
      --uses_[input.index()];
      if (graph_.value(input).producer.valid()) pending.push_back(graph_.value(input).producer);
    }
    graph_.erase(id);
  }
}

}  // namespace cleave::passes
