// Matrix products.
#include <numeric>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

Shape leading(const Shape& shape) { return {shape.begin(), shape.end() - 2}; }

Shape joined(Shape shape, std::initializer_list<Dim> tail) {
  shape.insert(shape.end(), tail);
  return shape;
}

bool is_one(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.is(1); });
}

// a [.., m, k] · b [.., k, n] with leading dimensions that broadcast.
ir::ValueId product(Conversion& c, ir::ValueId a, ir::ValueId b) {
  const Shape left = c.shape_of(a);
  const Shape right = c.shape_of(b);
  c.require_equal(left.back(), right[right.size() - 2], "the inner dimensions of a matrix product");
  if (is_one(leading(right)) && left.size() >= right.size()) {
    const ir::ValueId matrix = c.reshape(b, {right[right.size() - 2], right.back()});
    return c.emit("matmul", {a, matrix});
  }
  const Shape batch = broadcast_shapes({leading(left), leading(right)});
  const ir::ValueId wide_a = c.broadcast(a, joined(batch, {left[left.size() - 2], left.back()}));
  const ir::ValueId wide_b = c.broadcast(b, joined(batch, {right[right.size() - 2], right.back()}));
  return c.emit("matmul", {wide_a, wide_b});
}

void matmul(Conversion& c) { c.output(0, matrix_product(c, c.input(0), c.input(1))); }

void gemm(Conversion& c) { c.output(0, gemm_product(c)); }

}  // namespace

ir::ValueId matrix_product(Conversion& c, ir::ValueId a, ir::ValueId b) {
  const Shape left = c.shape_of(a);
  const Shape right = c.shape_of(b);
  const bool is_row = left.size() == 1;
  const bool is_column = right.size() == 1;
  if (left.empty() || right.empty()) {
    throw Error(ErrorCode::kInvalid, "an operand of a matrix product is a scalar");
  }
  if (is_row) a = c.reshape(a, {Dim(1), left[0]});
  if (is_column) b = c.reshape(b, {right[0], Dim(1)});
  const ir::ValueId y = product(c, a, b);
  Shape shape = c.shape_of(y);
  if (is_column) shape.pop_back();
  if (is_row) shape.erase(shape.end() - (is_column ? 1 : 2));
  return c.reshape(y, shape);
}

ir::ValueId gemm_product(Conversion& c) {
  if (c.rank(0) != 2 || c.rank(1) != 2) {
    throw Error(ErrorCode::kInvalid,
                "Gemm takes matrices, not " + c.type(0).text() + " and " + c.type(1).text());
  }
  Attributes attributes;
  if (c.integer("transA", 0) != 0) attributes.set("transpose_a", Dim(1));
  if (c.integer("transB", 0) != 0) attributes.set("transpose_b", Dim(1));
  const double alpha = c.real("alpha", 1.0);
  const double beta = c.real("beta", 1.0);
  ir::ValueId y = c.emit("matmul", {c.input(0), c.input(1)}, std::move(attributes));
  if (alpha != 1.0) y = c.binary("mul", y, alpha);
  if (c.has_input(2) && beta != 0.0) {
    ir::ValueId addend = c.input(2);
    if (beta != 1.0) addend = c.binary("mul", addend, beta);
    y = c.emit("add", {y, c.broadcast(addend, c.shape_of(y))});
  }
  return y;
}

void add_matrix_converters(ConverterTable& table) {
  table.add("MatMul", 1, matmul);
  table.add("Gemm", 7, gemm);
}

}  // namespace cleave::onnx
