// Quantisation to 8, 16 and 32 bits, written out in primitives. It is computed in float32: integers
// of 16 bits and their quotients' roundings are exact there. Products of quantised matrices are
// summed in int32, as ONNX says.
#include <cmath>

#include "onnx/converters.h"
#include "onnx/quote.h"

namespace cleave::onnx {
namespace {

// That a zero point, where it is there, has the type of what it is subtracted from.
void check_zero_point(const Conversion& c, size_t zero, size_t operand) {
  if (!c.has_input(zero) || c.type(zero).dtype == c.type(operand).dtype) return;
  throw Error(ErrorCode::kInvalid,
              "the zero point " + quote(c.node().inputs[zero]) + " is " +
                  std::string(name_of(c.type(zero).dtype)) + ", but it belongs to " +
                  c.type(operand).text(),
              "give it the type of the quantised values");
}

// The range of the integers that values are quantised to.
struct QuantizedRange {
  double low;
  double high;
};

QuantizedRange range_of(DType dtype) {
  switch (dtype) {
    case DType::kUInt8:
      return {0, 255};
    case DType::kInt8:
      return {-128, 127};
    case DType::kUInt16:
      return {0, 65535};
    case DType::kInt16:
      return {-32768, 32767};
    default:
      throw Unsupported{"quantisation to " + std::string(name_of(dtype))};
  }
}

// A scale that is a small constant must be finite and above 0; larger ones are not read at import.
void check_scale(Conversion& c, size_t input) {
  const auto scale = c.constant(input);
  if (!scale) return;
  for (int64_t i = 0; i < scale->elements(); ++i) {
    const double value = scale->get(i);
    if (std::isfinite(value) && value > 0) continue;
    throw Error(ErrorCode::kInvalid,
                "the scale " + quote(c.node().inputs[input]) + " has the element " +
                    std::to_string(value) + " at " + std::to_string(i),
                "a scale must be finite and above 0; calibrate and quantise the model again");
  }
}

// Scales or zero points, input number `input`, spread over what they belong to: one for all, one
// for each index of `axis`, or one for each block of `block` indices.
class Spread {
 public:
  Spread(Conversion& c, const Shape& shape) : c_(c), shape_(shape) {
    const int64_t rank = static_cast<int64_t>(shape.size());
    block_ = c.version() < 21 ? 0 : c.integer("block_size", 0);
    if (block_ < 0) throw Error(ErrorCode::kInvalid, "the block size is negative");
    if (c.version() >= 13 && rank > 0) {
      const int64_t axis = c.integer("axis", 1);
      // The default is not meant for a vector, whose only scale is for all of it.
      axis_ = axis == 1 && rank == 1 ? 0 : normal_axis(axis, shape.size());
    }
  }

  ir::ValueId operator()(size_t input, DType to) {
    const Shape given = c_.type(input).shape;
    const ir::ValueId value = c_.cast(c_.input(input), to);
    if (given.empty() || (given.size() == 1 && given[0].is(1))) {
      return c_.broadcast(c_.reshape(value, {}), shape_);
    }
    if (block_ > 0 && given.size() == shape_.size()) return by_blocks(value, given);
    if (given.size() != 1 || shape_.empty()) {
      throw Error(ErrorCode::kInvalid,
                  "scales or zero points " + c_.type(input).text() + " for " + text_of(shape_),
                  "give one for all, or one for each index of the axis");
    }
    if (provably_equal(given[0], shape_[axis_]) == std::optional(false)) {
      throw Error(ErrorCode::kInvalid,
                  given[0].text() + " scales or zero points for axis " + std::to_string(axis_) +
                      " of " + text_of(shape_),
                  "give one for all, or one for each index of the axis");
    }
    Shape aligned(shape_.size(), 1);
    aligned[axis_] = given[0];
    return c_.broadcast(c_.reshape(value, aligned), shape_);
  }

