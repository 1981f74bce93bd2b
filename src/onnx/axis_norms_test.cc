// Blocks moved between space and depth, and normalisations, on numbers worked out by hand.
#include <gmock/gmock.h>

#include <cmath>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::HasSubstr;

TEST(BlockConverters, SpaceAndDepth) {
  HostTensor x(DType::kFloat32, {1, 1, 2, 4});
  for (int64_t i = 0; i < 8; ++i) x.set(i, static_cast<double>(i));
  const Values apart = {0, 2, 1, 3, 4, 6, 5, 7};
  const HostTensor y = run("SpaceToDepth", 13, {data(x)}, with({{"blocksize", 2}}))[0];
  expect(y, {1, 4, 1, 2}, apart);
  for (const char* mode : {"DCR", "CRD"}) {
    const Edit edit = [mode](NodeProto& node) {
      set(node, "blocksize", int64_t{2});
      set(node, "mode", mode);
    };
    EXPECT_EQ(values_of(run("DepthToSpace", 11, {data(y)}, edit)[0]), values_of(x));
  }
  // With two depths the modes differ.
  HostTensor two(DType::kFloat32, {1, 8, 1, 1});
  for (int64_t i = 0; i < 8; ++i) two.set(i, static_cast<double>(i));
  expect(run("DepthToSpace", 7, {data(two)}, with({{"blocksize", 2}}))[0], {1, 2, 2, 2},
         {0, 2, 4, 6, 1, 3, 5, 7});
  const Edit columns = [](NodeProto& node) {
    set(node, "blocksize", int64_t{2});
    set(node, "mode", "CRD");
  };
  expect(run("DepthToSpace", 11, {data(two)}, columns)[0], {1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(error_of([&] {
              run("SpaceToDepth", 13, {data(x)}, with({{"blocksize", 3}}));
            }).code(),
            ErrorCode::kInvalid);
}

TEST(AxisNormConverters, LpNormalization) {
  const HostTensor x = floats({2, 2}, {3, -4, 0, 0});
  expect(run("LpNormalization", 7, {data(x)})[0], {2, 2}, {0.6, -0.8, 0, 0});
  expect(run("LpNormalization", 22, {data(x)}, with({{"p", 1}, {"axis", 0}}))[0], {2, 2},
         {1, -1, 0, 0});
}

TEST(AxisNormConverters, MeanVariance) {
  expect(run("MeanVarianceNormalization", 13, {data(floats({1, 2, 1, 2}, {1, 3, -4, 4}))})[0],
         {1, 2, 1, 2}, {-1, 1, -1, 1});
}

TEST(AxisNormConverters, LocalResponse) {
  const Edit edit = [](NodeProto& node) {
    set(node, "size", int64_t{2});
    set(node, "alpha", 2.0);
    set(node, "beta", 0.5);
    set(node, "bias", 3.0);
  };
  // Channel 0 sees itself and 1, channel 1 itself alone.
  expect(run("LRN", 13, {data(floats({1, 2, 1}, {2, 3}))}, edit)[0], {1, 2, 1},
         {2 / 4.0, 3 / std::sqrt(12.0)});
  EXPECT_THAT(error_of([&] {
                run("LRN", 13, {data(floats({1, 2}, {2, 3}))}, with({{"size", 100000}}));
              }).message(),
              HasSubstr("LRN over 100000 channels"));
}

}  // namespace
}  // namespace cleave::onnx
