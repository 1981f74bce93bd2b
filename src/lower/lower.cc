#include "lower/lower.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "capabilities/fusion.h"
#include "capabilities/views.h"
#include "lower/memory_plan.h"
#include "types/fused.h"

namespace cleave::lower {
namespace {

using capabilities::View;
using program::Instruction;
using program::Operand;
using program::Space;

class Lowerer {
 public:
  Lowerer(const ir::Graph& graph, const ops::Registry& registry,
          const capabilities::Capabilities& capabilities, const Options& options)
      : graph_(graph),
        registry_(registry),
        capabilities_(capabilities),
        options_(options),
        fusion_(capabilities::fuse(graph, registry, capabilities)),
        views_(graph.value_count()),
        homes_(graph.value_count()) {}

  Lowered run() {
    place_inputs();
    place_outputs();
    for (const capabilities::FusionGroup& group : fusion_.groups) emit_group(group);
    copy_outputs();
    assign_memory();
    Lowered result;
    program::Program& program = result.program;
    program.symbols = options_.symbols;
    for (const ir::Guard& guard : graph_.guards()) {
      program.guards.push_back({guard.a, guard.b, guard.where});
    }
    for (const Instruction& instruction : instructions_) {
      program.predicted_us += instruction.predicted_us;
    }
    program.segments.push_back({std::move(instructions_)});
    program.arena_bytes = arena_bytes_;
    program.workspace_bytes = workspace_bytes_;
    result.weights = std::move(weights_);
    return result;
  }

 private:
  // Where a base value lives; arena offsets are filled in by assign_memory.
  struct Home {
    Space space = Space::kNone;
    uint32_t index = 0;  // of the weight, input, output; of the buffer for the arena
  };
  struct ArenaUse {
    size_t instruction;
    bool output;
    size_t operand;
    uint32_t buffer;
  };

  void place_inputs() {
    for (size_t i = 0; i < graph_.inputs().size(); ++i) {
      const ir::ValueId id = graph_.inputs()[i];
      homes_[id.index()] = {Space::kInput, static_cast<uint32_t>(i)};
      views_[id.index()] = own_view(id);
    }
  }

  // A result that is a model output is made in place where nothing else stands against it.
  void place_outputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::ValueId id = graph_.outputs()[i];
      const ir::Value& value = graph_.value(id);
      if (!value.producer.valid() || homes_[id.index()].space != Space::kNone) continue;
      if (is_view_op(graph_.node(value.producer))) continue;
      homes_[id.index()] = {Space::kOutput, static_cast<uint32_t>(i)};
    }
  }

  static bool is_view_op(const ir::Node& node) {
    static const std::set<std::string, std::less<>> kOps = {"reshape",   "broadcast", "slice",
                                                            "transpose", "split",     "shard"};
    return kOps.contains(node.op);
  }

  View own_view(ir::ValueId id) const {
    return {id, 0, capabilities::dense_strides(graph_.type(id).shape)};
  }

  const View& view(ir::ValueId id) {
    std::optional<View>& view = views_[id.index()];
    if (!view) {
      CLEAVE_CHECK(graph_.value(id).is_constant(), graph_.value(id).name + " is not made yet");
      homes_[id.index()] = {Space::kWeight, static_cast<uint32_t>(weights_.size())};
      weights_.push_back(id);
      view = own_view(id);
    }
    return *view;
  }

  // The result `id` becomes a buffer of its own.
  void make_home(ir::ValueId id) {
    if (homes_[id.index()].space == Space::kNone) {
      homes_[id.index()] = {Space::kArena, new_buffer(graph_.type(id))};
    }
    views_[id.index()] = own_view(id);
  }

  uint32_t new_buffer(const TensorType& type) {
    Buffer buffer;
    buffer.bytes = largest_bytes(type, options_.symbols, options_.ranks);
    buffer.first = instructions_.size();
    buffer.last = instructions_.size();
    buffers_.push_back(buffer);
    return static_cast<uint32_t>(buffers_.size() - 1);
  }

  // An operand of the instruction that is being made.
  Operand operand(const Home& home, const View& view, const TensorType& type, bool output,
                  size_t position) {
    Operand result;
    result.space = home.space;
    result.type = type;
    result.element_offset = view.offset;
    if (!capabilities::is_dense(view, type.shape)) result.strides = view.strides;
    if (home.space == Space::kArena) {
      buffers_[home.index].last = instructions_.size();
      arena_uses_.push_back({instructions_.size(), output, position, home.index});
    } else {
      result.index = home.index;
    }
    return result;
  }

