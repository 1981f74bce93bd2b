#include "ir/graph.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace cleave::ir {
namespace {

std::string unique(std::string_view name, const std::set<std::string, std::less<>>& taken,
                   std::map<std::string, int, std::less<>>& suffixes) {
  const std::string base = name.empty() ? "v" : std::string(name);
  if (!taken.contains(base)) return base;
  int& next = suffixes.try_emplace(base, 2).first->second;
  std::string candidate;
  do {
    candidate = base + "#" + std::to_string(next++);
  } while (taken.contains(candidate));
  return candidate;
}

}  // namespace

RecipePtr Value::held(const SymbolValues& symbols) const {
  RecipePtr recipe = constant;
  for (size_t d = 0; d < pieces.size(); ++d) {
    std::vector<RecipePtr> parts;
    for (const Piece& piece : pieces[d]) {
      Box box{std::vector<int64_t>(recipe->shape().size(), 0), recipe->shape()};
      box.begin.at(d) = piece.begin.evaluate(symbols);
      box.extent.at(d) = piece.extent.evaluate(symbols);
      const bool whole = box.begin[d] == 0 && box.extent[d] == recipe->shape()[d];
      parts.push_back(whole ? recipe : slice(recipe, std::move(box)));
    }
    recipe = parts.size() == 1 ? parts[0] : concat(std::move(parts), static_cast<int64_t>(d));
  }
  return recipe;
}

std::string Graph::unique_name(std::string_view name) const {
  return unique(name, names_, suffixes_);
}

void Graph::rename(ValueId id, std::string_view name) {
  names_.erase(value(id).name);
  value(id).name = unique_name(name);
  names_.insert(value(id).name);
}

ValueId Graph::make_value(std::string_view name, TensorType type) {
  Value value;
  value.name = unique_name(name);
  value.type = std::move(type);
  names_.insert(value.name);
  values_.push_back(std::move(value));
  return ValueId(values_.size() - 1);
}

ValueId Graph::add_input(std::string_view name, TensorType type) {
  const ValueId id = make_value(name, std::move(type));
  inputs_.push_back(id);
  return id;
}

ValueId Graph::add_constant(std::string_view name, RecipePtr constant) {
  TensorType type{constant->dtype(), Shape(constant->shape().begin(), constant->shape().end())};
  const ValueId id = make_value(name, std::move(type));
  value(id).constant = std::move(constant);
  return id;
}

ValueId Graph::add_local_constant(std::string_view name, TensorType type, RecipePtr whole,
                                  std::vector<std::vector<Value::Piece>> pieces) {
  const ValueId id = make_value(name, std::move(type));
  value(id).constant = std::move(whole);
  value(id).pieces = std::move(pieces);
  return id;
}

NodeId Graph::make_node(std::string_view name, std::string_view op, Attributes attributes,
                        std::vector<ValueId> inputs, std::vector<TensorType> output_types,
                        std::vector<std::string> output_names) {
  const NodeId id(nodes_.size());
  Node node;
  node.name = unique(name.empty() ? op : name, node_names_, suffixes_);
  node_names_.insert(node.name);
  node.op = op;
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  for (size_t i = 0; i < output_types.size(); ++i) {
    const std::string output_name = i < output_names.size() ? output_names[i]
                                    : output_types.size() == 1
                                        ? node.name
                                        : node.name + ":" + std::to_string(i);
    const ValueId output = make_value(output_name, std::move(output_types[i]));
    value(output).producer = id;
    value(output).output_index = static_cast<uint32_t>(i);
    node.outputs.push_back(output);
  }
  nodes_.push_back(std::move(node));
  return id;
}

NodeId Graph::add_node(std::string_view name, std::string_view op, Attributes attributes,
                       std::vector<ValueId> inputs, std::vector<TensorType> output_types,
                       std::vector<std::string> output_names) {
  const NodeId id = make_node(name, op, std::move(attributes), std::move(inputs),
                              std::move(output_types), std::move(output_names));
  order_.push_back(id);
  return id;
}

