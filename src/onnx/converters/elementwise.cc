// Element-wise ops: broadcasting becomes explicit.
#include <cmath>
#include <limits>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// ONNX's op is the IR's.
Converter unary(std::string op) {
  return [op](Conversion& c) { c.output(0, c.emit(op, {c.input(0)})); };
}

Converter binary(std::string op) {
  return [op](Conversion& c) { c.output(0, c.binary(op, c.input(0), c.input(1))); };
}

// Any number of operands, taken together two by two.
ir::ValueId chain(Conversion& c, std::string_view op) {
  if (c.input_count() == 0) throw Error(ErrorCode::kInvalid, "the op has no operands");
  ir::ValueId result = c.input(0);
  for (size_t i = 1; i < c.input_count(); ++i) result = c.binary(op, result, c.input(i));
  return result;
}

Converter variadic(std::string op) {
  return [op](Conversion& c) { c.output(0, chain(c, op)); };
}

void mean(Conversion& c) {
  const ir::ValueId sum = chain(c, "add");
  c.output(0, c.binary("mul", sum, 1.0 / static_cast<double>(c.input_count())));
}

void where(Conversion& c) {
  const Shape shape = broadcast_shapes({c.type(0).shape, c.type(1).shape, c.type(2).shape});
  const ir::ValueId condition = c.broadcast(c.input(0), shape);
  const ir::ValueId a = c.broadcast(c.input(1), shape);
  c.output(0, c.emit("where", {condition, a, c.broadcast(c.input(2), shape)}));
}

void cast(Conversion& c) {
  const DType to = c.dtype("to");
  c.output(0, c.type(0).dtype == to ? c.input(0) : c.emit("cast", {c.input(0)}, {{"to", to}}));
}

void cast_like(Conversion& c) {
  const DType to = c.type(1).dtype;
  c.output(0, c.type(0).dtype == to ? c.input(0) : c.emit("cast", {c.input(0)}, {{"to", to}}));
}

Converter with_alpha(std::string op, double otherwise) {
  return [op, otherwise](Conversion& c) {
    c.output(0, c.emit(op, {c.input(0)}, {{"alpha", c.real("alpha", otherwise)}}));
  };
}

// Exponents may have another type than the base from 12 on; the result has the base's.
void pow(Conversion& c) {
  const ir::ValueId exponent = c.cast(c.input(1), c.type(0).dtype);
  if (!is_floating(c.type(0).dtype) && is_floating(c.type(1).dtype)) {
    throw Unsupported{"an integer base with a floating-point exponent"};
  }
  c.output(0, c.binary("pow", c.input(0), exponent));
}

// fmod=0: the sign of the divisor; fmod=1: the sign of the dividend, as in C.
void mod(Conversion& c) {
  const bool is_fmod = c.integer("fmod", 0) != 0;
  const DType dtype = c.type(0).dtype;
  const bool is_unsigned = dtype == DType::kUInt8 || dtype == DType::kUInt16 ||
                           dtype == DType::kUInt32 || dtype == DType::kUInt64;
  if (is_fmod && is_integer(dtype) && !is_unsigned) {
    throw Unsupported{"fmod=1 on " + std::string(name_of(dtype))};
  }
  if (!is_fmod && is_floating(dtype) && c.version() >= 28) {
    // The remainder with the dividend's sign; where the divisor's is another, one divisor more.
    const Shape shape = broadcast_shapes({c.type(0).shape, c.type(1).shape});
    const ir::ValueId divisor = c.broadcast(c.input(1), shape);
    const ir::ValueId rest = c.emit("mod", {c.broadcast(c.input(0), shape), divisor});
    const ir::ValueId differs =
        c.emit("xor", {c.binary("less", rest, 0.0), c.binary("less", divisor, 0.0)});
    const ir::ValueId is_whole = c.binary("equal", rest, 0.0);
    const ir::ValueId moves = c.emit("and", {differs, c.emit("not", {is_whole})});
    c.output(0, c.emit("where", {moves, c.emit("add", {rest, divisor}), rest}));
    return;
  }
  if (!is_fmod && is_floating(dtype)) {
    throw Error(ErrorCode::kInvalid, "Mod of floating-point numbers needs fmod=1");
  }
  // The IR's op takes the dividend's sign for floating-point, the divisor's for integer types.
  c.output(0, c.binary("mod", c.input(0), c.input(1)));
}

ir::ValueId clamp(Conversion& c, ir::ValueId x, std::string_view op, ir::ValueId bound) {
  return c.emit(op, {x, c.broadcast(bound, c.shape_of(x))});
}

