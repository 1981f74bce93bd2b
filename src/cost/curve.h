// Times measured at a few sizes, read between them.
#pragma once

#include <vector>

namespace cleave::cost {

// Interpolates linearly in the logarithms of size and time, which is exact for every power law and
// gives a measured size its measured time. Above the largest size what exceeds the time of the
// smallest grows with size; below the smallest one what exceeds `floor` shrinks with it. Never
// falls where the points do not.
class Curve {
 public:
  // `floor` is the time of a call that has nothing to do.
  explicit Curve(double floor) : floor_(floor) {}

  // Sizes are > 0 and times positive; of equal sizes the least time counts.
  void add(double size, double us);
  bool empty() const { return points_.empty(); }
  // Not for an empty curve; `size` ≤ 0 costs `floor`.
  double at(double size) const;

 private:
  struct Point {
    double size;
    double us;
  };
  double floor_;
  std::vector<Point> points_;  // by size
};

// So far from `lower` to `upper`, both > 0, in their logarithms.
double between(double lower, double upper, double fraction);

// Where `x` lies among values: the nearest on both sides (the same one at and beyond the ends) and
// how far it is from the lower to the upper, in logarithms.
struct Bracket {
  double lower = 0;
  double upper = 0;
  double fraction = 0;
};
// `values` are > 0 and in any order, at least one.
Bracket bracket(const std::vector<double>& values, double x);

}  // namespace cleave::cost
