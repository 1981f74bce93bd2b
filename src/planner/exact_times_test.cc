// Planning by exact times: what was timed decides, not the curves.
#include "cost/exact_times.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "ops/builder.h"
#include "planner/planner.h"

namespace cleave::planner {
namespace {

using cost::KernelSpec;

std::vector<int64_t> extents(const TensorType& type) { return evaluate(type.shape, {}); }

// A library whose kernels make 128 output channels or more at once: half of them take as long as
// all, half the rows half as long.
class TilesOfChannels final : public cost::ExactTimes {
 public:
  std::optional<double> kernel_us(const KernelSpec& spec) override {
    specs.push_back(spec);
    const std::vector<int64_t> y = extents(spec.outputs[0]);
    const int64_t channels = std::max<int64_t>(128, y[1]);
    return 4757.0 * static_cast<double>(y[0] * channels * y[2] * y[3]) / (128 * 128 * 128);
  }
  std::vector<KernelSpec> specs;
};

class ExactTimes : public ::testing::Test {
 protected:
  // Of 128 channels, with a window of 51 × 51.
  ExactTimes() {
    const auto x = graph_.add_input("x", {DType::kFloat16, {1, 128, 128, 128}});
    const auto w =
        graph_.add_constant("w", ir::constant_fill(DType::kFloat16, {128, 128, 51, 51}, 0.5));
    const std::vector<Dim> ones = {1, 1};
    const auto y = ops::Builder(graph_, registry_)
                       .add1("y", "conv",
                             {{"strides", ones},
                              {"dilations", ones},
                              {"low", std::vector<Dim>{25, 25}},
                              {"outputs", std::vector<Dim>{128, 128}},
                              {"groups", Dim(1)}},
                             {x, w});
    graph_.set_outputs({y});
    machine_.set_exact(times_);
    options_.ranks = 2;
  }

  Plan make_plan() {
    return plan(graph_, registry_, *capabilities::of_backend("cuda"), machine_, options_);
  }

  ir::Graph graph_;
  ops::Registry registry_ = ops::Registry::builtin();
  std::shared_ptr<TilesOfChannels> times_ = std::make_shared<TilesOfChannels>();
  cost::MachineModel machine_ = cost::MachineModel::builtin_gpu();
  Options options_;
};

TEST_F(ExactTimes, RowsAreSplitWhereHalfTheChannelsTakeAsLong) {
  const Plan made = make_plan();
  ASSERT_EQ(made.groups.size(), 1u);
  EXPECT_EQ(made.groups[0].strategy, "y");
  EXPECT_GT(made.unsplit_us, 1.5 * made.cost_us);
}

TEST_F(ExactTimes, AreAskedForTheSizesOfARank) {
  make_plan();
  std::set<std::vector<int64_t>> results;
  for (const KernelSpec& spec : times_->specs) {
    results.insert(extents(spec.outputs[0]));
    EXPECT_EQ(spec.attributes.dims("outputs"),
              std::vector<Dim>(spec.outputs[0].shape.begin() + 2, spec.outputs[0].shape.end()));
    EXPECT_TRUE(spec.weight);
  }
  EXPECT_TRUE(results.contains({1, 128, 128, 128}));
  EXPECT_TRUE(results.contains({1, 64, 128, 128}));
  EXPECT_TRUE(results.contains({1, 128, 64, 128}));
  for (const KernelSpec& spec : times_->specs) {
    if (extents(spec.outputs[0]) != std::vector<int64_t>{1, 128, 64, 128}) continue;
    // Its rows, and the 25 that its windows see of the other rank's.
    EXPECT_EQ(extents(spec.inputs[0]), (std::vector<int64_t>{1, 128, 89, 128}));
    EXPECT_EQ(spec.attributes.integers("low"), (std::vector<int64_t>{12, 25}));
  }
}

TEST_F(ExactTimes, AreNotAskedForSmallWork) {
  ir::Graph small;
  const auto x = small.add_input("x", {DType::kFloat16, {1, 8, 8, 8}});
  const auto w = small.add_constant("w", ir::constant_fill(DType::kFloat16, {8, 8, 1, 1}, 0.5));
  const auto y = ops::Builder(small, registry_)
                     .add1("y", "conv",
                           {{"strides", std::vector<Dim>{1, 1}},
                            {"dilations", std::vector<Dim>{1, 1}},
                            {"low", std::vector<Dim>{0, 0}},
                            {"outputs", std::vector<Dim>{8, 8}},
                            {"groups", Dim(1)}},
                           {x, w});
  small.set_outputs({y});
  plan(small, registry_, *capabilities::of_backend("cuda"), machine_, options_);
  EXPECT_TRUE(times_->specs.empty());
}

}  // namespace
}  // namespace cleave::planner
