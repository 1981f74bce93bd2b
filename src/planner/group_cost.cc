#include "planner/group_cost.h"

#include <algorithm>
#include <memory>

#include "capabilities/view_walk.h"
#include "types/window.h"

namespace cleave::planner {

using capabilities::FusionGroup;
using layout::Placement;

namespace {

bool contains(const FusionGroup& group, ir::NodeId node) {
  return node.valid() &&
         std::find(group.nodes.begin(), group.nodes.end(), node) != group.nodes.end();
}

}  // namespace

bool packs_weight(const ir::Graph& graph, const ir::Node& node) {
  return node.inputs.size() > 1 && node.inputs[1].valid() &&
         graph.value(node.inputs[1]).is_constant();
}

double node_us(const ir::Graph& graph, const ir::Node& node, const ops::Registry& registry,
               const cost::MachineModel& machine, int64_t devices,
               std::span<const TensorType> inputs, std::span<const TensorType> outputs,
               Format format) {
  const std::unique_ptr<bool[]> present(new bool[inputs.size() + 1]);
  for (size_t i = 0; i < inputs.size(); ++i) present[i] = node.inputs[i].valid();
  const ops::OpContext context{node.attributes, inputs, {}, {present.get(), inputs.size()}};
  return cost::op_us(machine, devices, registry.at(node.op), context, outputs,
                     packs_weight(graph, node), format);
}

GroupCosts::GroupCosts(const ir::Graph& graph, const ops::Registry& registry,
                       const cost::MachineModel& machine, const Sizes& sizes,
                       const capabilities::Fusion& fusion,
                       const capabilities::Capabilities& capabilities, int64_t devices)
    : graph_(graph),
      registry_(registry),
      machine_(machine),
      capabilities_(capabilities),
      sizes_(sizes),
      devices_(devices) {
  const SymbolValues& values = sizes.values(sizes.opt());
  capabilities::ViewWalk* walking = nullptr;
  const auto run_of = [&](ir::ValueId id, Format format) {
    const Dim run =
        capabilities::contiguous_elements(walking->of(id), graph.type(id).shape, format);
    return std::max<int64_t>(1, run.evaluate(values));
  };
  capabilities::ViewWalk walk(
      graph, registry, capabilities, [&](const capabilities::ViewWalk::Copy& copy) {
        const int64_t run = run_of(copy.value, copy.format);
        const ir::Value& value = graph.value(copy.value);
        if (value.producer.valid() && capabilities::is_view_op(graph.node(value.producer).op)) {
          copied_[value.producer.index()].push_back({true, value.output_index, run});
        } else {
          copied_[copy.reader.index()].push_back({false, copy.input, run});
        }
      });
  walking = &walk;
  for (const FusionGroup& group : fusion.groups) {
    const bool views = walk.advance(group);
    const ir::Node& root = graph.node(group.root());
    if (registry.at(root.op).is_elementwise() && capabilities.reads_across("fused_elementwise")) {
      const Format format = graph.value(root.outputs[0]).format;
      for (const ir::NodeId member : group.nodes) {
        if (member == group.anchor) continue;
        for (const ir::ValueId input : graph.node(member).inputs) {
          if (!contains(group, graph.value(input).producer)) {
            runs_[group.root().index()].emplace(input.index(), run_of(input, format));
          }
        }
      }
    }
    for (size_t o = 0; o < root.outputs.size(); ++o) {
      const ir::ValueId output = root.outputs[o];
      if (!graph.is_output(output)) continue;
      const bool copied =
          views || !capabilities::is_dense(walk.of(output), graph.type(output).shape);
      if (copied) {
        copied_[group.root().index()].push_back({true, o, run_of(output, Format::kRowMajor)});
      }
    }
  }
}

std::vector<int64_t> GroupCosts::shape(const Case& at, ir::ValueId value,
                                       const Placement* placement) const {
  static const Placement kWhole;
  return sizes_.local(value, placement != nullptr ? *placement : kWhole, at.point, at.rank);
}

TensorType GroupCosts::type(const Case& at, ir::ValueId value, const Placement* placement) const {
  const std::vector<int64_t> extents = shape(at, value, placement);
  return {graph_.type(value).dtype, Shape(extents.begin(), extents.end())};
}

double GroupCosts::us(const FusionGroup& group, const Candidate* candidate, size_t point,
                      int64_t rank) {
  const Case at{group, candidate, point, rank};
  const ir::Node& root = graph_.node(group.root());
  const bool chain = registry_.at(root.op).is_elementwise();
  const double copies = copies_us(at);
  if (!chain) return copies + (capabilities::is_view_op(root.op) ? 0 : op_us(at, 0));
  cost::KernelCost kernel(machine_, devices_);
  if (!group.anchor.valid()) {
    add_chain(at, false, kernel);
    return copies + kernel.us();
  }
  const auto anchor = static_cast<size_t>(
      std::find(group.nodes.begin(), group.nodes.end(), group.anchor) - group.nodes.begin());
  kernel.set_op(op_us(at, anchor));
  if (candidate == nullptr || candidate->inner.empty()) {
    add_chain(at, false, kernel);
    return copies + kernel.us();
  }
  // A reshard behind the anchor parts the group into two kernels.
  cost::KernelCost second(machine_, devices_);
  add_chain(at, true, second);
  return copies + kernel.us() + second.us();
}

int64_t GroupCosts::elements(ir::ValueId value, size_t point) const {
  int64_t count = 1;
  for (const int64_t extent : sizes_.whole(value, point)) count *= extent;
  return count;
}

double GroupCosts::copy_us(const Case& at, ir::ValueId value, const Placement* placement,
                           int64_t run) const {
  const TensorType copied = type(at, value, placement);
  return cost::copy_us(machine_, devices_, static_cast<double>(copied.bytes().constant()), run,
                       size_of(copied.dtype));
}

double GroupCosts::copies_us(const Case& at) const {
  double us = 0;
  for (size_t m = 0; m < at.group.nodes.size(); ++m) {
    const auto copied = copied_.find(at.group.nodes[m].index());
    if (copied == copied_.end()) continue;
    const ir::Node& node = graph_.node(at.group.nodes[m]);
    const layout::OperandPlacements* placements =
        at.candidate != nullptr ? &at.candidate->members[m].placements : nullptr;
    for (const Copied& copy : copied->second) {
      const auto& values = copy.result ? node.outputs : node.inputs;
      const Placement* placement = nullptr;
      if (placements != nullptr) {
        placement =
            copy.result ? &placements->outputs[copy.operand] : &placements->inputs[copy.operand];
      }
      us += copy_us(at, values[copy.operand], placement, copy.run);
    }
  }
  return us;
}

// That of the images a kernel works on. A result that is left channels-last was read so. Where all
// dimensions lie alike in both formats, as with a single channel, the kernel for channels-last is
// the one that runs.
Format GroupCosts::format_of(const ir::Node& node, std::span<const TensorType> inputs,
                             std::span<const TensorType> outputs) const {
  if (node.outputs.empty()) return Format::kRowMajor;
  const ir::Value& made = graph_.value(node.outputs[0]);
  const auto either = [](const TensorType& type) {
    const std::vector<int64_t> shape = evaluate(type.shape, {});
    return has_format(Format::kChannelsLast, shape, dense_strides(Format::kRowMajor, shape));
  };
  if (capabilities_.costs_by_operand(node.op) && inputs[0].rank() > kImage) {
    const bool last = graph_.value(node.inputs[0]).format == Format::kChannelsLast;
    return last || either(inputs[0]) ? Format::kChannelsLast : Format::kRowMajor;
  }
  if (!capabilities_.writes(node.op, made.type.dtype, Format::kChannelsLast)) {
    return Format::kRowMajor;
  }
  const bool alike = either(inputs[0]) && either(outputs[0]);
  return alike ? Format::kChannelsLast : made.format;
}

double GroupCosts::op_us(const Case& at, size_t member) {
  const ir::Node& node = graph_.node(at.group.nodes[member]);
  const layout::OperandPlacements* placements =
      at.candidate != nullptr ? &at.candidate->members[member].placements : nullptr;
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  std::string key = node.op;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    inputs.push_back(node.inputs[i].valid()
                         ? type(at, node.inputs[i], placements ? &placements->inputs[i] : nullptr)
                         : TensorType{});
    key += inputs.back().text();
  }
  for (size_t o = 0; o < node.outputs.size(); ++o) {
    outputs.push_back(type(at, node.outputs[o], placements ? &placements->outputs[o] : nullptr));
    key += outputs.back().text();
  }
  key += node.attributes.text();
  key += packs_weight(graph_, node) ? "packed" : "";
  const Format format = format_of(node, inputs, outputs);
  key += name_of(format);
  if (const auto known = op_times_.find(key); known != op_times_.end()) return known->second;
  const double us = node_us(graph_, node, registry_, machine_, devices_, inputs, outputs, format);
  op_times_.emplace(std::move(key), us);
  return us;
}

