// SourceNode: a node of the model after functions are inlined.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "onnx.pb.h"

namespace cleave::onnx {

// Versions of operator sets by domain; ONNX's own domain is "".
using OperatorSets = std::map<std::string, int64_t, std::less<>>;

// "ai.onnx" is another name of "".
std::string normal_domain(std::string_view domain);

struct SourceNode {
  std::string name;  // never empty; where the model gives none, the first output's
  std::string op;
  std::string domain;               // normal
  std::vector<std::string> inputs;  // an empty name is an absent optional operand
  std::vector<std::string> outputs;
  // Attributes by name. Those of a function's nodes may be the caller's.
  std::map<std::string, const ::onnx::AttributeProto*, std::less<>> attributes;
  const OperatorSets* operator_sets = nullptr;  // of the graph or function that it stands in

  std::string text() const;  // "MatMul '/encoder/MatMul'"
};

// A model's nodes with all functions inlined. Refers to the model.
struct SourceGraph {
  std::vector<SourceNode> nodes;
  std::vector<std::unique_ptr<OperatorSets>> operator_sets;
};

// Inlines the model's own functions: references to attributes are resolved, inner tensors get names
// under the call's. Error(kInvalid) on a function that calls itself, on too many nodes and on calls
// that do not fit the function.
SourceGraph flatten(const ::onnx::ModelProto& model);

// Tensors that the nodes may read without making them: inputs and initializers.
using TensorNames = std::vector<std::string>;

// Checks single assignment and sorts the nodes so that each stands behind those it reads from,
// otherwise in the model's order. Keeps those alone that the outputs need.
// Error(kInvalid) on a tensor made twice or never, and on a cycle, with the nodes' names.
void order(SourceGraph& graph, const TensorNames& given, const TensorNames& outputs);

}  // namespace cleave::onnx
