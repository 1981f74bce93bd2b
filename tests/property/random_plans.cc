#include "tests/property/random_plans.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <span>

#include "base/check.h"
#include "capabilities/capabilities.h"
#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "layout/reshard.h"
#include "ops/builder.h"
#include "ops/interpreter.h"
#include "partition/partition.h"
#include "passes/precision.h"
#include "tests/property/random_graph.h"
#include "tests/support/test_backend.h"

namespace cleave::testing {
namespace {

constexpr int64_t kMinRanks = 2;
constexpr int64_t kMaxRanks = 4;

// What differs, or empty.
using Difference = std::string;

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

// Compares element for element. A zero has no sign here: -0 plus the zeros of other ranks is +0.
Difference compare(const std::string& what, const HostTensor& want,
                   const std::vector<int64_t>& shape, std::span<const std::byte> bytes) {
  if (shape != want.shape || bytes.size() != want.bytes.size()) return what + " has another shape";
  HostTensor got = want;
  std::copy(bytes.begin(), bytes.end(), got.bytes.begin());
  for (int64_t i = 0; i < want.elements(); ++i) {
    if (got.get(i) == want.get(i)) continue;
    return what + "[" + std::to_string(i) + "] is " + std::to_string(got.get(i)) + " instead of " +
           std::to_string(want.get(i));
  }
  return {};
}

planner::Plan random_plan(const RandomModel& model, const ops::Registry& registry, int64_t ranks,
                          uint64_t seed) {
  planner::Options options;
  options.ranks = ranks;
  options.points = {model.symbols};
  options.random_costs = seed;
  return planner::plan(model.graph, registry, *capabilities::cpu(), cost::MachineModel::builtin(),
                       options);
}

Difference compare_local_graphs(const RandomModel& model, const ops::Registry& registry,
                                const planner::Plan& plan,
                                const std::vector<HostTensor>& expected) {
  if (!plan.optimal) return "the plan is not proven";
  const ir::Graph local = partition::partition(model.graph, plan, registry).graph;
  if (emitted_collectives(local) != planned_collectives(model.graph, plan)) {
    return "other collectives than planned";
  }
  const std::vector<std::vector<HostTensor>> inputs(static_cast<size_t>(plan.ranks), model.inputs);
  const auto actual = ops::interpret_ranks(local, registry, inputs, model.symbols);
  for (size_t rank = 0; rank < actual.size(); ++rank) {
    if (actual[rank].size() != expected.size()) return "another number of outputs";
    for (size_t i = 0; i < expected.size(); ++i) {
      const HostTensor& got = actual[rank][i];
      const std::string what = "rank " + std::to_string(rank) + " output " + std::to_string(i);
      if (Difference d = compare(what, expected[i], got.shape, got.bytes); !d.empty()) return d;
    }
  }
  return {};
}

Difference compare_outputs(const TensorMap& outputs, const std::vector<HostTensor>& expected) {
  size_t index = 0;
  for (const auto& [name, tensor] : outputs) {
    if (index == expected.size()) return "too many outputs";
    const std::span<const std::byte> bytes(tensor.data(), tensor.bytes());
    const Difference d = compare("output " + name, expected[index++], tensor.shape(), bytes);
    if (!d.empty()) return d;
  }
  return index == expected.size() ? "" : "too few outputs";
}

TensorMap named_inputs(const RandomModel& model) {
  TensorMap inputs;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    const HostTensor& input = model.inputs[i];
    inputs.set(model.graph.value(model.graph.inputs()[i]).name,
               Tensor::view(input.dtype, input.shape, input.bytes));
  }
  return inputs;
}

BuilderConfig config_for(int64_t ranks, const TensorMap& inputs,
                         std::optional<Precision> precision) {
  BuilderConfig config;
  config.devices = backend::test_devices(ranks);
  if (precision) config.precision = {*precision};
  for (const auto& [name, tensor] : inputs) {
    config.profile.push_back({name, tensor.shape(), tensor.shape(), tensor.shape()});
  }
  return config;
}

}  // namespace

