#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/kernel_checks.h"

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

constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};

TEST(Attention, TakesMasksOfEveryShape) {
  const auto check = [](const Sizes& s, DType type, bool causal, int which) {
    const Operands in(s, type);
    std::vector<int64_t> shape = {s.batches, s.heads, s.rows, s.keys};
    for (int d = 0; d < 4; ++d) {
      if ((which >> d & 1) != 0) shape[static_cast<size_t>(d)] = 1;
    }
    HostTensor added = random_tensor(type, shape, 4);
    for (int64_t i = 0; i < added.elements(); i += 3) {
      added.set(i, -std::numeric_limits<double>::infinity());
    }
    const HostTensor shown = random_tensor(DType::kBool, shape, 5, -1, 3);
    for (const HostTensor* mask : std::initializer_list<const HostTensor*>{&added, &shown}) {
      KernelCase test = case_of(s, in, type);
      test.attributes.set("causal", Dim(causal ? 1 : 0));
      test.inputs.push_back(mask);
      SCOPED_TRACE(std::string(name_of(type)) + ", " +
                   TensorView::dense(mask->dtype, shape).text() + (causal ? " causal" : ""));
      check_case(test);
    }
  };
  for (const DType type : kTypes) {
    for (int which = 0; which < 16; ++which) {
      check({2, 4, 2, 50, 170, 16, 16}, type, false, which);
      check({2, 4, 2, 50, 50, 16, 16}, type, true, which);
    }
    check({2, 4, 2, 50, 90, 16, 16}, type, true, 3);
  }
}

TEST(Attention, RowsWhereEverythingIsHiddenAreZero) {
  const Sizes s{1, 2, 2, 70, 200, 8, 8};
  const int64_t keys = 200;
  for (const DType type : kTypes) {
    const Operands in(s, type);
    HostTensor shown(DType::kBool, {1, 1, 70, keys});
    HostTensor added(type, {1, 1, 70, keys});
    for (int64_t row = 0; row < 70; ++row) {
      for (int64_t i = 0; i < keys; ++i) {
        const bool is_shown = row % 3 == 2 && i > row;
        shown.set(row * keys + i, is_shown);
        added.set(row * keys + i, is_shown ? 0.5 : -std::numeric_limits<double>::infinity());
      }
    }
    for (const HostTensor* mask : {&shown, &added}) {
      for (const Lay lay : {Lay::kDense, Lay::kHeadsInside}) {
        KernelCase test = case_of(s, in, type);
        test.inputs.push_back(mask);
        test.output_lays = {lay};
        check_case(test);
        EXPECT_EQ(run_case(test)[0].get(0), 0);
      }
    }
  }
}

TEST(Attention, TakesStridedOperands) {
  for (const DType type : {DType::kFloat32, DType::kBFloat16}) {
    for (const Sizes& s : kSizes) {
      const Operands in(s, type);
      for (Lay lay : {Lay::kGaps, Lay::kSwapped, Lay::kSparse, Lay::kHeadsInside}) {
        KernelCase test = case_of(s, in, type);
        test.input_lays = {lay, lay, lay};
        for (const Lay written : {Lay::kGaps, Lay::kHeadsInside}) {
          test.output_lays = {written};
          check_case(test);
        }
      }
    }
  }
}

