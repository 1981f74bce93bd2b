// Conversion: one node of the model while a converter turns it into ops of the IR.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "onnx/source_node.h"
#include "onnx/symbolic.h"
#include "onnx/tensor_reader.h"
#include "ops/builder.h"

namespace cleave::onnx {

// Thrown by converters: the node is valid, but cannot be expressed. All are collected.
struct Unsupported {
  std::string reason;
};

// What is known of one tensor of the model.
struct Tensor {
  TensorType type;
  ir::ValueId value;                    // invalid while only `known` is there
  std::optional<SymbolicTensor> known;  // the elements, where they follow from dimensions
  // Not empty: the tensor could not be made; messages about it are given already or hold this.
  std::string missing_reason;
};

// The state of an import that conversions share.
struct ImportState {
  ir::Graph graph;
  ops::Builder builder;
  TensorReader& reader;
  std::unordered_map<std::string, Tensor> tensors;
  std::unordered_set<std::string> tensor_names;  // all of the model: values of ours avoid them

  ImportState(const ops::Registry& registry, TensorReader& tensor_reader)
      : builder(graph, registry), reader(tensor_reader) {}
  ImportState(const ImportState&) = delete;

  // The tensor's value in the graph; made now where only its elements are known.
  ir::ValueId value_of(const std::string& tensor);
};

class Conversion;
// Sets the node's outputs. Throws Unsupported for what cannot be expressed, Error(kInvalid) for
// what ONNX does not allow.
using Converter = std::function<void(Conversion&)>;

class Conversion {
 public:
  Conversion(ImportState& state, const SourceNode& node, int64_t version)
      : state_(state), node_(node), version_(version) {}

  const SourceNode& node() const { return node_; }
  // The version of the operator set that the node is written for.
  int64_t version() const { return version_; }

  // --- Inputs
  size_t input_count() const { return node_.inputs.size(); }
  bool has_input(size_t i) const;
  const TensorType& type(size_t i) const;
  size_t rank(size_t i) const { return type(i).rank(); }
  ir::ValueId input(size_t i);
  // The elements, where they are constant or follow from dimensions.
  std::optional<SymbolicTensor> known(size_t i) const;
  // The value, where it is a small constant.
  std::optional<HostTensor> constant(size_t i) const;
  // Integers that must be known at import; `what` names them in the reason otherwise.
  std::vector<Dim> dims(size_t i, std::string_view what) const;
  std::vector<int64_t> integers(size_t i, std::string_view what) const;

  // --- Attributes. Error(kInvalid) where one is of another kind.
  bool has(std::string_view name) const;
  int64_t integer(std::string_view name, std::optional<int64_t> otherwise = {}) const;
  double real(std::string_view name, std::optional<double> otherwise = {}) const;
  std::string string(std::string_view name, std::optional<std::string> otherwise = {}) const;
  std::optional<std::vector<int64_t>> integer_list(std::string_view name) const;
  std::optional<std::vector<double>> real_list(std::string_view name) const;
  ir::RecipePtr tensor(std::string_view name) const;
  // An attribute `axis` of a tensor of this rank, made non-negative.
  size_t axis(std::string_view name, size_t rank, std::optional<int64_t> otherwise = {}) const;
  DType dtype(std::string_view name) const;  // an attribute that holds an ONNX element type

  // --- Results
  size_t output_count() const { return node_.outputs.size(); }
  bool wants_output(size_t i) const;
  void output(size_t i, ir::ValueId value);
  void output(size_t i, SymbolicTensor known);

  // --- Building
  // Adds an op. The node's first one gets the node's name, others the name and the op's. With
  // constant operands and a small result the result is computed now.
  ir::ValueId emit(std::string_view op, std::vector<ir::ValueId> inputs,
                   Attributes attributes = {});
  std::vector<ir::ValueId> emit_all(std::string_view op, std::vector<ir::ValueId> inputs,
                                    Attributes attributes = {});
  // As `emit`, but a helper: never gets the node's own name.
  ir::ValueId help(std::string_view op, std::vector<ir::ValueId> inputs,
                   Attributes attributes = {});
  // By value: building moves what the graph holds.
  TensorType type_of(ir::ValueId value) const { return state_.graph.type(value); }
  Shape shape_of(ir::ValueId value) const { return state_.graph.type(value).shape; }
  // These return `value` itself where nothing changes.
  ir::ValueId broadcast(ir::ValueId value, const Shape& shape);
  ir::ValueId reshape(ir::ValueId value, const Shape& shape);
  ir::ValueId transpose(ir::ValueId value, const std::vector<size_t>& permutation);
  ir::ValueId cast(ir::ValueId value, DType to);
  // Half types as float32: what is summed and then scaled or rooted would leave their range.
  ir::ValueId wide(ir::ValueId value);
  // The elements [begin, begin + extent) of every dimension.
  ir::ValueId part(ir::ValueId value, const Shape& begin, const Shape& extent);
  ir::ValueId constant_of(HostTensor value);
  // The index along `axis`, as int64.
  ir::ValueId indices(const Shape& shape, size_t axis);
  // A constant that is the node's result.
  ir::ValueId add_constant(ir::RecipePtr constant);
  // Dimension expressions as a tensor, for where sizes are used as data.
  ir::ValueId size_of(const Dim& dim, DType dtype);
  // A number as a tensor of this type and shape.
  ir::ValueId filled(TensorType type, double value);
  // An element-wise op of two operands that broadcast against each other.
  ir::ValueId binary(std::string_view op, ir::ValueId a, ir::ValueId b);
  ir::ValueId binary(std::string_view op, ir::ValueId a, double b);
  ir::ValueId binary(std::string_view op, double a, ir::ValueId b);
  // A condition that shapes must meet; Error(kInvalid) where it cannot.
  void require_equal(const Dim& a, const Dim& b, std::string_view what);

  // A tensor's dimensions as `Dims` attributes are given.
  static std::vector<Dim> all_dims(const std::vector<size_t>& values);

  // The outputs that were set.
  const std::vector<std::optional<Tensor>>& results() const { return results_; }
  // Whether all outputs that are wanted were.
  bool is_complete() const;

  // What data movement does to the elements of symbolic operands: runs `converter` on the node with
  // the operands in `moved` replaced by the numbers of their elements, and puts elements for
  // numbers in its constant results. Sets no output where a result is not constant.
  void move_elements(const Converter& converter, const std::vector<size_t>& moved);

 private:
  const Tensor& tensor_of(size_t i) const;
  const ::onnx::AttributeProto* find(std::string_view name,
                                     ::onnx::AttributeProto::AttributeType type) const;
  [[noreturn]] void fail_missing_attribute(std::string_view name) const;
  std::vector<ir::ValueId> add(std::string name, std::string_view op,
                               std::vector<ir::ValueId> inputs, Attributes attributes);
  std::optional<std::vector<ir::ValueId>> fold(std::string_view op,
                                               const std::vector<ir::ValueId>& inputs,
                                               const Attributes& attributes);

  ImportState& state_;
  const SourceNode& node_;
  int64_t version_;
  bool has_main_ = false;
  std::vector<std::optional<Tensor>> results_ =
      std::vector<std::optional<Tensor>>(node_.outputs.size());
};

// `axis` counted from the front; Error(kInvalid) where it is not in [-rank, rank).
size_t normal_axis(int64_t axis, size_t rank);
std::vector<size_t> normal_axes(const std::vector<int64_t>& axes, size_t rank);

}  // namespace cleave::onnx
