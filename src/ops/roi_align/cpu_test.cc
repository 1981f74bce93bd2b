#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

// Regions inside of an image of 17 × 13, across its border, and far larger than it.
HostTensor regions(DType type, int64_t count) {
  HostTensor rois = random_tensor(type, {count, 4}, 2, -4, 12);
  for (int64_t r = 0; r < count; ++r) {
    const double size = r % 5 == 4 ? 300 : static_cast<double>(2 + r % 4 * 3);
    for (const int64_t i : {2, 3}) rois.set(4 * r + i, rois.get(4 * r + i - 2) + size);
  }
  return rois;
}

TEST(RoiAlignCpu, EqualsTheReference) {
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    for (const DType index : {DType::kInt32, DType::kInt64}) {
      const HostTensor x = random_tensor(type, {3, 70, 17, 13}, 1);
      const HostTensor rois = regions(DType::kFloat32, 9);
      const HostTensor images = random_tensor(index, {9}, 3, -1, 4);
      for (const char* mode : {"mean", "max"}) {
        for (const int64_t half_pixel : {0, 1}) {
          for (const int64_t samples : {0, 3}) {
            Attributes attributes{{"bins", Shape{7, 5}},
                                  {"mode", mode},
                                  {"half_pixel", Dim(half_pixel)},
                                  {"samples", Dim(samples)},
                                  {"scale", 0.75}};
            if (samples == 3) {
              attributes.set("offset", Dim(1));
              attributes.set("total", Dim(5));
            }
            check_case({.op = "roi_align",
                        .attributes = attributes,
                        .inputs = {&x, &rois, &images},
                        .outputs = {{type, {9, 70, 7, 5}}},
                        .threads = samples == 0 ? 1 : 3});
          }
        }
      }
    }
  }
}

TEST(RoiAlignCpu, OfNothing) {
  const HostTensor none(DType::kFloat32, {1, 2, 0, 4});
  const HostTensor x(DType::kFloat32, {1, 2, 3, 4});
  const HostTensor one = regions(DType::kFloat32, 1);
  const HostTensor no_rois(DType::kFloat32, {0, 4});
  const HostTensor image(DType::kInt64, {1}), no_images(DType::kInt64, {0});
  const Attributes attributes{{"bins", Shape{2, 2}}};
  check_case({.op = "roi_align",
              .attributes = attributes,
              .inputs = {&none, &one, &image},
              .outputs = {{DType::kFloat32, {1, 2, 2, 2}}}});
  check_case({.op = "roi_align",
              .attributes = attributes,
              .inputs = {&x, &no_rois, &no_images},
              .outputs = {{DType::kFloat32, {0, 2, 2, 2}}}});
}

}  // namespace
}  // namespace cleave::backend
