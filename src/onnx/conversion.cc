#include "onnx/conversion.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "onnx/limits.h"
#include "onnx/quote.h"

namespace cleave::onnx {
namespace {

// Of floating constants that are repeated where they are imported.
constexpr int64_t kMostRepeatedBytes = 256;

bool is_small_constant(const ir::Graph& graph, ir::ValueId id) {
  if (!id.valid() || !graph.value(id).is_constant()) return false;
  const ir::RecipePtr& constant = graph.value(id).constant;
  return constant->value() != nullptr && constant->bytes() <= ir::kSmallConstantBytes;
}

std::string joined(std::string_view name, std::string_view suffix) {
  return std::string(name) + "/" + std::string(suffix);
}

// Expressions as the attribute of shape_values; floating-point elements as quotients.
ir::ValueId materialise(ImportState& state, const std::string& name, const SymbolicTensor& known) {
  ops::Builder& builder = state.builder;
  if (known.is_constant()) {
    return state.graph.add_constant(name, ir::constant_value(known.value()));
  }
  const auto list = [&](const std::string& as, Dim Element::*part) {
    std::vector<Dim> values;
    for (const Element& element : known.elements) values.push_back(element.*part);
    Attributes attributes{{"values", values}, {"to", known.dtype}};
    if (known.shape.empty()) attributes.set("scalar", Dim(1));
    return builder.add1(as, "shape_values", std::move(attributes), {});
  };
  ir::ValueId value = list(name, &Element::numerator);
  const bool is_whole = std::all_of(known.elements.begin(), known.elements.end(),
                                    [](const Element& element) { return element.is_whole(); });
  if (!is_whole) {
    const ir::ValueId below = list(joined(name, "denominator"), &Element::denominator);
    value = builder.add1(joined(name, "quotient"), "div", {}, {value, below});
  }
  if (known.shape.size() > 1) {
    value = builder.add1(joined(name, "reshape"), "reshape",
                         Attributes{{"shape", known.type().shape}}, {value});
  }
  return value;
}

}  // namespace

size_t normal_axis(int64_t axis, size_t rank) {
  const auto limit = static_cast<int64_t>(rank);
  if (axis < -limit || axis >= limit) {
    throw Error(ErrorCode::kInvalid, "the axis " + std::to_string(axis) +
                                         " is outside a tensor of " + std::to_string(rank) +
                                         " dimensions");
  }
  return static_cast<size_t>(axis < 0 ? axis + limit : axis);
}

std::vector<size_t> normal_axes(const std::vector<int64_t>& axes, size_t rank) {
  std::vector<size_t> result;
  for (const int64_t axis : axes) {
    const size_t normal = normal_axis(axis, rank);
    if (std::find(result.begin(), result.end(), normal) != result.end()) {
      throw Error(ErrorCode::kInvalid, "the axis " + std::to_string(axis) + " is named twice");
    }
    result.push_back(normal);
  }
  return result;
}

ir::ValueId ImportState::value_of(const std::string& name) {
  Tensor& tensor = tensors.at(name);
  if (!tensor.value.valid()) {
    CLEAVE_CHECK(tensor.known.has_value(), "nothing is known of the tensor " + name);
    tensor.value = materialise(*this, name, *tensor.known);
  }
  return tensor.value;
}

// --- Inputs

const Tensor& Conversion::tensor_of(size_t i) const {
  if (!has_input(i)) {
    throw Error(ErrorCode::kInvalid, "the input " + std::to_string(i) + " is missing",
                "check the model with onnx.checker");
  }
  return state_.tensors.at(node_.inputs[i]);
}

bool Conversion::has_input(size_t i) const {
  return i < node_.inputs.size() && !node_.inputs[i].empty();
}

const TensorType& Conversion::type(size_t i) const { return tensor_of(i).type; }

ir::ValueId Conversion::input(size_t i) {
  tensor_of(i);
  return state_.value_of(node_.inputs[i]);
}

std::optional<HostTensor> Conversion::constant(size_t i) const {
  const Tensor& tensor = tensor_of(i);
  if (tensor.known && tensor.known->is_constant()) return tensor.known->value();
  if (tensor.value.valid() && is_small_constant(state_.graph, tensor.value)) {
    return *state_.graph.value(tensor.value).constant->value();
  }
  return std::nullopt;
}

std::optional<SymbolicTensor> Conversion::known(size_t i) const {
  const Tensor& tensor = tensor_of(i);
  if (tensor.known) return tensor.known;
  if (!tensor.value.valid() || !is_small_constant(state_.graph, tensor.value)) return std::nullopt;
  return SymbolicTensor::of(*state_.graph.value(tensor.value).constant->value());
}

std::vector<Dim> Conversion::dims(size_t i, std::string_view what) const {
  const auto values = known(i);
  if (!values || is_floating(values->dtype)) {
    throw Unsupported{std::string(what) + " depend on data: the tensor " + quote(node_.inputs[i]) +
                      " is computed from more than dimensions and constants"};
  }
  std::vector<Dim> result;
  for (const Element& element : values->elements) result.push_back(element.numerator);
  return result;
}

std::vector<int64_t> Conversion::integers(size_t i, std::string_view what) const {
  std::vector<int64_t> result;
  for (const Dim& dim : dims(i, what)) {
    if (!dim.is_constant()) {
      throw Unsupported{std::string(what) + " depend on a dimension: " + dim.text()};
    }
    result.push_back(dim.constant());
  }
  return result;
}

// --- Results

bool Conversion::wants_output(size_t i) const {
  return i < node_.outputs.size() && !node_.outputs[i].empty();
}

void Conversion::output(size_t i, ir::ValueId value) {
  if (i < results_.size()) results_[i] = Tensor{type_of(value), value, std::nullopt, {}};
}

void Conversion::output(size_t i, SymbolicTensor known) {
  if (i >= results_.size()) return;
  const TensorType type = known.type();
  results_[i] = Tensor{type, ir::ValueId(), std::move(known), {}};
}

bool Conversion::is_complete() const {
  for (size_t i = 0; i < results_.size(); ++i) {
    if (wants_output(i) && !results_[i]) return false;
  }
  return true;
}

void Conversion::move_elements(const Converter& converter, const std::vector<size_t>& moved) {
  std::vector<Element> elements;
  SourceNode numbered = node_;
  numbered.name += "/numbers";
  bool is_symbolic = false;
  DType dtype = DType::kInt64;
  for (const size_t i : moved) {
    const auto operand = known(i);
    if (!operand) return;
    dtype = operand->dtype;
    is_symbolic = is_symbolic || !operand->is_constant();
    HostTensor numbers(DType::kInt64, operand->shape);
    for (size_t k = 0; k < operand->elements.size(); ++k) {
      numbers.set_integer(static_cast<int64_t>(k), static_cast<int64_t>(elements.size()));
      elements.push_back(operand->elements[k]);
    }
    std::string name = joined(node_.name, "numbers:" + std::to_string(i));
    while (state_.tensors.contains(name)) name += "'";
    Tensor tensor;
    tensor.value = constant_of(std::move(numbers));
    tensor.type = type_of(tensor.value);
    state_.tensors.emplace(name, std::move(tensor));
    numbered.inputs[i] = name;
  }
  Conversion inner(state_, numbered, version_);
  if (is_symbolic) converter(inner);
  for (const size_t i : moved) state_.tensors.erase(numbered.inputs[i]);
  for (size_t i = 0; i < results_.size(); ++i) {
    if (!inner.results_[i]) continue;
    const ir::ValueId id = inner.results_[i]->value;
    if (!is_small_constant(state_.graph, id)) continue;
    const HostTensor& numbers = *state_.graph.value(id).constant->value();
    if (numbers.elements() > kMaxSymbolicElements) continue;
    SymbolicTensor result{dtype, numbers.shape, {}};
    for (int64_t k = 0; k < numbers.elements(); ++k) {
      result.elements.push_back(elements.at(static_cast<size_t>(numbers.get_integer(k))));
    }
    output(i, std::move(result));
  }
}

// --- Building

std::optional<std::vector<ir::ValueId>> Conversion::fold(std::string_view op,
                                                         const std::vector<ir::ValueId>& inputs,
                                                         const Attributes& attributes) {
  for (const ir::ValueId id : inputs) {
    if (!is_small_constant(state_.graph, id)) return std::nullopt;
  }
  const ops::OpDefinition& definition = state_.builder.registry().at(op);
  ir::Node node;
  node.op = op;
  node.attributes = attributes;
  node.inputs = inputs;
  std::vector<HostTensor> outputs;
  Attributes evaluated;
  try {
    const ops::NodeContext context(state_.graph, node);
    int64_t bytes = 0;
    for (const TensorType& type : definition.infer_types(context)) {
      const auto size = type.bytes().as_constant();
      if (!size) return std::nullopt;
      bytes = checked_add(bytes, *size);
      if (bytes > ir::kSmallConstantBytes) return std::nullopt;
      // A bias as large as what it is added to would be one more tensor to read, and lie in one
      // format: passes see through the op.
      if (op == "broadcast" && is_floating(type.dtype) && *size > kMostRepeatedBytes) {
        return std::nullopt;
      }
      outputs.emplace_back(type.dtype, evaluate(type.shape, {}));
    }
    evaluated = attributes.evaluated({});
  } catch (const Error&) {
    return std::nullopt;  // not constant, or wrong: adding the op says why
  }
  std::vector<const HostTensor*> values;
  for (const ir::ValueId id : inputs) {
    values.push_back(state_.graph.value(id).constant->value());
  }
  definition.reference(evaluated, values, outputs);
  std::vector<ir::ValueId> results;
  for (HostTensor& output : outputs) results.push_back(constant_of(std::move(output)));
  return results;
}

std::vector<ir::ValueId> Conversion::add(std::string name, std::string_view op,
                                         std::vector<ir::ValueId> inputs, Attributes attributes) {
  if (auto folded = fold(op, inputs, attributes)) return *folded;
  const size_t count = op == "split" ? attributes.dims("sizes").size() : op == "top_k" ? 2 : 1;
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    std::string output = count == 1 ? name : name + ":" + std::to_string(i);
    while (state_.tensor_names.contains(output)) output += "'";
    names.push_back(std::move(output));
  }
  return state_.builder.add(name, op, std::move(attributes), std::move(inputs), std::move(names));
}

