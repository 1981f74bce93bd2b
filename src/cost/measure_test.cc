// Measuring, with a machine whose times are known.
#include "cost/measure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "cost/op_cost.h"

namespace cleave::cost {
namespace {

// A machine that computes 20,000 operations and moves 10,000 bytes a microsecond, and in which
// every seventh call is disturbed.
class KnownMachine final : public Profiler {
 public:
  explicit KnownMachine(int64_t devices = 4) : devices_(devices) {}
  int64_t devices() const override { return devices_; }
  int64_t threads() const override { return 3; }

  std::optional<double> kernel_us(const KernelSpec& spec, double seconds) override {
    EXPECT_GT(seconds, 0);
    EXPECT_FALSE(spec.outputs.empty());
    ++calls[std::string(spec.op)];
    if (spec.op == "attention") attention.insert({spec.inputs.size(), spec.inputs[0].text()});
    if (refused == spec.op) return std::nullopt;
    double bytes = 0;
    for (const TensorType& type : spec.inputs)
      bytes += static_cast<double>(type.bytes().constant());
    for (const TensorType& type : spec.outputs) {
      bytes += static_cast<double>(type.bytes().constant());
    }
    double flops = 0;
    if (spec.op == "matmul") {
      const Shape& a = spec.inputs[0].shape;
      flops = 2.0 * static_cast<double>(a[0].constant() * a[1].constant() *
                                        spec.inputs[1].shape[1].constant());
      EXPECT_LT(flops, 1e13);
    }
    const double us = 0.5 + std::max(flops / 20e3, bytes / 10e3);
    return ++count_ % 7 == 0 && disturbed ? 3 * us : us;
  }

  void run_between(const std::vector<KernelSpec>& others) override {
    EXPECT_TRUE(calls.empty() || !between.empty());
    for (const KernelSpec& spec : others) {
      EXPECT_FALSE(spec.outputs.empty());
      between.insert(spec.op);
    }
  }

  double collective_us(std::string_view op, int64_t ranks, int64_t bytes, double) override {
    EXPECT_LE(ranks, devices_);
    ++calls[std::string(op)];
    groups[ranks].push_back(bytes);
    return static_cast<double>(ranks) + static_cast<double>(bytes) / 4e3;
  }

  std::map<std::string, int> calls;
  std::set<std::string_view> between;
  std::map<int64_t, std::vector<int64_t>> groups;
  std::set<std::pair<size_t, std::string>> attention;  // operands, and what the query is
  std::string refused;
  bool disturbed = false;

