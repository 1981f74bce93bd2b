// ONNX's own node tests: each is imported and interpreted. What is not supported is compared with
// coverage.txt, so that support never shrinks unseen. To write that file anew:
//   test_tests_onnx_nodes --gtest_also_run_disabled_tests
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "onnx.pb.h"
#include "onnx/import.h"
#include "onnx/tensor_reader.h"
#include "ops/interpreter.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(CLEAVE_BINARY_DIR) / "onnx_nodes";
const fs::path kCoverage = fs::path(CLEAVE_SOURCE_DIR) / "tests/onnx_nodes/coverage.txt";

// Relative and absolute differences that ONNX itself allows, with room for sums in another order.
constexpr double kRelative = 1e-3;
constexpr double kAbsolute = 1e-6;

struct Case {
  fs::path model;
  std::string op;  // of the first node
  std::vector<HostTensor> inputs, outputs;
};

void generate() {
  if (fs::exists(kFolder / "complete")) return;
  const fs::path source(CLEAVE_SOURCE_DIR);
  const std::string command = (source / ".venv/bin/python").string() + " " +
                              (source / "tests/onnx_nodes/generate.py").string() + " " +
                              kFolder.string();
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

::onnx::ModelProto parse(const fs::path& path) {
  ::onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(model.ParseFromIstream(&file)) << path;
  return model;
}

// None where a tensor's type is not supported.
std::optional<Case> read_case(const fs::path& model) {
  Case result{model, parse(model).graph().node(0).op_type(), {}, {}};
  const ::onnx::ModelProto data = parse(fs::path(model).replace_extension(".data"));
  onnx::TensorReader reader(memory_source("data", ""), kFolder, {});
  for (const auto& tensor : data.graph().initializer()) {
    if (!onnx::dtype_of(tensor.data_type())) return std::nullopt;
    auto& list = tensor.name() == "input" ? result.inputs : result.outputs;
    list.push_back(reader.read(tensor, tensor.name())->read_all());
  }
  return result;
}

void expect_equal(const HostTensor& actual, const HostTensor& expected) {
  ASSERT_EQ(actual.dtype, expected.dtype);
  ASSERT_EQ(actual.shape, expected.shape);
  // Each step of a function rounds to 11 bits of a half, 8 of a bfloat16: room for a few steps.
  const double relative = actual.dtype == DType::kFloat16    ? 0x1p-8
                          : actual.dtype == DType::kBFloat16 ? 0x1p-5
                                                             : kRelative;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double a = actual.get(i);
    const double b = expected.get(i);
    if (std::isnan(b) ? std::isnan(a) : a == b) continue;
    ASSERT_LE(std::abs(a - b), kAbsolute + relative * std::abs(b))
        << "element " << i << ": " << a << ", expected " << b;
  }
}

// Whether the case is supported. Wrong results are failures of the test.
bool run(const Case& test, const ops::Registry& registry) {
  SCOPED_TRACE(test.model.stem().string());
  try {
    const ir::Graph graph = onnx::load(test.model, {}, registry);
    const auto outputs = ops::interpret(graph, registry, test.inputs);
    EXPECT_EQ(outputs.size(), test.outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) expect_equal(outputs[i], test.outputs[i]);
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
  std::vector<fs::path> models;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".onnx") models.push_back(entry.path());
  }
  std::sort(models.begin(), models.end());
  for (const fs::path& model : models) {
    const auto test = read_case(model);
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
  generate();
  std::ifstream file(kCoverage);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(run_all(), expected.str()) << "coverage.txt differs";
}

TEST(OnnxNodes, DISABLED_WriteCoverage) {
  generate();
  const std::string lines = run_all();
  std::ofstream(kCoverage) << lines;
}

}  // namespace
}  // namespace cleave