std::vector<ir::ValueId> Conversion::emit_all(std::string_view op, std::vector<ir::ValueId> inputs,
                                              Attributes attributes) {
  std::string name = has_main_ ? joined(node_.name, op) : node_.name;
  has_main_ = true;
  return add(std::move(name), op, std::move(inputs), std::move(attributes));
}

ir::ValueId Conversion::emit(std::string_view op, std::vector<ir::ValueId> inputs,
                             Attributes attributes) {
  return emit_all(op, std::move(inputs), std::move(attributes)).at(0);
}

ir::ValueId Conversion::help(std::string_view op, std::vector<ir::ValueId> inputs,
                             Attributes attributes) {
  return add(joined(node_.name, op), op, std::move(inputs), std::move(attributes)).at(0);
}

ir::ValueId Conversion::broadcast(ir::ValueId value, const Shape& shape) {
  if (shape_of(value) == shape) return value;
  return help("broadcast", {value}, {{"shape", shape}});
}

ir::ValueId Conversion::reshape(ir::ValueId value, const Shape& shape) {
  if (shape_of(value) == shape) return value;
  return help("reshape", {value}, {{"shape", shape}});
}

ir::ValueId Conversion::transpose(ir::ValueId value, const std::vector<size_t>& permutation) {
  if (std::is_sorted(permutation.begin(), permutation.end())) return value;
  return help("transpose", {value}, {{"perm", all_dims(permutation)}});
}

