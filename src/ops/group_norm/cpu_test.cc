#include "tests/support/kernel_harness.h"

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

}  // namespace
}  // namespace cleave::backend
