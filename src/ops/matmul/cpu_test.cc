#include <filesystem>
#include <iterator>

#include "backend/builtin_kernels.h"
#include "backend/cpu/cpu_device.h"
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
    // Several blocks of rows and columns, whole and not.
    {{300, 200}, {200, 601}, {300, 601}},
    {{2, 65, 200}, {600, 200}, {2, 65, 600}, false, true},
    {{200, 257}, {200, 500}, {257, 500}, true, false},
    {{1, 1000}, {1000, 700}, {1, 700}},
    // Few rows of weights that are not small.
    {{1, 96}, {96, 2048}, {1, 2048}},
    {{3, 520}, {520, 712}, {3, 712}},
    {{2, 2, 8}, {8, 8200}, {2, 2, 8200}},
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

TEST(Matmul, TakesFewRowsThatBeginAnywhere) {
  const HostTensor a = random_tensor(DType::kFloat16, {2, 520}, 3);
  const HostTensor b = random_tensor(DType::kFloat16, {520, 712}, 4);
  for (Lay left : {Lay::kDense, Lay::kShifted, Lay::kGaps}) {
    for (Lay right : {Lay::kDense, Lay::kShifted, Lay::kGaps}) {
      KernelCase test = case_of({{2, 520}, {520, 712}, {2, 712}}, a, b, DType::kFloat16);
      test.weights = {false, true};
      test.input_lays = {left, right};
      check_case(test);
    }
  }
}