 private:
  // Each repeated along the axis; the last block may be cut short.
  ir::ValueId by_blocks(ir::ValueId value, const Shape& given) {
    for (size_t d = 0; d < shape_.size(); ++d) {
      const Dim expected = d == axis_ ? ceil_div(shape_[d], block_) : shape_[d];
      c_.require_equal(given[d], expected, "the blocks along dimension " + std::to_string(d));
    }
    const auto at = static_cast<ptrdiff_t>(axis_) + 1;
    Shape apart = given, repeated = given, whole = given;
    apart.insert(apart.begin() + at, Dim(1));
    repeated.insert(repeated.begin() + at, Dim(block_));
    whole[axis_] *= block_;
    value = c_.reshape(c_.broadcast(c_.reshape(value, apart), repeated), whole);
    return c_.part(value, Shape(shape_.size()), shape_);
  }

  Conversion& c_;
  Shape shape_;
  size_t axis_ = 0;
  int64_t block_ = 0;
};

// round(x / scale) + zero, saturated; halves go to the even neighbour. `zero` may be absent.
ir::ValueId quantized(Conversion& c, ir::ValueId quotient, std::optional<ir::ValueId> zero,
                      DType to) {
  const QuantizedRange range = range_of(to);
  ir::ValueId y = c.help("round", {quotient});
  if (zero) y = c.help("add", {y, *zero});
  y = c.binary("min", c.binary("max", y, range.low), range.high);
  return c.help("cast", {y}, {{"to", to}});
}

bool is_zero(const std::optional<HostTensor>& value) {
  if (!value) return false;
  for (int64_t i = 0; i < value->elements(); ++i) {
    if (value->get(i) != 0) return false;
  }
  return true;
}

// The type that a zero point, else an attribute names.
DType quantized_type(Conversion& c) {
  DType to = DType::kUInt8;
  const bool is_named = c.version() >= 21 && c.integer("output_dtype", 0) != 0;
  if (is_named) to = c.dtype("output_dtype");
  if (!c.has_input(2)) return to;
  if (is_named && to != c.type(2).dtype) {
    throw Error(ErrorCode::kInvalid, "the zero point is " + c.type(2).text() +
                                         ", but 'output_dtype' asks for " +
                                         std::string(name_of(to)));
  }
  return c.type(2).dtype;
}

// The quotient is rounded to the type that `precision` names, from 23 on.
void quantize_linear(Conversion& c) {
  check_scale(c, 1);
  const DType to = quantized_type(c);
  range_of(to);
  const bool has_precision = c.version() >= 23 && c.integer("precision", 0) != 0;
  const DType working = has_precision ? c.dtype("precision") : DType::kFloat32;
  const Shape shape = c.type(0).shape;
  Spread spread(c, shape);
  const ir::ValueId x = c.cast(c.input(0), working);
  const ir::ValueId quotient = c.cast(c.emit("div", {x, spread(1, working)}), DType::kFloat32);
  std::optional<ir::ValueId> zero;
  if (c.has_input(2) && !is_zero(c.constant(2))) zero = spread(2, DType::kFloat32);
  c.output(0, quantized(c, quotient, zero, to));
}

// (x - zero) · scale. The difference of 32-bit integers is taken before it is rounded.
void dequantize_linear(Conversion& c) {
  check_scale(c, 1);
  DType to = c.type(1).dtype;
  if (c.version() >= 23 && c.integer("output_dtype", 0) != 0) to = c.dtype("output_dtype");
  if (!is_integer(c.type(0).dtype)) {
    throw Error(ErrorCode::kInvalid, "DequantizeLinear of " + c.type(0).text());
  }
  check_zero_point(c, 2, 0);
  const DType exact = size_of(c.type(0).dtype) < 4 ? DType::kFloat32 : DType::kInt32;
  Spread spread(c, c.type(0).shape);
  ir::ValueId x = c.cast(c.input(0), exact);
  if (c.has_input(2) && !is_zero(c.constant(2))) x = c.help("sub", {x, spread(2, exact)});
  x = c.cast(x, DType::kFloat32);
  c.output(0, c.cast(c.emit("mul", {x, spread(1, DType::kFloat32)}), to));
}

// Scale and zero point from the range of x, 0 included; a range of nothing has the scale 1.
void dynamic_quantize_linear(Conversion& c) {
  const ir::ValueId x = c.input(0);
  std::vector<size_t> all;
  for (size_t d = 0; d < c.rank(0); ++d) all.push_back(d);
  const auto extreme = [&](std::string_view reduce, std::string_view op) {
    const Attributes axes{{"axes", Conversion::all_dims(all)}};
    return c.binary(op, all.empty() ? x : c.help(reduce, {x}, axes), 0.0);
  };
  const ir::ValueId high = extreme("reduce_max", "max");
  const ir::ValueId low = extreme("reduce_min", "min");
  const ir::ValueId width = c.binary("div", c.help("sub", {high, low}), 255.0);
  const ir::ValueId is_empty = c.binary("equal", width, 0.0);
  const ir::ValueId scale = c.help("where", {is_empty, c.filled(c.type_of(width), 1), width});
  const ir::ValueId below = c.help("neg", {c.help("div", {low, scale})});
  const ir::ValueId zero = quantized(c, below, std::nullopt, DType::kUInt8);
  const Shape shape = c.type(0).shape;
  const ir::ValueId quotient = c.help("div", {x, c.broadcast(scale, shape)});
  const ir::ValueId shift = c.broadcast(c.cast(zero, DType::kFloat32), shape);
  c.output(0, quantized(c, quotient, shift, DType::kUInt8));
  c.output(1, scale);
  c.output(2, zero);
}

// The shape of a zero point or scale of a matrix: one for all, one for each row or column, or a
// tensor that broadcasts.
Shape aligned(Conversion& c, size_t input, bool of_rows) {
  const Shape& given = c.type(input).shape;
  if (given.size() != 1 || given[0].is(1)) return given.size() == 1 ? Shape{} : given;
  return of_rows ? Shape{given[0], Dim(1)} : given;
}

ir::ValueId shifted(Conversion& c, size_t input, size_t zero, bool of_rows) {
  check_zero_point(c, zero, input);
  const ir::ValueId x = c.cast(c.input(input), DType::kInt32);
  if (!c.has_input(zero) || is_zero(c.constant(zero))) return x;
  const ir::ValueId shift =
      c.reshape(c.cast(c.input(zero), DType::kInt32), aligned(c, zero, of_rows));
  return c.help("sub", {x, c.broadcast(shift, c.shape_of(x))});
}

void matmul_integer(Conversion& c) {
  const ir::ValueId a = shifted(c, 0, 2, true);
  c.output(0, matrix_product(c, a, shifted(c, 1, 3, false)));
}

// The product is exact in int32 and scaled in float32: sums beyond 2^24 are rounded there.
void qlinear_matmul(Conversion& c) {
  for (const size_t scale : {size_t{1}, size_t{4}, size_t{6}}) check_scale(c, scale);
  const ir::ValueId a = shifted(c, 0, 2, true);
  const ir::ValueId sum = c.cast(matrix_product(c, a, shifted(c, 3, 5, false)), DType::kFloat32);
  const auto parameter = [&](size_t input, bool of_rows) {
    const ir::ValueId value =
        c.reshape(c.cast(c.input(input), DType::kFloat32), aligned(c, input, of_rows));
    return c.broadcast(value, c.shape_of(sum));
  };
  const ir::ValueId scaled =
      c.help("mul", {c.help("mul", {sum, parameter(1, true)}), parameter(4, false)});
  const ir::ValueId quotient = c.help("div", {scaled, parameter(6, true)});
  c.output(0, quantized(c, quotient, parameter(7, true), c.type(7).dtype));
}

}  // namespace

void add_quantization_converters(ConverterTable& table) {
  table.add("QuantizeLinear", 10, quantize_linear);
  table.add("DequantizeLinear", 10, dequantize_linear);
  table.add("DynamicQuantizeLinear", 11, dynamic_quantize_linear);
  table.add("MatMulInteger", 10, matmul_integer);
  table.add("QLinearMatMul", 10, qlinear_matmul);
}

}  // namespace cleave::onnx