// As planners have it in every type (capabilities_*.cc).
TEST(Attention, LeavesHeadsInsideTheRows) {
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    for (const Sizes& s : {Sizes{2, 4, 2, 50, 170, 64, 64}, Sizes{1, 2, 1, 3, 1100, 32, 40},
                           Sizes{1, 6, 2, 1, 300, 16, 20}, Sizes{1, 3, 3, 20, 20, 128, 128}}) {
      const Operands in(s, type);
      for (const bool causal : {false, true}) {
        KernelCase test = case_of(s, in, type);
        test.attributes.set("causal", Dim(causal ? 1 : 0));
        test.output_lays = {Lay::kHeadsInside};
        SCOPED_TRACE(TensorView::dense(type, in.q.shape).text() + (causal ? " causal" : ""));
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
  const std::pair<DType, double> lowest[] = {
      {DType::kFloat32, std::numeric_limits<float>::lowest()},
      {DType::kFloat16, -65504},
      {DType::kBFloat16, -0x1.fep127},
  };
  for (const auto& [type, least] : lowest) {
    for (const int64_t rows : {2, 20}) {
      const Sizes s{1, 2, 2, rows, 40, 16, 16};
      const Operands in(s, type);
      HostTensor mask(type, {1, 2, 1, 40});
      for (int64_t i = 5; i < 80; ++i) mask.set(i, least);
      KernelCase test = case_of(s, in, type);
      test.inputs.push_back(&mask);
      SCOPED_TRACE(name_of(type));
      check_case(test);
    }
  }
}

TEST(Attention, OperandsMayBeginAnywhere) {
  const Sizes s{1, 4, 2, 70, 130, 32, 32};
  for (const DType type : kTypes) {
    const Operands in(s, type);
    for (size_t shifted = 0; shifted < 4; ++shifted) {
      KernelCase test = case_of(s, in, type);
      test.input_lays.assign(3, Lay::kDense);
      if (shifted < 3) test.input_lays[shifted] = Lay::kShifted;
      if (shifted == 3) test.output_lays = {Lay::kShifted};
      check_case(test);
    }
  }
}

// Masks of any shape, diagonals, shared heads, layouts as planners have them.
void check_random(KernelChecks& checks, unsigned seed) {
  Draw draw(seed);
  const int64_t kv_heads = draw.uniform(1, 4);
  const int64_t rows = draw.of({int64_t{1}, draw.uniform(1, 9), draw.uniform(1, 150)});
  const int64_t depth = draw.of({8 * draw.uniform(1, 16), draw.uniform(1, 40)});
  const Sizes s = {draw.uniform(1, 2),
                   kv_heads * draw.uniform(1, 4),
                   kv_heads,
                   rows,
                   draw.of({rows, rows + draw.uniform(0, 200)}),
                   depth,
                   draw.of({depth, depth, 8 * draw.uniform(1, 16)})};
  const bool causal = draw.chance(50);
  const int64_t masks = draw.uniform(0, 2);  // none, of bool, added
  std::vector<int64_t> mask_shape = {s.batches, s.heads, s.rows, s.keys};
  for (size_t d = 0; d < 3; ++d) {
    if (draw.chance(50)) mask_shape[d] = 1;
  }
  const auto lay = [&] { return draw.of({Lay::kDense, Lay::kHeadsInside, Lay::kGaps}); };
  const std::vector<Lay> lays = {lay(), lay(), lay()};
  const Lay out_lay = lay();
  const HostTensor shown = random_tensor(DType::kBool, mask_shape, seed, -1, 3);
  for (const DType type : kTypes) {
    const Operands in(s, type);
    HostTensor added = random_tensor(type, mask_shape, seed);
    for (int64_t i = 0; i < added.elements(); i += 3) {
      added.set(i, -std::numeric_limits<double>::infinity());
    }
    KernelCase test = case_of(s, in, type);
    test.attributes.set("causal", Dim(causal ? 1 : 0));
    test.attributes.set("scale", 1 / std::sqrt(static_cast<double>(s.depth)));
    if (masks > 0) test.inputs.push_back(masks == 1 ? &shown : &added);
    test.input_lays = lays;
    test.output_lays = {out_lay};
    SCOPED_TRACE(TensorView::dense(type, in.q.shape).text() + " on " +
                 TensorView::dense(type, in.k.shape).text() + (causal ? " causal" : "") +
                 (masks > 0 ? ", mask " + TensorView::dense(type, mask_shape).text() : ""));
    checks.every_algorithm(test, reference_of(test)[0]);
  }
}

TEST(Attention, EqualsTheReferenceOnRandomSizes) {
  static unsigned next = 0;
  KernelChecks checks;
  for_seeds(next, 40, 60, [&](unsigned seed) { check_random(checks, seed); });
}

struct Part {
  int64_t first_head, heads, first_key_head, key_heads, first_row, rows;
};

// `rows` of `heads` of a tensor [1, all heads, 40, 16].
HostTensor part_of(const HostTensor& whole, int64_t first_head, int64_t heads, int64_t first_row,
                   int64_t rows) {
  HostTensor part(whole.dtype, {1, heads, rows, 16});
  for (int64_t i = 0; i < part.elements(); ++i) {
    const int64_t head = first_head + i / (rows * 16);
    part.set(i, whole.get((head * 40 + first_row) * 16 + i % (rows * 16)));
  }
  return part;
}

TEST(Attention, PartsOfHeadsAndRowsEqualTheWhole) {
  // 9 query heads on 3 key heads.
  const Sizes whole{1, 9, 3, 40, 40, 16, 16};
  for (const DType type : kTypes) {
    const Operands in(whole, type);
    KernelCase all = case_of(whole, in, type);
    all.attributes.set("causal", Dim(1));
    const HostTensor expected = reference_of(all)[0];
    // Parts of two groups; a whole one with another rank's keys before it; some heads of one.
    for (const Part& p : {Part{4, 4, 1, 2, 10, 20}, Part{3, 3, 0, 3, 0, 40},
                          Part{6, 3, 2, 1, 30, 10}, Part{4, 2, 0, 2, 39, 1}}) {
      const HostTensor q = part_of(in.q, p.first_head, p.heads, p.first_row, p.rows);
      const HostTensor k = part_of(in.k, p.first_key_head, p.key_heads, 0, 40);
      const HostTensor v = part_of(in.v, p.first_key_head, p.key_heads, 0, 40);
      const KernelCase part{.op = "attention",
                            .attributes = {{"scale", 0.4},
                                           {"group", Dim(3)},
                                           {"causal", Dim(1)},
                                           {"head_offset", Dim(p.first_head)},
                                           {"kv_offset", Dim(p.first_key_head)},
                                           {"row_offset", Dim(p.first_row)},
                                           {"rows_total", Dim(40)}},
                            .inputs = {&q, &k, &v},
                            .outputs = {HostTensor(type, {1, p.heads, p.rows, 16})}};
      for (const std::string& kernel : kernels_of(part)) {
        SCOPED_TRACE(kernel + ", " + std::string(name_of(type)));
        KernelCase one = part;
        one.kernel = kernel;
        expect_near(run_case(one)[0], part_of(expected, p.first_head, p.heads, p.first_row, p.rows),
                    std::max(1e-5, tolerance_of(type)));
      }
    }
  }
}

}  // namespace
}  // namespace cleave::backend
