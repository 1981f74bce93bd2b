// Small tensors whose elements are known as expressions of the dimensions.
//
// Exporters compute shapes with ordinary nodes: Shape, Gather, Mul, Concat, Reshape. Such tensors
// are followed as lists of expressions beside the graph, so that what they feed gets attributes
// and nothing of it runs at inference.
#pragma once

#include <optional>
#include <vector>

#include "types/dim.h"
#include "types/host_tensor.h"
#include "types/tensor_type.h"

namespace cleave::onnx {

// An element: an integer expression, or for floating-point types a quotient of two.
struct Element {
  Dim numerator;
  Dim denominator = 1;  // 1 for integer types

  Element() = default;
  Element(Dim value) : numerator(std::move(value)) {}  // NOLINT: an expression is an element
  Element(Dim n, Dim d) : numerator(std::move(n)), denominator(std::move(d)) {}
  bool is_whole() const { return denominator.is(1); }
  bool is_constant() const { return numerator.is_constant() && denominator.is_constant(); }
};

struct SymbolicTensor {
  DType dtype = DType::kInt64;
  std::vector<int64_t> shape;
  std::vector<Element> elements;  // row-major

  static SymbolicTensor scalar(DType dtype, Element value);
  static SymbolicTensor list(DType dtype, std::vector<Element> values);
  // Of a constant; none where it is too large or an element is no small fraction.
  static std::optional<SymbolicTensor> of(const HostTensor& value);

  TensorType type() const;
  bool is_constant() const;
  // Precondition: is_constant().
  HostTensor value() const;
};

// What is provable about expressions when every symbol is at least 0.
bool is_provably_positive(const Dim& dim);  // > 0
bool is_provably_natural(const Dim& dim);   // >= 0
// Whether a is b, where that is certain for all sizes.
std::optional<bool> provably_equal(const Dim& a, const Dim& b);
std::optional<bool> provably_less(const Dim& a, const Dim& b);
// Smaller and larger of two, without the function where the order is provable.
Dim simple_min(const Dim& a, const Dim& b);
Dim simple_max(const Dim& a, const Dim& b);

// The shape that operands of these shapes broadcast to. A dimension that may be 1 or not is taken
// to be what the others are; `broadcast` then adds the guard. Error(kInvalid) where they clash.
Shape broadcast_shapes(const std::vector<Shape>& shapes);

}  // namespace cleave::onnx
