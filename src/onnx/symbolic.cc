#include "onnx/symbolic.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "onnx/limits.h"

namespace cleave::onnx {
namespace {

// Fractions as exporters write them (0.5, 0.125, 3): a power of two below the line.
std::optional<Element> fraction(double value) {
  constexpr double kLargest = 0x1p53;
  if (!std::isfinite(value) || std::abs(value) > kLargest) return std::nullopt;
  for (int64_t denominator = 1; denominator <= 1 << 20; denominator *= 2) {
    const double scaled = value * static_cast<double>(denominator);
    if (scaled == std::floor(scaled)) {
      return Element(static_cast<int64_t>(scaled), denominator);
    }
  }
  return std::nullopt;
}

}  // namespace

SymbolicTensor SymbolicTensor::scalar(DType dtype, Element value) {
  return {dtype, {}, {std::move(value)}};
}

SymbolicTensor SymbolicTensor::list(DType dtype, std::vector<Element> values) {
  const auto size = static_cast<int64_t>(values.size());
  return {dtype, {size}, std::move(values)};
}

std::optional<SymbolicTensor> SymbolicTensor::of(const HostTensor& value) {
  if (value.elements() > kMaxSymbolicElements) return std::nullopt;
  SymbolicTensor result{value.dtype, value.shape, {}};
  for (int64_t i = 0; i < value.elements(); ++i) {
    if (!is_floating(value.dtype)) {
      if (value.dtype == DType::kUInt64 && value.get_integer(i) < 0) return std::nullopt;
      result.elements.emplace_back(Dim(value.get_integer(i)));
      continue;
    }
    auto element = fraction(value.get(i));
    if (!element) return std::nullopt;
    result.elements.push_back(std::move(*element));
  }
  return result;
}

TensorType SymbolicTensor::type() const { return {dtype, Shape(shape.begin(), shape.end())}; }

bool SymbolicTensor::is_constant() const {
  return std::all_of(elements.begin(), elements.end(),
                     [](const Element& element) { return element.is_constant(); });
}

HostTensor SymbolicTensor::value() const {
  HostTensor result(dtype, shape);
  for (size_t i = 0; i < elements.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const int64_t numerator = elements[i].numerator.constant();
    if (elements[i].is_whole()) {
      result.set_integer(index, numerator);
    } else {
      const auto denominator = static_cast<double>(elements[i].denominator.constant());
      result.set(index, static_cast<double>(numerator) / denominator);
    }
  }
  return result;
}

bool is_provably_positive(const Dim& dim) { return dim.bounds({}).low > 0; }

bool is_provably_natural(const Dim& dim) { return dim.bounds({}).low >= 0; }

std::optional<bool> provably_equal(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  if (difference.is(0)) return true;
  const Interval bounds = difference.bounds({});
  if (bounds.low > 0 || bounds.high < 0) return false;
  return std::nullopt;
}

std::optional<bool> provably_less(const Dim& a, const Dim& b) {
  const Interval bounds = (b - a).bounds({});
  if (bounds.low > 0) return true;
  if (bounds.high <= 0) return false;
  return std::nullopt;
}

Dim simple_min(const Dim& a, const Dim& b) {
  const Interval bounds = (a - b).bounds({});
  if (bounds.high <= 0) return a;
  if (bounds.low >= 0) return b;
  return min(a, b);
}

Dim simple_max(const Dim& a, const Dim& b) {
  const Interval bounds = (a - b).bounds({});
  if (bounds.low >= 0) return a;
  if (bounds.high <= 0) return b;
  return max(a, b);
}

Shape broadcast_shapes(const std::vector<Shape>& shapes) {
  size_t rank = 0;
  for (const Shape& shape : shapes) rank = std::max(rank, shape.size());
  Shape result(rank, Dim(1));
  for (const Shape& shape : shapes) {
    const size_t missing = rank - shape.size();
    for (size_t i = 0; i < shape.size(); ++i) {
      Dim& extent = result[missing + i];
      const Dim& other = shape[i];
      if (other.is(1) || other == extent) continue;
      if (extent.is(1)) {
        extent = other;
      } else if (extent.is_constant() && other.is_constant()) {
        std::string all;
        for (const Shape& each : shapes) all += (all.empty() ? "" : " and ") + text_of(each);
        throw Error(ErrorCode::kInvalid, "the shapes " + all + " do not broadcast");
      } else if (other.is_constant() ||
                 (!extent.is_constant() && other.text().size() < extent.text().size())) {
        extent = other;
      }
    }
  }
  return result;
}

}  // namespace cleave::onnx
