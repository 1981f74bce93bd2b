#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_set>

#include "cleave/error.h"
#include "onnx/limits.h"
#include "onnx/quote.h"
#include "onnx/source_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::NodeProto;

using FunctionKey = std::tuple<std::string, std::string, std::string>;

template <class Imports>
std::unique_ptr<OperatorSets> operator_sets_of(const Imports& imports) {
  auto sets = std::make_unique<OperatorSets>();
  for (const auto& import : imports) (*sets)[normal_domain(import.domain())] = import.version();
  return sets;
}

// Where a node's names are looked up: the graph's own (empty), or one call of a function.
struct Frame {
  std::string prefix;
  std::map<std::string, std::string, std::less<>> tensors;  // formal and inner → the graph's
  std::map<std::string, const AttributeProto*, std::less<>> attributes;
  const OperatorSets* operator_sets = nullptr;
  size_t depth = 0;
  bool is_call = false;
};

class Flattener {
 public:
  explicit Flattener(const ::onnx::ModelProto& model) : model_(model) {}

  SourceGraph run() {
    for (const FunctionProto& function : model_.functions()) {
      const FunctionKey key{normal_domain(function.domain()), function.name(), function.overload()};
      if (!functions_.emplace(key, &function).second) {
        throw Error(ErrorCode::kInvalid,
                    "the model defines the function " + quote(function.name()) + " twice");
      }
    }
    for (const NodeProto& node : model_.graph().node()) {
      for (const std::string& output : node.output()) taken_.insert(output);
    }
    for (const auto& tensor : model_.graph().initializer()) taken_.insert(tensor.name());
    for (const auto& input : model_.graph().input()) taken_.insert(input.name());
    result_.operator_sets.push_back(operator_sets_of(model_.opset_import()));
    Frame frame;
    frame.operator_sets = result_.operator_sets.back().get();
    for (const NodeProto& node : model_.graph().node()) add(node, frame);
    return std::move(result_);
  }

 private:
  void add(const NodeProto& proto, Frame& frame) {
    SourceNode node;
    node.op = proto.op_type();
    node.domain = normal_domain(proto.domain());
    node.operator_sets = frame.operator_sets;
    for (const std::string& name : proto.input()) node.inputs.push_back(tensor(frame, name));
    for (const std::string& name : proto.output()) node.outputs.push_back(tensor(frame, name));
    node.name = name_of(proto, node, frame);
    charge_names(node);
    resolve_attributes(proto, frame, node);
    const auto function = functions_.find({node.domain, node.op, proto.overload()});
    if (function != functions_.end()) {
      call(*function->second, node, frame);
      return;
    }
    if (result_.nodes.size() >= kMaxNodes) fail_too_large(std::to_string(kMaxNodes) + " nodes");
    result_.nodes.push_back(std::move(node));
  }

  // Nested calls make long names of short ones.
  void charge_names(const SourceNode& node) {
    name_bytes_ += node.name.size();
    for (const std::string& name : node.inputs) name_bytes_ += name.size();
    for (const std::string& name : node.outputs) name_bytes_ += name.size();
    if (name_bytes_ > kMaxNameBytes) {
      fail_too_large(std::to_string(kMaxNameBytes >> 20) + " MiB of names");
    }
  }

  [[noreturn]] static void fail_too_large(const std::string& what) {
    throw Error(ErrorCode::kInvalid,
                "the model has more than " + what + " once its functions are inlined",
                "no exporter writes such a model");
  }

  static std::string name_of(const NodeProto& proto, const SourceNode& node, const Frame& frame) {
    if (!proto.name().empty()) return frame.prefix + proto.name();
    for (const std::string& output : node.outputs) {
      if (!output.empty()) return output;
    }
    return frame.prefix + proto.op_type();
  }

  static void resolve_attributes(const NodeProto& proto, const Frame& frame, SourceNode& node) {
    for (const AttributeProto& attribute : proto.attribute()) {
      const AttributeProto* value = &attribute;
      if (!attribute.ref_attr_name().empty()) {
        if (!frame.is_call) {
          throw Error(ErrorCode::kInvalid,
                      "the attribute " + quote(attribute.name()) + " of " + node.text() +
                          " refers to an attribute of a function but is in none");
        }
        const auto it = frame.attributes.find(attribute.ref_attr_name());
        if (it == frame.attributes.end()) continue;  // the caller leaves it to its default
        value = it->second;
      }
      if (!node.attributes.emplace(attribute.name(), value).second) {
        throw Error(ErrorCode::kInvalid, "the attribute " + quote(attribute.name()) + " of " +
                                             node.text() + " is given twice");
      }
    }
  }

