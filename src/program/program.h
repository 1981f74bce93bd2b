// Program: what one rank executes, as data. Made by `lower/`, kept in the engine file, run by
// `runtime/`.
//
// One program serves all ranks (SPMD): sizes and attributes are expressions of the model's symbols
// and of the rank ("$rank"). Buffer offsets are fixed for the profile's maximum and the largest
// share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "types/attributes.h"
#include "types/noise.h"
#include "types/placement.h"
#include "types/size_guard.h"
#include "types/tensor_type.h"

namespace cleave::program {

// Where an operand lies.
enum class Space : uint8_t {
  kNone = 0,    // an absent optional operand
  kArena = 1,   // the rank's arena, at `offset`
  kWeight = 2,  // weight `index`
  kInput = 3,   // model input `index`
  kOutput = 4,  // model output `index`
};

struct Operand {
  Space space = Space::kNone;
  uint32_t index = 0;
  int64_t offset = 0;        // kArena: bytes from the arena's start, a multiple of 64
  TensorType type;           // local
  Dim element_offset = 0;    // where the view begins, in elements after `offset`
  std::vector<Dim> strides;  // in elements, one a dimension (0: broadcast); empty: dense row-major
  bool operator==(const Operand&) const = default;
};

// A tensor of the model, and how it lies over the ranks.
struct ModelTensor {
  std::string name;
  TensorType type;  // of the whole
  layout::Placement placement;
  bool operator==(const ModelTensor&) const = default;
};

// One kernel or collective. Ops are those of `src/ops/README.md`, with these additions:
//  - `fused_elementwise`: attributes are a FusedProgram (prefix ""), one view an operand; where it
//    holds a `rank_zero` step, the attribute `rank` is this rank;
//  - `matmul`, `conv` and `group_norm` may carry a FusedProgram with the prefix "epilogue_": its
//    operand 0 is the op's result, the others are the instruction's inputs behind the op's own
//    (two, three of `group_norm`), strided to the shape of the result;
//  - `copy`: x → y, dense from any view.
struct Instruction {
  std::string op;
  std::string name;  // of the nodes it carries out, joined by "+"
  Attributes attributes;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  std::vector<ModelTensor> tensors;  // what the outputs are, one each; empty where nobody said
  double predicted_us = 0;           // at the profile's opt sizes
  bool operator==(const Instruction&) const = default;
};

// A weight as one rank holds it: where its bytes lie in the engine's weight section, where they do.
struct WeightSlice {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool operator==(const WeightSlice&) const = default;
};

struct Weight {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::vector<int64_t>> shapes;  // by rank
  std::vector<WeightSlice> slices;           // by rank; ranks that hold the same share the bytes
  // By rank, where the weight is made on each device and the engine has no bytes of it (slices then
  // begin at 0); else empty.
  std::vector<Noise> noise;
  layout::Placement placement;
  bool is_noise() const { return !noise.empty(); }
  bool operator==(const Weight&) const = default;
};

// A dynamic dimension and its bounds, of one optimization profile.
struct Symbol {
  std::string name;
  int64_t min = 1;
  int64_t opt = 1;
  int64_t max = 1;
  bool operator==(const Symbol&) const = default;
};

// Each at its min, opt or max.
inline SymbolValues values_of(const std::vector<Symbol>& symbols, int64_t Symbol::*which) {
  SymbolValues values;
  for (const Symbol& symbol : symbols) values[symbol.name] = symbol.*which;
  return values;
}

// A model input or output; replicated on all ranks.
struct Binding {
  std::string name;
  TensorType type;
  bool operator==(const Binding&) const = default;
};

// Straight-line instructions; programs with control flow are several segments.
struct Segment {
  std::vector<Instruction> instructions;
  bool operator==(const Segment&) const = default;
};

// One program for one optimization profile.
struct Program {
  std::vector<Symbol> symbols;
  std::vector<SizeGuard> guards;
  std::vector<Segment> segments;
  int64_t arena_bytes = 0;      // a rank, activations
  int64_t workspace_bytes = 0;  // a rank, the bound for kernels' scratch space
  double predicted_us = 0;
  double unsplit_us = 0;
  bool operator==(const Program&) const = default;
};

// Everything an engine file holds but the weights' bytes.
struct EngineData {
  std::string backend = "cpu";
  int64_t ranks = 1;
  std::vector<Binding> inputs;
  std::vector<Binding> outputs;
  std::vector<Weight> weights;
  std::vector<Program> programs;
  // By rank: all that it needs at once to run, weights (packed where kernels pack them),
  // activations, workspace and outputs.
  std::vector<int64_t> memory_bytes;
  std::string plan_json;  // the plan it was made by, for people and `inspect`
  bool operator==(const EngineData&) const = default;
};

}  // namespace cleave::program
