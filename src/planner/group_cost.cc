#include "planner/group_cost.h"

#include <algorithm>
#include <memory>

#include "capabilities/view_walk.h"

namespace cleave::planner {

using capabilities::FusionGroup;
using layout::Placement;

namespace {

bool contains(const FusionGroup& group, ir::NodeId node) {
  return node.valid() &&
         std::find(group.nodes.begin(), group.nodes.end(), node) != group.nodes.end();
}

}  // namespace

GroupCosts::GroupCosts(const ir::Graph& graph, const ops::Registry& registry,
                       const cost::MachineModel& machine, const Sizes& sizes,
                       const capabilities::Fusion& fusion,
                       const capabilities::Capabilities& capabilities, int64_t devices)
    : graph_(graph),
      registry_(registry),
      machine_(machine),
      sizes_(sizes),
      devices_(devices),
      copied_run_(graph.value_count(), 0) {
  const SymbolValues& values = sizes.values(sizes.opt());
  const auto copied = [&](ir::ValueId id, const capabilities::View& view) {
    const Dim run = capabilities::contiguous_elements(view, graph.type(id).shape);
    copied_run_[id.index()] = std::max<int64_t>(1, run.evaluate(values));
  };
  capabilities::ViewWalk* walking = nullptr;
  capabilities::ViewWalk walk(graph, registry, capabilities,
                              [&](ir::ValueId id) { copied(id, walking->of(id)); });
  walking = &walk;
  for (const FusionGroup& group : fusion.groups) {
    const bool views = walk.advance(group);
    for (ir::ValueId output : graph.node(group.root()).outputs) {
      if (views && graph.is_output(output)) copied(output, walk.of(output));
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
  if (!chain) {
    return capabilities::is_view_op(root.op) ? copies_us(at, group.root()) : op_us(at, 0);
  }
  cost::KernelCost kernel(machine_, devices_);
  if (!group.anchor.valid()) {
    add_chain(at, false, kernel);
    return kernel.us();
  }
  const auto anchor = static_cast<size_t>(
      std::find(group.nodes.begin(), group.nodes.end(), group.anchor) - group.nodes.begin());
  kernel.set_op(op_us(at, anchor));
  if (candidate == nullptr || candidate->inner.empty()) {
    add_chain(at, false, kernel);
    return kernel.us();
  }
  // A reshard behind the anchor parts the group into two kernels.
  cost::KernelCost second(machine_, devices_);
  add_chain(at, true, second);
  return kernel.us() + second.us();
}

int64_t GroupCosts::elements(ir::ValueId value, size_t point) const {
  int64_t count = 1;
  for (const int64_t extent : sizes_.whole(value, point)) count *= extent;
  return count;
}

// A view costs what copying it costs, where a reader takes it only dense.
double GroupCosts::copies_us(const Case& at, ir::NodeId id) const {
  const ir::Node& node = graph_.node(id);
  double us = 0;
  for (size_t o = 0; o < node.outputs.size(); ++o) {
    const int64_t run = copied_run_[node.outputs[o].index()];
    if (run == 0) continue;
    const Placement* placement =
        at.candidate != nullptr ? &at.candidate->members.back().placements.outputs[o] : nullptr;
    const TensorType local = type(at, node.outputs[o], placement);
    us += cost::copy_us(machine_, devices_, static_cast<double>(local.bytes().constant()), run);
  }
  return us;
}

double GroupCosts::op_us(const Case& at, size_t member) {
  const ir::Node& node = graph_.node(at.group.nodes[member]);
  const layout::OperandPlacements* placements =
      at.candidate != nullptr ? &at.candidate->members[member].placements : nullptr;
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  const std::unique_ptr<bool[]> present(new bool[node.inputs.size() + 1]);
  std::string key = node.op;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    present[i] = node.inputs[i].valid();
    inputs.push_back(present[i]
                         ? type(at, node.inputs[i], placements ? &placements->inputs[i] : nullptr)
                         : TensorType{});
    key += inputs.back().text();
  }
  for (size_t o = 0; o < node.outputs.size(); ++o) {
    outputs.push_back(type(at, node.outputs[o], placements ? &placements->outputs[o] : nullptr));
    key += outputs.back().text();
  }
  const bool packed = node.inputs.size() > 1 && node.inputs[1].valid() &&
                      graph_.value(node.inputs[1]).is_constant();
  key += packed ? "packed" : "";
  if (const auto known = op_times_.find(key); known != op_times_.end()) return known->second;
  const ops::OpContext context{node.attributes, inputs, {}, {present.get(), inputs.size()}};
  const double us =
      cost::op_us(machine_, devices_, registry_.at(node.op), context, outputs, packed);
  op_times_.emplace(std::move(key), us);
  return us;
}

void GroupCosts::add_chain(const Case& at, bool reads_anchor, cost::KernelCost& kernel) const {
  std::vector<ir::ValueId> read;  // operands that several members read are one
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
      kernel.add_bytes(static_cast<double>(operand.bytes().constant()));
    }
    const bool stores = !at.group.anchor.valid() || reads_anchor;
    if (stores && id == at.group.root()) {
      kernel.add_bytes(static_cast<double>(result.bytes().constant()));
    }
  }
}

}  // namespace cleave::planner