  Operand read(ir::ValueId id, bool strided, size_t position) {
    const View v = view(id);
    const TensorType& type = graph_.type(id);
    if (strided || capabilities::is_dense(v, type.shape)) {
      return operand(homes_[v.base.index()], v, type, false, position);
    }
    internal_error(graph_.value(id).name + " is read dense, and is not", __FILE__, __LINE__);
  }

  Operand write(ir::ValueId id, size_t position) {
    make_home(id);
    return operand(homes_[id.index()], *views_[id.index()], graph_.type(id), true, position);
  }

  // Copies a view to memory of its own, for this and all later readers. Operands of an instruction
  // in the making count from its place, so this comes before it reads any.
  void make_dense(ir::ValueId id) {
    if (!id.valid() || capabilities::is_dense(view(id), graph_.type(id).shape)) return;
    const Home home{Space::kArena, new_buffer(graph_.type(id))};
    emit_copy(id, home, graph_.value(id).name + "/copy");
    homes_[id.index()] = home;
    views_[id.index()] = own_view(id);
  }

  void emit_copy(ir::ValueId from, const Home& to, const std::string& name) {
    Instruction copy;
    copy.op = "copy";
    copy.name = name;
    const View source = view(from);
    const TensorType& type = graph_.type(from);
    copy.inputs.push_back(operand(homes_[source.base.index()], source, type, false, 0));
    copy.outputs.push_back(operand(to, own_view(from), type, true, 0));
    instructions_.push_back(std::move(copy));
  }

  void emit_group(const capabilities::FusionGroup& group) {
    const ir::Node& root = graph_.node(group.root());
    const ops::OpDefinition* definition = registry_.find(root.op);
    const bool elementwise = definition != nullptr && definition->is_elementwise();
    if (group.nodes.size() == 1 && is_view_op(root)) {
      if (emit_view(root)) return;
      // A reshape that is no view of a view is one of its dense copy.
      if (root.op == "reshape") {
        make_dense(root.inputs[0]);
        if (emit_view(root)) return;
      }
    }
    if (elementwise) {
      emit_fused(group);
    } else {
      emit_single(root);
    }
  }

