// Constants and tensors that are made from sizes.
#include <cmath>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

HostTensor of_reals(const std::vector<double>& values, std::vector<int64_t> shape) {
  HostTensor tensor(DType::kFloat32, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

HostTensor of_integers(const std::vector<int64_t>& values, std::vector<int64_t> shape) {
  HostTensor tensor(DType::kInt64, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i) tensor.set_integer(static_cast<int64_t>(i), values[i]);
  return tensor;
}

ir::RecipePtr constant_value_of(Conversion& c) {
  const auto size = [](const auto& values) { return static_cast<int64_t>(values.size()); };
  if (c.has("value")) return c.tensor("value");
  if (c.has("value_float")) return ir::constant_value(of_reals({c.real("value_float")}, {}));
  if (c.has("value_int")) return ir::constant_value(of_integers({c.integer("value_int")}, {}));
  if (const auto values = c.real_list("value_floats")) {
    return ir::constant_value(of_reals(*values, {size(*values)}));
  }
  if (const auto values = c.integer_list("value_ints")) {
    return ir::constant_value(of_integers(*values, {size(*values)}));
  }
  for (const char* name : {"sparse_value", "value_string", "value_strings"}) {
    if (c.has(name)) throw Unsupported{std::string("the attribute '") + name + "'"};
  }
  throw Error(ErrorCode::kInvalid, "the constant has no value");
}

void constant(Conversion& c) { c.output(0, c.add_constant(constant_value_of(c))); }

void constant_of_shape(Conversion& c) {
  const std::vector<Dim> shape = c.dims(0, "the dimensions of the result");
  HostTensor value(DType::kFloat32, {});
  if (c.has("value")) {
    const ir::RecipePtr given = c.tensor("value");
    if (given->elements() != 1) {
      throw Error(ErrorCode::kInvalid, "the attribute 'value' has not one element");
    }
    value = given->read_all();
    value.shape.clear();
  }
  c.output(0, c.broadcast(c.constant_of(std::move(value)), shape));
}

// start, start + delta, ... before limit, all integers.
ir::ValueId integer_range(Conversion& c, const Dim& start, const Dim& limit, int64_t delta,
                          DType dtype) {
  const Dim length = delta > 0 ? ceil_div(limit - start, delta) : ceil_div(start - limit, -delta);
  const bool as_float = is_floating(dtype);
  Attributes attributes{{"shape", Shape{simple_max(length, 0)}},
                        {"axis", Dim(0)},
                        {"to", as_float ? DType::kFloat32 : DType::kInt64}};
  if (delta == 1 && !start.is(0)) attributes.set("offset", start);
  ir::ValueId y = c.emit("iota", {}, std::move(attributes));
  if (delta != 1) {
    y = c.binary("mul", y, static_cast<double>(delta));
    if (!start.is(0)) y = c.binary("add", y, c.size_of(start, c.type_of(y).dtype));
  }
  return c.cast(y, dtype);
}

// A range of fractions, all constant: computed here, as ONNX defines it.
ir::ValueId fraction_range(Conversion& c, const HostTensor& start, const HostTensor& limit,
                           const HostTensor& delta) {
  const double length = std::max(0.0, std::ceil((limit.get(0) - start.get(0)) / delta.get(0)));
  if (!(length <= static_cast<double>(ir::kSmallConstantBytes))) {
    throw Unsupported{"a range of more than 65536 fractions"};
  }
  HostTensor result(start.dtype, {static_cast<int64_t>(length)});
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set(i, start.get(0) + static_cast<double>(i) * delta.get(0));
  }
  return c.constant_of(std::move(result));
}

void range(Conversion& c) {
  for (size_t i = 0; i < 3; ++i) {
    if (!(c.type(i).elements().is(1))) {
      throw Error(ErrorCode::kInvalid, "the bounds and the step of a range are scalars");
    }
  }
  const auto start = c.known(0);
  const auto limit = c.known(1);
  const auto delta = c.known(2);
  if (start && limit && delta && start->elements[0].is_whole() && limit->elements[0].is_whole() &&
      delta->elements[0].is_whole() && delta->elements[0].is_constant()) {
    const int64_t step = delta->elements[0].numerator.constant();
    if (step == 0) throw Error(ErrorCode::kInvalid, "the step of a range is 0");
    c.output(0, integer_range(c, start->elements[0].numerator, limit->elements[0].numerator, step,
                              c.type(0).dtype));
    return;
  }
  const auto first = c.constant(0);
  const auto last = c.constant(1);
  const auto step = c.constant(2);
  if (!first || !last || !step) throw Unsupported{"the length of the range depends on data"};
  if (step->get(0) == 0) throw Error(ErrorCode::kInvalid, "the step of a range is 0");
  c.output(0, fraction_range(c, *first, *last, *step));
}

// A diagonal of ones, k places right of the main one.
void eye_like(Conversion& c) {
  if (c.rank(0) != 2) throw Error(ErrorCode::kInvalid, "EyeLike takes a matrix");
  const DType to = c.has("dtype") ? c.dtype("dtype") : c.type(0).dtype;
  const auto index = [&](int64_t axis) {
    return c.help("iota", {},
                  {{"shape", c.type(0).shape}, {"axis", Dim(axis)}, {"to", DType::kInt64}});
  };
  const ir::ValueId row = c.binary("add", index(0), static_cast<double>(c.integer("k", 0)));
  c.output(0, c.cast(c.emit("equal", {row, index(1)}), to));
}

}  // namespace

void add_constant_converters(ConverterTable& table) {
  table.add("Constant", 1, constant);
  table.add("ConstantOfShape", 9, constant_of_shape);
  table.add("Range", 11, range);
  table.add("EyeLike", 9, eye_like);
}

}  // namespace cleave::onnx
