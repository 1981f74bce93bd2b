#include "onnx/import.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

#include "cleave/error.h"
#include "onnx/conversion.h"
#include "onnx/converters.h"
#include "onnx/declared_types.h"
#include "onnx/quote.h"
#include "onnx/source_node.h"
#include "onnx/tensor_reader.h"
#include "onnx/wire.h"

namespace cleave::onnx {
namespace {

using ::onnx::ModelProto;

ModelProto parse(const ByteSource& source) {
  const std::string bytes = strip(source);
  ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw Error(ErrorCode::kInvalid, source.name() + " is damaged: its parts do not parse",
                "copy or export it again");
  }
  if (!model.has_graph()) {
    throw Error(ErrorCode::kInvalid, source.name() + " is not an ONNX model: it holds no graph",
                "give a .onnx file; models of other kinds must be exported to ONNX first");
  }
  return model;
}

class Importer {
 public:
  Importer(const ModelProto& model, TensorReader& reader, const ImportOptions& options,
           const ops::Registry& registry)
      : model_(model), options_(options), registry_(registry), state_(registry, reader) {}

  ir::Graph run() {
    check_operator_sets();
    SourceGraph source = flatten(model_);
    order(source, given_tensors(), output_names());
    for (const SourceNode& node : source.nodes) {
      state_.tensor_names.insert(node.outputs.begin(), node.outputs.end());
    }
    for (const auto& declared : model_.graph().value_info()) declare(declared);
    for (const auto& declared : model_.graph().output()) declare(declared);
    add_inputs();
    add_initializers(source);
    for (const SourceNode& node : source.nodes) convert(node);
    fail_if_unsupported();
    set_outputs();
    remove_unused();
    ops::verify(state_.graph, registry_);
    return std::move(state_.graph);
  }

 private:
  void check_operator_sets() const {
    for (const auto& import : model_.opset_import()) {
      if (!normal_domain(import.domain()).empty()) continue;
      if (import.version() < kOldestOperatorSet || import.version() > kNewestOperatorSet) {
        throw Error(ErrorCode::kUnsupported,
                    "the model is written for ONNX's operator set " +
                        std::to_string(import.version()) + "; Cleave reads " +
                        std::to_string(kOldestOperatorSet) + " to " +
                        std::to_string(kNewestOperatorSet),
                    "convert it with onnx.version_converter, or export it for another set");
      }
    }
  }

  TensorNames given_tensors() const {
    TensorNames names;
    for (const auto& tensor : model_.graph().initializer()) names.push_back(tensor.name());
    for (const auto& tensor : model_.graph().sparse_initializer()) {
      names.push_back(tensor.values().name());
    }
    const std::set<std::string> initializers(names.begin(), names.end());
    if (initializers.size() != names.size()) fail_repeated(names, "initializers");
    TensorNames inputs;
    for (const auto& input : model_.graph().input()) inputs.push_back(input.name());
    if (std::set<std::string>(inputs.begin(), inputs.end()).size() != inputs.size()) {
      fail_repeated(inputs, "inputs");
    }
    names.insert(names.end(), inputs.begin(), inputs.end());
    return names;
  }

  [[noreturn]] static void fail_repeated(TensorNames names, const std::string& what) {
    std::sort(names.begin(), names.end());
    const auto it = std::adjacent_find(names.begin(), names.end());
    throw Error(ErrorCode::kInvalid, "two " + what + " of the model have the name " + quote(*it),
                "every tensor of an ONNX model has one maker; export the model again");
  }

  TensorNames output_names() const {
    TensorNames names;
    for (const auto& output : model_.graph().output()) names.push_back(output.name());
    if (names.empty()) throw Error(ErrorCode::kInvalid, "the model has no outputs");
    if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
      fail_repeated(names, "outputs");
    }
    return names;
  }

  void declare(const ::onnx::ValueInfoProto& declared) { declared_[declared.name()] = &declared; }

  void add_inputs() {
    InputTypes types = input_types(model_.graph(), options_);
    for (InputType& input : types.inputs) {
      Tensor tensor;
      tensor.type = input.type;
      tensor.value = state_.graph.add_input(input.name, std::move(input.type));
      state_.tensors.emplace(input.name, std::move(tensor));
    }
    state_.graph.guards() = std::move(types.guards);
  }