  // True where every result of the node is a view of its input.
  bool emit_view(const ir::Node& node) {
    const View input = view(node.inputs[0]);
    std::vector<View> results;
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      auto result = capabilities::view_of(graph_, node, o, input);
      if (!result) return false;
      results.push_back(std::move(*result));
    }
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      views_[node.outputs[o].index()] = std::move(results[o]);
    }
    return true;
  }

  void emit_single(const ir::Node& node) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!capabilities_.reads_strided(node.op, i)) make_dense(node.inputs[i]);
    }
    Instruction instruction;
    instruction.op = node.op;
    instruction.name = node.name;
    instruction.attributes = node.attributes;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      instruction.inputs.push_back(
          node.inputs[i].valid() ? read(node.inputs[i], capabilities_.reads_strided(node.op, i), i)
                                 : Operand{});
    }
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      instruction.outputs.push_back(write(node.outputs[o], o));
    }
    finish(std::move(instruction), node);
  }

  void emit_fused(const capabilities::FusionGroup& group) {
    const ir::Node& root = graph_.node(group.root());
    FusedProgram fused;
    Instruction instruction;
    instruction.op = "fused_elementwise";
    std::vector<ir::ValueId> externals;
    std::map<ir::ValueId, int32_t> slots;  // of operands and, later, of results
    if (group.anchor.valid()) {
      const ir::Node& anchor = graph_.node(group.anchor);
      instruction.op = anchor.op;
      instruction.attributes = anchor.attributes;
      for (size_t i = 0; i < anchor.inputs.size(); ++i) {
        if (!capabilities_.reads_strided(anchor.op, i)) make_dense(anchor.inputs[i]);
      }
      slots[anchor.outputs[0]] = 0;
    }
    const auto base = static_cast<int32_t>(group.anchor.valid() ? 1 : 0);
    for (ir::NodeId id : group.nodes) {
      if (id == group.anchor) continue;
      for (ir::ValueId input : graph_.node(id).inputs) {
        const ir::NodeId producer = graph_.value(input).producer;
        const bool inside = producer.valid() && std::find(group.nodes.begin(), group.nodes.end(),
                                                          producer) != group.nodes.end();
        if (inside || slots.contains(input)) continue;
        slots[input] = base + static_cast<int32_t>(externals.size());
        externals.push_back(input);
      }
    }
    fused.inputs = base + static_cast<int32_t>(externals.size());
    for (ir::NodeId id : group.nodes) {
      const ir::Node& node = graph_.node(id);
      instruction.name += (instruction.name.empty() ? "" : "+") + node.name;
      if (id == group.anchor) continue;
      FusedStep step;
      step.op = node.op;
      step.alpha = node.attributes.real("alpha", 0);
      step.type = graph_.type(node.outputs[0]).dtype;
      for (ir::ValueId input : node.inputs) step.args.push_back(slots.at(input));
      if (node.op == "rank_zero") instruction.attributes.set("rank", Dim::rank());
      slots[node.outputs[0]] = fused.inputs + static_cast<int32_t>(fused.steps.size());
      fused.steps.push_back(std::move(step));
    }
    fused.outputs = {slots.at(root.outputs[0])};
    fused.to_attributes(instruction.attributes, group.anchor.valid() ? "epilogue_" : "");
    if (group.anchor.valid()) {
      const ir::Node& anchor = graph_.node(group.anchor);
      for (size_t i = 0; i < anchor.inputs.size(); ++i) {
        instruction.inputs.push_back(
            read(anchor.inputs[i], capabilities_.reads_strided(anchor.op, i), i));
      }
    }
    for (ir::ValueId external : externals) {
      instruction.inputs.push_back(read(external, true, instruction.inputs.size()));
    }
    instruction.outputs.push_back(write(root.outputs[0], 0));
    finish(std::move(instruction), root);
  }

  void finish(Instruction instruction, const ir::Node& node) {
    workspace_bytes_ = std::max(workspace_bytes_, capabilities_.workspace_bytes(instruction.op));
    const ops::OpDefinition* definition = registry_.find(node.op);
    if (definition != nullptr && definition->is_collective()) {
      if (options_.collective_us) {
        instruction.predicted_us = options_.collective_us(node.op, whole_bytes(node));
      }
    } else if (options_.group_us && node.group >= 0 && costed_.insert(node.group).second) {
      instruction.predicted_us = options_.group_us(node.group);
    }
    instructions_.push_back(std::move(instruction));
  }

  // Bytes of the whole tensor of a collective, at the opt sizes.
  double whole_bytes(const ir::Node& node) const {
    SymbolValues values;
    for (const program::Symbol& symbol : options_.symbols) values[symbol.name] = symbol.opt;
    values[std::string(kRankSymbol)] = 0;
    const TensorType& in = graph_.type(node.inputs[0]);
    const TensorType& out = graph_.type(node.outputs[0]);
    if (node.op == "all_to_all") {
      const TensorType whole{in.dtype, node.attributes.dims("shape")};
      return static_cast<double>(whole.bytes().evaluate(values));
    }
    return static_cast<double>((node.op == "reduce_scatter" ? in : out).bytes().evaluate(values));
  }

  void copy_outputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::ValueId id = graph_.outputs()[i];
      const View v = view(id);
      const Home& home = homes_[v.base.index()];
      if (v.base == id && home.space == Space::kOutput && home.index == i) continue;
      emit_copy(id, {Space::kOutput, static_cast<uint32_t>(i)}, graph_.value(id).name + "/output");
    }
  }

  void assign_memory() {
    arena_bytes_ = plan_memory(buffers_);
    for (const ArenaUse& use : arena_uses_) {
      Instruction& instruction = instructions_[use.instruction];
      Operand& operand =
          use.output ? instruction.outputs[use.operand] : instruction.inputs[use.operand];
      operand.offset = buffers_[use.buffer].offset;
    }
  }

  const ir::Graph& graph_;
  const ops::Registry& registry_;
  const capabilities::Capabilities& capabilities_;
  const Options& options_;
  capabilities::Fusion fusion_;
  std::vector<std::optional<View>> views_;
  std::vector<Home> homes_;
  std::vector<ir::ValueId> weights_;
  std::vector<Instruction> instructions_;
  std::vector<Buffer> buffers_;
  std::vector<ArenaUse> arena_uses_;
  std::set<int32_t> costed_;
  int64_t arena_bytes_ = 0;
  int64_t workspace_bytes_ = 0;
};

}  // namespace

Lowered lower(const ir::Graph& local, const ops::Registry& registry,
              const capabilities::Capabilities& capabilities, const Options& options) {
  return Lowerer(local, registry, capabilities, options).run();
}

}  // namespace cleave::lower
