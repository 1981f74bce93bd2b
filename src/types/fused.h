// FusedProgram: a chain of element-wise operations that one kernel carries out on each element
// while it is in registers or cache. Lowering writes it, kernels of every backend read it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "types/attributes.h"

namespace cleave {

struct FusedStep {
  std::string op;                // an element-wise op of src/ops, e.g. "add", "gelu", "cast"
  std::vector<int32_t> args;     // < inputs: an operand; otherwise inputs + i: the result of step i
  double alpha = 0;              // of leaky_relu, elu and hard_sigmoid
  DType type = DType::kFloat32;  // of the step's result
  bool operator==(const FusedStep&) const = default;
};

// Of the attributes of a chain behind an op, in the op's own kernel.
inline constexpr std::string_view kEpiloguePrefix = "epilogue_";

// All operands and results have one shape; operands reach it by strides (0 where broadcast).
struct FusedProgram {
  int32_t inputs = 0;
  std::vector<FusedStep> steps;
  std::vector<int32_t> outputs;  // indices as in `args`

  // As the attributes `<prefix>inputs`, `<prefix>steps` and `<prefix>outputs`; a step reads
  // "add 0 1 : f32" or "leaky_relu(0.1) 2 : f32".
  void to_attributes(Attributes& attributes, std::string_view prefix = "") const;
  // Validates everything: known text, arguments before the step, outputs that exist.
  static FusedProgram from_attributes(const Attributes& attributes, std::string_view prefix = "");
  // Whether the attributes hold one, and without it.
  static bool is_in(const Attributes& attributes, std::string_view prefix = "");
  static void erase_from(Attributes& attributes, std::string_view prefix = "");
  bool operator==(const FusedProgram&) const = default;
};

}  // namespace cleave