ir::ValueId Conversion::cast(ir::ValueId value, DType to) {
  if (type_of(value).dtype == to) return value;
  return help("cast", {value}, {{"to", to}});
}

ir::ValueId Conversion::wide(ir::ValueId value) {
  const DType dtype = type_of(value).dtype;
  const bool is_half = dtype == DType::kFloat16 || dtype == DType::kBFloat16;
  return is_half ? cast(value, DType::kFloat32) : value;
}

ir::ValueId Conversion::part(ir::ValueId value, const Shape& begin, const Shape& extent) {
  if (shape_of(value) == extent) return value;
  return help("slice", {value},
              {{"begin", begin}, {"extent", extent}, {"step", Shape(extent.size(), 1)}});
}

ir::ValueId Conversion::indices(const Shape& shape, size_t axis) {
  return help("iota", {},
              {{"shape", shape}, {"axis", Dim(static_cast<int64_t>(axis))}, {"to", DType::kInt64}});
}

ir::ValueId Conversion::constant_of(HostTensor value) {
  std::string name = joined(node_.name, "constant");
  while (state_.tensor_names.contains(name)) name += "'";
  return state_.graph.add_constant(name, ir::constant_value(std::move(value)));
}

ir::ValueId Conversion::add_constant(ir::RecipePtr constant) {
  return state_.graph.add_constant(node_.outputs.empty() ? node_.name : node_.outputs[0],
                                   std::move(constant));
}

ir::ValueId Conversion::size_of(const Dim& dim, DType dtype) {
  return help("shape_values", {},
              {{"values", std::vector<Dim>{dim}}, {"to", dtype}, {"scalar", Dim(1)}});
}

ir::ValueId Conversion::filled(TensorType type, double value) {
  HostTensor scalar(type.dtype, {});
  scalar.set(0, value);
  return broadcast(constant_of(std::move(scalar)), type.shape);
}

ir::ValueId Conversion::binary(std::string_view op, ir::ValueId a, ir::ValueId b) {
  const Shape shape = broadcast_shapes({shape_of(a), shape_of(b)});
  const ir::ValueId wide_a = broadcast(a, shape);
  return emit(op, {wide_a, broadcast(b, shape)});
}

ir::ValueId Conversion::binary(std::string_view op, ir::ValueId a, double b) {
  return emit(op, {a, filled(type_of(a), b)});
}

ir::ValueId Conversion::binary(std::string_view op, double a, ir::ValueId b) {
  return emit(op, {filled(type_of(b), a), b});
}

void Conversion::require_equal(const Dim& a, const Dim& b, std::string_view what) {
  const auto equal = provably_equal(a, b);
  if (equal == std::optional(true)) return;
  if (equal == std::optional(false)) {
    throw Error(ErrorCode::kInvalid, std::string(what) + ": " + a.text() + " is not " + b.text());
  }
  add_guard(state_.graph.guards(), {a, b, node_.text() + ": " + std::string(what)});
}

std::vector<Dim> Conversion::all_dims(const std::vector<size_t>& values) {
  std::vector<Dim> result;
  for (const size_t value : values) result.emplace_back(static_cast<int64_t>(value));
  return result;
}

}  // namespace cleave::onnx