  void call(const FunctionProto& function, const SourceNode& node, const Frame& caller) {
    if (std::find(stack_.begin(), stack_.end(), &function) != stack_.end()) {
      throw Error(ErrorCode::kInvalid,
                  "the model's function " + quote(function.name()) + " calls itself",
                  "ONNX allows no recursion")
          .at(node.text());
    }
    if (caller.depth >= kMaxCallDepth) {
      throw Error(ErrorCode::kInvalid, "the model's functions call each other more than " +
                                           std::to_string(kMaxCallDepth) + " deep")
          .at(node.text());
    }
    if (node.inputs.size() > static_cast<size_t>(function.input_size()) ||
        node.outputs.size() > static_cast<size_t>(function.output_size())) {
      throw Error(ErrorCode::kInvalid,
                  "the call has more inputs or outputs than the function " + quote(function.name()))
          .at(node.text());
    }
    Frame frame;
    frame.prefix = node.name + "/";
    frame.depth = caller.depth + 1;
    frame.is_call = true;
    for (int i = 0; i < function.input_size(); ++i) {
      const auto index = static_cast<size_t>(i);
      frame.tensors[function.input(i)] = index < node.inputs.size() ? node.inputs[index] : "";
    }
    for (int i = 0; i < function.output_size(); ++i) {
      const auto index = static_cast<size_t>(i);
      if (index >= node.outputs.size() || node.outputs[index].empty()) continue;
      const auto [it, is_new] = frame.tensors.try_emplace(function.output(i), node.outputs[index]);
      // An input handed through, or one result under two names.
      if (!is_new) add_identity(node, it->second, node.outputs[index]);
    }
    for (const AttributeProto& attribute : function.attribute_proto()) {
      frame.attributes[attribute.name()] = &attribute;
    }
    for (const auto& [name, attribute] : node.attributes) frame.attributes[name] = attribute;
    frame.operator_sets = operator_sets_for(function, *caller.operator_sets);
    stack_.push_back(&function);
    for (const NodeProto& inner : function.node()) add(inner, frame);
    stack_.pop_back();
  }

  void add_identity(const SourceNode& call, const std::string& from, const std::string& to) {
    SourceNode node;
    node.name = to;
    node.op = "Identity";
    node.inputs = {from};
    node.outputs = {to};
    node.operator_sets = call.operator_sets;
    result_.nodes.push_back(std::move(node));
  }

  // One table a function, not a call.
  const OperatorSets* operator_sets_for(const FunctionProto& function, const OperatorSets& caller) {
    const OperatorSets*& sets = function_sets_[&function];
    if (sets == nullptr) {
      auto own = operator_sets_of(function.opset_import());
      for (const auto& [domain, version] : caller) own->try_emplace(domain, version);
      result_.operator_sets.push_back(std::move(own));
      sets = result_.operator_sets.back().get();
    }
    return sets;
  }

  std::string tensor(Frame& frame, const std::string& name) {
    if (name.empty() || !frame.is_call) return name;
    const auto [it, is_new] = frame.tensors.try_emplace(name);
    if (is_new) {
      std::string candidate = frame.prefix + name;
      while (!taken_.insert(candidate).second) candidate += "'";
      it->second = std::move(candidate);
    }
    return it->second;
  }

  const ::onnx::ModelProto& model_;
  std::map<FunctionKey, const FunctionProto*> functions_;
  std::map<const FunctionProto*, const OperatorSets*> function_sets_;
  std::vector<const FunctionProto*> stack_;
  std::unordered_set<std::string> taken_;
  size_t name_bytes_ = 0;
  SourceGraph result_;
};

}  // namespace

std::string normal_domain(std::string_view domain) {
  return std::string(domain == "ai.onnx" ? "" : domain);
}

std::string SourceNode::text() const {
  return (domain.empty() ? op : domain + "." + op) + " " + quote(name);
}

SourceGraph flatten(const ::onnx::ModelProto& model) { return Flattener(model).run(); }

}  // namespace cleave::onnx
