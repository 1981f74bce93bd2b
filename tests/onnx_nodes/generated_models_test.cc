// The generated models (tests/models) are imported without a trace of the ops that compute shapes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "onnx/import.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

struct Family {
  const char* name;
  const char* options;
  // Lengths that must not exceed a table of positions, images that must not be empty, and those
  // that must be as large when halved and doubled.
  size_t guards;
};

ir::Graph import_family(const Family& family, int opset) {
  const fs::path path = fs::path(CLEAVE_BINARY_DIR) / "generated_models" /
                        (std::string(family.name) + std::to_string(opset) + ".onnx");
  const std::string source(CLEAVE_SOURCE_DIR);
  const std::string command = "cd " + source + " && .venv/bin/python -m tests.models.generate " +
                              family.name + " " + family.options + " --opset " +
                              std::to_string(opset) + " -o " + path.string();
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return onnx::load(path, {}, ops::Registry::builtin());
}

TEST(GeneratedModels, ShapesAreFolded) {
  for (const Family& family : {Family{"minilm", "--layers 1 --weights absent", 1},
                               {"fc", "", 0},
                               {"mlp", "--rank 3", 0},
                               {"big", "", 0},
                               {"vit", "", 0},
                               {"gpt2", "", 1},
                               {"gpt2", "--conv1d gemm", 1},
                               {"llama", "", 1},
                               {"moe", "", 1},
                               {"moe", "--spelling stacked", 1},
                               {"unet", "", 10},
                               {"audio", "", 1},
                               {"recommender", "", 0},
                               {"functions", "", 0}}) {
    for (const int opset : {11, 18}) {
      SCOPED_TRACE(std::string(family.name) + " " + family.options + " " + std::to_string(opset));
      const ir::Graph graph = import_family(family, opset);
      EXPECT_EQ(graph.guards().size(), family.guards);
      for (const ir::NodeId id : graph.order()) {
        const ir::Node& node = graph.node(id);
        EXPECT_NE(node.op, "shape_values") << node.name;
        // What else computes with integers: positions, and Gather's indices made from them.
        const TensorType& type = graph.type(node.outputs[0]);
        const bool is_integer_arithmetic =
            type.dtype == DType::kInt64 &&
            std::set<std::string>{"add", "mul", "sub", "div", "concat"}.contains(node.op);
        EXPECT_FALSE(is_integer_arithmetic) << node.name;
      }
    }
  }
}

}  // namespace
}  // namespace cleave
