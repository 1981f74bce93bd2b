// Normalisations that the IR has no ops for, written out in primitives and computed in float32.
#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// More neighbours than any model's local response normalisation looks at.
constexpr int64_t kMostNeighbours = 256;

// The sum over `axes`, which stay as 1.
ir::ValueId sum_over(Conversion& c, ir::ValueId x, const std::vector<size_t>& axes) {
  Shape kept = c.shape_of(x);
  for (const size_t axis : axes) kept[axis] = 1;
  return c.reshape(c.help("reduce_sum", {x}, {{"axes", Conversion::all_dims(axes)}}), kept);
}

// x over its norm along the axis; 0 where that is 0.
void lp_normalization(Conversion& c) {
  const int64_t p = c.integer("p", 2);
  if (p != 1 && p != 2) throw Error(ErrorCode::kInvalid, "there is no norm p=" + std::to_string(p));
  const size_t axis = c.axis("axis", c.rank(0), -1);
  const ir::ValueId x = c.wide(c.input(0));
  const ir::ValueId terms = p == 1 ? c.help("abs", {x}) : c.help("mul", {x, x});
  ir::ValueId norm = sum_over(c, terms, {axis});
  if (p == 2) norm = c.help("sqrt", {norm});
  const ir::ValueId is_zero = c.binary("equal", norm, 0.0);
  const ir::ValueId divisor = c.help("where", {is_zero, c.filled(c.type_of(norm), 1), norm});
  const ir::ValueId y = c.help("div", {x, c.broadcast(divisor, c.shape_of(x))});
  c.output(0, c.cast(y, c.type(0).dtype));
}

// (x - mean) / (deviation + 1e-9) over the axes.
void mean_variance_normalization(Conversion& c) {
  const std::vector<size_t> axes =
      normal_axes(c.integer_list("axes").value_or(std::vector<int64_t>{0, 2, 3}), c.rank(0));
  const ir::ValueId x = c.wide(c.input(0));
  const Shape shape = c.shape_of(x);
  Dim count = 1;
  for (const size_t axis : axes) count *= shape[axis];
  const auto mean_of = [&](ir::ValueId value) {
    const ir::ValueId sum = sum_over(c, value, axes);
    const ir::ValueId divisor = c.size_of(count, c.type_of(sum).dtype);
    return c.help("div", {sum, c.broadcast(divisor, c.shape_of(sum))});
  };
  const ir::ValueId centred = c.help("sub", {x, c.broadcast(mean_of(x), shape)});
  const ir::ValueId variance = mean_of(c.help("mul", {centred, centred}));
  const ir::ValueId deviation = c.binary("add", c.help("sqrt", {variance}), 1e-9);
  const ir::ValueId y = c.help("div", {centred, c.broadcast(deviation, shape)});
  c.output(0, c.cast(y, c.type(0).dtype));
}

// x / (bias + alpha / size · the sum of the squares of `size` channels around)^beta.
void local_response_normalization(Conversion& c) {
  const int64_t size = c.integer("size");
  if (size < 1) throw Error(ErrorCode::kInvalid, "LRN over " + std::to_string(size) + " channels");
  if (size > kMostNeighbours) throw Unsupported{"LRN over " + std::to_string(size) + " channels"};
  if (c.rank(0) < 2) throw Error(ErrorCode::kInvalid, "LRN of " + c.type(0).text());
  const ir::ValueId x = c.wide(c.input(0));
  const Shape shape = c.shape_of(x);
  std::vector<Dim> low(shape.size()), high(shape.size());
  low[1] = (size - 1) / 2;
  high[1] = size / 2;
  const ir::ValueId squares =
      c.help("pad", {c.help("mul", {x, x})}, {{"low", low}, {"high", high}, {"value", 0.0}});
  std::optional<ir::ValueId> sum;
  for (int64_t i = 0; i < size; ++i) {
    std::vector<Dim> begin(shape.size());
    begin[1] = i;
    const ir::ValueId part = c.part(squares, begin, shape);
    sum = sum ? c.help("add", {*sum, part}) : part;
  }
  const ir::ValueId scaled =
      c.binary("mul", *sum, c.real("alpha", 1e-4) / static_cast<double>(size));
  const ir::ValueId base = c.binary("add", scaled, c.real("bias", 1.0));
  const ir::ValueId y = c.help("div", {x, c.binary("pow", base, c.real("beta", 0.75))});
  c.output(0, c.cast(y, c.type(0).dtype));
}

}  // namespace

void add_axis_norm_converters(ConverterTable& table) {
  table.add("LpNormalization", 1, lp_normalization);
  table.add("MeanVarianceNormalization", 9, mean_variance_normalization);
  table.add("LRN", 1, local_response_normalization);
}

}  // namespace cleave::onnx
