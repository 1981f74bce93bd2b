// Any legal plan on any graph equals the unsplit run.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "capabilities/capabilities.h"
#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "layout/reshard.h"
#include "ops/builder.h"
#include "ops/interpreter.h"
#include "partition/partition.h"
#include "tests/property/random_graph.h"

namespace cleave {
namespace {

constexpr uint64_t kGraphs = 1000;
constexpr uint64_t kPlans = 4;

std::multiset<std::string> emitted_collectives(const ir::Graph& local) {
  std::multiset<std::string> result;
  for (ir::NodeId id : local.order()) {
    const ir::Node& node = local.node(id);
    const bool collective = node.op == "all_reduce" || node.op == "all_gather" ||
                            node.op == "reduce_scatter" || node.op == "all_to_all";
    if (collective) result.insert(node.op + " " + local.type(node.outputs[0]).text());
  }
  return result;
}

std::multiset<std::string> planned_collectives(const ir::Graph& graph, const planner::Plan& plan) {
  std::multiset<std::string> result;
  for (size_t v = 0; v < graph.value_count(); ++v) {
    for (const planner::Copy& copy : plan.copies[v]) {
      const TensorType& type = graph.value(ir::ValueId(v)).type;
      const auto path = layout::reshard_path(type, copy.from, copy.to, plan.ranks);
      for (const layout::ReshardStep& step : path.value()) {
        if (!step.is_collective()) continue;
        const TensorType local = layout::local_type(type, step.to, Dim::rank(), plan.ranks);
        result.insert(step.op + " " + local.text());
      }
    }
  }
  return result;
}

// Equal element for element. A zero has no sign here: -0 plus the zeros of other ranks is +0.
bool same(const HostTensor& want, std::span<const std::byte> bytes) {
  HostTensor got = want;
  if (bytes.size() != want.bytes.size()) return false;
  std::copy(bytes.begin(), bytes.end(), got.bytes.begin());
  for (int64_t i = 0; i < want.elements(); ++i) {
    if (got.get(i) != want.get(i)) return false;
  }
  return true;
}

planner::Plan random_plan(const testing::RandomModel& model, const ops::Registry& registry,
                          int64_t ranks, uint64_t seed) {
  planner::Options options;
  options.ranks = ranks;
  options.points = {model.symbols};
  options.random_costs = seed;
  return planner::plan(model.graph, registry, *capabilities::cpu(), cost::MachineModel::builtin(),
                       options);
}

TEST(RandomPlans, LocalGraphsEqualTheWholeOne) {
  const ops::Registry registry = ops::Registry::builtin();
  std::map<std::string, int> strategies;
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const testing::RandomModel model = testing::random_model(registry, seed);
    ops::verify(model.graph, registry);
    const auto expected = ops::interpret(model.graph, registry, model.inputs, model.symbols);
    for (uint64_t p = 0; p < kPlans; ++p) {
      const int64_t ranks = 2 + static_cast<int64_t>((seed + p) % 3);
      SCOPED_TRACE("graph " + std::to_string(seed) + " plan " + std::to_string(p) + " ranks " +
                   std::to_string(ranks));
      const planner::Plan plan = random_plan(model, registry, ranks, seed * kPlans + p);
      EXPECT_TRUE(plan.optimal);
      for (const auto& group : plan.groups) ++strategies[group.strategy.substr(0, 5)];
      const ir::Graph local = partition::partition(model.graph, plan, registry);
      ASSERT_EQ(emitted_collectives(local), planned_collectives(model.graph, plan));
      const std::vector<std::vector<HostTensor>> inputs(static_cast<size_t>(ranks), model.inputs);
      const auto actual = ops::interpret_ranks(local, registry, inputs, model.symbols);
      for (const auto& outputs : actual) {
        ASSERT_EQ(outputs.size(), expected.size());
        for (size_t i = 0; i < outputs.size(); ++i) {
          ASSERT_EQ(outputs[i].shape, expected[i].shape);
          ASSERT_TRUE(same(expected[i], outputs[i].bytes)) << "output " << i;
        }
      }
    }
  }
  // The draws reach splits, not only whole plans.
  EXPECT_GT(strategies.size(), 10u);
}

TEST(RandomPlans, EnginesEqualTheWholeGraph) {
  const ops::Registry registry = ops::Registry::builtin();
  std::map<int64_t, Runtime> runtimes;
  for (int64_t ranks = 2; ranks <= 4; ++ranks) {
    runtimes.emplace(ranks, Runtime(DeviceList::cpu(static_cast<int>(ranks))));
  }
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    testing::RandomModel model = testing::random_model(registry, seed);
    const auto expected = ops::interpret(model.graph, registry, model.inputs, model.symbols);
    auto impl = std::make_shared<NetworkImpl>();
    impl->graph = model.graph;
    impl->registry = registry;
    TensorMap inputs;
    for (size_t i = 0; i < model.inputs.size(); ++i) {
      const std::string& name = model.graph.value(model.graph.inputs()[i]).name;
      inputs.set(name,
                 Tensor::view(model.inputs[i].dtype, model.inputs[i].shape, model.inputs[i].bytes));
    }
    for (uint64_t p = 0; p < kPlans; ++p) {
      const int64_t ranks = 2 + static_cast<int64_t>((seed + p) % 3);
      SCOPED_TRACE("graph " + std::to_string(seed) + " plan " + std::to_string(p) + " ranks " +
                   std::to_string(ranks));
      BuilderConfig config;
      config.devices = DeviceList::cpu(static_cast<int>(ranks));
      for (const auto& [name, tensor] : inputs) {
        config.profile.push_back({name, tensor.shape(), tensor.shape(), tensor.shape()});
      }
      compiler::Overrides overrides;
      overrides.random_costs = seed * kPlans + p;
      const Engine engine = compiler::build(impl, config, overrides);
      ExecutionContext context = runtimes.at(ranks).create_context(engine);
      const TensorMap outputs = context.run(inputs);
      size_t index = 0;
      for (const auto& [name, tensor] : outputs) {
        const HostTensor& want = expected.at(index++);
        ASSERT_EQ(tensor.shape(), want.shape) << name;
        ASSERT_TRUE(same(want, {tensor.data(), tensor.bytes()})) << name;
      }
      ASSERT_EQ(index, expected.size());
    }
  }
}

}  // namespace
}  // namespace cleave
