// Arithmetic and movement of symbolic tensors: what exporters compute shapes with.
//
// Only operands with an element that is an open expression come here; constants are computed by
// the ops' own reference kernels.
#include <algorithm>

#include "onnx/converters.h"
#include "onnx/limits.h"

namespace cleave::onnx {
namespace {

using Elements = std::vector<SymbolicTensor>;
// An element of the result, or none where it cannot be said for all sizes.
using ElementOp = std::optional<Element> (*)(const std::vector<Element>&, bool is_floating);

std::optional<Elements> operands(const Conversion& c) {
  Elements result;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) return std::nullopt;
    auto known = c.known(i);
    if (!known) return std::nullopt;
    result.push_back(std::move(*known));
  }
  return result;
}

// The element of `tensor` that stands at `position` of a result of shape `shape`.
const Element& broadcast_element(const SymbolicTensor& tensor, const std::vector<int64_t>& shape,
                                 int64_t position) {
  int64_t index = 0;
  int64_t stride = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t from_right = shape.size() - 1 - i;
    const int64_t coordinate = position % shape[from_right];
    position /= shape[from_right];
    if (i >= tensor.shape.size()) continue;
    const int64_t extent = tensor.shape[tensor.shape.size() - 1 - i];
    if (extent != 1) index += coordinate * stride;
    stride *= extent;
  }
  return tensor.elements.at(static_cast<size_t>(index));
}

// The result of an element-wise op, where every element is known.
std::optional<SymbolicTensor> mapped(const Elements& inputs, ElementOp op, DType dtype) {
  std::vector<Shape> shapes;
  for (const SymbolicTensor& input : inputs) shapes.push_back(input.type().shape);
  const Shape shape = broadcast_shapes(shapes);
  const auto count = product(shape).as_constant();
  if (!count || *count > kMaxSymbolicElements) return std::nullopt;
  SymbolicTensor result{dtype, evaluate(shape, {}), {}};
  for (int64_t i = 0; i < *count; ++i) {
    std::vector<Element> elements;
    for (const SymbolicTensor& input : inputs) {
      elements.push_back(broadcast_element(input, result.shape, i));
    }
    auto element = op(elements, is_floating(inputs.back().dtype));
    if (!element) return std::nullopt;
    result.elements.push_back(std::move(*element));
  }
  return result;
}

// A quotient in lowest terms as far as it is seen.
Element quotient(const Dim& numerator, const Dim& denominator) {
  if (denominator.is(1)) return numerator;
  if (const auto exact = exact_div(numerator, denominator)) return *exact;
  return {numerator, denominator};
}

std::optional<Element> add(const std::vector<Element>& e, bool) {
  return quotient(e[0].numerator * e[1].denominator + e[1].numerator * e[0].denominator,
                  e[0].denominator * e[1].denominator);
}

std::optional<Element> sub(const std::vector<Element>& e, bool is_floating) {
  return add({e[0], Element(-e[1].numerator, e[1].denominator)}, is_floating);
}

std::optional<Element> mul(const std::vector<Element>& e, bool) {
  return quotient(e[0].numerator * e[1].numerator, e[0].denominator * e[1].denominator);
}

// Of integers, toward zero: the same as downward for what is not negative.
std::optional<Element> div(const std::vector<Element>& e, bool is_floating) {
  if (is_floating) {
    const Dim denominator = e[0].denominator * e[1].numerator;
    if (!is_provably_natural(denominator) || denominator.is(0)) return std::nullopt;
    return quotient(e[0].numerator * e[1].denominator, denominator);
  }
  const Dim& a = e[0].numerator;
  const Dim& b = e[1].numerator;
  if (b.is(0)) return std::nullopt;
  if (const auto exact = exact_div(a, b)) return *exact;
  if (!is_provably_natural(a) || !is_provably_natural(b)) return std::nullopt;
  return floor_div(a, b);
}

std::optional<Element> remainder(const std::vector<Element>& e, bool is_floating) {
  if (is_floating || !is_provably_natural(e[1].numerator) || e[1].numerator.is(0)) {
    return std::nullopt;
  }
  return mod(e[0].numerator, e[1].numerator);
}

std::optional<Element> smaller(const std::vector<Element>& e, bool) {
  if (!e[0].is_whole() || !e[1].is_whole()) return std::nullopt;
  return simple_min(e[0].numerator, e[1].numerator);
}

std::optional<Element> larger(const std::vector<Element>& e, bool) {
  if (!e[0].is_whole() || !e[1].is_whole()) return std::nullopt;
  return simple_max(e[0].numerator, e[1].numerator);
}

std::optional<Element> truth(std::optional<bool> value) {
  if (!value) return std::nullopt;
  return Element(Dim(*value ? 1 : 0));
}

std::optional<Element> equal(const std::vector<Element>& e, bool) {
  return truth(
      provably_equal(e[0].numerator * e[1].denominator, e[1].numerator * e[0].denominator));
}

// Denominators are not negative.
std::optional<Element> less(const std::vector<Element>& e, bool) {
  return truth(provably_less(e[0].numerator * e[1].denominator, e[1].numerator * e[0].denominator));
}

std::optional<Element> negated(std::optional<Element> element) {
  if (!element) return std::nullopt;
  return Element(Dim(1) - element->numerator);
}

std::optional<Element> greater(const std::vector<Element>& e, bool f) {
  return less({e[1], e[0]}, f);
}
std::optional<Element> less_equal(const std::vector<Element>& e, bool f) {
  return negated(less({e[1], e[0]}, f));
}
std::optional<Element> greater_equal(const std::vector<Element>& e, bool f) {
  return negated(less(e, f));
}

