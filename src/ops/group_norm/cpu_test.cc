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

}  // namespace
}  // namespace cleave::backend
