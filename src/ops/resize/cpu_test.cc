#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

struct Sizes {
  std::vector<int64_t> x, y;
  Shape axes;
};

const Sizes kSizes[] = {
    {{2, 3, 17}, {2, 3, 40}, {2}},        {{1, 3, 9, 11}, {1, 3, 18, 5}, {2, 3}},
    {{2, 5, 7, 3}, {2, 9, 4, 3}, {1, 2}}, {{1, 2, 3, 4, 5}, {1, 2, 6, 2, 7}, {2, 3, 4}},
    {{4, 3, 8}, {1, 3, 16}, {0, 2}},      {{2, 0, 4}, {2, 0, 8}, {2}},
    {{2, 3, 4}, {2, 3, 0}, {2}},
};

void check(const Attributes& attributes, const HostTensor& x, const std::vector<int64_t>& y) {
  for (const Lay lay : {Lay::kDense, Lay::kChannelsLast}) {
    check_case({.op = "resize",
                .attributes = attributes,
                .inputs = {&x},
                .outputs = {HostTensor(x.dtype, y)},
                .input_lays = {lay},
                .output_lays = {lay}});
  }
}

TEST(ResizeCpu, EqualsTheReference) {
  for (const Sizes& sizes : kSizes) {
    SCOPED_TRACE(::testing::PrintToString(sizes.x));
    for (const char* mode : {"nearest", "linear", "cubic"}) {
      for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64,
                               DType::kInt64, DType::kUInt8}) {
        if (!is_floating(type) && std::string(mode) != "nearest") continue;
        const HostTensor x = random_tensor(type, sizes.x, 1, 0, 9);
        for (const int64_t antialias : {0, 1}) {
          Attributes attributes{{"shape", Shape(sizes.y.begin(), sizes.y.end())},
                                {"axes", sizes.axes},
                                {"mode", mode},
                                {"antialias", Dim(antialias)},
                                {"exclude_outside", Dim(antialias)}};
          check(attributes, x, sizes.y);
          attributes.set("coordinates", "tf_crop_and_resize");
          std::vector<double> roi;
          for (size_t i = 0; i < sizes.axes.size(); ++i) roi.insert(roi.end(), {-0.2, 0.9});
          attributes.set("roi", roi);
          attributes.set("extrapolation", 3.0);
          check(attributes, x, sizes.y);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cleave::backend
