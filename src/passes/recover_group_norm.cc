#include "passes/recover_group_norm.h"

#include <utility>

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// The channels of an image that are a group where those of a reshaped one are: a group is so many
// elements in a row of each, so that images with as many groups have the same. Nothing where groups
// are no whole channels.
std::optional<Dim> channels_of_group(const Shape& image, const Shape& reshaped,
                                     const Dim& reshaped_channels) {
  if (image.size() < 2 || image[0] != reshaped[0] || image[1].is(0)) return {};
  const auto groups = exact_div(reshaped[1], reshaped_channels);
  return groups ? exact_div(image[1], *groups) : std::nullopt;
}

// A scale or bias with an element for each of fewer channels, each of them for as many of
// `channels` that follow one another. Invalid where a channel would need several.
ValueId spread_parameter(Rewriter& r, ValueId root, ValueId parameter, const Dim& channels) {
  const Dim given = r.shape(parameter)[0];
  if (given == channels) return parameter;
  if (const auto number = r.scalar(parameter)) {
    ops::Builder builder = r.before(root);
    return builder.broadcast(builder.scalar(r.type(parameter).dtype, *number), {channels});
  }
  const auto each = exact_div(channels, given);
  if (!each) return {};
  const std::string name = r.graph().value(parameter).name;
  ops::Builder builder = r.before(root);
  const ValueId column =
      builder.add1(name + "/column", "reshape", {{"shape", Shape{given, 1}}}, {parameter});
  const ValueId spread = builder.broadcast(column, {given, *each});
  return builder.add1(name + "/spread", "reshape", {{"shape", Shape{channels}}}, {spread});
}

// reshape → group_norm → reshape as a group_norm of what the last one makes.
bool recover_image(Rewriter& r, ValueId root, const ir::Node& back) {
  const ir::Node* found = r.made_by(back.inputs[0], "group_norm");
  const ir::Node* reshape = found ? r.made_by(found->inputs[0], "reshape") : nullptr;
  if (reshape == nullptr) return false;
  const ir::Node norm = *found;
  const ValueId x = reshape->inputs[0];
  const Shape image = r.shape(root);
  const auto channels =
      channels_of_group(image, r.shape(norm.inputs[0]), norm.attributes.dim("group_channels"));
  const ValueId leaves[] = {x, norm.inputs[1], norm.inputs[2]};
  if (!channels || !r.is_closed(root, leaves)) return false;
  const ValueId scale = spread_parameter(r, root, norm.inputs[1], image[1]);
  const ValueId bias = scale.valid() ? spread_parameter(r, root, norm.inputs[2], image[1]) : scale;
  if (!bias.valid()) return false;
  const ValueId operand = r.shape(x) == image
                              ? x
                              : r.before(root).add1(r.graph().value(x).name + "/image", "reshape",
                                                    {{"shape", image}}, {x});
  Attributes attributes = norm.attributes;
  attributes.set("group_channels", *channels);
  return r.replace(root, r.add_for(root, "group_norm", attributes, {operand, scale, bias}));
}

// Whether a value differs between channels alone: [1, c, 1...], leading ones left out or not.
bool is_of_channels(const Shape& shape, size_t rank) {
  if (shape.size() > rank) return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d + rank - shape.size() != 1 && !shape[d].is(1)) return false;
  }
  return true;
}

// A product with the group_norm `norm`, or a sum, as its scale or bias.
bool absorb(Rewriter& r, ValueId root, ValueId norm, ValueId other, bool is_scale) {
  const ir::Node* found = r.made_by(norm, "group_norm");
  if (found == nullptr || r.use_count(norm) != 1) return false;
  const ValueId source = r.unbroadcast(other);
  if (!is_of_channels(r.shape(source), r.shape(norm).size())) return false;
  const ir::Node node = *found;
  const Dim channels = r.shape(norm)[1];
  const std::string name = r.graph().value(source).name;
  ops::Builder builder = r.before(root);
  const Dim given = product(r.shape(source));
  const ValueId flat = builder.broadcast(
      builder.add1(name + "/channels", "reshape", {{"shape", Shape{given}}}, {source}), {channels});
  const auto join = [&](std::string_view op, ValueId value, double neutral) {
    if (r.is_scalar(value, neutral)) return flat;
    return builder.add1(r.graph().value(value).name + "/" + name, op, {}, {value, flat});
  };
  std::vector<ValueId> inputs = node.inputs;
  if (is_scale) {
    inputs[1] = join("mul", node.inputs[1], 1);
    if (!r.is_scalar(node.inputs[2], 0)) inputs[2] = join("mul", node.inputs[2], 1);
  } else {
    inputs[2] = join("add", node.inputs[2], 0);
  }
  return r.replace(root, r.add_for(root, "group_norm", node.attributes, inputs));
}

bool recover(Rewriter& r, ir::NodeId id) {
  const ir::Node node = r.graph().node(id);
  const ValueId root = node.outputs[0];
  if (node.op == "reshape") return recover_image(r, root, node);
  if (node.op != "mul" && node.op != "add") return false;
  const bool is_scale = node.op == "mul";
  return absorb(r, root, node.inputs[0], node.inputs[1], is_scale) ||
         absorb(r, root, node.inputs[1], node.inputs[0], is_scale);
}

}  // namespace

bool recover_group_norm(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, recover);
}

}  // namespace cleave::passes
