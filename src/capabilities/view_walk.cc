#include "capabilities/view_walk.h"

#include <utility>

namespace cleave::capabilities {

ViewWalk::ViewWalk(const ir::Graph& graph, const ops::Registry& registry,
                   const Capabilities& capabilities, std::function<void(ir::ValueId)> copy)
    : graph_(graph),
      registry_(registry),
      capabilities_(capabilities),
      copy_(std::move(copy)),
      views_(graph.value_count()) {}

View ViewWalk::own_view(ir::ValueId id) const {
  return {id, 0, dense_strides(graph_.type(id).shape)};
}

const View& ViewWalk::of(ir::ValueId id) {
  std::optional<View>& view = views_[id.index()];
  if (!view) view = own_view(id);
  return *view;
}

bool ViewWalk::advance(const FusionGroup& group) {
  const ir::Node& root = graph_.node(group.root());
  if (group.nodes.size() == 1 && is_view_op(root.op)) {
    if (make_views(root)) return true;
    // A reshape that is no view of a view is one of its dense copy.
    if (root.op == "reshape") {
      make_dense(root.inputs[0]);
      if (make_views(root)) return true;
    }
  }
  const ops::OpDefinition* definition = registry_.find(root.op);
  const bool chain = definition != nullptr && definition->is_elementwise();
  // Operands of a chain are read through strides.
  if (!chain) make_readable(root);
  if (chain && group.anchor.valid()) make_readable(graph_.node(group.anchor));
  for (ir::ValueId output : root.outputs) views_[output.index()] = own_view(output);
  return false;
}

// True where every result of the node is a view of its input.
bool ViewWalk::make_views(const ir::Node& node) {
  const View input = of(node.inputs[0]);
  std::vector<View> results;
  for (size_t o = 0; o < node.outputs.size(); ++o) {
    auto result = view_of(graph_, node, o, input);
    if (!result) return false;
    results.push_back(std::move(*result));
  }
  for (size_t o = 0; o < node.outputs.size(); ++o) {
    views_[node.outputs[o].index()] = std::move(results[o]);
  }
  return true;
}

void ViewWalk::make_readable(const ir::Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ir::ValueId id = node.inputs[i];
    if (!id.valid()) continue;
    if (!reads(capabilities_, node.op, i, of(id), graph_.type(id).shape)) make_dense(id);
  }
}

void ViewWalk::make_dense(ir::ValueId id) {
  if (is_dense(of(id), graph_.type(id).shape)) return;
  copy_(id);
  views_[id.index()] = own_view(id);
}

Dim contiguous_elements(const View& view, std::span<const Dim> shape) {
  Dim run = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d].is(1)) continue;
    if (view.strides[d] != run) break;
    run *= shape[d];
  }
  return run;
}

}  // namespace cleave::capabilities
