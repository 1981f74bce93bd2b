#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

struct Sizes {
  int64_t batches, heads, kv_heads, rows, keys, depth, width;
};

const Sizes kSizes[] = {
    {1, 1, 1, 1, 1, 1, 1},      {2, 4, 2, 7, 7, 8, 8},       {1, 6, 2, 1, 300, 16, 20},
    {1, 2, 2, 3, 140, 33, 5},   {1, 2, 1, 130, 257, 32, 32}, {2, 3, 3, 20, 40, 64, 48},
    {1, 8, 2, 1, 300, 64, 48},  {1, 16, 1, 1, 600, 40, 33},  {1, 4, 2, 3, 90, 24, 16},
    {1, 4, 1, 25, 600, 64, 64}, {1, 2, 2, 14, 70, 300, 270}, {1, 1, 1, 400, 530, 16, 8},
    {1, 2, 2, 5, 0, 8, 8},      {0, 2, 2, 5, 5, 8, 8},       {1, 2, 2, 0, 5, 8, 8},
};

struct Operands {
  HostTensor q, k, v;
  Operands(const Sizes& s, DType type)
      : q(random_tensor(type, {s.batches, s.heads, s.rows, s.depth}, 1)),
        k(random_tensor(type, {s.batches, s.kv_heads, s.keys, s.depth}, 2)),
        v(random_tensor(type, {s.batches, s.kv_heads, s.keys, s.width}, 3)) {}
};

KernelCase case_of(const Sizes& s, const Operands& in, DType type) {
  return {.op = "attention",
          .attributes = {{"scale", 0.4}, {"group", Dim(s.heads / s.kv_heads)}},
          .inputs = {&in.q, &in.k, &in.v},
          .outputs = {HostTensor(type, {s.batches, s.heads, s.rows, s.width})}};
}

TEST(Attention, EqualsTheReference) {
  for (const Sizes& s : kSizes) {
    for (DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
      const Operands in(s, type);
      for (bool causal : {false, true}) {
        KernelCase test = case_of(s, in, type);
        test.attributes.set("causal", Dim(causal ? 1 : 0));
        SCOPED_TRACE(TensorView::dense(type, in.q.shape).text() + (causal ? " causal" : ""));
        check_case(test);
      }
    }
  }
}

TEST(Attention, TakesMasksOfEveryShape) {
  const Sizes s{2, 4, 2, 50, 170, 16, 16};
  const Operands in(s, DType::kFloat32);
  for (int which = 0; which < 16; ++which) {
    std::vector<int64_t> shape = {s.batches, s.heads, s.rows, s.keys};
    for (int d = 0; d < 4; ++d) {
      if ((which >> d & 1) != 0) shape[static_cast<size_t>(d)] = 1;
    }
    HostTensor added = random_tensor(DType::kFloat32, shape, 4);
    for (int64_t i = 0; i < added.elements(); i += 3) {
      added.set(i, -std::numeric_limits<double>::infinity());
    }
    const HostTensor shown = random_tensor(DType::kBool, shape, 5, -1, 3);
    for (const HostTensor* mask : std::initializer_list<const HostTensor*>{&added, &shown}) {
      KernelCase test = case_of(s, in, DType::kFloat32);
      test.inputs.push_back(mask);
      SCOPED_TRACE(TensorView::dense(mask->dtype, shape).text());
      check_case(test);
    }
  }
}

TEST(Attention, RowsWhereEverythingIsHiddenAreZero) {
  const Sizes s{1, 1, 1, 6, 200, 8, 8};
  const Operands in(s, DType::kFloat32);
  HostTensor mask(DType::kBool, {1, 1, 6, 200});
  for (int64_t i = 0; i < 200; ++i) mask.set(2 * 200 + i, 1);
  KernelCase test = case_of(s, in, DType::kFloat32);
  test.inputs.push_back(&mask);
  check_case(test);
  EXPECT_EQ(run_case(test)[0].get(0), 0);
}

TEST(Attention, TakesStridedOperands) {
  for (const Sizes& s : kSizes) {
    const Operands in(s, DType::kFloat32);
    for (Lay lay : {Lay::kGaps, Lay::kSwapped, Lay::kSparse, Lay::kHeadsInside}) {
      KernelCase test = case_of(s, in, DType::kFloat32);
      test.input_lays = {lay, lay, lay};
      for (const Lay written : {Lay::kGaps, Lay::kHeadsInside}) {
        test.output_lays = {written};
        check_case(test);
      }
    }
  }
}

std::vector<HostTensor> results_of(KernelCase test, const std::string& kernel, int threads) {
  test.kernel = kernel;
  test.threads = threads;
  return run_case(test);
}

