#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

TEST(GridSampleCpu, EqualsTheReference) {
  const std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>> shapes = {
      {{2, 3, 9}, {2, 150, 1}},
      {{2, 3, 7, 5}, {2, 11, 9, 2}},
      {{1, 2, 3, 4, 5}, {1, 2, 3, 4, 3}},
      {{1, 0, 4, 4}, {1, 2, 2, 2}}};
  for (const auto& [image, points] : shapes) {
    for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
      const HostTensor x = random_tensor(type, image, 1);
      const HostTensor grid = random_tensor(type, points, 2, -1.5, 1.5);
      std::vector<int64_t> result(points.begin(), points.end() - 1);
      result.insert(result.begin() + 1, image[1]);
      for (const char* mode : {"nearest", "linear", "cubic"}) {
        for (const char* padding : {"zeros", "border", "reflection"}) {
          for (const int64_t align_corners : {0, 1}) {
            check_case({.op = "grid_sample",
                        .attributes = {{"mode", mode},
                                       {"padding", padding},
                                       {"align_corners", Dim(align_corners)}},
                        .inputs = {&x, &grid},
                        .outputs = {HostTensor(type, result)}});
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace cleave::backend
