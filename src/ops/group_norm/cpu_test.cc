#include "tests/support/kernel_harness.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

TEST(GroupNormCpu, EqualsTheReference) {
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{2, 6, 5, 7}, {1, 6, 9001}, {3, 6}, {0, 6, 2}, {2, 6, 0}}) {
      const HostTensor x = random_tensor(type, shape, 1, 1, 5);
      const HostTensor scale = random_tensor(type, {6}, 2);
      const HostTensor bias = random_tensor(type, {6}, 3);
      for (const int64_t channels : {1, 2, 6}) {
        check_case({.op = "group_norm",
                    .attributes = {{"group_channels", Dim(channels)}, {"epsilon", 1e-5}},
                    .inputs = {&x, &scale, &bias},
                    .outputs = {HostTensor(type, shape)}});
      }
    }
  }
}

// On GPUs alone.
TEST(GroupNormCpu, OfChannelsThatLieInnermost) {
  if (test_backend().name() == "cpu") GTEST_SKIP() << "it has no kernel for them";
  struct Sizes {
    std::vector<int64_t> shape;
    int64_t channels;  // of a group
  };
  const Sizes kSizes[] = {{{2, 6, 5, 7}, 2},       {{1, 6, 5, 7}, 6},       {{1, 7, 3}, 1},
                          {{2, 320, 24, 24}, 10},  {{1, 64, 9, 9, 4}, 8},   {{3, 33, 40, 2}, 11},
                          {{1, 1030, 6, 7}, 1030}, {{1, 3000, 9, 3}, 1500}, {{2, 513, 8, 9}, 1},
                          {{1, 32, 128, 130}, 4},  {{1, 2560, 16, 16}, 80}, {{1, 4, 1, 1}, 2}};
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    for (const Sizes& sizes : kSizes) {
      SCOPED_TRACE(::testing::PrintToString(sizes.shape));
      const HostTensor x = random_tensor(type, sizes.shape, 1, 1, 5);
      const HostTensor scale = random_tensor(type, {sizes.shape[1]}, 2);
      const HostTensor bias = random_tensor(type, {sizes.shape[1]}, 3);
      KernelCase test{.op = "group_norm",
                      .attributes = {{"group_channels", Dim(sizes.channels)}, {"epsilon", 1e-5}},
                      .inputs = {&x, &scale, &bias},
                      .outputs = {HostTensor(type, sizes.shape)}};
      test.input_lays = test.output_lays = {Lay::kChannelsLast};
      EXPECT_FALSE(kernels_of(test).empty());
      check_case(test);
    }
  }
}

// On GPUs alone, too: groups of all sizes in both formats.
TEST(GroupNormCpu, WithAFunctionBehindIt) {
  if (test_backend().name() == "cpu") GTEST_SKIP() << "it runs none";
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kFloat64}) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{2, 40, 5, 7}, {1, 16, 200, 90}, {2, 64, 33, 32}}) {
      for (const Lay lay : {Lay::kDense, Lay::kChannelsLast}) {
        const HostTensor x = random_tensor(type, shape, 1, 1, 5);
        const HostTensor scale = random_tensor(type, {shape[1]}, 2);
        const HostTensor bias = random_tensor(type, {shape[1]}, 3);
        KernelCase plain{.op = "group_norm",
                         .attributes = {{"group_channels", Dim(shape[1] / 4)}, {"epsilon", 1e-5}},
                         .inputs = {&x, &scale, &bias},
                         .outputs = {HostTensor(type, shape)}};
        plain.input_lays = plain.output_lays = {lay};
        HostTensor expected = reference_of(plain)[0];
        for (int64_t i = 0; i < expected.elements(); ++i) {
          expected.set(i, std::max(expected.get(i), 0.0));
        }
        KernelCase test = plain;
        FusedProgram{
            .inputs = 1, .steps = {{.op = "relu", .args = {0}, .type = type}}, .outputs = {1}}
            .to_attributes(test.attributes, "epilogue_");
        EXPECT_EQ(kernels_of(test).size(), 1u);
        expect_near(run_case(test)[0], expected, type == DType::kFloat16 ? 4e-3 : 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace cleave::backend
