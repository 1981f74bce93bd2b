// Ops of neural networks that the IR has as composites: softmax, normalisations, rotary embedding.
#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// log(softmax(x)) without the quotient: (x - m) - log(sum(exp(x - m))).
ir::ValueId log_softmax_along(Conversion& c, ir::ValueId x, size_t axis) {
  const Shape shape = c.shape_of(x);
  Shape kept = shape;
  kept[axis] = 1;
  const Attributes axes{{"axes", std::vector<Dim>{Dim(static_cast<int64_t>(axis))}}};
  const ir::ValueId largest = c.help("reduce_max", {x}, axes);
  const ir::ValueId moved = c.emit("sub", {x, c.broadcast(c.reshape(largest, kept), shape)});
  const ir::ValueId sum = c.help("reduce_sum", {c.help("exp", {moved})}, axes);
  const ir::ValueId norm = c.help("log", {c.reshape(sum, kept)});
  return c.help("sub", {moved, c.broadcast(norm, shape)});
}

ir::ValueId softmax_along(Conversion& c, ir::ValueId x, size_t axis) {
  return c.emit("softmax", {x}, {{"axis", Dim(static_cast<int64_t>(axis))}});
}

// 1 at the first of the largest, 0 elsewhere.
ir::ValueId hardmax_along(Conversion& c, ir::ValueId x, size_t axis) {
  const Shape shape = c.shape_of(x);
  const Dim dim = static_cast<int64_t>(axis);
  Shape kept = shape;
  kept[axis] = 1;
  const ir::ValueId first = c.reshape(c.emit("arg_max", {x}, {{"axis", dim}}), kept);
  return c.cast(c.help("equal", {c.broadcast(first, shape), c.indices(shape, axis)}),
                c.type_of(x).dtype);
}

// Before 13, all dimensions from `axis` on count as one.
Converter softmax(ir::ValueId (*along)(Conversion&, ir::ValueId, size_t)) {
  return [along](Conversion& c) {
    const Shape shape = c.type(0).shape;
    if (shape.empty()) throw Error(ErrorCode::kInvalid, "softmax of a scalar");
    if (c.version() >= 13) {
      c.output(0, along(c, c.input(0), c.axis("axis", shape.size(), -1)));
      return;
    }
    const int64_t given = c.integer("axis", 1);
    const size_t axis = given == static_cast<int64_t>(shape.size())
                            ? shape.size()
                            : normal_axis(given, shape.size());
    if (axis + 1 == shape.size()) {
      c.output(0, along(c, c.input(0), axis));
      return;
    }
    const std::span<const Dim> all(shape);
    const Shape flat{product(all.first(axis)), product(all.subspan(axis))};
    const ir::ValueId y = along(c, c.reshape(c.input(0), flat), 1);
    c.output(0, c.reshape(y, shape));
  };
}

// Scale or bias as the shape of the normalised dimensions.
ir::ValueId parameter(Conversion& c, size_t input, size_t axis) {
  const Shape& shape = c.type(0).shape;
  const Shape normalised(shape.begin() + static_cast<ptrdiff_t>(axis), shape.end());
  const Shape joined = broadcast_shapes({c.type(input).shape, normalised});
  if (joined.size() != normalised.size()) {
    throw Unsupported{"a scale or bias of " + c.type(input).text() + " for normalised dimensions " +
                      text_of(normalised)};
  }
  return c.broadcast(c.input(input), normalised);
}

// Mean and inverse deviation, as LayerNormalization gives them on request.
void output_statistics(Conversion& c, size_t axis, double epsilon) {
  const ir::ValueId x = c.cast(c.input(0), DType::kFloat32);
  Shape kept = c.type(0).shape;
  Dim count = 1;
  std::vector<Dim> axes;
  for (size_t i = axis; i < kept.size(); ++i) {
    count *= kept[i];
    kept[i] = 1;
    axes.emplace_back(static_cast<int64_t>(i));
  }
  const ir::ValueId divisor = c.broadcast(c.size_of(count, DType::kFloat32), kept);
  const auto mean_of = [&](ir::ValueId value) {
    const ir::ValueId sum = c.reshape(c.help("reduce_sum", {value}, {{"axes", axes}}), kept);
    return c.help("div", {sum, divisor});
  };
  const ir::ValueId mean = mean_of(x);
  const ir::ValueId centred = c.help("sub", {x, c.broadcast(mean, c.shape_of(x))});
  const ir::ValueId variance = mean_of(c.help("mul", {centred, centred}));
  const ir::ValueId shifted = c.help("add", {variance, c.filled(c.type_of(variance), epsilon)});
  c.output(1, mean);
  c.output(2, c.help("rsqrt", {shifted}));
}

