#include "tests/onnx_nodes/node_cases.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "onnx.pb.h"
#include "onnx/tensor_reader.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(CLEAVE_BINARY_DIR) / "onnx_nodes";

// Relative and absolute differences that ONNX itself allows, with room for sums in another order.
constexpr double kRelative = 1e-3;
constexpr double kAbsolute = 1e-6;

// Whether the folder holds what the script, as it is now, writes.
bool is_generated(const fs::path& script) {
  return fs::exists(kFolder / "complete") &&
         fs::last_write_time(kFolder / "complete") >= fs::last_write_time(script);
}

// CLEAVE_PYTHON, else what scripts/setup makes.
std::string python(const fs::path& source) {
  const char* set = std::getenv("CLEAVE_PYTHON");
  return set != nullptr ? set : (source / ".venv/bin/python").string();
}

// Tests that begin at once wait for the one that writes.
void generate() {
  const fs::path source(CLEAVE_SOURCE_DIR);
  const fs::path script = source / "tests/onnx_nodes/generate.py";
  const int lock = ::open((kFolder.string() + ".lock").c_str(), O_CREAT | O_RDWR, 0644);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  if (!is_generated(script)) {
    fs::remove_all(kFolder);
    const std::string command = python(source) + " " + script.string() + " " + kFolder.string();
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }
  ::close(lock);
}

::onnx::ModelProto parse(const fs::path& path) {
  ::onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(model.ParseFromIstream(&file)) << path;
  return model;
}

}  // namespace

std::vector<fs::path> node_models() {
  generate();
  std::vector<fs::path> models;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".onnx") models.push_back(entry.path());
  }
  std::sort(models.begin(), models.end());
  return models;
}

std::optional<NodeCase> read_node_case(const fs::path& model) {
  NodeCase result{model, parse(model).graph().node(0).op_type(), {}, {}};
  const ::onnx::ModelProto data = parse(fs::path(model).replace_extension(".data"));
  onnx::TensorReader reader(memory_source("data", ""), kFolder, {});
  for (const auto& tensor : data.graph().initializer()) {
    if (!onnx::dtype_of(tensor.data_type())) return std::nullopt;
    auto& list = tensor.name() == "input" ? result.inputs : result.outputs;
    list.push_back(reader.read(tensor, tensor.name())->read_all());
  }
  return result;
}

void expect_node_result(const HostTensor& actual, const HostTensor& expected) {
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

}  // namespace cleave
