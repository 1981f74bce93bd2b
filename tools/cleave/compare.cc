#include "compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cleave/error.h"
#include "types/dtype.h"
#include "values.h"

namespace cleave::cli {
namespace {

// What rounding alone may do, by the elements' precision: of the largest value, and of each.
struct Defaults {
  double absolute;
  double relative;
};

Defaults defaults_of(DType type) {
  if (type == DType::kFloat16) return {2e-3, 1e-2};
  if (type == DType::kBFloat16) return {1.6e-2, 5e-2};
  if (is_floating(type)) return {1e-5, 1e-4};
  return {0, 0};
}

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double d = std::fabs(a - b);
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

}  // namespace

void Difference::merge(const Difference& other) {
  max_abs = std::max(max_abs, other.max_abs);
  max_rel = std::max(max_rel, other.max_rel);
  if (first_failed < 0) first_failed = other.first_failed;
  failed = std::max(failed, other.failed);
  elements = other.elements;
}

Comparer::Comparer(const Tensor& reference, const Tolerance& tolerance) {
  reference_.resize(static_cast<size_t>(reference.elements()));
  for_each_value(reference, [&](int64_t i, double value) {
    reference_[static_cast<size_t>(i)] = value;
    if (std::isfinite(value)) largest_ = std::max(largest_, std::fabs(value));
  });
  const Defaults defaults = defaults_of(reference.dtype());
  absolute_ = tolerance.absolute.value_or(defaults.absolute * largest_);
  relative_ = tolerance.relative.value_or(defaults.relative);
  difference_.elements = reference.elements();
}

void Comparer::add(int64_t index, double value) {
  const double wanted = reference_[static_cast<size_t>(index)];
  const double d = distance(value, wanted);
  difference_.max_abs = std::max(difference_.max_abs, d);
  const bool equal =
      d == 0 || (std::isfinite(wanted) && d <= absolute_ + relative_ * std::fabs(wanted));
  if (equal) return;
  if (difference_.failed++ == 0) difference_.first_failed = index;
}

Difference Comparer::difference() const {
  Difference result = difference_;
  result.max_rel = result.max_abs == 0 ? 0 : result.max_abs / std::max(largest_, 1e-300);
  return result;
}

Difference compare(const Tensor& a, const Tensor& b, const Tolerance& tolerance) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) {
    throw Error(ErrorCode::kInvalid, a.type_text() + " is compared with " + b.type_text(),
                "give outputs of this model for these inputs");
  }
  Comparer comparer(b, tolerance);
  for_each_value(a, [&](int64_t i, double value) { comparer.add(i, value); });
  return comparer.difference();
}

}  // namespace cleave::cli
