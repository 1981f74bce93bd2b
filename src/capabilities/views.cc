#include "capabilities/views.h"

#include <algorithm>

#include "layout/cut.h"

namespace cleave::capabilities {
namespace {

// A reshape of a strided tensor is a view where each output dimension is a part of one input
// dimension, or joins input dimensions that lie one behind the other.
std::optional<std::vector<Dim>> reshaped_strides(const std::vector<Dim>& from,
                                                 const std::vector<Dim>& strides,
                                                 const std::vector<Dim>& to) {
  std::vector<Dim> result(to.size(), Dim(1));
  size_t i = 0;
  size_t j = 0;
  while (j < to.size()) {
    if (to[j].is(1)) {
      result[j++] = 1;
      continue;
    }
    while (i < from.size() && from[i].is(1)) ++i;
    if (i == from.size()) return std::nullopt;
    // Join input dimensions [i, i_end) and output dimensions [j, j_end) until they are as large.
    size_t i_end = i + 1;
    size_t j_end = j + 1;
    Dim in = from[i];
    Dim out = to[j];
    while (in != out) {
      if (i_end < from.size() && exact_div(out, in) && !exact_div(in, out)) {
        if (strides[i_end - 1] != strides[i_end] * from[i_end]) return std::nullopt;
        in *= from[i_end++];
      } else if (j_end < to.size() && exact_div(in, out)) {
        out *= to[j_end++];
      } else {
        return std::nullopt;
      }
    }
    Dim stride = strides[i_end - 1];
    for (size_t d = j_end; d-- > j;) {
      result[d] = stride;
      stride *= to[d];
    }
    i = i_end;
    j = j_end;
  }
  return result;
}

std::optional<View> reshape_view(const ir::Graph& graph, const ir::Node& node, const View& input) {
  const Shape& from = graph.type(node.inputs[0]).shape;
  const Shape& to = graph.type(node.outputs[0]).shape;
  View view{input.base, input.offset, {}, input.copy};
  if (is_dense(input, from)) {
    view.strides = dense_strides(Format::kRowMajor, to);
    return view;
  }
  auto strides = reshaped_strides(from, input.strides, to);
  if (!strides) return std::nullopt;
  view.strides = std::move(*strides);
  return view;
}

std::optional<View> broadcast_view(const ir::Graph& graph, const ir::Node& node,
                                   const View& input) {
  const Shape& from = graph.type(node.inputs[0]).shape;
  const Shape& to = graph.type(node.outputs[0]).shape;
  View view{input.base, input.offset, std::vector<Dim>(to.size(), Dim(0)), input.copy};
  const size_t lead = to.size() - from.size();
  for (size_t d = 0; d < from.size(); ++d) {
    // Sizes that only a guard proves equal are not stretched either.
    if (!from[d].is(1)) view.strides[lead + d] = input.strides[d];
  }
  return view;
}

std::optional<View> slice_view(const ir::Node& node, const View& input) {
  View view = input;
  const std::vector<Dim>& begin = node.attributes.dims("begin");
  const std::vector<Dim>& step = node.attributes.dims("step");
  for (size_t d = 0; d < begin.size(); ++d) {
    view.offset += begin[d] * input.strides[d];
    view.strides[d] = input.strides[d] * step[d];
  }
  return view;
}

std::optional<View> split_view(const ir::Node& node, size_t output, const View& input) {
  View view = input;
  const auto axis = static_cast<size_t>(node.attributes.integer("axis"));
  const std::vector<Dim>& sizes = node.attributes.dims("sizes");
  for (size_t i = 0; i < output; ++i) view.offset += sizes[i] * input.strides[axis];
  return view;
}

std::optional<View> shard_view(const ir::Node& node, const View& input) {
  const layout::Cut cut = layout::Cut::from_attributes(node.attributes);
  if (cut.segments.size() != 1) return std::nullopt;
  const auto pieces = cut.pieces(node.attributes.dim("rank"), node.attributes.integer("ranks"));
  View view = input;
  view.offset +=
      pieces[0].begin * input.strides[static_cast<size_t>(node.attributes.integer("axis"))];
  return view;
}

}  // namespace

bool is_view_op(std::string_view op) {
  return op == "reshape" || op == "broadcast" || op == "slice" || op == "split" ||
         op == "transpose" || op == "shard";
}

bool is_dense(const View& view, std::span<const Dim> shape) {
  return has_format(Format::kRowMajor, view, shape);
}

bool has_format(Format format, const View& view, std::span<const Dim> shape) {
  const std::vector<Dim> dense = dense_strides(format, shape);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].is(1) && view.strides[i] != dense[i]) return false;
  }
  return true;
}

Format format_of(const View& view, std::span<const Dim> shape) {
  for (const Format format : kFormats) {
    if (has_format(format, view, shape)) return format;
  }
  return Format::kRowMajor;
}

std::optional<View> view_of(const ir::Graph& graph, const ir::Node& node, size_t output,
                            const View& input) {
  if (node.op == "reshape") return reshape_view(graph, node, input);
  if (node.op == "broadcast") return broadcast_view(graph, node, input);
  if (node.op == "slice") return slice_view(node, input);
  if (node.op == "split") return split_view(node, output, input);
  if (node.op == "shard") return shard_view(node, input);
  if (node.op == "transpose") {
    View view{input.base, input.offset, {}, input.copy};
    for (int64_t p : node.attributes.integers("perm")) {
      view.strides.push_back(input.strides.at(static_cast<size_t>(p)));
    }
    return view;
  }
  return std::nullopt;
}

Format format_read(const Capabilities& capabilities, std::string_view op, size_t input,
                   Format result) {
  return capabilities.reads_as_result(op, input) ? result : Format::kRowMajor;
}

bool reads(const Capabilities& capabilities, std::string_view op, size_t input, const View& view,
           std::span<const Dim> shape, Format result) {
  const Format format = format_read(capabilities, op, input, result);
  if (capabilities.reads_strided(op, input) || has_format(format, view, shape)) return true;
  if (format != Format::kRowMajor) return false;
  const auto has_gaps = [&](size_t d) { return !shape[d].is(1) && !view.strides[d].is(1); };
  const size_t rank = shape.size();
  const bool columns = rank > 1 && !has_gaps(rank - 2) && !view.strides[rank - 1].is(0);
  return ((rank == 0 || !has_gaps(rank - 1)) && capabilities.reads_rows(op, input)) ||
         (columns && capabilities.reads_columns(op, input));
}

}  // namespace cleave::capabilities