std::optional<Element> choose(const std::vector<Element>& e, bool) {
  if (!e[0].is_constant()) return std::nullopt;
  return e[0].numerator.is(0) ? e[2] : e[1];
}

std::optional<Element> negate(const std::vector<Element>& e, bool) {
  return Element(-e[0].numerator, e[0].denominator);
}

std::optional<Element> magnitude(const std::vector<Element>& e, bool) {
  if (!is_provably_natural(e[0].numerator)) return std::nullopt;
  return e[0];
}

std::optional<Element> round_down(const std::vector<Element>& e, bool) {
  return Element(floor_div(e[0].numerator, e[0].denominator));
}

std::optional<Element> round_up(const std::vector<Element>& e, bool) {
  return Element(ceil_div(e[0].numerator, e[0].denominator));
}

std::optional<Element> whole_part(const std::vector<Element>& e, bool) {
  if (e[0].is_whole()) return e[0];
  if (!is_provably_natural(e[0].numerator)) return std::nullopt;
  return Element(floor_div(e[0].numerator, e[0].denominator));
}

std::optional<Element> as_it_is(const std::vector<Element>& e, bool) { return e[0]; }

ShapeFolder elementwise(ElementOp op, bool to_bool = false) {
  return [=](Conversion& c, const Converter&) {
    const auto inputs = operands(c);
    if (!inputs) return;
    const DType dtype = to_bool ? DType::kBool : inputs->back().dtype;
    if (auto result = mapped(*inputs, op, dtype)) c.output(0, std::move(*result));
  };
}

// Two operands at a time.
ShapeFolder variadic(ElementOp op) {
  return [=](Conversion& c, const Converter&) {
    const auto inputs = operands(c);
    if (!inputs || inputs->empty()) return;
    std::optional<SymbolicTensor> result = inputs->front();
    for (size_t i = 1; i < inputs->size() && result; ++i) {
      result = mapped({*result, (*inputs)[i]}, op, result->dtype);
    }
    if (result) c.output(0, std::move(*result));
  };
}

void cast_to(Conversion& c, DType to) {
  const auto input = c.known(0);
  if (!input || to == DType::kBool || input->dtype == DType::kBool) return;
  const ElementOp op = is_floating(to) ? as_it_is : whole_part;
  if (auto result = mapped({*input}, op, to)) c.output(0, std::move(*result));
}

// All elements combined, or those along the only dimension.
ShapeFolder reduction(ElementOp op, Dim start) {
  return [=](Conversion& c, const Converter&) {
    const auto input = c.known(0);
    if (!input || input->shape.size() > 1) return;
    if (c.integer("noop_with_empty_axes", 0) != 0 && !c.has_input(1)) return;
    Element result = input->elements.empty() ? Element(start) : input->elements[0];
    for (size_t i = 1; i < input->elements.size(); ++i) {
      const auto next = op({result, input->elements[i]}, is_floating(input->dtype));
      if (!next) return;
      result = *next;
    }
    SymbolicTensor output = SymbolicTensor::scalar(input->dtype, result);
    if (c.integer("keepdims", 1) != 0) output.shape.assign(input->shape.size(), 1);
    c.output(0, std::move(output));
  };
}

// The operand's elements in other places.
void move_first(Conversion& c, const Converter& converter) { c.move_elements(converter, {0}); }

void move_all(Conversion& c, const Converter& converter) {
  std::vector<size_t> all;
  for (size_t i = 0; i < c.input_count(); ++i) all.push_back(i);
  c.move_elements(converter, all);
}

}  // namespace

void add_shape_folders(ConverterTable& table) {
  table.add_folder("Add", elementwise(add));
  table.add_folder("Sub", elementwise(sub));
  table.add_folder("Mul", elementwise(mul));
  table.add_folder("Div", elementwise(div));
  table.add_folder("Mod", elementwise(remainder));
  table.add_folder("Min", variadic(smaller));
  table.add_folder("Max", variadic(larger));
  table.add_folder("Sum", variadic(add));
  table.add_folder("Equal", elementwise(equal, true));
  table.add_folder("Less", elementwise(less, true));
  table.add_folder("Greater", elementwise(greater, true));
  table.add_folder("LessOrEqual", elementwise(less_equal, true));
  table.add_folder("GreaterOrEqual", elementwise(greater_equal, true));
  table.add_folder("Where", elementwise(choose));
  table.add_folder("Neg", elementwise(negate));
  table.add_folder("Abs", elementwise(magnitude));
  table.add_folder("Floor", elementwise(round_down));
  table.add_folder("Ceil", elementwise(round_up));
  table.add_folder("Cast", [](Conversion& c, const Converter&) { cast_to(c, c.dtype("to")); });
  table.add_folder("CastLike",
                   [](Conversion& c, const Converter&) { cast_to(c, c.type(1).dtype); });
  table.add_folder("ReduceProd", reduction(mul, 1));
  table.add_folder("ReduceSum", reduction(add, 0));
  table.add_folder("ReduceMax", reduction(larger, 0));
  table.add_folder("ReduceMin", reduction(smaller, 0));
  for (const char* op : {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand",
                         "Tile", "Slice", "Split", "Gather"}) {
    table.add_folder(op, move_first);
  }
  table.add_folder("Concat", move_all);
}

}  // namespace cleave::onnx
