#include "passes/transposed_reshape.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// The extents of `to` that each of `from` is parted into, in order; nullopt where that is not all
// that a reshape between them does. A dimension of 1 may be parted into nothing.
std::optional<std::vector<Shape>> parts_of(const Shape& from, const Shape& to) {
  std::vector<Shape> parts;
  size_t next = 0;
  for (const Dim& extent : from) {
    Shape part;
    Dim product = 1;
    while (product != extent) {
      if (next == to.size() || !exact_div(extent, product * to[next])) return std::nullopt;
      product *= to[next];
      part.push_back(to[next++]);
    }
    parts.push_back(std::move(part));
  }
  for (; next < to.size(); ++next) {
    if (parts.empty() || !to[next].is(1)) return std::nullopt;
    parts.back().push_back(to[next]);
  }
  return parts;
}

}  // namespace

bool part_before_transpose(Rewriter& r, ir::NodeId id) {
  const ir::Node node = r.graph().node(id);  // a copy: adding nodes moves the graph's own
  if (node.op != "reshape") return false;
  const ir::Node* transpose = r.made_by(node.inputs[0], "transpose");
  if (transpose == nullptr || r.use_count(node.inputs[0]) != 1) return false;
  const ir::Node* first = r.made_by(transpose->inputs[0], "reshape");
  if (first == nullptr || r.use_count(transpose->inputs[0]) != 1) return false;
  const auto parts = parts_of(r.shape(node.inputs[0]), r.shape(node.outputs[0]));
  if (!parts) return false;
  const std::vector<int64_t> perm = transpose->attributes.integers("perm");
  const ValueId source = first->inputs[0];
  // Dimension perm[i] of the first reshape is parted as dimension i of the transposed one.
  std::vector<Shape> before(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) before[static_cast<size_t>(perm[i])] = (*parts)[i];
  Shape shape;
  std::vector<size_t> begin;
  for (const Shape& part : before) {
    begin.push_back(shape.size());
    shape.insert(shape.end(), part.begin(), part.end());
  }
  std::vector<Dim> order;
  for (size_t i = 0; i < perm.size(); ++i) {
    for (size_t j = 0; j < (*parts)[i].size(); ++j) {
      order.emplace_back(static_cast<int64_t>(begin[static_cast<size_t>(perm[i])] + j));
    }
  }
  const ValueId out = node.outputs[0];
  const ValueId parted =
      r.before(out).add1(node.name + "/parts", "reshape", {{"shape", shape}}, {source});
  return r.replace(out, r.add_for(out, "transpose", {{"perm", order}}, {parted}));
}

}  // namespace cleave::passes
