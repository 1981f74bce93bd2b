#include "capabilities/view_walk.h"

#include <utility>

namespace cleave::capabilities {

ViewWalk::ViewWalk(const ir::Graph& graph, const ops::Registry& registry,
                   const Capabilities& capabilities, std::function<void(const Copy&)> copy)
    : graph_(graph),
      registry_(registry),
      capabilities_(capabilities),
      copy_(std::move(copy)),
      views_(graph.value_count()),
      copies_(graph.value_count()) {}

View ViewWalk::own_view(ir::ValueId id) const {
  return {id, 0, dense_strides(graph_.value(id).format, graph_.type(id).shape)};
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
      make_dense(group.root(), 0, copied_format(graph_, root));
      if (make_views(root)) return true;
    }
  }
  const ops::OpDefinition* definition = registry_.find(root.op);
  const bool chain = definition != nullptr && definition->is_elementwise();
  // Operands of a chain are read through strides.
  if (!chain) make_readable(group.root());
  if (chain && group.anchor.valid()) make_readable(group.anchor);
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

void ViewWalk::make_readable(ir::NodeId reader) {
  const ir::Node& node = graph_.node(reader);
  const Format result =
      node.outputs.empty() ? Format::kRowMajor : graph_.value(node.outputs[0]).format;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ir::ValueId id = node.inputs[i];
    if (!id.valid()) continue;
    if (reads(capabilities_, node.op, i, of(id), graph_.type(id).shape, result)) continue;
    make_dense(reader, i, format_read(capabilities_, node.op, i, result));
  }
}

void ViewWalk::make_dense(ir::NodeId reader, size_t input, Format format) {
  const ir::ValueId id = graph_.node(reader).inputs[input];
  const Shape& shape = graph_.type(id).shape;
  if (has_format(format, of(id), shape)) return;
  // Views of what was there before stay views of that.
  const uint32_t copy = ++copies_[id.index()];
  copy_({id, format, reader, input, copy});
  views_[id.index()] = View{id, 0, dense_strides(format, shape), copy};
}

Format copied_format(const ir::Graph& graph, const ir::Node& reshape) {
  const ir::Value& result = graph.value(reshape.outputs[0]);
  const Shape& shape = graph.type(reshape.inputs[0]).shape;
  const auto view =
      view_of(graph, reshape, 0, {reshape.inputs[0], 0, dense_strides(result.format, shape)});
  const bool lies_so = view && has_format(result.format, *view, result.type.shape);
  return lies_so ? result.format : Format::kRowMajor;
}

Dim contiguous_elements(const View& view, std::span<const Dim> shape, Format format) {
  Dim run = 1;
  const std::vector<size_t> order = memory_order(format, shape.size());
  for (size_t i = order.size(); i-- > 0;) {
    const size_t d = order[i];
    if (shape[d].is(1)) continue;
    if (view.strides[d] != run) break;
    run *= shape[d];
  }
  return run;
}

}  // namespace cleave::capabilities