void GroupCosts::add_chain(const Case& at, bool reads_anchor, cost::KernelCost& kernel) const {
  std::vector<ir::ValueId> read;  // operands that several members read are one
  const auto runs = runs_.find(at.group.root().index());
  for (size_t m = 0; m < at.group.nodes.size(); ++m) {
    const ir::NodeId id = at.group.nodes[m];
    if (id == at.group.anchor) continue;
    const ir::Node& node = graph_.node(id);
    const layout::OperandPlacements* placements =
        at.candidate != nullptr ? &at.candidate->members[m].placements : nullptr;
    const TensorType result =
        type(at, node.outputs[0], placements ? &placements->outputs[0] : nullptr);
    kernel.add_step(node.op, static_cast<double>(result.elements().constant()));
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ir::NodeId producer = graph_.value(node.inputs[i]).producer;
      const bool inside =
          contains(at.group, producer) && !(reads_anchor && producer == at.group.anchor);
      // A broadcast is read from cache, where it stretches anything.
      const bool broadcast =
          producer.valid() && graph_.node(producer).op == "broadcast" &&
          elements(graph_.node(producer).inputs[0], at.point) < elements(node.inputs[i], at.point);
      const bool known = std::find(read.begin(), read.end(), node.inputs[i]) != read.end();
      if (inside || broadcast || known) continue;
      read.push_back(node.inputs[i]);
      const TensorType operand =
          type(at, node.inputs[i], placements ? &placements->inputs[i] : nullptr);
      const auto bytes = static_cast<double>(operand.bytes().constant());
      kernel.add_bytes(bytes);
      if (runs == runs_.end() || contains(at.group, producer)) continue;
      kernel.add_us(cost::across_us(machine_, devices_, bytes,
                                    runs->second.at(node.inputs[i].index()),
                                    size_of(operand.dtype)));
    }
    const bool stores = !at.group.anchor.valid() || reads_anchor;
    if (stores && id == at.group.root()) {
      kernel.add_bytes(static_cast<double>(result.bytes().constant()));
    }
  }
}

}  // namespace cleave::planner