 private:
  int64_t devices_;
  int count_ = 0;
};

MachineModel model_of(DeviceModel device) {
  MachineModel model;
  model.devices().push_back(std::move(device));
  return model;
}

double product_us(const MachineModel& model, int64_t m, int64_t n, int64_t k) {
  KernelWork work;
  work.op = "matmul";
  work.has_product = true;
  work.product = {1, m, n, k, true};
  return model.kernel_us(work, 4);
}

TEST(Measure, FindsTheSpeedsOfTheMachine) {
  KnownMachine machine;
  const DeviceModel device = measure_device(machine, ops::Registry::builtin(), {});
  EXPECT_EQ(device.devices, 4);
  EXPECT_EQ(device.threads, 3);
  EXPECT_NEAR(device.launch_us, 0.5, 0.1);
  EXPECT_NEAR(device.read_bytes_per_us, 10e3, 1e3);
  const MachineModel model = model_of(device);
  // Off the grid: to within what straight lines in logarithms lose.
  EXPECT_NEAR(product_us(model, 128, 384, 1536), 2.0 * 128 * 384 * 1536 / 20e3, 800);
  EXPECT_NEAR(product_us(model, 1, 3000, 3000) / (36e6 / 10e3), 1, 0.15);
  KernelWork copy;
  copy.op = "copy";
  copy.bytes = 3e6;
  EXPECT_NEAR(model.kernel_us(copy, 4), 300, 15);
}

TEST(Measure, TimesEveryKindOfKernel) {
  KnownMachine machine;
  measure_device(machine, ops::Registry::builtin(), {});
  for (const char* op : {"matmul", "fused_elementwise", "softmax", "layer_norm", "rms_norm",
                         "attention", "gather", "reduce_sum", "copy", "rotary", "group_norm"}) {
    EXPECT_GE(machine.calls[op], 5) << op;
  }
}

TEST(Measure, TimesKernelsBetweenOthers) {
  KnownMachine profiler(1);
  const DeviceModel model = measure_device(profiler, ops::Registry::builtin(), {.seconds = 1});
  for (const char* op : {"fused_elementwise", "matmul", "conv", "layer_norm"}) {
    EXPECT_TRUE(profiler.between.contains(op)) << op;
  }
  // Short rows and long ones, places one by one and many, each as a kind of its own.
  std::set<int64_t> widths;
  for (const OpPoint& point : model.ops) {
    if (point.op == "layer_norm") widths.insert(point.width);
  }
  EXPECT_EQ(widths.size(), 2u);
  const auto is = [](const char* op, int64_t m) {
    return [=](const ProductPoint& point) { return point.op == op && point.product.m == m; };
  };
  EXPECT_TRUE(std::ranges::any_of(model.products, is("conv.pointwise.channels_last", 1)));
  EXPECT_TRUE(std::ranges::any_of(model.products, is("conv.channels_last", 49)));
}

TEST(Measure, TimesAttentionOfGpusWithoutMasksAndAsLargeAsInNetworks) {
  KnownMachine machine;
  const DeviceModel of_gpu = measure_device(machine, ops::Registry::builtin(), gpu_measure_plan());
  for (const auto& [operands, query] : machine.attention) EXPECT_EQ(operands, 3u) << query;
  EXPECT_TRUE(machine.attention.contains({3, "f16[1, 32, 4096, 128]"}));
  const auto has = [](const DeviceModel& model, const std::string& op) {
    return std::ranges::any_of(model.ops, [&](const OpPoint& point) { return point.op == op; });
  };
  EXPECT_TRUE(has(of_gpu, "attention.causal.f16"));
  KnownMachine host;
  EXPECT_FALSE(has(measure_device(host, ops::Registry::builtin(), {}), "attention.causal"));
  for (const auto& [operands, query] : host.attention) EXPECT_EQ(operands, 4u) << query;
}

// Half the bytes for the same arithmetic: curves over bytes are of one type.
TEST(Measure, EachTypeHasCurvesOfItsOwn) {
  KnownMachine profiler(1);
  const DeviceModel model =
      measure_device(profiler, ops::Registry::builtin(),
                     {.seconds = 1, .types = {DType::kFloat32, DType::kFloat16}});
  for (const char* op : {"layer_norm", "softmax", "gather", "copy", "attention"}) {
    const auto count = [&](const std::string& name) {
      return std::ranges::count_if(model.ops, [&](const OpPoint& p) { return p.op == name; });
    };
    EXPECT_GT(count(op), 0) << op;
    EXPECT_EQ(count(op), count(name_in_type(op, DType::kFloat16))) << op;
  }
}

TEST(Measure, PutsDisturbedTimesInOrder) {
  KnownMachine machine;
  machine.disturbed = true;
  const DeviceModel device = measure_device(machine, ops::Registry::builtin(), {});
  for (const ProductPoint& a : device.products) {
    for (const ProductPoint& b : device.products) {
      if (a.op == b.op && a.product.packed == b.product.packed && a.product.m <= b.product.m &&
          a.product.n <= b.product.n && a.product.k <= b.product.k) {
        EXPECT_LE(a.us, b.us);
      }
    }
  }
  for (const OpPoint& a : device.ops) {
    for (const OpPoint& b : device.ops) {
      if (a.op == b.op && a.width == b.width && a.bytes <= b.bytes && a.flops <= b.flops) {
        EXPECT_LE(a.us, b.us) << a.op;
      }
    }
  }
}

TEST(Measure, LeavesOutWhatNoKernelTakesAndWhatTakesTooLong) {
  KnownMachine machine;
  machine.refused = "attention";
  MeasurePlan plan;
  plan.largest_us = 1000;
  const DeviceModel device = measure_device(machine, ops::Registry::builtin(), plan);
  for (const OpPoint& point : device.ops) EXPECT_NE(point.op, "attention");
  double longest = 0;
  for (const ProductPoint& point : device.products) {
    // The first of a column is measured whatever it takes: its weights are read once.
    if (point.product.m > 49) longest = std::max(longest, point.us);
  }
  EXPECT_LE(longest, 1000);
  EXPECT_GT(longest, 100);
}

TEST(Measure, TimesCollectivesOfEveryGroup) {
  KnownMachine machine(6);
  const std::vector<CollectivePoint> points = measure_collectives(machine, {});
  ASSERT_EQ(machine.groups.size(), 3u);
  for (const int64_t ranks : {2, 4, 6}) {
    ASSERT_TRUE(machine.groups.contains(ranks));
    EXPECT_EQ(machine.groups[ranks].front(), 1 << 10);
    EXPECT_EQ(machine.groups[ranks][7], 16 << 20);
  }
  EXPECT_EQ(points.size(), 3u * 4 * 8);
  DeviceModel device;
  device.collectives = points;
  EXPECT_NEAR(model_of(device).collective_us("all_reduce", 4, 3e5), 4 + 3e5 / 4e3, 1e-6);
}

TEST(Measure, OneDeviceHasNoCollectives) {
  KnownMachine machine(1);
  EXPECT_TRUE(measure_collectives(machine, {}).empty());
}

TEST(Measure, IsReadBackAsItWas) {
  KnownMachine machine;
  const MachineModel model = model_of(measure_device(machine, ops::Registry::builtin(), {}));
  EXPECT_EQ(MachineModel::parse(model.to_json(), "m").to_json(), model.to_json());
}

}  // namespace
}  // namespace cleave::cost
