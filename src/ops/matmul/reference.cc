#include "ops/matmul/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

// A stack of matrices, perhaps stored transposed.
struct Matrices {
  int64_t rows, columns;
  bool transposed;

  Matrices(const HostTensor& tensor, bool transpose) : transposed(transpose) {
    const size_t rank = tensor.shape.size();
    rows = tensor.shape.at(rank - 2);
    columns = tensor.shape.at(rank - 1);
    if (transposed) std::swap(rows, columns);
  }
  int64_t index(int64_t batch, int64_t row, int64_t column) const {
    const int64_t base = batch * rows * columns;
    return base + (transposed ? column * rows + row : row * columns + column);
  }
};

}  // namespace

void reference_matmul(const Attributes& attributes, const HostTensor& a, const HostTensor& b,
                      HostTensor& out) {
  const Matrices left(a, attributes.integer("transpose_a", 0) != 0);
  const Matrices right(b, attributes.integer("transpose_b", 0) != 0);
  const bool shared = b.shape.size() == 2;
  const int64_t m = left.rows;
  const int64_t n = right.columns;
  if (out.elements() == 0) return;
  const int64_t batches = out.elements() / (m * n);
  dispatch_dtype(out.dtype, [&]<class T>() {
    const auto x = a.data<T>();
    const auto y = b.data<T>();
    const auto z = out.data<T>();
    for (int64_t batch = 0; batch < batches; ++batch) {
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          Wide<T> sum{};
          for (int64_t k = 0; k < left.columns; ++k) {
            const auto p = widened<Wide<T>>(x[left.index(batch, i, k)]);
            const auto q = widened<Wide<T>>(y[right.index(shared ? 0 : batch, k, j)]);
            sum = combine<Wide<T>>(ReduceOp::kSum, sum, combine<Wide<T>>(ReduceOp::kProd, p, q));
          }
          z[(batch * m + i) * n + j] = narrowed<T>(sum);
        }
      }
    }
  });
}

}  // namespace cleave::ops