RandomPlans::RandomPlans(uint64_t plans_a_graph, std::optional<Precision> precision)
    : plans_a_graph_(plans_a_graph),
      precision_(precision),
      most_ranks_(backend::most_test_ranks(kMaxRanks)),
      registry_(ops::Registry::builtin()) {
  CLEAVE_CHECK(most_ranks_ >= kMinRanks, "too few devices to split over");
  for (int64_t ranks = kMinRanks; ranks <= most_ranks_; ++ranks) {
    runtimes_.emplace(ranks, Runtime(backend::test_devices(ranks)));
  }
}

DType RandomPlans::type() const {
  if (precision_ == Precision::kFP16) return DType::kFloat16;
  return precision_ == Precision::kBF16 ? DType::kBFloat16 : DType::kFloat32;
}

template <class Work>
auto RandomPlans::timed(const char* stage, Work&& work) {
  using Clock = std::chrono::steady_clock;
  struct Stopwatch {
    double& seconds;
    Clock::time_point start = Clock::now();
    ~Stopwatch() { seconds += std::chrono::duration<double>(Clock::now() - start).count(); }
  };
  const auto is_it = [&](const auto& one) { return one.first == stage; };
  auto found = std::find_if(counts_.seconds.begin(), counts_.seconds.end(), is_it);
  if (found == counts_.seconds.end()) {
    found = counts_.seconds.insert(found, {std::string(stage), 0.0});
  }
  const Stopwatch stopwatch{found->second};
  return work();
}

// Calls `check(ranks, seed of the plan)` for each plan of a graph, and notes what it returns or
// throws.
template <class Check>
void RandomPlans::for_each_plan(uint64_t seed, Check&& check) {
  for (uint64_t p = 0; p < plans_a_graph_; ++p) {
    const int64_t ranks =
        kMinRanks +
        static_cast<int64_t>((seed + p) % static_cast<uint64_t>(most_ranks_ - kMinRanks + 1));
    Difference difference;
    try {
      difference = check(ranks, seed * plans_a_graph_ + p);
    } catch (const std::exception& error) {
      difference = error.what();
    }
    if (difference.empty()) continue;
    counts_.mismatches.push_back("graph " + std::to_string(seed) + " plan " + std::to_string(p) +
                                 " ranks " + std::to_string(ranks) + ": " + difference);
  }
}

void RandomPlans::check_local_graphs(uint64_t seed) {
  RandomModel model = timed("drawing", [&] { return random_model(registry_, seed, type()); });
  ops::verify(model.graph, registry_);
  const auto expected = timed("unsplit run", [&] {
    return ops::interpret(model.graph, registry_, model.inputs, model.symbols);
  });
  if (precision_) passes::compute_in(model.graph, registry_, type());
  for_each_plan(seed, [&](int64_t ranks, uint64_t plan_seed) {
    const planner::Plan plan =
        timed("planning", [&] { return random_plan(model, registry_, ranks, plan_seed); });
    ++counts_.plans;
    for (const planner::GroupPlan& group : plan.groups) {
      ++counts_.strategies[group.op + " " + group.strategy.substr(0, group.strategy.find('['))];
    }
    return timed("local graphs",
                 [&] { return compare_local_graphs(model, registry_, plan, expected); });
  });
}

void RandomPlans::check_engines(uint64_t seed) {
  const RandomModel model = timed("drawing", [&] { return random_model(registry_, seed, type()); });
  const auto expected = timed("unsplit run", [&] {
    return ops::interpret(model.graph, registry_, model.inputs, model.symbols);
  });
  const auto network = std::make_shared<NetworkImpl>();
  network->graph = model.graph;
  network->registry = registry_;
  const TensorMap inputs = named_inputs(model);
  for_each_plan(seed, [&](int64_t ranks, uint64_t plan_seed) {
    compiler::Overrides overrides;
    overrides.random_costs = plan_seed;
    const Engine engine = timed("building", [&] {
      return compiler::build(network, config_for(ranks, inputs, precision_), overrides);
    });
    Runtime& runtime = runtimes_.at(ranks);
    std::optional<ExecutionContext> context;
    timed("contexts", [&] { context.emplace(runtime.create_context(engine)); });
    timed("preparing", [&] { context->prepare(inputs); });
    const TensorMap outputs = timed("running", [&] { return context->run(inputs); });
    ++counts_.engine_runs;
    timed("leaving", [&] { context.reset(); });
    return compare_outputs(outputs, expected);
  });
}

}  // namespace cleave::testing