TEST(Attention, ResultsDoNotDependOnThreads) {
  for (const Sizes& s : {Sizes{1, 4, 2, 100, 100, 32, 32}, Sizes{1, 8, 1, 1, 700, 32, 32},
                         Sizes{2, 3, 3, 30, 600, 64, 20}}) {
    Operands in(s, DType::kFloat32);
    // Not to be seen by all, and then not to be told by the block that a row is in.
    in.v.set((s.keys - 5) * s.width, std::nan(""));
    KernelCase test = case_of(s, in, DType::kFloat32);
    test.attributes.set("causal", Dim(1));
    for (const std::string& kernel : kernels_of(test)) {
      const HostTensor expected = results_of(test, kernel, 1)[0];
      for (const int threads : {2, 3, 7, 40}) {
        EXPECT_EQ(results_of(test, kernel, threads)[0].bytes, expected.bytes)
            << kernel << ", " << threads << " threads";
      }
    }
  }
}

TEST(Attention, NanStaysInItsRow) {
  for (const Sizes& s : {Sizes{1, 1, 1, 30, 40, 16, 16}, Sizes{1, 1, 1, 3, 40, 16, 16}}) {
    Operands in(s, DType::kFloat32);
    in.q.set(2 * s.depth + 1, std::nan(""));
    check_case(case_of(s, in, DType::kFloat32));
  }
}

TEST(Attention, AMaskHidesKeysThatAreNoNumbers) {
  for (const int64_t rows : {3, 30}) {
    const Sizes s{1, 1, 1, rows, 40, 16, 16};
    Operands in(s, DType::kFloat32);
    in.k.set(7 * s.depth + 1, std::nan(""));
    in.k.set(9 * s.depth + 1, std::numeric_limits<double>::infinity());
    HostTensor mask(DType::kFloat32, {1, 1, 1, 40});
    mask.set(7, -std::numeric_limits<double>::infinity());
    mask.set(9, -std::numeric_limits<double>::infinity());
    KernelCase test = case_of(s, in, DType::kFloat32);
    test.inputs.push_back(&mask);
    check_case(test);
  }
}

TEST(Attention, LowestNumbersInMasksAreNoInfinities) {
  for (const int64_t rows : {2, 20}) {
    const Sizes s{1, 2, 2, rows, 40, 16, 16};
    const Operands in(s, DType::kFloat32);
    HostTensor mask(DType::kFloat32, {1, 2, 1, 40});
    for (int64_t i = 5; i < 80; ++i) mask.set(i, std::numeric_limits<float>::lowest());
    KernelCase test = case_of(s, in, DType::kFloat32);
    test.inputs.push_back(&mask);
    check_case(test);
  }
}

TEST(Attention, PartsOfHeadsAndRowsEqualTheWhole) {
  // 9 query heads on 3 key heads; a rank holds heads 4 to 7 (key heads 1 and 2), rows 10 to 29.
  const Sizes whole{1, 9, 3, 40, 40, 16, 16};
  const Operands in(whole, DType::kFloat32);
  KernelCase all = case_of(whole, in, DType::kFloat32);
  all.attributes.set("causal", Dim(1));
  const HostTensor expected = reference_of(all)[0];
  HostTensor q(DType::kFloat32, {1, 4, 20, 16});
  HostTensor k(DType::kFloat32, {1, 2, 40, 16});
  HostTensor v = k;
  for (int64_t h = 0; h < 4; ++h) {
    for (int64_t i = 0; i < 20 * 16; ++i) {
      q.set(h * 20 * 16 + i, in.q.get(((h + 4) * 40 + 10) * 16 + i));
    }
  }
  for (int64_t i = 0; i < k.elements(); ++i) {
    k.set(i, in.k.get(40 * 16 + i));
    v.set(i, in.v.get(40 * 16 + i));
  }
  const KernelCase part{.op = "attention",
                        .attributes = {{"scale", 0.4},
                                       {"group", Dim(3)},
                                       {"causal", Dim(1)},
                                       {"head_offset", Dim(4)},
                                       {"kv_offset", Dim(1)},
                                       {"row_offset", Dim(10)},
                                       {"rows_total", Dim(40)}},
                        .inputs = {&q, &k, &v},
                        .outputs = {HostTensor(DType::kFloat32, {1, 4, 20, 16})}};
  const HostTensor actual = run_case(part)[0];
  for (int64_t h = 0; h < 4; ++h) {
    for (int64_t i = 0; i < 20 * 16; ++i) {
      ASSERT_NEAR(actual.get(h * 20 * 16 + i), expected.get(((h + 4) * 40 + 10) * 16 + i), 1e-5);
    }
  }
}

}  // namespace
}  // namespace cleave::backend
