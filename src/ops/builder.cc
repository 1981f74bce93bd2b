#include "ops/builder.h"

#include <algorithm>

#include "base/check.h"

namespace cleave::ops {
namespace {

bool is_kind(const Attributes::Value& value, AttributeField::Kind kind) {
  switch (kind) {
    case AttributeField::Kind::kDim:
      return std::holds_alternative<Dim>(value);
    case AttributeField::Kind::kDims:
      return std::holds_alternative<std::vector<Dim>>(value);
    case AttributeField::Kind::kReal:
      return std::holds_alternative<double>(value);
    case AttributeField::Kind::kReals:
      return std::holds_alternative<std::vector<double>>(value);
    case AttributeField::Kind::kString:
      return std::holds_alternative<std::string>(value);
    case AttributeField::Kind::kStrings:
      return std::holds_alternative<std::vector<std::string>>(value);
    case AttributeField::Kind::kType:
      return std::holds_alternative<DType>(value);
  }
  return false;
}

void check_attributes(const OpDefinition& definition, const Attributes& attributes) {
  const std::vector<AttributeField> known = definition.fields();
  for (const AttributeField& field : known) {
    const Attributes::Value* value = attributes.find(field.name);
    if (!value && field.required) {
      throw Error(ErrorCode::kInvalid, "the attribute '" + std::string(field.name) + "' of op " +
                                           std::string(definition.name()) + " is missing");
    }
    if (value && !is_kind(*value, field.kind)) {
      throw Error(ErrorCode::kInvalid, "the attribute '" + std::string(field.name) + "' of op " +
                                           std::string(definition.name()) +
                                           " is of the wrong kind");
    }
  }
  for (const Attributes::Field& field : attributes.fields()) {
    const bool taken = std::any_of(known.begin(), known.end(), [&](const AttributeField& other) {
      return other.name == field.name;
    });
    if (!taken) {
      throw Error(ErrorCode::kInvalid, "op " + std::string(definition.name()) +
                                           " has no attribute '" + field.name + "'");
    }
  }
}

std::vector<TensorType> infer(const ir::Graph& graph, const Registry& registry,
                              const ir::Node& node, std::vector<SizeGuard>* guards) {
  const OpDefinition& definition = registry.at(node.op);
  check_attributes(definition, node.attributes);
  const NodeContext context(graph, node, guards);
  std::vector<TensorType> types = definition.infer_types(context);
  for (const TensorType& type : types) {
    for (const Dim& extent : type.shape) {
      if (extent.bounds({}).high < 0) {
        throw Error(ErrorCode::kInvalid, "a dimension of the result is negative: " + type.text());
      }
    }
  }
  return types;
}

// Sizes that each fit may make more work than can be counted; here it is known which op is to
// blame.
void check_work(const ir::Graph& graph, const Registry& registry, const ir::Node& node,
                std::span<const TensorType> types) {
  const NodeContext context(graph, node, nullptr);
  registry.at(node.op).work(context.get(), types);
}

// Types agree where no dimension is provably different.
void check_types(const ir::Graph& graph, const ir::Node& node,
                 const std::vector<TensorType>& inferred) {
  CLEAVE_CHECK(inferred.size() == node.outputs.size(),
               "its op has " + std::to_string(inferred.size()) + " outputs");
  const Attributes none;
  const OpContext compare{none, {}};
  for (size_t i = 0; i < inferred.size(); ++i) {
    const TensorType& type = graph.type(node.outputs[i]);
    const std::string what = "the type of " + graph.value(node.outputs[i]).name + " is " +
                             type.text() + ", inferred is " + inferred[i].text();
    CLEAVE_CHECK(type.dtype == inferred[i].dtype && type.rank() == inferred[i].rank(), what);
    for (size_t d = 0; d < type.rank(); ++d) {
      compare.require_equal(type.shape[d], inferred[i].shape[d], what);
    }
  }
}

}  // namespace

NodeContext::NodeContext(const ir::Graph& graph, const ir::Node& node,
                         std::vector<SizeGuard>* guards)
    : attributes_(&node.attributes),
      present_(std::make_unique<bool[]>(node.inputs.size())),
      guards_(guards) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ir::ValueId id = node.inputs[i];
    present_[i] = id.valid();
    inputs_.push_back(id.valid() ? graph.type(id) : TensorType{});
    const HostTensor* value = nullptr;
    if (id.valid() && graph.value(id).is_constant() && graph.value(id).pieces.empty()) {
      const ir::RecipePtr& constant = graph.value(id).constant;
      if (constant->bytes() <= ir::kSmallConstantBytes) value = constant->value();
    }
    values_.push_back(value);
  }
}

std::vector<ir::ValueId> Builder::add(std::string_view name, std::string_view op,
                                      Attributes attributes, std::vector<ir::ValueId> inputs,
                                      std::vector<std::string> output_names) {
  ir::Node node;
  node.op = op;
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  std::vector<TensorType> types;
  try {
    types = infer(graph_, registry_, node, &graph_.guards());
    check_work(graph_, registry_, node, types);
  } catch (Error& error) {
    error.at(std::string(op) + " '" + std::string(name) + "'");
    throw;
  }
  const ir::NodeId id =
      position_.valid()
          ? graph_.insert_node(position_, name, op, std::move(node.attributes),
                               std::move(node.inputs), std::move(types), std::move(output_names))
          : graph_.add_node(name, op, std::move(node.attributes), std::move(node.inputs),
                            std::move(types), std::move(output_names));
  return graph_.node(id).outputs;
}

ir::ValueId Builder::add1(std::string_view name, std::string_view op, Attributes attributes,
                          std::vector<ir::ValueId> inputs, std::string output_name) {
  std::vector<std::string> names;
  if (!output_name.empty()) names.push_back(std::move(output_name));
  const std::vector<ir::ValueId> results =
      add(name, op, std::move(attributes), std::move(inputs), std::move(names));
  CLEAVE_CHECK(results.size() == 1, "the op " + std::string(op) + " has not one result");
  return results[0];
}

ir::ValueId Builder::broadcast(ir::ValueId value, const Shape& shape) {
  if (type(value).shape == shape) return value;
  Attributes attributes;
  attributes.set("shape", shape);
  return add1(graph_.value(value).name + "/broadcast", "broadcast", std::move(attributes), {value});
}

ir::ValueId Builder::scalar(DType dtype, double value) {
  HostTensor tensor(dtype, {});
  tensor.set(0, value);
  return graph_.add_constant("scalar", ir::constant_value(std::move(tensor)));
}

void verify(const ir::Graph& graph, const Registry& registry) {
  verify_structure(graph);
  for (ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    try {
      check_types(graph, node, infer(graph, registry, node, nullptr));
    } catch (const Error& error) {
      throw Error(ErrorCode::kInternal, error.message()).at(node.op + " '" + node.name + "'");
    }
    for (const ir::Graph& region : node.regions) verify(region, registry);
  }
}

}  // namespace cleave::ops