  // Those alone that are read: what nobody reads need not be right.
  void add_initializers(const SourceGraph& source) {
    std::set<std::string_view> read;
    for (const SourceNode& node : source.nodes) read.insert(node.inputs.begin(), node.inputs.end());
    for (const auto& output : model_.graph().output()) read.insert(output.name());
    for (const auto& proto : model_.graph().initializer()) {
      if (!read.contains(proto.name())) continue;
      Tensor tensor;
      try {
        ir::RecipePtr constant = state_.reader.read(proto, proto.name());
        tensor.value = state_.graph.add_constant(proto.name(), std::move(constant));
        tensor.type = state_.graph.type(tensor.value);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kUnsupported) throw;
        tensor.missing_reason = error.message();
      }
      state_.tensors.emplace(proto.name(), std::move(tensor));
    }
    for (const auto& proto : model_.graph().sparse_initializer()) {
      Tensor tensor;
      tensor.missing_reason = "a sparse tensor";
      state_.tensors.emplace(proto.values().name(), std::move(tensor));
    }
  }

  static int64_t version_of(const SourceNode& node) {
    const auto it = node.operator_sets->find(node.domain);
    return it == node.operator_sets->end() ? 1 : it->second;
  }

  void convert(const SourceNode& node) {
    const int64_t version = version_of(node);
    const Converter* converter = table_.find(node.domain, node.op, version);
    std::string reason = missing_operand(node);
    if (converter == nullptr) reason = unknown_op_reason(node, version);
    if (!reason.empty()) {
      if (reason != kAfterUnsupported) report(node, reason);
      give_up(node);
      return;
    }
    Conversion conversion(state_, node, version);
    try {
      const ShapeFolder* folder = table_.find_folder(node.domain, node.op);
      if (folder != nullptr && has_symbolic_operand(conversion)) (*folder)(conversion, *converter);
      if (!conversion.is_complete()) (*converter)(conversion);
      keep(conversion);
    } catch (const Unsupported& unsupported) {
      report(node, unsupported.reason);
      give_up(node);
    } catch (Error& error) {
      if (error.code() != ErrorCode::kUnsupported) {
        if (error.hint().empty()) {
          error.with_hint("compare the node's inputs and attributes with what " + node.op +
                          " of operator set " + std::to_string(version) + " takes");
        }
        throw error.at(node.text());
      }
      report(node, error.message());
      give_up(node);
    }
  }

  std::string unknown_op_reason(const SourceNode& node, int64_t version) const {
    if (table_.knows(node.domain, node.op)) {
      return "the op is not in operator set " + std::to_string(version);
    }
    if (!node.operator_sets->contains(node.domain)) {
      return "the model imports no operator set of the domain " + quote(node.domain);
    }
    return "the op is not supported";
  }

  // Why an operand is not there; empty where all are.
  std::string missing_operand(const SourceNode& node) const {
    for (const std::string& input : node.inputs) {
      if (input.empty()) continue;
      const std::string& reason = state_.tensors.at(input).missing_reason;
      if (reason.empty()) continue;
      return reason == kAfterUnsupported ? reason : "its operand " + quote(input) + ": " + reason;
    }
    return {};
  }

  // Expressions of dimensions; constants are folded when they are emitted.
  bool has_symbolic_operand(const Conversion& conversion) const {
    for (const std::string& input : conversion.node().inputs) {
      if (input.empty()) continue;
      const Tensor& tensor = state_.tensors.at(input);
      if (tensor.known && !tensor.known->is_constant()) return true;
    }
    return false;
  }

  void keep(const Conversion& conversion) {
    const SourceNode& node = conversion.node();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const std::string& name = node.outputs[i];
      if (name.empty()) continue;
      const auto& result = conversion.results()[i];
      if (!result) {
        throw Unsupported{"its output " + std::to_string(i) + " is not supported"};
      }
      if (const auto it = declared_.find(name); it != declared_.end()) {
        check_declared(*it->second, result->type);
      }
      name_value(result->value, name);
      state_.tensors.emplace(name, *result);
    }
  }

  // A node's result is called as the model's tensor is, where it has no other name of the model.
  void name_value(ir::ValueId id, const std::string& name) {
    if (!id.valid() || !state_.graph.value(id).producer.valid()) return;
    if (state_.tensors.contains(state_.graph.value(id).name)) return;
    state_.graph.rename(id, name);
  }

  void report(const SourceNode& node, const std::string& reason) {
    unsupported_.push_back(node.text() + ": " + reason);
  }

  void give_up(const SourceNode& node) {
    for (const std::string& name : node.outputs) {
      Tensor tensor;
      tensor.missing_reason = kAfterUnsupported;
      if (!name.empty()) state_.tensors.insert_or_assign(name, std::move(tensor));
    }
  }

  void fail_if_unsupported() const {
    if (unsupported_.empty()) return;
    const size_t count = unsupported_.size();
    std::string message =
        std::to_string(count) + (count == 1 ? " node is" : " nodes are") + " not supported:";
    for (const std::string& line : unsupported_) message += "\n  " + line;
    throw Error(ErrorCode::kUnsupported, message,
                "export the model with other options or another operator set");
  }

  void set_outputs() {
    std::set<ir::ValueId> used;
    for (const auto& output : model_.graph().output()) {
      const std::string& name = output.name();
      const Tensor& tensor = state_.tensors.at(name);
      if (!tensor.missing_reason.empty()) {
        throw Error(ErrorCode::kUnsupported,
                    "the output " + quote(name) + " is not supported: " + tensor.missing_reason);
      }
      if (const auto it = declared_.find(name); it != declared_.end()) {
        check_declared(*it->second, tensor.type);
      }
      ir::ValueId value = state_.value_of(name);
      const ir::Value& known = state_.graph.value(value);
      // An output has a maker and a name of its own.
      if (!known.producer.valid() || !used.insert(value).second) {
        const Attributes attributes{{"shape", known.type.shape}};
        value = state_.builder.add1(name + "/copy", "reshape", attributes, {value});
        used.insert(value);
      }
      state_.graph.add_output(value);
    }
    for (int i = 0; i < model_.graph().output_size(); ++i) {
      const ir::ValueId value = state_.graph.outputs()[static_cast<size_t>(i)];
      const std::string& name = model_.graph().output(i).name();
      if (state_.graph.value(value).name == name) continue;
      if (const auto other = state_.graph.find_value(name)) {
        state_.graph.rename(*other, state_.graph.unique_name(name + "/value"));
      }
      state_.graph.rename(value, name);
    }
  }

  void remove_unused() {
    std::vector<size_t> uses(state_.graph.value_count(), 0);
    for (const ir::ValueId output : state_.graph.outputs()) ++uses[output.index()];
    const std::vector<ir::NodeId> nodes = state_.graph.order();
    for (const ir::NodeId id : nodes) {
      for (const ir::ValueId input : state_.graph.node(id).inputs) {
        if (input.valid()) ++uses[input.index()];
      }
    }
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
      const ir::Node& node = state_.graph.node(*it);
      const bool is_used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                       [&](ir::ValueId id) { return uses[id.index()] > 0; });
      if (is_used) continue;
      for (const ir::ValueId input : node.inputs) {
        if (input.valid()) --uses[input.index()];
      }
      state_.graph.erase(*it);
    }
    state_.graph.compact();
  }

  static constexpr const char* kAfterUnsupported = "(after an unsupported node)";

  const ModelProto& model_;
  const ImportOptions& options_;
  const ops::Registry& registry_;
  ImportState state_;
  ConverterTable table_ = ConverterTable::builtin();
  std::unordered_map<std::string, const ::onnx::ValueInfoProto*> declared_;
  std::vector<std::string> unsupported_;
};

}  // namespace

ir::Graph load(const std::filesystem::path& path, const ImportOptions& options,
               const ops::Registry& registry) {
  const std::shared_ptr<const ByteSource> source = open_file(path);
  try {
    const ModelProto model = parse(*source);
    TensorReader reader(source, path.parent_path().empty() ? "." : path.parent_path(),
                        {options.random_weights, options.seed});
    ir::Graph graph = Importer(model, reader, options, registry).run();
    log(options.log, LogLevel::kInfo,
        "imported " + path.string() + ": " + std::to_string(graph.order().size()) + " ops, " +
            std::to_string(graph.guards().size()) + " guards");
    return graph;
  } catch (Error& error) {
    throw error.at(path.string());
  }
}

}  // namespace cleave::onnx
