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

double difference(double a, double b) {
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

Difference compare(const Tensor& a, const Tensor& b, const Tolerance& tolerance) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) {
    throw Error(ErrorCode::kInvalid, a.type_text() + " is compared with " + b.type_text(),
                "give outputs of this model for these inputs");
  }
  std::vector<double> reference(static_cast<size_t>(b.elements()));
  double largest = 0;
  for_each_value(b, [&](int64_t i, double value) {
    reference[static_cast<size_t>(i)] = value;
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  });
  const Defaults defaults = defaults_of(b.dtype());
  const double absolute = tolerance.absolute.value_or(defaults.absolute * largest);
  const double relative = tolerance.relative.value_or(defaults.relative);

  Difference result;
  result.elements = b.elements();
  for_each_value(a, [&](int64_t i, double value) {
    const double wanted = reference[static_cast<size_t>(i)];
    const double d = difference(value, wanted);
    result.max_abs = std::max(result.max_abs, d);
    const bool equal =
        d == 0 || (std::isfinite(wanted) && d <= absolute + relative * std::fabs(wanted));
    if (equal) return;
    if (result.failed++ == 0) result.first_failed = i;
  });
  result.max_rel = result.max_abs == 0 ? 0 : result.max_abs / std::max(largest, 1e-300);
  return result;
}

}  // namespace cleave::cli
