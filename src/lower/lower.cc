#include "lower/lower.h"

#include <algorithm>

#include "base/check.h"
#include "capabilities/chain.h"
#include "capabilities/fusion.h"
#include "capabilities/view_walk.h"
#include "lower/memory_plan.h"
#include "program/validate.h"

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
        views_(graph, registry, capabilities,
               [this](const capabilities::ViewWalk::Copy& copy) { make_dense(copy); }),
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
    program.guards = graph_.guards();
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

  // Of what the view is of, which may be a copy.
  Home& home_of(const View& view) {
    std::vector<Home>& homes = homes_[view.base.index()];
    homes.resize(std::max<size_t>(homes.size(), view.copy + 1));
    return homes[view.copy];
  }
  // Of what its producer made.
  Home& own_home(ir::ValueId id) { return home_of({id, 0, {}}); }

  void place_inputs() {
    for (size_t i = 0; i < graph_.inputs().size(); ++i) {
      const ir::ValueId id = graph_.inputs()[i];
      own_home(id) = {Space::kInput, static_cast<uint32_t>(i)};
    }
  }

  // A result that is a model output is made in place where nothing else stands against it.
  void place_outputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::ValueId id = graph_.outputs()[i];
      const ir::Value& value = graph_.value(id);
      if (!value.producer.valid() || own_home(id).space != Space::kNone) continue;
      if (capabilities::is_view_op(graph_.node(value.producer).op)) continue;
      if (!is_row_major(id)) continue;
      own_home(id) = {Space::kOutput, static_cast<uint32_t>(i)};
    }
  }

  // Where a value lies; a constant becomes a weight when it is first read.
  const View& view(ir::ValueId id) {
    const View& view = views_.of(id);
    Home& home = home_of(view);
    if (home.space == Space::kNone) {
      CLEAVE_CHECK(graph_.value(view.base).is_constant(),
                   graph_.value(view.base).name + " is not made yet");
      home = {Space::kWeight, static_cast<uint32_t>(weights_.size())};
      weights_.push_back(view.base);
    }
    return view;
  }

  // The result `id` becomes a buffer of its own.
  void make_home(ir::ValueId id) {
    if (own_home(id).space == Space::kNone) {
      own_home(id) = {Space::kArena, new_buffer(graph_.type(id))};
    }
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

  Operand read(ir::ValueId id, size_t position) {
    const View v = view(id);
    return operand(home_of(v), v, graph_.type(id), false, position);
  }

  // Adds the result `id` to the instruction that is being made.
  void write(ir::ValueId id, Instruction& instruction) {
    make_home(id);
    instruction.outputs.push_back(operand(home_of(views_.of(id)), views_.of(id), graph_.type(id),
                                          true, instruction.outputs.size()));
    describe(id, instruction);
  }

  void describe(ir::ValueId id, Instruction& instruction) const {
    if (options_.tensor_of) instruction.tensors.push_back(options_.tensor_of(id));
  }

  // Whether memory of the value's own is row-major.
  bool is_row_major(ir::ValueId id) const {
    const Shape& shape = graph_.type(id).shape;
    return capabilities::is_dense(
        {id, 0, dense_strides(graph_.value(id).format, std::span<const Dim>(shape))}, shape);
  }

  // Copies a value to memory of its own; that of a model output is the output's, where it is
  // row-major. Operands of an instruction in the making count from its place, so this comes before
  // it reads any.
  void make_dense(const capabilities::ViewWalk::Copy& copy) {
    const ir::ValueId id = copy.value;
    const auto& outputs = graph_.outputs();
    const auto output = std::find(outputs.begin(), outputs.end(), id);
    const bool to_output = output != outputs.end() && copy.format == Format::kRowMajor;
    const Home home = to_output
                          ? Home{Space::kOutput, static_cast<uint32_t>(output - outputs.begin())}
                          : Home{Space::kArena, new_buffer(graph_.type(id))};
    emit_copy(id, home, copy.format, graph_.value(id).name + "/copy");
    home_of({id, 0, {}, copy.copy}) = home;
  }

  void emit_copy(ir::ValueId from, const Home& to, Format format, const std::string& name) {
    Instruction copy;
    copy.op = "copy";
    copy.name = name;
    const View source = view(from);
    const TensorType& type = graph_.type(from);
    copy.inputs.push_back(operand(home_of(source), source, type, false, 0));
    copy.outputs.push_back(
        operand(to, {from, 0, dense_strides(format, type.shape)}, type, true, 0));
    describe(from, copy);
    push(std::move(copy));
  }

  void emit_group(const capabilities::FusionGroup& group) {
    if (views_.advance(group)) return;
    const ir::Node& root = graph_.node(group.root());
    const ops::OpDefinition* definition = registry_.find(root.op);
    const bool elementwise = definition != nullptr && definition->is_elementwise();
    if (elementwise) {
      emit_fused(group);
    } else {
      emit_single(root);
    }
  }

  void emit_single(const ir::Node& node) {
    Instruction instruction;
    instruction.op = node.op;
    instruction.name = node.name;
    instruction.attributes = node.attributes;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      instruction.inputs.push_back(node.inputs[i].valid() ? read(node.inputs[i], i) : Operand{});
    }
    for (ir::ValueId output : node.outputs) write(output, instruction);
    // Sizes may leave some ranks alone unable to tell one format from another.
    const bool moves = program::is_collective(node.op) || node.op == "shard";
    if (moves && graph_.value(node.outputs[0]).format != Format::kRowMajor) {
      const Format format = graph_.value(node.outputs[0]).format;
      instruction.attributes.set("format", std::string(name_of(format)));
    }
    push(std::move(instruction));
  }

  void emit_fused(const capabilities::FusionGroup& group) {
    const ir::Node& root = graph_.node(group.root());
    const capabilities::Chain chain = capabilities::chain_of(graph_, group);
    Instruction instruction;
    instruction.op = "fused_elementwise";
    if (group.anchor.valid()) {
      const ir::Node& anchor = graph_.node(group.anchor);
      instruction.op = anchor.op;
      instruction.attributes = anchor.attributes;
    }
    for (ir::NodeId id : group.nodes) {
      const ir::Node& node = graph_.node(id);
      instruction.name += (instruction.name.empty() ? "" : "+") + node.name;
      if (node.op == "rank_zero") instruction.attributes.set("rank", Dim::rank());
    }
    chain.program.to_attributes(instruction.attributes,
                                group.anchor.valid() ? kEpiloguePrefix : "");
    if (group.anchor.valid()) {
      const ir::Node& anchor = graph_.node(group.anchor);
      for (size_t i = 0; i < anchor.inputs.size(); ++i) {
        instruction.inputs.push_back(read(anchor.inputs[i], i));
      }
    }
    for (ir::ValueId external : chain.externals) {
      instruction.inputs.push_back(read(external, instruction.inputs.size()));
    }
    write(root.outputs[0], instruction);
    push(std::move(instruction));
  }

  void push(Instruction instruction) {
    std::vector<capabilities::Operand> inputs;
    for (const Operand& input : instruction.inputs) {
      inputs.push_back({input.type, input.space == Space::kWeight});
    }
    workspace_bytes_ = std::max(
        workspace_bytes_,
        largest(capabilities_.workspace_bytes(instruction.op, instruction.attributes, inputs),
                options_.symbols, options_.ranks));
    if (options_.instruction_us) instruction.predicted_us = options_.instruction_us(instruction);
    instructions_.push_back(std::move(instruction));
  }

  void copy_outputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::ValueId id = graph_.outputs()[i];
      const View v = view(id);
      const Home& home = home_of(v);
      if (v.base == id && home.space == Space::kOutput && home.index == i) continue;
      emit_copy(id, {Space::kOutput, static_cast<uint32_t>(i)}, Format::kRowMajor,
                graph_.value(id).name + "/output");
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
  capabilities::ViewWalk views_;
  std::vector<std::vector<Home>> homes_;  // by value and copy
  std::vector<ir::ValueId> weights_;
  std::vector<Instruction> instructions_;
  std::vector<Buffer> buffers_;
  std::vector<ArenaUse> arena_uses_;
  int64_t arena_bytes_ = 0;
  int64_t workspace_bytes_ = 0;
};

}  // namespace

Lowered lower(const ir::Graph& local, const ops::Registry& registry,
              const capabilities::Capabilities& capabilities, const Options& options) {
  return Lowerer(local, registry, capabilities, options).run();
}

}  // namespace cleave::lower
