// Times between, at and beyond measured points, and what every model must hold.
#include "cost/machine_model.h"

#include <gtest/gtest.h>

#include "cost/curve.h"
#include "cost/kernel_cost.h"
#include "ops/registry.h"

namespace cleave::cost {
namespace {

KernelWork product(int64_t m, int64_t n, int64_t k, bool packed = true, int64_t batch = 1) {
  KernelWork work;
  work.op = "matmul";
  work.has_product = true;
  work.product = {batch, m, n, k, packed};
  work.flops = 2.0 * static_cast<double>(batch * m * n * k);
  work.bytes = 4.0 * static_cast<double>(batch * (m * k + k * n + m * n));
  return work;
}

KernelWork kernel(std::string_view op, double bytes, double flops = 0) {
  KernelWork work;
  work.op = op;
  work.bytes = bytes;
  work.flops = flops;
  return work;
}

// A grid whose figures follow no formula that interpolation would reproduce.
MachineModel measured() {
  MachineModel model;
  DeviceModel device;
  device.launch_us = 1.25;
  for (const int64_t m : {1, 16, 256}) {
    for (const int64_t n : {64, 512, 4096}) {
      for (const int64_t k : {64, 1024}) {
        const double us = 2 + static_cast<double>(m * n * k) / 31e3 +
                          static_cast<double>(n * k) / 2.5e3 + static_cast<double>(m % 7);
        device.products.push_back({{1, m, n, k, true}, DType::kFloat32, us});
      }
    }
  }
  for (const double bytes : {1e3, 1e5, 1e7}) {
    device.ops.push_back({"fused_elementwise", bytes, 0, 1.5 + bytes / 9e3});
    device.ops.push_back({"softmax", bytes, bytes * 0.625, 2 + bytes / 3e3});
    device.ops.push_back({"attention", bytes, bytes * 4, 3 + bytes / 1e3});
    device.ops.push_back({"attention", bytes, bytes * 64, 3 + bytes / 1e2});
  }
  for (const int64_t ranks : {2, 8}) {
    for (const double bytes : {1e3, 1e6}) {
      device.collectives.push_back(
          {"all_reduce", ranks, bytes, static_cast<double>(ranks) * (3 + bytes / 5e3)});
    }
  }
  model.devices().push_back(device);
  return model;
}

TEST(Curve, PassesThroughItsPoints) {
  Curve curve(1);
  curve.add(100, 7);
  curve.add(10, 2);
  curve.add(1000, 300);
  EXPECT_EQ(curve.at(10), 2);
  EXPECT_EQ(curve.at(100), 7);
  EXPECT_EQ(curve.at(1000), 300);
}

TEST(Curve, IsAPowerLawBetweenThem) {
  Curve curve(0.1);
  curve.add(1, 2);
  curve.add(16, 32);
  EXPECT_NEAR(curve.at(4), 8, 1e-9);
}

TEST(Curve, GrowsBeyondThemAndHasAFloor) {
  Curve curve(1);
  curve.add(10, 3);
  curve.add(100, 20);
  EXPECT_DOUBLE_EQ(curve.at(200), 37);  // 3 take a call whatever its size
  EXPECT_DOUBLE_EQ(curve.at(5), 2);
  EXPECT_DOUBLE_EQ(curve.at(0), 1);
}

TEST(Curve, TakesTheLeastOfEqualSizes) {
  Curve curve(0);
  curve.add(10, 3);
  curve.add(10, 2);
  curve.add(10, 4);
  EXPECT_EQ(curve.at(10), 2);
}

TEST(MachineModel, GivesMeasuredProductsTheirTimes) {
  const MachineModel model = measured();
  for (const ProductPoint& point : model.devices()[0].products) {
    const Product& p = point.product;
    EXPECT_NEAR(model.kernel_us(product(p.m, p.n, p.k), 1), point.us, 1e-9 * point.us);
  }
}

// The same machine, of which products in half precision were measured too.
MachineModel measured_gpu() {
  MachineModel model = measured();
  model.set_backend("cuda");
  std::vector<ProductPoint>& products = model.devices()[0].products;
  const std::vector<ProductPoint> in_float32 = products;
  for (ProductPoint point : in_float32) {
    point.dtype = DType::kFloat16;
    point.us = 1.25 + (point.us - 1.25) / 8;
    products.push_back(point);
  }
  return model;
}

TEST(MachineModel, Tf32TakesTwiceTheTimeOfHalfPrecision) {
  const MachineModel model = measured_gpu();
  KernelWork work = product(256, 512, 1024);
  const double full = model.kernel_us(work, 1);
  work.tf32 = true;
  EXPECT_NEAR(model.kernel_us(work, 1), 1.25 + (full - 1.25) / 4, 1e-9 * full);
  work.dtype = DType::kFloat16;
  EXPECT_NEAR(model.kernel_us(work, 1), 1.25 + (full - 1.25) / 8, 1e-9 * full);
  // Where it would be slower, or nothing is known of half precision, float32's own kernels are.
  work.dtype = DType::kFloat32;
  EXPECT_EQ(measured().kernel_us(work, 1), full);
}

TEST(MachineModel, AGpuWorksOnTheProductsOfABatchSideBySide) {
  const MachineModel gpu = measured_gpu();
  const double one = gpu.kernel_us(product(16, 64, 64), 1);
  const double tall = gpu.kernel_us(product(256, 64, 64), 1);
  const double sixteen = gpu.kernel_us(product(16, 64, 64, true, 16), 1);
  const double right_us = 15 * 4.0 * 64 * 64 / gpu.devices()[0].read_bytes_per_us;
  EXPECT_NEAR(sixteen, tall + right_us, 1e-9 * sixteen);
  EXPECT_LT(sixteen, 16 * one);
  KernelWork images = product(16, 64, 64, true, 16);
  images.op = "conv";
  EXPECT_NEAR(gpu.kernel_us(images, 1), tall, 1e-9 * tall);
  // A CPU works on one after the other.
  EXPECT_NEAR(measured().kernel_us(product(16, 64, 64, true, 16), 1), 1.25 + 16 * (one - 1.25),
              1e-9 * one);
}

TEST(MachineModel, GivesMeasuredKernelsTheirTimes) {
  const MachineModel model = measured();
  for (const OpPoint& point : model.devices()[0].ops) {
    EXPECT_NEAR(model.kernel_us(kernel(point.op, point.bytes, point.flops), 1), point.us,
                1e-9 * point.us)
        << point.op << " " << point.bytes;
  }
}

TEST(MachineModel, GivesMeasuredCollectivesTheirTimes) {
  const MachineModel model = measured();
  for (const CollectivePoint& point : model.devices()[0].collectives) {
    EXPECT_NEAR(model.collective_us(point.op, point.ranks, point.bytes), point.us, 1e-9);
  }
  // Straight between two sizes, and between two groups no less than the smaller one's.
  EXPECT_NEAR(model.collective_us("all_reduce", 2, 500500), 2 * (3 + 500500 / 5e3), 1e-6);
  EXPECT_GT(model.collective_us("all_reduce", 4, 1e3), model.collective_us("all_reduce", 2, 1e3));
  EXPECT_LT(model.collective_us("all_reduce", 4, 1e3), model.collective_us("all_reduce", 8, 1e3));
  EXPECT_GT(model.collective_us("all_reduce", 16, 1e3), model.collective_us("all_reduce", 8, 1e3));
}

TEST(MachineModel, SlowLinksMakeCollectivesSlowerAndNothingElse) {
  MachineModel model = measured();
  const double all_reduce = model.collective_us("all_reduce", 2, 5e4);
  const double softmax = model.kernel_us(kernel("softmax", 5e4, 3e4), 2);
  model.slow_link(100);
  EXPECT_DOUBLE_EQ(model.collective_us("all_reduce", 2, 5e4), 100 * all_reduce);
  EXPECT_DOUBLE_EQ(model.kernel_us(kernel("softmax", 5e4, 3e4), 2), softmax);
}

TEST(MachineModel, BatchesOfProductsShareTheLaunch) {
  const MachineModel model = measured();
  const double one = model.kernel_us(product(16, 64, 64), 1);
  EXPECT_NEAR(model.kernel_us(product(16, 64, 64, true, 12), 1), 1.25 + 12 * (one - 1.25), 1e-9);
}

TEST(MachineModel, UsesWhatIsNearestWhereAKindWasNotMeasured) {
  const MachineModel model = measured();
  EXPECT_EQ(model.kernel_us(product(16, 64, 64, false), 1),
            model.kernel_us(product(16, 64, 64, true), 1));
  KernelWork half = product(16, 64, 64);
  half.dtype = DType::kFloat16;
  EXPECT_EQ(model.kernel_us(half, 1), model.kernel_us(product(16, 64, 64), 1));
}

TEST(MachineModel, ProductsThatAreNoGridAreRead) {
  MachineModel model;
  DeviceModel device;
  device.products.push_back({{1, 8, 64, 512, true}, DType::kFloat32, 10});
  device.products.push_back({{1, 8, 512, 64, true}, DType::kFloat32, 12});
  model.devices().push_back(device);
  EXPECT_NEAR(model.kernel_us(product(8, 64, 512), 1), 10, 1e-9);
  EXPECT_NEAR(model.kernel_us(product(8, 512, 64), 1), 12, 1e-9);
  // Neither corner of this one's own was measured.
  EXPECT_GT(model.kernel_us(product(8, 64, 64), 1), 0);
}

// Large windows were measured with widths that small ones were not.
TEST(MachineModel, WidthsAreLookedUpAmongThoseMeasuredWithTheSameDepth) {
  MachineModel model;
  DeviceModel device;
  for (const int64_t n : {64, 256}) {
    const double us = 10 * static_cast<double>(n) / 64;
    device.products.push_back({{1, 1024, n, 512, true}, DType::kFloat32, us});
  }
  device.products.push_back({{1, 1024, 128, 8192, true}, DType::kFloat32, 9000});
  model.devices().push_back(device);
  EXPECT_NEAR(model.kernel_us(product(1024, 128, 512), 1), 20, 1e-9);
  EXPECT_NEAR(model.kernel_us(product(1024, 128, 8192), 1), 9000, 1e-9);
}

TEST(MachineModel, WorkOfNothingIsALaunch) {
  const MachineModel model = measured();
  EXPECT_EQ(model.kernel_us(kernel("fused_elementwise", 0), 1), 1.25);
  EXPECT_EQ(model.kernel_us(product(0, 64, 64), 1), 1.25);
}

// Lines of a width between those measured take between what as many of these take.
TEST(MachineModel, LiesBetweenMeasuredWidths) {
  MachineModel model;
  DeviceModel device;
  for (const double bytes : {1e4, 1e5, 1e6}) {
    // A line of 31 takes as long as one of 63, and one of 127 twice as long.
    device.ops.push_back({"attention", bytes, 10 * bytes, bytes / 500, 31});
    device.ops.push_back({"attention", bytes, 10 * bytes, bytes / 1000, 63});
    device.ops.push_back({"attention", bytes, 10 * bytes, bytes / 1000, 127});
  }
  model.devices().push_back(device);
  const auto at_width = [&](int64_t width, double bytes) {
    KernelWork work = kernel("attention", bytes, 10 * bytes);
    work.width = width;
    return model.kernel_us(work, 1);
  };
  EXPECT_NEAR(at_width(31, 1e5), 200, 1e-9);
  EXPECT_NEAR(at_width(63, 1e5), 100, 1e-9);
  EXPECT_NEAR(at_width(47, 48e3), 64, 0.5);  // a thousand lines, as of both
  EXPECT_NEAR(at_width(95, 96e3), 96, 0.5);  // of 63: 64, of 127: 128
  EXPECT_NEAR(at_width(15, 1e5), 200, 1e-9);
  EXPECT_NEAR(at_width(255, 1e5), 100, 1e-9);
}

TEST(KernelCost, AProductTakesWhatItsOperandsAreComputedIn) {
  MachineModel model;
  DeviceModel device;
  device.products.push_back({{1, 8, 64, 64, true}, DType::kFloat32, 100});
  device.products.push_back({{1, 8, 64, 64, true}, DType::kFloat16, 10});
  model.devices().push_back(device);
  const ops::Registry registry = ops::Registry::builtin();
  const Attributes none;
  const std::vector<TensorType> operands = {{DType::kFloat16, {8, 64}},
                                            {DType::kFloat16, {64, 64}}};
  for (const DType result : {DType::kFloat16, DType::kFloat32}) {
    const std::vector<TensorType> outputs = {{result, {8, 64}}};
    EXPECT_NEAR(
        op_us(model, 1, registry.at("matmul"), {none, operands}, outputs, true, Format::kRowMajor),
        10, 1e-9);
  }
}

TEST(MachineModel, AKindThatWasNotMeasuredTakesWhatItsOpDoes) {
  MachineModel model;
  DeviceModel device;
  device.ops.push_back({"attention", 1e5, 1e6, 100});
  device.ops.push_back({"pool.wide", 1e5, 1e6, 70});
  model.devices().push_back(device);
  EXPECT_EQ(model.kernel_us(kernel("attention.causal", 1e5, 1e6), 1), 100);
  EXPECT_EQ(model.kernel_us(kernel("pool.wide", 1e5, 1e6), 1), 70);
}

TEST(MachineModel, AGpuComputesWhileItMoves) {
  MachineModel model;
  DeviceModel device;
  device.launch_us = 1;
  device.scalar_flops_per_us = 1000;
  device.ops.push_back({"fused_elementwise", 1e6, 0, 11});
  model.devices().push_back(device);
  const KernelWork light = kernel("fused_elementwise", 1e6, 5e3);
  const KernelWork heavy = kernel("fused_elementwise", 1e6, 5e4);
  EXPECT_EQ(model.kernel_us(light, 1), 16);
  model.set_backend("cuda");
  EXPECT_EQ(model.kernel_us(light, 1), 11);
  EXPECT_EQ(model.kernel_us(heavy, 1), 51);
}

// Small images have more weights and borders: they do less with each byte, in the same kernel.
TEST(MachineModel, SizesOfOneShapeAreReadTogether) {
  MachineModel model;
  DeviceModel device;
  device.ops.push_back({"conv.depthwise", 1e5, 1.8e5, 10});
  device.ops.push_back({"conv.depthwise", 1e6, 2.2e6, 100});
  device.ops.push_back({"conv.depthwise", 1e5, 8e5, 30});
  device.ops.push_back({"conv.depthwise", 1e6, 11e6, 400});
  model.devices().push_back(device);
  for (const OpPoint& point : device.ops) {
    EXPECT_NEAR(model.kernel_us(kernel(point.op, point.bytes, point.flops), 1), point.us, 1e-9);
  }
  const double between = model.kernel_us(kernel("conv.depthwise", 1e6, 5e6), 1);
  EXPECT_GT(between, 100);
  EXPECT_LT(between, 400);
}

// What holds for every model whose points are in order: the built-in one and a measured one.
class Models : public ::testing::TestWithParam<bool> {
 protected:
  MachineModel model() const { return GetParam() ? MachineModel::builtin() : measured(); }
};

TEST_P(Models, MoreBytesAreNeverCheaper) {
  const MachineModel machine = model();
  for (const char* op : {"fused_elementwise", "softmax", "layer_norm", "copy"}) {
    double before = 0;
    for (double bytes = 16; bytes < 1e9; bytes *= 1.37) {
      const double us = machine.kernel_us(kernel(op, bytes, bytes * 0.625), 1);
      EXPECT_GE(us, before * (1 - 1e-12)) << op << " of " << bytes;
      before = us;
    }
  }
}

TEST_P(Models, LargerProductsAreNeverCheaper) {
  const MachineModel machine = model();
  const std::vector<int64_t> sizes = {1, 3, 8, 40, 64, 100, 384, 1024, 1536, 5000, 20000};
  const auto us = [&](int64_t m, int64_t n, int64_t k) {
    return machine.kernel_us(product(m, n, k), 1);
  };
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    for (const int64_t a : sizes) {
      for (const int64_t b : sizes) {
        const double slack = 1 - 1e-12;
        EXPECT_GE(us(sizes[i + 1], a, b), us(sizes[i], a, b) * slack) << sizes[i] << a << b;
        EXPECT_GE(us(a, sizes[i + 1], b), us(a, sizes[i], b) * slack) << sizes[i] << a << b;
        EXPECT_GE(us(a, b, sizes[i + 1]), us(a, b, sizes[i]) * slack) << sizes[i] << a << b;
      }
    }
  }
}

TEST_P(Models, MoreBytesAndRanksAreNeverFasterToExchange) {
  const MachineModel machine = model();
  for (int64_t ranks = 2; ranks <= 16; ++ranks) {
    double before = 0;
    for (double bytes = 16; bytes < 1e9; bytes *= 2.3) {
      const double us = machine.collective_us("all_reduce", ranks, bytes);
      EXPECT_GE(us, before);
      EXPECT_GE(machine.collective_us("all_reduce", ranks + 1, bytes), us * (1 - 1e-12));
      before = us;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Models, ::testing::Bool());

TEST(Builtin, IsTheSameOnEveryMachine) {
  EXPECT_EQ(MachineModel::builtin().to_json(), MachineModel::builtin().to_json());
  EXPECT_EQ(MachineModel::builtin().cores(), 2);
}

// What was measured on GPUs: half precision is many times faster where arithmetic counts, twice
// where the weights' bytes do, and devices share nothing.
TEST(BuiltinGpu, IsOneThatWasMeasured) {
  const MachineModel model = MachineModel::builtin_gpu();
  const auto us = [&](int64_t rows, DType type) {
    KernelWork work = product(rows, 8192, 8192);
    work.dtype = type;
    return model.kernel_us(work, 1);
  };
  EXPECT_GT(us(2048, DType::kFloat32), 8 * us(2048, DType::kFloat16));
  EXPECT_NEAR(us(1, DType::kFloat32) / us(1, DType::kFloat16), 2, 0.5);
  EXPECT_EQ(us(64, DType::kBFloat16), us(64, DType::kFloat16));
  KernelWork attention{.op = "attention", .flops = 1e9, .bytes = 1e7};
  const double full = model.kernel_us(attention, 1);
  attention.dtype = DType::kFloat16;
  EXPECT_LT(model.kernel_us(attention, 1), full);
  EXPECT_EQ(model.kernel_us(product(64, 8192, 8192), 8),
            model.kernel_us(product(64, 8192, 8192), 1));
  EXPECT_GE(model.cores(), 8);
  EXPECT_LT(model.collective_us("all_reduce", 2, 8192), 10);
}

TEST(Builtin, FewRowsCostWhatReadingTheWeightsTakes) {
  const MachineModel model = MachineModel::builtin();
  const double one = model.kernel_us(product(1, 4096, 4096), 2);
  EXPECT_LT(model.kernel_us(product(4, 4096, 4096), 2), 1.5 * one);
  EXPECT_GT(model.kernel_us(product(256, 4096, 4096), 2), 10 * one);
  // Half the columns are half the bytes.
  EXPECT_NEAR(model.kernel_us(product(1, 2048, 4096), 2) / one, 0.5, 0.1);
}

}  // namespace
}  // namespace cleave::cost