void clip_by_attributes(Conversion& c) {
  ir::ValueId x = c.input(0);
  const double low = c.real("min", -std::numeric_limits<double>::infinity());
  const double high = c.real("max", std::numeric_limits<double>::infinity());
  // The defaults are the largest floats: no bound at all.
  if (low > static_cast<double>(std::numeric_limits<float>::lowest())) x = c.binary("max", x, low);
  if (high < static_cast<double>(std::numeric_limits<float>::max())) x = c.binary("min", x, high);
  c.output(0, x);
}

void clip_by_inputs(Conversion& c) {
  ir::ValueId x = c.input(0);
  if (c.has_input(1)) x = clamp(c, x, "max", c.input(1));
  if (c.has_input(2)) x = clamp(c, x, "min", c.input(2));
  c.output(0, x);
}

void identity(Conversion& c) {
  if (auto known = c.known(0)) {
    c.output(0, std::move(*known));
    return;
  }
  c.output(0, c.input(0));
}

// At inference nothing is dropped; the mask is all true.
void dropout(Conversion& c) {
  if (c.has_input(2)) {
    const auto training = c.constant(2);
    if (!training || training->get(0) != 0) throw Unsupported{"training mode"};
  }
  c.output(0, c.input(0));
  if (c.wants_output(1)) {
    const DType dtype = c.version() < 10 ? c.type(0).dtype : DType::kBool;
    c.output(1, c.filled({dtype, c.type(0).shape}, 1));
  }
}

void gelu(Conversion& c) {
  const std::string kind = c.string("approximate", "none");
  if (kind != "none" && kind != "tanh") throw Unsupported{"approximate=" + kind};
  c.output(0, c.emit(kind == "tanh" ? "gelu_tanh" : "gelu", {c.input(0)}));
}

// x · sigmoid(alpha · x)
void swish(Conversion& c) {
  const double alpha = c.real("alpha", 1.0);
  const ir::ValueId x = c.input(0);
  if (alpha == 1.0) {
    c.output(0, c.emit("silu", {x}));
    return;
  }
  const ir::ValueId gate = c.emit("sigmoid", {c.binary("mul", x, alpha)});
  c.output(0, c.emit("mul", {x, gate}));
}

void is_nan(Conversion& c) { c.output(0, c.emit("is_nan", {c.input(0)})); }

void is_inf(Conversion& c) {
  const double infinity = std::numeric_limits<double>::infinity();
  const bool is_above = c.integer("detect_positive", 1) != 0;
  const bool is_below = c.integer("detect_negative", 1) != 0;
  const ir::ValueId x = c.input(0);
  if (is_above && is_below) {
    c.output(0, c.binary("equal", c.emit("abs", {x}), infinity));
  } else if (is_above || is_below) {
    c.output(0, c.binary("equal", x, is_above ? infinity : -infinity));
  } else {
    c.output(0, c.filled({DType::kBool, c.type(0).shape}, 0));
  }
}

void shift(Conversion& c) {
  const std::string direction = c.string("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    throw Error(ErrorCode::kInvalid, "there is no direction " + direction + " of BitShift");
  }
  c.output(0, c.binary(direction == "LEFT" ? "shift_left" : "shift_right", c.input(0), c.input(1)));
}

// x + bias below -lambd, x - bias above lambd, 0 between.
void shrink(Conversion& c) {
  const ir::ValueId x = c.input(0);
  const double bias = c.real("bias", 0.0);
  const double border = c.real("lambd", 0.5);
  const ir::ValueId above = c.emit(
      "where", {c.binary("greater", x, border), c.binary("sub", x, bias), c.filled(c.type(0), 0)});
  c.output(0, c.emit("where", {c.binary("less", x, -border), c.binary("add", x, bias), above}));
}

// alpha · x + beta within [0, 1]
void hard_sigmoid(Conversion& c) {
  const ir::ValueId x = c.input(0);
  const double alpha = c.real("alpha", 0.2), beta = c.real("beta", 0.5);
  if (beta == 0.5) return c.output(0, c.emit("hard_sigmoid", {x}, {{"alpha", alpha}}));
  const ir::ValueId line = c.binary("add", c.binary("mul", x, alpha), beta);
  c.output(0, c.binary("min", c.binary("max", line, 0.0), 1.0));
}

// slope · x where x is negative.
void parametric_relu(Conversion& c) {
  const ir::ValueId x = c.input(0);
  const ir::ValueId zero = c.filled(c.type_of(x), 0);
  const ir::ValueId below = c.emit("min", {x, zero});
  const ir::ValueId slope = c.broadcast(c.input(1), c.shape_of(x));
  c.output(0, c.emit("add", {c.emit("max", {x, zero}), c.emit("mul", {below, slope})}));
}

