// What an element weighs in an interpolation, by its distance.
#pragma once

#include <algorithm>
#include <cmath>

namespace cleave {

inline double linear_weight(double distance) { return std::max(0.0, 1 - std::abs(distance)); }

// Cubic convolution (Keys, 1981) with the coefficient `a`.
inline double cubic_weight(double distance, double a = -0.75) {
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

}  // namespace cleave
