#include "compiler/memory.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "lower/memory_plan.h"

namespace cleave::compiler {
namespace {

using program::EngineData;
using program::Operand;
using program::Program;
using program::Space;

// A weight is held as it is where some kernel reads it so, and packed once for each view of it that
// a kernel packs.
class HeldWeights {
 public:
  HeldWeights(const EngineData& data, const capabilities::Capabilities& capabilities, size_t rank)
      : data_(data),
        capabilities_(capabilities),
        rank_(rank),
        values_{{std::string(kRankSymbol), static_cast<int64_t>(rank)}} {}

  void add(const program::Instruction& instruction) {
    for (size_t i = 0; i < instruction.inputs.size(); ++i) {
      const Operand& input = instruction.inputs[i];
      if (input.space != Space::kWeight) continue;
      const Dim packed =
          capabilities_.packed_bytes(instruction.op, instruction.attributes, i, input.type);
      if (packed.is(0)) {
        whole_.insert(input.index);
      } else {
        packed_[view_of(input)] = packed.evaluate(values_);
      }
    }
  }

  int64_t bytes() const {
    int64_t sum = 0;
    for (const uint32_t weight : whole_) {
      sum += static_cast<int64_t>(data_.weights[weight].slices[rank_].bytes);
    }
    for (const auto& [view, bytes] : packed_) sum += bytes;
    return sum;
  }

 private:
  static std::string view_of(const Operand& operand) {
    return std::to_string(operand.index) + " " + operand.type.text() + " " +
           operand.element_offset.text() + " " + text_of(operand.strides);
  }

  const EngineData& data_;
  const capabilities::Capabilities& capabilities_;
  const size_t rank_;
  const SymbolValues values_;
  std::set<uint32_t> whole_;
  std::map<std::string, int64_t> packed_;
};

// Outputs are equal on all ranks, and rank 0's go to the host.
int64_t spare_output_bytes(const EngineData& data, const Program& program) {
  constexpr int64_t kAlignment = 64;
  int64_t sum = 0;
  for (const program::Binding& output : data.outputs) {
    const int64_t bytes = lower::largest_bytes(output.type, program.symbols, data.ranks);
    sum += ceil_div(bytes, kAlignment) * kAlignment;
  }
  return sum;
}

}  // namespace

std::vector<int64_t> device_memory(const EngineData& data,
                                   const capabilities::Capabilities& capabilities) {
  std::vector<int64_t> result;
  int64_t arena = 0;
  int64_t workspace = 0;
  int64_t outputs = 0;
  for (const Program& program : data.programs) {
    arena = std::max(arena, program.arena_bytes);
    workspace = std::max(workspace, program.workspace_bytes);
    outputs = std::max(outputs, spare_output_bytes(data, program));
  }
  for (size_t rank = 0; rank < static_cast<size_t>(data.ranks); ++rank) {
    HeldWeights weights(data, capabilities, rank);
    for (const Program& program : data.programs) {
      for (const program::Segment& segment : program.segments) {
        for (const program::Instruction& instruction : segment.instructions) {
          weights.add(instruction);
        }
      }
    }
    result.push_back(weights.bytes() + arena + workspace + (rank > 0 ? outputs : 0));
  }
  return result;
}

}  // namespace cleave::compiler
