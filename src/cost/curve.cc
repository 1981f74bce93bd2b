#include "cost/curve.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace cleave::cost {

void Curve::add(double size, double us) {
  const auto at = std::lower_bound(points_.begin(), points_.end(), size,
                                   [](const Point& point, double x) { return point.size < x; });
  if (at != points_.end() && at->size == size) {
    at->us = std::min(at->us, us);
  } else {
    points_.insert(at, {size, us});
  }
}

double Curve::at(double size) const {
  CLEAVE_CHECK(!points_.empty(), "a curve without points is read");
  if (size <= 0) return floor_;
  const Point& first = points_.front();
  const Point& last = points_.back();
  if (size < first.size) {
    const double base = std::min(floor_, first.us);
    return base + (first.us - base) * size / first.size;
  }
  if (size >= last.size) {
    // What the smallest takes as well does not grow: a latency, a weight that is read.
    const double fixed = std::min(points_.size() > 1 ? first.us : floor_, last.us);
    return fixed + (last.us - fixed) * size / last.size;
  }
  const auto upper = std::upper_bound(points_.begin(), points_.end(), size,
                                      [](double x, const Point& point) { return x < point.size; });
  const Point& b = *upper;
  const Point& a = *(upper - 1);
  if (size == a.size) return a.us;
  const double fraction = std::log(size / a.size) / std::log(b.size / a.size);
  return between(a.us, b.us, fraction);
}

double between(double lower, double upper, double fraction) {
  return lower * std::pow(upper / lower, fraction);
}

Bracket bracket(const std::vector<double>& values, double x) {
  CLEAVE_CHECK(!values.empty(), "no values to look among");
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  Bracket result{*least, *most, 0};
  for (const double value : values) {
    if (value <= x) result.lower = std::max(result.lower, value);
    if (value >= x) result.upper = std::min(result.upper, value);
  }
  if (x <= *least) result.upper = *least;
  if (x >= *most) result.lower = *most;
  if (result.upper > result.lower) {
    result.fraction = std::log(x / result.lower) / std::log(result.upper / result.lower);
  }
  return result;
}

}  // namespace cleave::cost
