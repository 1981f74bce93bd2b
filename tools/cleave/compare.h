// NumPy's test of equality, |a - b| <= atol + rtol * |b|.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cleave/tensor.h"

namespace cleave::cli {

// What is left out is chosen by the element type; atol then grows with the largest |b|.
struct Tolerance {
  std::optional<double> relative;
  std::optional<double> absolute;
};

struct Difference {
  double max_abs = 0;  // max |a - b|; infinite where one of both is no number
  double max_rel = 0;  // max |a - b| / max |b|
  int64_t failed = 0;  // elements that fail the test
  int64_t elements = 0;
  int64_t first_failed = -1;
  bool passed() const { return failed == 0; }
  // The worse of both.
  void merge(const Difference& other);
};

// The test of one element at a time, for what does not lie as the reference does.
class Comparer {
 public:
  Comparer(const Tensor& reference, const Tolerance& tolerance);
  // `value` against the reference's element number `index`.
  void add(int64_t index, double value);
  // Of what was added.
  Difference difference() const;

 private:
  std::vector<double> reference_;
  double largest_ = 0;  // of the reference's magnitudes
  double absolute_ = 0;
  double relative_ = 0;
  Difference difference_;
};

// `b` is the reference. NaN equals NaN. Error(kInvalid) for different shapes or element types.
Difference compare(const Tensor& a, const Tensor& b, const Tolerance& tolerance);

}  // namespace cleave::cli