NodeId Graph::insert_node(NodeId position, std::string_view name, std::string_view op,
                          Attributes attributes, std::vector<ValueId> inputs,
                          std::vector<TensorType> output_types,
                          std::vector<std::string> output_names) {
  const NodeId id = make_node(name, op, std::move(attributes), std::move(inputs),
                              std::move(output_types), std::move(output_names));
  const auto it = std::find(order_.begin(), order_.end(), position);
  CLEAVE_CHECK(it != order_.end(), "insert_node: no such position");
  order_.insert(it, id);
  return id;
}

std::vector<NodeId> Graph::order() const {
  std::vector<NodeId> live;
  live.reserve(order_.size());
  for (NodeId id : order_) {
    if (!node(id).erased) live.push_back(id);
  }
  return live;
}

std::optional<ValueId> Graph::find_value(std::string_view name) const {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].name == name) return ValueId(i);
  }
  return std::nullopt;
}

std::optional<NodeId> Graph::find_node(std::string_view name) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].erased && nodes_[i].name == name) return NodeId(i);
  }
  return std::nullopt;
}

std::vector<std::vector<Graph::Use>> Graph::uses() const {
  std::vector<std::vector<Use>> result(values_.size());
  for (NodeId id : order_) {
    const Node& n = node(id);
    if (n.erased) continue;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (n.inputs[i].valid()) {
        result[n.inputs[i].index()].push_back({id, static_cast<uint32_t>(i)});
      }
    }
  }
  return result;
}

bool Graph::is_output(ValueId value) const {
  return std::find(outputs_.begin(), outputs_.end(), value) != outputs_.end();
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& n : nodes_) {
    if (!n.erased) std::replace(n.inputs.begin(), n.inputs.end(), from, to);
  }
  std::replace(outputs_.begin(), outputs_.end(), from, to);
}

void Graph::erase(NodeId id) { node(id).erased = true; }

void Graph::compact() {
  std::vector<bool> keep(values_.size(), false);
  for (ValueId id : inputs_) keep[id.index()] = true;
  for (ValueId id : outputs_) keep[id.index()] = true;
  const std::vector<NodeId> live = order();
  for (NodeId id : live) {
    for (ValueId input : node(id).inputs) {
      if (input.valid()) keep[input.index()] = true;
    }
    for (ValueId output : node(id).outputs) keep[output.index()] = true;
  }
  std::vector<ValueId> moved(values_.size());
  std::vector<Value> values;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!keep[i]) {
      names_.erase(values_[i].name);
      continue;
    }
    moved[i] = ValueId(values.size());
    values.push_back(std::move(values_[i]));
  }
  const auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) {
      if (id.valid()) id = moved[id.index()];
    }
  };
  std::vector<Node> nodes;
  std::vector<NodeId> order;
  node_names_.clear();
  for (NodeId id : live) {
    Node n = std::move(node(id));
    renumber(n.inputs);
    renumber(n.outputs);
    order.push_back(NodeId(nodes.size()));
    for (ValueId output : n.outputs) values[output.index()].producer = order.back();
    node_names_.insert(n.name);
    nodes.push_back(std::move(n));
  }
  renumber(inputs_);
  renumber(outputs_);
  values_ = std::move(values);
  nodes_ = std::move(nodes);
  order_ = std::move(order);
}

void verify_structure(const Graph& graph) {
  std::vector<bool> made(graph.value_count(), false);
  for (ValueId id : graph.inputs()) made[id.index()] = true;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    if (graph.value(ValueId(i)).is_constant()) made[i] = true;
  }
  std::set<std::string> names;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    CLEAVE_CHECK(names.insert(node.name).second, "two nodes are named " + node.name);
    for (ValueId input : node.inputs) {
      if (!input.valid()) continue;
      CLEAVE_CHECK(input.index() < made.size(), node.name + " uses a value that is not there");
      CLEAVE_CHECK(made[input.index()],
                   node.name + " uses " + graph.value(input).name + " before it is made");
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Value& value = graph.value(node.outputs[i]);
      CLEAVE_CHECK(value.producer == id && value.output_index == i,
                   "the producer of " + value.name + " is not " + node.name);
      CLEAVE_CHECK(!made[node.outputs[i].index()], value.name + " is made twice");
      made[node.outputs[i].index()] = true;
    }
    for (const Graph& region : node.regions) verify_structure(region);
  }
  for (ValueId id : graph.outputs()) {
    CLEAVE_CHECK(id.valid() && made[id.index()], "a graph output is never made");
  }
}

}  // namespace cleave::ir
