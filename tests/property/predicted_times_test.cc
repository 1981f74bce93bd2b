// What is costed is what runs: the plan's cost is the sum of its program's predicted times.
#include <gtest/gtest.h>

#include <set>

#include "compiler/compile.h"
#include "ops/builder.h"
#include "tests/property/random_graph.h"

namespace cleave {
namespace {

compiler::Compilation compiled(uint64_t seed, int ranks) {
  NetworkImpl network;
  network.registry = ops::Registry::builtin();
  const testing::RandomModel model = testing::random_model(network.registry, seed);
  network.graph = model.graph;
  BuilderConfig config;
  config.devices = DeviceList::cpu(ranks);
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    const auto& shape = model.inputs[i].shape;
    config.profile.push_back(
        {model.graph.value(model.graph.inputs()[i]).name, shape, shape, shape});
  }
  return compiler::compile(network, config);
}

// Both sides, side by side: groups and instructions.
std::string report(const compiler::Compilation& c) {
  std::string text;
  for (const auto& group : c.plan.groups) {
    if (group.time_us > 0)
      text += "group " + group.name + " " + std::to_string(group.time_us) + "\n";
  }
  for (const auto& instruction : c.lowered.program.segments[0].instructions) {
    text += instruction.op + " " + instruction.name + " " +
            std::to_string(instruction.predicted_us) + "\n";
  }
  return text;
}

// Whatever the plan, an input or constant that is an output, or a second time one, is copied there.
double us_of_plain_outputs(const compiler::Compilation& c) {
  std::multiset<std::string> plain;
  std::set<ir::ValueId> seen;
  for (ir::ValueId id : c.graph.outputs()) {
    const ir::Value& value = c.graph.value(id);
    if (!value.producer.valid() || !seen.insert(id).second) plain.insert(value.name + "/output");
  }
  double us = 0;
  for (const auto& instruction : c.lowered.program.segments[0].instructions) {
    const auto found = plain.find(instruction.name);
    if (instruction.op != "copy" || found == plain.end()) continue;
    plain.erase(found);
    us += instruction.predicted_us;
  }
  return us;
}

TEST(PredictedTimes, OfWholeProgramsAddUpToThePlansCost) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const compiler::Compilation c = compiled(seed, 1);
    EXPECT_NEAR(c.lowered.program.predicted_us - us_of_plain_outputs(c), c.plan.cost_us,
                1e-3 * c.plan.cost_us)
        << "graph " << seed << "\n"
        << report(c);
  }
}

}  // namespace
}  // namespace cleave