void layer_normalization(Conversion& c) {
  const size_t axis = c.axis("axis", c.rank(0), -1);
  const double epsilon = c.real("epsilon", 1e-5);
  std::vector<ir::ValueId> inputs{c.input(0)};
  if (c.has_input(1)) inputs.push_back(parameter(c, 1, axis));
  if (c.has_input(2)) inputs.push_back(parameter(c, 2, axis));
  const Dim axes = static_cast<int64_t>(c.rank(0) - axis);
  c.output(0, c.emit("layer_norm", inputs, {{"axes", axes}, {"epsilon", epsilon}}));
  if (c.wants_output(1) || c.wants_output(2)) output_statistics(c, axis, epsilon);
}

void rms_normalization(Conversion& c) {
  const size_t axis = c.axis("axis", c.rank(0), -1);
  std::vector<ir::ValueId> inputs{c.input(0)};
  if (c.has_input(1)) inputs.push_back(parameter(c, 1, axis));
  const Dim axes = static_cast<int64_t>(c.rank(0) - axis);
  c.output(0, c.emit("rms_norm", inputs, {{"axes", axes}, {"epsilon", c.real("epsilon", 1e-5)}}));
}

// cos or sin: [batch, rows, depth / 2].
ir::ValueId angles(Conversion& c, size_t input) {
  const ir::ValueId table = c.input(input);
  return c.has_input(3) ? c.help("gather", {table, c.input(3)}, {{"axis", Dim(0)}}) : table;
}

// cos or sin for every head: [batch, 1, rows, depth / 2].
ir::ValueId for_all_heads(Conversion& c, ir::ValueId table) {
  const Shape shape = c.shape_of(table);
  if (shape.size() != 3) {
    throw Error(ErrorCode::kInvalid, "the angles of a rotary embedding are " + text_of(shape) +
                                         ", not [batch, rows, depth]");
  }
  return c.reshape(table, {shape[0], Dim(1), shape[1], shape[2]});
}

void onnx_rotary_embedding(Conversion& c) {
  const ir::ValueId cosines = angles(c, 1);
  c.output(0, rotary_embedding(c, c.integer("num_heads", 0), c.integer("rotary_embedding_dim", 0),
                               cosines, angles(c, 2)));
}

}  // namespace

ir::ValueId rotary_embedding(Conversion& c, int64_t heads, const Dim& turned, ir::ValueId cosines,
                             ir::ValueId sines) {
  const Shape shape = c.type(0).shape;
  ir::ValueId x = c.input(0);
  const bool is_flat = shape.size() == 3;
  if (is_flat) {
    if (heads < 1) throw Error(ErrorCode::kInvalid, "the attribute 'num_heads' is missing");
    x = c.reshape(x, {shape[0], shape[1], Dim(heads), floor_div(shape[2], heads)});
    x = c.transpose(x, {0, 2, 1, 3});
  } else if (shape.size() != 4) {
    throw Error(ErrorCode::kInvalid, "RotaryEmbedding of " + c.type(0).text());
  }
  const Shape whole = c.shape_of(x);
  const Dim depth = whole[3];
  std::optional<ir::ValueId> rest;
  if (!turned.is(0) && turned != depth) {
    Shape extent = whole;
    extent[3] = depth - turned;
    rest = c.part(x, {0, 0, 0, turned}, extent);
    extent[3] = turned;
    x = c.part(x, Shape(4), extent);
  }
  const Dim interleaved = c.integer("interleaved", 0) != 0 ? 1 : 0;
  const ir::ValueId cos = for_all_heads(c, cosines);
  ir::ValueId y =
      c.emit("rotary", {x, cos, for_all_heads(c, sines)}, {{"interleaved", interleaved}});
  if (rest) y = c.help("concat", {y, *rest}, {{"axis", Dim(3)}});
  return is_flat ? c.reshape(c.transpose(y, {0, 2, 1, 3}), shape) : y;
}

void add_network_converters(ConverterTable& table) {
  table.add("Softmax", 1, softmax(softmax_along));
  table.add("LogSoftmax", 1, softmax(log_softmax_along));
  table.add("Hardmax", 1, softmax(hardmax_along));
  // ONNX Runtime writes it into models of older operator sets too.
  table.add("LayerNormalization", 1, layer_normalization);
  table.add("RMSNormalization", 23, rms_normalization);
  // ONNX Runtime's own, in ONNX's domain.
  table.add("SimplifiedLayerNormalization", 1, rms_normalization);
  table.add("RotaryEmbedding", 23, onnx_rotary_embedding);
}

}  // namespace cleave::onnx
