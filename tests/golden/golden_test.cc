// Golden texts: for each graph in this folder, the local graph and the program that it becomes. The
// machine model is the fixed one below, so that measured figures change nothing here.
//
//   CLEAVE_UPDATE_GOLDEN=1 build/release/bin/test_tests_golden     writes the expected files anew
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "compiler/compile.h"
#include "compiler/network_impl.h"
#include "ir/text.h"
#include "ops/builder.h"
#include "program/text.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The comment lines at the top say for how many devices, and which strategies are pinned
// ("# pin: NODE=STRATEGY").
int devices_of(const std::string& text) {
  const size_t at = text.find("# devices: ");
  return at == std::string::npos ? 2 : std::atoi(text.c_str() + at + 11);
}

const char kMachine[] = R"({
  "cleave_machine": 1, "name": "golden", "cores": 8,
  "devices": [{
    "threads": 1, "devices": 1, "launch_us": 1, "read_bytes_per_us": 10000,
    "cache_bytes_per_us": 20000, "cache_bytes": 1000000, "scalar_flops_per_us": 9000,
    "products": [], "ops": [],
    "collectives": [
      {"op": "all_reduce", "ranks": 2, "bytes": 1000, "us": 6},
      {"op": "all_reduce", "ranks": 2, "bytes": 10000000, "us": 2000},
      {"op": "all_gather", "ranks": 2, "bytes": 1000, "us": 6},
      {"op": "all_gather", "ranks": 2, "bytes": 10000000, "us": 1000},
      {"op": "reduce_scatter", "ranks": 2, "bytes": 1000, "us": 6},
      {"op": "reduce_scatter", "ranks": 2, "bytes": 10000000, "us": 1000},
      {"op": "all_to_all", "ranks": 2, "bytes": 1000, "us": 6},
      {"op": "all_to_all", "ranks": 2, "bytes": 10000000, "us": 1000}
    ]
  }]
})";

std::string compiled(const std::string& source) {
  BuilderConfig config;
  std::istringstream lines(source);
  std::string body;
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kPin = "# pin: ";
    if (line.starts_with(kPin)) {
      const size_t equals = line.find('=');
      config.pins.emplace_back(line.substr(kPin.size(), equals - kPin.size()),
                               line.substr(equals + 1));
    }
    if (!line.starts_with('#')) body += line + "\n";
  }
  NetworkImpl network{ir::parse_graph(body), ops::Registry::builtin()};
  ops::verify(network.graph, network.registry);
  const fs::path machine = fs::path(::testing::TempDir()) / "golden_machine.json";
  std::ofstream(machine) << kMachine;
  config.devices = DeviceList::cpu(devices_of(source));
  config.machine = machine;
  for (ir::ValueId input : network.graph.inputs()) {
    const ir::Value& value = network.graph.value(input);
    InputProfile profile{value.name, {}, {}, {}};
    for (const Dim& dim : value.type.shape) {
      const Interval bounds = dim.bounds(network.graph.bounds());
      profile.min.push_back(bounds.low);
      profile.opt.push_back(dim.is_constant() ? bounds.low : 8);
      profile.max.push_back(bounds.high);
    }
    config.profile.push_back(profile);
  }
  const compiler::Compilation c = compiler::compile(network, config);
  EXPECT_TRUE(c.plan.optimal);
  std::string out = "plan\n";
  for (const planner::GroupPlan& group : c.plan.groups) {
    out += "  " + group.name + ": " + group.strategy + "\n";
  }
  program::EngineData data = c.data;
  data.plan_json.clear();  // holds times
  for (auto& program : data.programs) {
    program.predicted_us = program.unsplit_us = 0;
    for (auto& segment : program.segments) {
      for (auto& instruction : segment.instructions) instruction.predicted_us = 0;
    }
  }
  return out + "\nlocal " + ir::to_text(c.local) + "\n" + program::text_of(data);
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, CompilesAsExpected) {
  const fs::path folder = fs::path(CLEAVE_SOURCE_DIR) / "tests/golden";
  const std::string actual = compiled(read(folder / (GetParam() + ".txt")));
  const fs::path expected = folder / (GetParam() + ".expected.txt");
  if (std::getenv("CLEAVE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(expected) << actual;
    return;
  }
  EXPECT_EQ(actual, read(expected)) << "see the head of golden_test.cc for how to update";
}

INSTANTIATE_TEST_SUITE_P(Graphs, Golden,
                         ::testing::Values("mlp", "fused_qkv", "stacked_qkv", "dynamic_rows",
                                           "strided_products", "attention_rows"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cleave
