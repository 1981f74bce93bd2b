#include "planner/solver/min_plus.h"

#include <limits>

namespace cleave::solver {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// An operand while its offset follows the outer dimensions of the result.
struct Cursor {
  const double* base;
  size_t value_stride;               // entries of one value of the eliminated variable
  std::vector<size_t> outer_stride;  // of each outer dimension of the result
  size_t offset = 0;
  bool has_inner;
};

Cursor cursor_of(const MinPlusOperand& operand, const std::vector<size_t>& shape) {
  Cursor cursor{operand.entries.data(), 1, std::vector<size_t>(shape.size(), 0), 0, false};
  for (size_t i = operand.dimensions.size(); i-- > 0;) {
    const size_t dimension = operand.dimensions[i];
    cursor.outer_stride[dimension] = cursor.value_stride;
    cursor.value_stride *= shape[dimension];
    if (dimension + 1 == shape.size()) cursor.has_inner = true;
  }
  return cursor;
}

void lower_row_of_two(double* __restrict out, double constant, const double* __restrict a,
                      const double* __restrict b, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    const double cost = constant + a[i] + b[i];
    out[i] = cost < out[i] ? cost : out[i];
  }
}

void lower_row_of_many(double* out, double constant, const std::vector<const double*>& rows,
                       std::vector<double>& sum, size_t size) {
  for (size_t i = 0; i < size; ++i) sum[i] = rows[0][i] + rows[1][i];
  for (size_t row = 2; row + 1 < rows.size(); ++row) {
    for (size_t i = 0; i < size; ++i) sum[i] += rows[row][i];
  }
  lower_row_of_two(out, constant, sum.data(), rows.back(), size);
}

class MinPlus {
 public:
  MinPlus(std::span<const double> unary, const std::vector<MinPlusOperand>& operands,
          const std::vector<size_t>& shape)
      : unary_(unary), shape_(shape), inner_(shape.back()), sum_(inner_) {
    for (const MinPlusOperand& operand : operands) {
      Cursor cursor = cursor_of(operand, shape);
      (cursor.has_inner ? with_inner_ : outer_only_).push_back(std::move(cursor));
    }
  }

  std::vector<double> run() {
    size_t size = 1;
    for (size_t extent : shape_) size *= extent;
    std::vector<double> result(size, kInfinity);
    std::vector<size_t> at(shape_.size(), 0);
    for (size_t start = 0; start < size; start += inner_) {
      row(result.data() + start);
      advance(at);
    }
    return result;
  }

 private:
  void row(double* out) {
    for (size_t value = 0; value < unary_.size(); ++value) {
      double constant = unary_[value];
      for (const Cursor& cursor : outer_only_) {
        constant += cursor.base[value * cursor.value_stride + cursor.offset];
      }
      if (constant == kInfinity) continue;
      rows_.clear();
      for (const Cursor& cursor : with_inner_) {
        rows_.push_back(cursor.base + value * cursor.value_stride + cursor.offset);
      }
      if (rows_.size() == 1) {
        lower_row(out, constant, rows_[0], inner_);
      } else if (rows_.size() == 2) {
        lower_row_of_two(out, constant, rows_[0], rows_[1], inner_);
      } else {
        lower_row_of_many(out, constant, rows_, sum_, inner_);
      }
    }
  }

  // Moves all offsets to the next row of the result.
  void advance(std::vector<size_t>& at) {
    for (size_t dimension = shape_.size() - 1; dimension-- > 0;) {
      const bool wraps = ++at[dimension] == shape_[dimension];
      for (std::vector<Cursor>* cursors : {&outer_only_, &with_inner_}) {
        for (Cursor& cursor : *cursors) {
          const size_t stride = cursor.outer_stride[dimension];
          cursor.offset =
              wraps ? cursor.offset - stride * (shape_[dimension] - 1) : cursor.offset + stride;
        }
      }
      if (!wraps) return;
      at[dimension] = 0;
    }
  }

  std::span<const double> unary_;
  const std::vector<size_t>& shape_;
  size_t inner_;
  std::vector<Cursor> outer_only_;
  std::vector<Cursor> with_inner_;
  std::vector<const double*> rows_;
  std::vector<double> sum_;
};

}  // namespace

std::vector<double> min_plus(std::span<const double> unary,
                             const std::vector<MinPlusOperand>& operands,
                             const std::vector<size_t>& shape) {
  return MinPlus(unary, operands, shape).run();
}

}  // namespace cleave::solver
