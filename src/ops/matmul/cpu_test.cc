#include "tests/support/kernel_harness.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

struct Sizes {
  std::vector<int64_t> a;
  std::vector<int64_t> b;
  std::vector<int64_t> y;
  bool transpose_a = false;
  bool transpose_b = false;
};

const Sizes kSizes[] = {
    {{1, 5}, {5, 3}, {1, 3}},
    {{2, 400}, {400, 70}, {2, 70}},
    {{3, 17}, {17, 16}, {3, 16}},
    {{7, 384}, {384, 33}, {7, 33}},
    {{100, 390}, {390, 400}, {100, 400}},
    {{200, 40}, {40, 48}, {200, 48}},
    {{2, 3, 5, 7}, {2, 3, 7, 9}, {2, 3, 5, 9}},
    {{2, 3, 5, 7}, {7, 9}, {2, 3, 5, 9}},
    {{4, 1, 30}, {4, 30, 65}, {4, 1, 65}},
    {{30, 12}, {30, 20}, {12, 20}, true, false},
    {{12, 30}, {20, 30}, {12, 20}, false, true},
    {{3, 30, 12}, {3, 20, 30}, {3, 12, 20}, true, true},
    {{2, 30, 12}, {20, 30}, {2, 12, 20}, true, true},
    {{0, 5}, {5, 3}, {0, 3}},
    {{4, 0}, {0, 3}, {4, 3}},
    {{4, 5}, {5, 0}, {4, 0}},
    {{0, 4, 5}, {0, 5, 3}, {0, 4, 3}},
};

Attributes attributes_of(const Sizes& sizes) {
  return {{"transpose_a", Dim(sizes.transpose_a ? 1 : 0)},
          {"transpose_b", Dim(sizes.transpose_b ? 1 : 0)}};
}

KernelCase case_of(const Sizes& sizes, const HostTensor& a, const HostTensor& b, DType type) {
  return {.op = "matmul",
          .attributes = attributes_of(sizes),
          .inputs = {&a, &b},
          .outputs = {HostTensor(type, sizes.y)}};
}

TEST(Matmul, EqualsTheReferenceInEveryType) {
  for (const Sizes& sizes : kSizes) {
    for (DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64,
                       DType::kInt32, DType::kInt64, DType::kUInt8}) {
      const HostTensor a = random_tensor(type, sizes.a, 1, is_integer(type) ? 0 : -2, 5);
      const HostTensor b = random_tensor(type, sizes.b, 2, is_integer(type) ? 0 : -2, 5);
      for (bool weight : {false, true}) {
        KernelCase test = case_of(sizes, a, b, type);
        test.weights = {false, weight};
        SCOPED_TRACE(TensorView::dense(type, sizes.a).text() + (weight ? " weight" : ""));
        check_case(test);
      }
    }
  }
}

TEST(Matmul, TakesStridedOperandsAndResults) {
  for (const Sizes& sizes : kSizes) {
    const HostTensor a = random_tensor(DType::kFloat32, sizes.a, 3);
    const HostTensor b = random_tensor(DType::kFloat32, sizes.b, 4);
    for (Lay lay : {Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
      for (Lay out : {Lay::kDense, lay}) {
        KernelCase test = case_of(sizes, a, b, DType::kFloat32);
        test.input_lays = {lay, lay};
        test.output_lays = {out};
        check_case(test);
      }
    }
  }
}

TEST(Matmul, ResultsDoNotDependOnThreads) {
  const HostTensor a = random_tensor(DType::kFloat32, {150, 500}, 5);
  const HostTensor b = random_tensor(DType::kFloat32, {500, 600}, 6);
  KernelCase test = case_of({{150, 500}, {500, 600}, {150, 600}}, a, b, DType::kFloat32);
  test.threads = 1;
  const auto one = run_case(test);
  test.threads = 3;
  EXPECT_EQ(one[0], run_case(test)[0]);
}

TEST(Matmul, CarriesOutItsEpilogue) {
  // gelu(product + bias) + residual, and the sum before it as a second result.
  const FusedProgram chain{.inputs = 3,
                           .steps = {{.op = "add", .args = {0, 1}},
                                     {.op = "gelu", .args = {3}},
                                     {.op = "add", .args = {4, 2}}},
                           .outputs = {5, 3}};
  for (int64_t rows : {1, 2, 13, 200}) {
    const HostTensor a = random_tensor(DType::kFloat32, {2, rows, 50}, 7);
    const HostTensor b = random_tensor(DType::kFloat32, {50, 70}, 8);
    const HostTensor bias = random_tensor(DType::kFloat32, {70}, 9);
    const HostTensor residual = random_tensor(DType::kFloat32, {2, rows, 70}, 10);
    KernelCase test{.op = "matmul",
                    .inputs = {&a, &b, &bias, &residual},
                    .outputs = {HostTensor(DType::kFloat32, {2, rows, 70}),
                                HostTensor(DType::kFloat32, {2, rows, 70})},
                    .input_lays = {Lay::kDense, Lay::kDense, Lay::kSparse, Lay::kGaps},
                    .weights = {false, true}};
    chain.to_attributes(test.attributes, "epilogue_");
    const auto actual = run_case(test);
    KernelCase plain{.op = "matmul",
                     .inputs = {&a, &b},
                     .outputs = {HostTensor(DType::kFloat32, {2, rows, 70})}};
    HostTensor sum = reference_of(plain)[0];
    HostTensor result = sum;
    for (int64_t i = 0; i < sum.elements(); ++i) {
      const double x = sum.get(i) + bias.get(i % 70);
      sum.set(i, x);
      result.set(i, 0.5 * x * (1 + std::erf(x * M_SQRT1_2)) + residual.get(i));
    }
    expect_near(actual[0], result, 4e-6);
    expect_near(actual[1], sum, 4e-6);
  }
}

TEST(Matmul, PacksAWeightOnceForAllShapes) {
  const auto device = make_cpu_device({.threads = 1});
  KernelCache cache(*device);
  const HostTensor b = random_tensor(DType::kFloat32, {64, 64}, 11);
  const KernelRegistry registry = KernelRegistry::builtin_cpu();
  int64_t packed = 0;
  for (int64_t rows : {1, 5, 300}) {
    const Attributes attributes;
    const KernelProblem problem{.op = "matmul",
                                .attributes = attributes,
                                .inputs = {TensorView::dense(DType::kFloat32, {rows, 64}),
                                           TensorView::dense(DType::kFloat32, {64, 64})},
                                .outputs = {TensorView::dense(DType::kFloat32, {rows, 64})},
                                .constant_inputs = {nullptr, b.bytes.data()},
                                .constant_keys = {0, 7}};
    const auto prepared = registry.at(problem).prepare(problem, cache);
    EXPECT_FALSE(prepared->reads_input(1));
    EXPECT_TRUE(packed == 0 || packed == cache.packed_bytes());
    packed = cache.packed_bytes();
  }
  EXPECT_EQ(packed, 64 * 64 * 4);
  cache.drop_unused();
  EXPECT_EQ(cache.packed_bytes(), 0);
}

}  // namespace
}  // namespace cleave::backend