TEST(Matmul, TakesStridedOperandsAndResults) {
  for (const Sizes& sizes : kSizes) {
    const HostTensor a = random_tensor(DType::kFloat32, sizes.a, 3);
    const HostTensor b = random_tensor(DType::kFloat32, sizes.b, 4);
    for (Lay lay : {Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
      for (Lay out : {Lay::kDense, lay}) {
        for (bool weight : {false, true}) {
          KernelCase test = case_of(sizes, a, b, DType::kFloat32);
          test.weights = {false, weight};
          test.input_lays = {lay, lay};
          test.output_lays = {out};
          check_case(test);
        }
      }
    }
  }
}

TEST(Matmul, ResultsDoNotDependOnThreads) {
  const HostTensor a = random_tensor(DType::kFloat32, {150, 500}, 5);
  const HostTensor b = random_tensor(DType::kFloat32, {500, 600}, 6);
  KernelCase test = case_of({{150, 500}, {500, 600}, {150, 600}}, a, b, DType::kFloat32);
  for (bool weight : {false, true}) {
    test.weights = {false, weight};
    test.kernel.clear();
    for (const std::string& kernel : kernels_of(test)) {
      SCOPED_TRACE(kernel);
      test.kernel = kernel;
      test.threads = 1;
      const auto one = run_case(test);
      test.threads = 3;
      EXPECT_EQ(one[0], run_case(test)[0]);
    }
  }
}

TEST(Matmul, CarriesOutItsEpilogue) {
  // gelu(product + bias) + residual, and the sum before it as a second result.
  const FusedProgram chain{.inputs = 3,
                           .steps = {{.op = "add", .args = {0, 1}},
                                     {.op = "gelu", .args = {3}},
                                     {.op = "add", .args = {4, 2}}},
                           .outputs = {5, 3}};
  for (int64_t rows : {1, 2, 13, 200}) {
    SCOPED_TRACE(rows);
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
    for (const std::string& kernel : kernels_of(test)) {
      SCOPED_TRACE(kernel);
      KernelCase one = test;
      one.kernel = kernel;
      const auto actual = run_case(one);
      expect_near(actual[0], result, 4e-6);
      expect_near(actual[1], sum, 4e-6);
    }
  }
}

// What libraries have behind a product: one row and one matrix are added, then comes a function.
struct Added {
  bool row = false;
  bool matrix = false;
  std::string function;
};

double apply(const std::string& function, double x) {
  if (function == "relu") return std::max(x, 0.0);
  if (function == "gelu") return 0.5 * x * (1 + std::erf(x * M_SQRT1_2));
  if (function == "gelu_tanh") {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return x;
}

// The result has this shape; b has as many `batches` where it is not shared.
void check_added(const Added& added, DType type, std::vector<int64_t> shape, Lay matrix_lay,
                 int64_t batches = 1, int64_t k = 48) {
  const int64_t n = shape.back();
  std::vector<int64_t> a_shape = shape;
  a_shape.back() = k;
  std::vector<int64_t> b_shape = {k, n};
  if (batches > 1) b_shape.insert(b_shape.begin(), batches);
  const HostTensor a = random_tensor(type, a_shape, 7, -0.5, 0.5);
  const HostTensor b = random_tensor(type, b_shape, 8);
  const HostTensor row = random_tensor(type, {n}, 9);
  const HostTensor matrix = random_tensor(type, shape, 10);
  KernelCase test{.op = "matmul",
                  .inputs = {&a, &b},
                  .outputs = {HostTensor(type, shape)},
                  .input_lays = {Lay::kDense, Lay::kDense},
                  .weights = {false, batches == 1}};
  const KernelCase plain = test;
  FusedProgram chain{.inputs = 1 + int32_t{added.row} + int32_t{added.matrix}};
  int32_t sum = 0;
  int32_t operand = 1;
  const auto add = [&](const HostTensor& term, Lay lay) {
    test.inputs.push_back(&term);
    test.input_lays.push_back(lay);
    chain.steps.push_back({.op = "add", .args = {sum, operand++}, .type = type});
    sum = chain.inputs + static_cast<int32_t>(chain.steps.size()) - 1;
  };
  if (added.row) add(row, Lay::kDense);
  if (added.matrix) add(matrix, matrix_lay);
  if (!added.function.empty()) {
    chain.steps.push_back({.op = added.function, .args = {sum}, .type = type});
    sum = chain.inputs + static_cast<int32_t>(chain.steps.size()) - 1;
  }
  chain.outputs = {sum};
  chain.to_attributes(test.attributes, "epilogue_");
  HostTensor expected = reference_of(plain)[0];
  for (int64_t i = 0; i < expected.elements(); ++i) {
    double x = expected.get(i);
    if (added.row) x += row.get(i % n);
    if (added.matrix) x += matrix.get(i);
    expected.set(i, apply(added.function, x));
  }
  const auto kernels = kernels_of(test);
  EXPECT_FALSE(kernels.empty());
  for (const std::string& kernel : kernels) {
    SCOPED_TRACE(kernel);
    KernelCase one = test;
    one.kernel = kernel;
    // The sum may be rounded before each step and, in the reference, the product is.
    const double rounded = type == DType::kFloat32 ? 1 : 2;
    expect_near(run_case(one)[0], expected, rounded * tolerance_of(type));
  }
}

TEST(Matmul, AddsTermsAndTakesAFunction) {
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const char* function : {"", "relu", "gelu", "gelu_tanh"}) {
      for (const auto& [row, matrix] : {std::pair{true, false}, {false, true}, {true, true}}) {
        SCOPED_TRACE(std::string(name_of(type)) + " " + function + (row ? " row" : "") +
                     (matrix ? " matrix" : ""));
        const Added added{row, matrix, function};
        check_added(added, type, {2, 13, 64}, Lay::kDense);
        check_added(added, type, {2, 13, 37}, Lay::kGaps);  // aligned to one element alone
        check_added(added, type, {1, 64}, Lay::kDense);
        check_added(added, type, {13, 1}, Lay::kDense);
        check_added(added, type, {13, 64}, Lay::kSwapped);
        check_added(added, type, {3, 5, 16}, Lay::kDense, /*batches=*/3);
        for (const int64_t rows : {1, 2, 4, 5}) {
          check_added(added, type, {rows, 1032}, Lay::kGaps, /*batches=*/1, /*k=*/64);
        }
      }
    }
    check_added({.function = "relu"}, type, {2, 13, 64}, Lay::kDense);
  }
}

// Of a bias that only rank 0 adds to its part of the sum.
TEST(Matmul, AddsTermsOfRankZero) {
  const HostTensor a = random_tensor(DType::kFloat32, {13, 48}, 7);
  const HostTensor b = random_tensor(DType::kFloat32, {48, 64}, 8);
  const HostTensor row = random_tensor(DType::kFloat32, {64}, 9);
  const FusedProgram chain{
      .inputs = 2,
      .steps = {{.op = "rank_zero", .args = {1}}, {.op = "add", .args = {0, 2}}},
      .outputs = {3}};
  for (const int64_t rank : {0, 1}) {
    SCOPED_TRACE(rank);
    KernelCase test{
        .op = "matmul", .inputs = {&a, &b}, .outputs = {HostTensor(DType::kFloat32, {13, 64})}};
    HostTensor expected = reference_of(test)[0];
    for (int64_t i = 0; rank == 0 && i < expected.elements(); ++i) {
      expected.set(i, expected.get(i) + row.get(i % 64));
    }
    test.inputs.push_back(&row);
    test.attributes.set("rank", Dim(rank));
    chain.to_attributes(test.attributes, "epilogue_");
    const auto kernels = kernels_of(test);
    EXPECT_FALSE(kernels.empty());
    for (const std::string& kernel : kernels) {
      SCOPED_TRACE(kernel);
      KernelCase one = test;
      one.kernel = kernel;
      expect_near(run_case(one)[0], expected, 4e-6);
    }
  }
}

