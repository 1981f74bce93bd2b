// ONNX's own node tests: each is imported and interpreted. What is not supported is compared with
// coverage.txt, so that support never shrinks unseen. To write that file anew:
//   test_tests_onnx_nodes --gtest_also_run_disabled_tests
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "onnx/import.h"
#include "ops/interpreter.h"
#include "tests/onnx_nodes/node_cases.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

const fs::path kCoverage = fs::path(CLEAVE_SOURCE_DIR) / "tests/onnx_nodes/coverage.txt";

// Whether the case is supported. Wrong results are failures of the test.
bool run(const NodeCase& test, const ops::Registry& registry) {
  SCOPED_TRACE(test.model.stem().string());
  try {
    const ir::Graph graph = onnx::load(test.model, {}, registry);
    const auto outputs = ops::interpret(graph, registry, test.inputs);
    EXPECT_EQ(outputs.size(), test.outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) expect_node_result(outputs[i], test.outputs[i]);
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) ADD_FAILURE() << error.what();
    return false;
  }
}

// Lines "Op supported/all", for every op with a supported case.
std::string run_all() {
  const ops::Registry registry = ops::Registry::builtin();
  std::map<std::string, std::pair<int, int>> counts;
  for (const fs::path& model : node_models()) {
    const auto test = read_node_case(model);
    if (!test) continue;
    const bool is_expanded = model.stem().string().find("_expanded") != std::string::npos;
    auto& [supported, all] = counts[is_expanded ? "(expanded functions)" : test->op];
    ++all;
    if (run(*test, registry)) ++supported;
  }
  std::string lines;
  for (const auto& [op, count] : counts) {
    if (count.first == 0) continue;
    lines += op + " " + std::to_string(count.first) + "/" + std::to_string(count.second) + "\n";
  }
  return lines;
}

TEST(OnnxNodes, SupportedCasesAreRight) {
  std::ifstream file(kCoverage);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(run_all(), expected.str()) << "coverage.txt differs";
}

TEST(OnnxNodes, DISABLED_WriteCoverage) {
  const std::string lines = run_all();
  std::ofstream(kCoverage) << lines;
}

}  // namespace
}  // namespace cleave
