// What a build says that its engine needs is enough to run it, and the least that can be given.
#include "compiler/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <string>

#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "ops/builder.h"

namespace cleave {
namespace {

using NetworkPtr = std::shared_ptr<const NetworkImpl>;

class Model {
 public:
  Model() : network_(std::make_shared<NetworkImpl>()) {
    network_->registry = ops::Registry::builtin();
    builder_ = std::make_unique<ops::Builder>(network_->graph, network_->registry);
  }
  ir::ValueId input(const char* name, DType type, Shape shape) {
    return network_->graph.add_input(name, {type, std::move(shape)});
  }
  ir::ValueId noise(const char* name, std::vector<int64_t> shape) {
    return network_->graph.add_constant(
        name, ir::constant_noise(DType::kFloat32, std::move(shape), ++seed_, 0.1));
  }
  ir::ValueId add(const char* name, const char* op, std::vector<ir::ValueId> inputs,
                  Attributes attributes = {}) {
    return builder_->add1(name, op, std::move(attributes), std::move(inputs));
  }
  NetworkPtr finish(ir::ValueId output) {
    network_->graph.add_output(output);
    return network_;
  }

 private:
  std::shared_ptr<NetworkImpl> network_;
  std::unique_ptr<ops::Builder> builder_;
  uint64_t seed_ = 0;
};

// Widths that fill no panel, one of them 1.
NetworkPtr odd_products() {
  Model model;
  ir::ValueId x = model.input("x", DType::kFloat32, {Dim::symbol("rows"), 301});
  x = model.add("a", "matmul", {x, model.noise("wa", {301, 517})});
  x = model.add("act", "gelu", {x});
  x = model.add("b", "matmul", {x, model.noise("wb", {517, 299})});
  return model.finish(model.add("c", "matmul", {x, model.noise("wc", {299, 1})}));
}

// One table is looked up, and multiplied with: it is there packed and as it is.
NetworkPtr tied_table() {
  Model model;
  const ir::ValueId table = model.noise("table", {1003, 130});
  Attributes axis;
  axis.set("axis", Dim(0));
  const ir::ValueId ids = model.input("x", DType::kInt64, {Dim::symbol("rows")});
  const ir::ValueId x = model.add("look_up", "gather", {table, ids}, axis);
  Attributes transposed;
  transposed.set("transpose_b", Dim(1));
  return model.finish(model.add("logits", "matmul", {x, table}, transposed));
}

// A product of activations: b is packed in the workspace.
NetworkPtr large_workspace() {
  Model model;
  const Dim rows = Dim::symbol("rows");
  const ir::ValueId x = model.input("x", DType::kFloat32, {rows, 600});
  const ir::ValueId k = model.add("k", "matmul", {x, model.noise("wk", {600, 1500})});
  Attributes transposed;
  transposed.set("transpose_a", Dim(1));
  return model.finish(model.add("gram", "matmul", {k, k}, transposed));
}

struct Case {
  const char* name;
  NetworkPtr (*network)();
  bool half = false;

  friend void PrintTo(const Case& model, std::ostream* out) { *out << model.name; }
};

class Memory : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr int64_t kRows = 33;

  static BuilderConfig config(const NetworkPtr& network, int devices, int64_t limit = 0) {
    BuilderConfig result;
    result.devices = DeviceList::cpu(devices);
    result.memory_limit = limit;
    if (GetParam().half) result.precision.insert(Precision::kFP16);
    const auto sizes = [&](int64_t rows) {
      std::vector<int64_t> shape;
      for (const Dim& dim : network->graph.type(network->graph.inputs()[0]).shape) {
        shape.push_back(dim.evaluate({{"rows", rows}}));
      }
      return shape;
    };
    result.profile = {{"x", sizes(1), sizes(8), sizes(kRows)}};
    return result;
  }

  // Runs the largest size with no more memory than `limit`; the most that a device held.
  static std::vector<int64_t> peaks(const Engine& engine, int64_t limit) {
    RuntimeOptions options;
    options.memory_limit = limit;
    Runtime runtime(DeviceList::cpu(static_cast<int>(engine.devices())), options);
    const TensorInfo input = engine.inputs()[0];
    std::vector<int64_t> shape;
    for (const DimensionInfo& dim : input.shape) shape.push_back(dim.max);
    runtime.create_context(engine).run({{"x", Tensor(input.dtype, shape)}});
    std::vector<int64_t> result;
    for (const DeviceMemory& memory : runtime.memory()) result.push_back(memory.peak);
    return result;
  }

  // The amount in "(N bytes)"; 0 where there is none.
  static int64_t amount_in(const std::string& text) {
    const size_t end = text.find(" bytes)");
    const size_t begin = end == std::string::npos ? end : text.rfind('(', end);
    return begin == std::string::npos ? 0 : std::atoll(text.c_str() + begin + 1);
  }

  static std::optional<Engine> build_within(const NetworkPtr& network, int devices, int64_t limit,
                                            int64_t* amount = nullptr) {
    try {
      return compiler::build(network, config(network, devices, limit));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.what();
      const int64_t named = amount_in(error.message());
      EXPECT_GT(named, 0) << error.message();
      if (amount != nullptr) *amount = named;
      return std::nullopt;
    }
  }
};

TEST_P(Memory, NoRunExceedsWhatTheEngineSays) {
  const NetworkPtr network = GetParam().network();
  for (const int devices : {1, 2, 3}) {
    for (uint64_t seed = 0; seed < 6; ++seed) {
      compiler::Overrides overrides;
      overrides.random_costs = seed;
      const Engine engine = compiler::build(network, config(network, devices), overrides);
      const std::vector<int64_t>& says = engine.memory_bytes();
      ASSERT_EQ(says.size(), static_cast<size_t>(devices));
      const std::vector<int64_t> held = peaks(engine, *std::max_element(says.begin(), says.end()));
      for (size_t rank = 0; rank < held.size(); ++rank) {
        EXPECT_LE(held[rank], says[rank]) << devices << " devices, plan " << seed;
        EXPECT_GE(held[rank], engine.weights_bytes()[rank]);
      }
    }
  }
}

TEST_P(Memory, TheAmountNamedIsEnoughAndNoMoreThanThat) {
  const NetworkPtr network = GetParam().network();
  for (const int devices : {1, 2, 3}) {
    SCOPED_TRACE(std::to_string(devices) + " devices");
    int64_t amount = 0;
    ASSERT_FALSE(build_within(network, devices, 1000, &amount));
    const std::optional<Engine> engine = build_within(network, devices, amount);
    ASSERT_TRUE(engine);
    const std::vector<int64_t>& says = engine->memory_bytes();
    EXPECT_LE(*std::max_element(says.begin(), says.end()), amount);
    EXPECT_NO_THROW(peaks(*engine, amount));
    int64_t again = 0;
    EXPECT_FALSE(build_within(network, devices, amount - 1, &again));
    EXPECT_GE(again, amount);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Memory,
                         ::testing::Values(Case{"OddProducts", odd_products},
                                           Case{"HalfPrecision", odd_products, true},
                                           Case{"TiedTable", tied_table},
                                           Case{"LargeWorkspace", large_workspace}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cleave
