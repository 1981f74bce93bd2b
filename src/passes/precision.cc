#include "passes/precision.h"

#include <algorithm>
#include <map>
#include <vector>

#include "ops/builder.h"
#include "passes/dead_code.h"

namespace cleave::passes {
namespace {

// Brings a graph's float32 values to another type, node by node in execution order.
class Lowering {
 public:
  Lowering(ir::Graph& graph, const ops::Registry& registry, DType to)
      : graph_(graph), registry_(registry), to_(to), lowers_(graph.value_count()) {}

  void run() {
    for (ir::ValueId id : graph_.inputs()) mark(id);
    for (size_t v = 0; v < lowers_.size(); ++v) {
      const ir::Value& value = graph_.value(ir::ValueId(v));
      if (value.is_constant() && value.constant->bytes() > ir::kSmallConstantBytes) {
        mark(ir::ValueId(v));
      }
    }
    for (ir::NodeId id : graph_.order()) {
      mark_matrices_of(id);
      lower(id);
    }
    keep_outputs();
    graph_.compact();
  }

 private:
  bool is_float32(ir::ValueId id) const {
    return id.valid() && graph_.type(id).dtype == DType::kFloat32;
  }
  void mark(ir::ValueId id) { lowers_[id.index()] = is_float32(id); }

  // A small network's weights are small, too. Frequencies that positions are multiplied by are a
  // vector: angles stay as they are.
  void mark_matrices_of(ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    if (node.op != "matmul" && node.op != "conv") return;
    for (ir::ValueId input : node.inputs) {
      if (!input.valid() || !graph_.value(input).is_constant()) continue;
      const std::vector<int64_t>& shape = graph_.value(input).constant->shape();
      if (std::ranges::count_if(shape, [](int64_t extent) { return extent > 1; }) > 1) mark(input);
    }
  }

  void lower(ir::NodeId id) {
    const std::vector<ir::ValueId> inputs = graph_.node(id).inputs;
    const std::vector<ir::ValueId> outputs = graph_.node(id).outputs;
    bool lowers = false;
    for (ir::ValueId input : inputs) lowers = lowers || (input.valid() && lowers_[input.index()]);
    if (!lowers) return;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (is_float32(inputs[i])) graph_.node(id).inputs[i] = lowered(inputs[i], id);
    }
    ir::Node& node = graph_.node(id);
    if (node.op == "cast" && node.attributes.dtype("to") == DType::kFloat32) {
      node.attributes.set("to", to_);
    }
    for (ir::ValueId output : outputs) {
      if (!is_float32(output)) continue;
      lowers_[output.index()] = true;
      graph_.value(output).type.dtype = to_;
    }
  }

  bool is_moved(ir::ValueId id) const {
    const ir::NodeId producer = graph_.value(id).producer;
    if (!producer.valid()) return false;
    const std::string& op = graph_.node(producer).op;
    return op == "broadcast" || op == "reshape" || op == "transpose";
  }

  // The value in the other type, made before `reader` where it is not there yet.
  ir::ValueId lowered(ir::ValueId id, ir::NodeId reader) {
    const auto found = lowered_.find(id);
    if (found != lowered_.end()) return found->second;
    const std::string name = graph_.value(id).name + "/" + std::string(name_of(to_));
    ir::ValueId result;
    if (const ir::RecipePtr constant = graph_.value(id).constant) {
      result = graph_.add_constant(name, ir::cast(constant, to_));
    } else if (is_moved(id)) {
      // What is moved is cast, not the result: a bias stays a constant.
      const ir::NodeId producer = graph_.value(id).producer;
      const ir::ValueId moved = lowered(graph_.node(producer).inputs[0], reader);
      const ir::Node& node = graph_.node(producer);
      ops::Builder builder(graph_, registry_);
      builder.insert_before(reader);
      result = builder.add1(name, node.op, node.attributes, {moved});
    } else {
      result = cast(name, id, to_, reader);
    }
    lowered_.emplace(id, result);
    lowers_.resize(graph_.value_count());
    return result;
  }

  ir::ValueId cast(const std::string& name, ir::ValueId id, DType to, ir::NodeId before,
                   std::string output_name = {}) {
    ops::Builder builder(graph_, registry_);
    if (before.valid()) builder.insert_before(before);
    Attributes attributes;
    attributes.set("to", to);
    return builder.add1(name, "cast", attributes, {id}, std::move(output_name));
  }

  // Results that were float32 are cast back, under their names.
  void keep_outputs() {
    std::vector<ir::ValueId> outputs = graph_.outputs();
    std::map<ir::ValueId, ir::ValueId> kept;
    for (ir::ValueId& output : outputs) {
      if (!lowers_[output.index()] || is_float32(output)) continue;
      auto& back = kept[output];
      if (!back.valid()) {
        const std::string name = graph_.value(output).name;
        graph_.rename(output, name + "/" + std::string(name_of(to_)));
        back = cast(name + "/cast", output, DType::kFloat32, {}, name);
        lowers_.resize(graph_.value_count());
      }
      output = back;
    }
    graph_.set_outputs(std::move(outputs));
  }

  ir::Graph& graph_;
  const ops::Registry& registry_;
  const DType to_;
  std::vector<bool> lowers_;  // by value: it is, or depends on, what is lowered
  std::map<ir::ValueId, ir::ValueId> lowered_;
};

}  // namespace

void store_weights_as(ir::Graph& graph, const ops::Registry& registry, DType to) {
  const auto uses = graph.uses();
  const size_t count = graph.value_count();
  for (size_t v = 0; v < count; ++v) {
    const ir::ValueId id(v);
    const ir::RecipePtr constant = graph.value(id).constant;
    if (constant == nullptr || constant->dtype() != DType::kFloat32 ||
        constant->bytes() <= ir::kSmallConstantBytes || uses[v].empty()) {
      continue;
    }
    const std::string name = graph.value(id).name;
    const ir::ValueId half =
        graph.add_constant(name + "/" + std::string(name_of(to)), ir::cast(constant, to));
    ops::Builder builder(graph, registry);
    // Readers are in execution order: the cast goes before the first.
    builder.insert_before(uses[v].front().node);
    Attributes attributes;
    attributes.set("to", DType::kFloat32);
    const ir::ValueId back = builder.add1(name + "/cast", "cast", attributes, {half});
    for (const ir::Graph::Use& use : uses[v]) graph.node(use.node).inputs[use.input] = back;
  }
  graph.compact();
}

void compute_in(ir::Graph& graph, const ops::Registry& registry, DType to) {
  Lowering(graph, registry, to).run();
  dead_code(graph, registry);  // what was moved in the type before
}

void allow_tf32(ir::Graph& graph) {
  for (const ir::NodeId id : graph.order()) {
    ir::Node& node = graph.node(id);
    if (node.op != "matmul" && node.op != "conv") continue;
    if (graph.type(node.outputs[0]).dtype == DType::kFloat32) node.attributes.set("tf32", Dim(1));
  }
}

}  // namespace cleave::passes