TEST(Matmul, PacksAWeightOnceForAllShapes) {
  const HostTensor b = random_tensor(DType::kFloat32, {64, 64}, 11);
  const KernelRegistry registry = builtin_cpu_kernels();
  const Attributes attributes;
  const auto problem = [&](int64_t rows) {
    return KernelProblem{.op = "matmul",
                         .attributes = attributes,
                         .inputs = {TensorView::dense(DType::kFloat32, {rows, 64}),
                                    TensorView::dense(DType::kFloat32, {64, 64})},
                         .outputs = {TensorView::dense(DType::kFloat32, {rows, 64})},
                         .constant_inputs = {nullptr, b.bytes.data()},
                         .constant_keys = {0, 7}};
  };
  for (const Kernel* kernel : registry.takers(problem(1))) {
    SCOPED_TRACE(kernel->name());
    const auto device = make_cpu_device({.threads = 1});
    KernelCache cache(*device);
    int64_t packed = 0;
    for (int64_t rows : {1, 5, 300}) {
      const auto prepared = kernel->prepare(problem(rows), cache);
      EXPECT_FALSE(prepared->reads_input(1));
      EXPECT_TRUE(packed == 0 || packed == cache.packed_bytes());
      packed = cache.packed_bytes();
    }
    EXPECT_EQ(packed, 64 * 64 * 4);
    cache.drop_unused();
    EXPECT_EQ(cache.packed_bytes(), 0);
  }
}

// What matmul.onednn says to problems that only others take; nothing to test where this build is
// without oneDNN.
class OneDnnMatmul : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& kernel : registry_.of("matmul")) {
      if (kernel->name() == "matmul.onednn") kernel_ = kernel.get();
    }
    if (kernel_ == nullptr) GTEST_SKIP() << "built without oneDNN";
  }
  std::string refusal(const KernelCase& test) const {
    return kernel_->refuses(CaseOperands(test).problem).value_or("");
  }

  const KernelRegistry registry_ = builtin_cpu_kernels();
  const Kernel* kernel_ = nullptr;
};

TEST_F(OneDnnMatmul, SaysWhatItDoesNotTake) {
  const HostTensor a = random_tensor(DType::kFloat32, {2, 3, 16}, 1);
  const HostTensor b = random_tensor(DType::kFloat32, {16, 8}, 2);
  KernelCase test = case_of({{2, 3, 16}, {16, 8}, {2, 3, 8}}, a, b, DType::kFloat32);
  EXPECT_EQ(refusal(test), "b is no weight");
  test.weights = {false, true};
  EXPECT_EQ(refusal(test), "");
  test.input_lays = {Lay::kSparse};
  EXPECT_EQ(refusal(test), "a is no plain matrix in memory");
  test.input_lays = {};

  const HostTensor batched = random_tensor(DType::kFloat32, {2, 16, 8}, 3);
  test.inputs[1] = &batched;
  EXPECT_EQ(refusal(test), "it takes one b for all rows");
  const HostTensor half = random_tensor(DType::kFloat16, {16, 8}, 4);
  test.inputs[1] = &half;
  EXPECT_EQ(refusal(test), "it takes f32");
  const HostTensor none(DType::kFloat32, {2, 0, 16});
  test.inputs = {&none, &b};
  test.outputs = {HostTensor(DType::kFloat32, {2, 0, 8})};
  EXPECT_EQ(refusal(test), "there is nothing to multiply");
}

// A team of oneDNN's own would show as threads of this process.
TEST_F(OneDnnMatmul, StartsNoThreads) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const HostTensor a = random_tensor(DType::kFloat32, {256, 512}, 5);
  const HostTensor b = random_tensor(DType::kFloat32, {512, 512}, 6);
  KernelCase test = case_of({{256, 512}, {512, 512}, {256, 512}}, a, b, DType::kFloat32);
  test.weights = {false, true};
  test.kernel = "matmul.onednn";
  test.threads = 1;
  const auto before = threads();
  run_case(test);
  EXPECT_EQ(threads(), before);
}

}  // namespace
}  // namespace cleave::backend