// gamma · elu(x), with alpha
void selu(Conversion& c) {
  const double alpha = c.real("alpha", 1.67326319217681884765625);
  const double gamma = c.real("gamma", 1.05070102214813232421875);
  const ir::ValueId elu = c.emit("elu", {c.input(0)}, {{"alpha", alpha}});
  c.output(0, c.binary("mul", elu, gamma));
}

// alpha · elu(x / alpha)
void celu(Conversion& c) {
  const double alpha = c.real("alpha", 1.0);
  const ir::ValueId elu =
      c.emit("elu", {c.binary("mul", c.input(0), 1.0 / alpha)}, {{"alpha", 1.0}});
  c.output(0, c.binary("mul", elu, alpha));
}

void mish(Conversion& c) {
  const ir::ValueId x = c.input(0);
  c.output(0, c.emit("mul", {x, c.emit("tanh", {c.emit("softplus", {x})})}));
}

void softsign(Conversion& c) {
  const ir::ValueId x = c.input(0);
  c.output(0, c.emit("div", {x, c.binary("add", c.emit("abs", {x}), 1.0)}));
}

void thresholded_relu(Conversion& c) {
  const ir::ValueId x = c.input(0);
  const ir::ValueId above = c.binary("greater", x, c.real("alpha", 1.0));
  c.output(0, c.emit("where", {above, x, c.filled(c.type_of(x), 0)}));
}

}  // namespace

void add_elementwise_converters(ConverterTable& table) {
  for (const auto& [name, op] : std::initializer_list<std::pair<const char*, const char*>>{
           {"Abs", "abs"},     {"Acos", "acos"},
           {"Acosh", "acosh"}, {"Asin", "asin"},
           {"Asinh", "asinh"}, {"Atan", "atan"},
           {"Atanh", "atanh"}, {"BitwiseNot", "bit_not"},
           {"Ceil", "ceil"},   {"Cos", "cos"},
           {"Cosh", "cosh"},   {"Erf", "erf"},
           {"Exp", "exp"},     {"Floor", "floor"},
           {"Log", "log"},     {"Neg", "neg"},
           {"Not", "not"},     {"Relu", "relu"},
           {"Round", "round"}, {"Reciprocal", "reciprocal"},
           {"Sign", "sign"},   {"Sigmoid", "sigmoid"},
           {"Sin", "sin"},     {"Sinh", "sinh"},
           {"Sqrt", "sqrt"},   {"Tan", "tan"},
           {"Tanh", "tanh"},   {"Softplus", "softplus"}}) {
    table.add(name, 1, unary(op));
  }
  for (const auto& [name, op] : std::initializer_list<std::pair<const char*, const char*>>{
           {"Add", "add"},
           {"And", "and"},
           {"BitwiseAnd", "bit_and"},
           {"BitwiseOr", "bit_or"},
           {"BitwiseXor", "bit_xor"},
           {"Div", "div"},
           {"Equal", "equal"},
           {"Greater", "greater"},
           {"GreaterOrEqual", "greater_equal"},
           {"Less", "less"},
           {"LessOrEqual", "less_equal"},
           {"Mul", "mul"},
           {"Or", "or"},
           {"Sub", "sub"},
           {"Xor", "xor"}}) {
    table.add(name, 7, binary(op));
  }
  table.add("Max", 6, variadic("max"));
  table.add("Min", 6, variadic("min"));
  table.add("Sum", 6, variadic("add"));
  table.add("Mean", 6, mean);
  table.add("Where", 9, where);
  table.add("Cast", 6, cast);
  table.add("CastLike", 15, cast_like);
  table.add("LeakyRelu", 6, with_alpha("leaky_relu", 0.01));
  table.add("Elu", 6, with_alpha("elu", 1.0));
  table.add("Pow", 7, pow);
  table.add("Mod", 10, mod);
  table.add("Clip", 6, clip_by_attributes);
  table.add("Clip", 11, clip_by_inputs);
  table.add("Identity", 1, identity);
  table.add("Dropout", 7, dropout);
  table.add("Gelu", 20, gelu);
  table.add("Swish", 24, swish);
  table.add("IsNaN", 9, is_nan);
  table.add("IsInf", 10, is_inf);
  table.add("BitShift", 11, shift);
  table.add("Shrink", 9, shrink);
  table.add("HardSigmoid", 6, hard_sigmoid);
  table.add("HardSwish", 14, unary("hard_swish"));
  table.add("PRelu", 7, parametric_relu);
  table.add("Selu", 6, selu);
  table.add("Celu", 12, celu);
  table.add("Mish", 18, mish);
  table.add("Softsign", 1, softsign);
  table.add("ThresholdedRelu", 10, thresholded_relu);
}

}  // namespace cleave::onnx
