// The node tests that the package `onnx` defines, read from what generate.py writes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "types/host_tensor.h"

namespace cleave {

struct NodeCase {
  std::filesystem::path model;
  std::string op;  // of the first node
  std::vector<HostTensor> inputs, outputs;
};

// The models of all cases, in order; they are written where they are not there yet.
std::vector<std::filesystem::path> node_models();
// None where a tensor's type is not supported.
std::optional<NodeCase> read_node_case(const std::filesystem::path& model);
// Equal types and shapes, and values within what ONNX itself allows; else a failure of the test.
void expect_node_result(const HostTensor& actual, const HostTensor& expected);

}  // namespace cleave
