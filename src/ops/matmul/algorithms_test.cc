// The algorithms that tuning chooses from, and what kernels have untuned, on products drawn at
// random.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/kernel_checks.h"

namespace cleave::backend {
namespace {

struct Product {
  std::vector<int64_t> a, b, y;
  bool transpose_a, transpose_b;
  Lay a_lay, b_lay, y_lay;
  bool has_chain;

  explicit Product(Draw& draw) {
    const int64_t m = size(draw);
    const int64_t k = size(draw);
    const int64_t n = size(draw);
    transpose_a = draw.chance(33);
    transpose_b = draw.chance(50);
    a = transpose_a ? std::vector{k, m} : std::vector{m, k};
    b = transpose_b ? std::vector{n, k} : std::vector{k, n};
    y = {m, n};
    const bool is_shared = draw.chance(50);  // one right operand for all
    for (int64_t d = draw.uniform(0, 2); d > 0; --d) {
      const int64_t batches = draw.uniform(1, 3);
      a.insert(a.begin(), batches);
      if (!is_shared) b.insert(b.begin(), batches);
      y.insert(y.begin(), batches);
    }
    const auto lay = [&] {
      return draw.of({Lay::kDense, Lay::kDense, Lay::kGaps, Lay::kSwapped, Lay::kShifted});
    };
    a_lay = lay();
    b_lay = lay();
    y_lay = lay();
    has_chain = draw.chance(50);
  }

 private:
  static int64_t size(Draw& draw) {
    return draw.of({draw.uniform(1, 3), draw.uniform(1, 70), 8 * draw.uniform(1, 30)});
  }
};

void check(KernelChecks& checks, const Product& product, DType type, unsigned seed) {
  const HostTensor a = whole_numbers(type, product.a, 4 * seed);
  const HostTensor b = whole_numbers(type, product.b, 4 * seed + 1);
  std::vector<int64_t> columns(product.y.size(), 1);
  columns.back() = product.y.back();
  const HostTensor bias = whole_numbers(type, columns, 4 * seed + 2);
  const HostTensor residual = whole_numbers(type, product.y, 4 * seed + 3);
  KernelCase test{.op = "matmul",
                  .attributes = {{"transpose_a", Dim(product.transpose_a ? 1 : 0)},
                                 {"transpose_b", Dim(product.transpose_b ? 1 : 0)}},
                  .inputs = {&a, &b},
                  .outputs = {HostTensor(type, product.y)},
                  .input_lays = {product.a_lay, product.b_lay, Lay::kDense, product.y_lay},
                  .output_lays = {product.y_lay}};
  HostTensor expected = reference_of(test)[0];
  if (product.has_chain) add_chain(test, bias, residual, expected);
  SCOPED_TRACE(
      TensorView::dense(type, product.a).text() + " by " +
      TensorView::dense(type, product.b).text() + (product.transpose_a ? ", a transposed" : "") +
      (product.transpose_b ? ", b transposed" : "") + (product.has_chain ? ", with a chain" : ""));
  checks.every_algorithm(test, expected);
}

TEST(MatmulAlgorithms, EqualTheReferenceOnRandomSizes) {
  static unsigned next = 0;
  KernelChecks checks;
  for_seeds(next, 200, 60, [&](unsigned seed) {
    Draw draw(seed);
    const Product product(draw);
    for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
      check(checks, product, type, seed);
    }
  });
}

}  // namespace
}  // namespace cleave::backend
