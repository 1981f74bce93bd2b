// FusedEvaluator: carries out a FusedProgram on spans of elements, tile by tile, so that what a
// step leaves is still in the first-level cache when the next one reads it.
//
// float16 and bfloat16 are computed in float32 and rounded where they are stored or cast to; other
// types are computed as they are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/fused_loop.h"
#include "types/fused.h"

namespace cleave::backend {

// Elements data[0], data[stride], ... (stride in elements; 0: one value for all).
struct InputSpan {
  const void* data = nullptr;
  int64_t stride = 1;
};
struct OutputSpan {
  void* data = nullptr;
  int64_t stride = 1;
};

class FusedEvaluator {
 public:
  // Why the program cannot be carried out on operands and results of these types.
  static std::optional<std::string> refuses(const FusedProgram& program,
                                            std::span<const DType> inputs,
                                            std::span<const DType> outputs);
  // Precondition: not refused. `rank` is what `rank_zero` compares with 0.
  FusedEvaluator(const FusedProgram& program, std::span<const DType> inputs,
                 std::span<const DType> outputs, int64_t rank,
                 const simd::Table& table = simd::best());

  // Computes `count` elements. An output may lie exactly over an input of its type.
  void run(int64_t count, std::span<const InputSpan> inputs,
           std::span<const OutputSpan> outputs) const;

  size_t inputs() const { return input_types_.size(); }
  // A rough cost of one element, in elements of a simple step.
  int64_t cost() const { return cost_; }

 private:
  struct Step {
    FusedLoop loop;
    int32_t values[3] = {};
    int32_t result = 0;
    int32_t slot = 0;
    int32_t direct_output = -1;  // it may write there itself, where that has stride 1
  };
  struct Output {
    int32_t value = 0;
    DType type = DType::kFloat32;
  };

  void add_step(const FusedStep& source, int32_t result);
  void assign_slots(const std::vector<int32_t>& outputs);
  void run_tile(int64_t begin, int64_t count, std::span<const InputSpan> inputs,
                std::span<const OutputSpan> outputs, std::byte* scratch, LoopOperand* places) const;
  LoopOperand load(size_t input, const InputSpan& span, int64_t begin, int64_t count,
                   std::byte* scratch) const;
  void execute(const Step& step, int64_t count, const LoopOperand* places, std::byte* to) const;
  void store(const Output& output, const LoopOperand& place, const OutputSpan& span, int64_t begin,
             int64_t count, std::byte* scratch) const;
  int64_t conversion_slot() const { return slots_ - 1; }
  std::byte* slot(std::byte* scratch, int64_t index) const {
    return scratch + index * tile_ * element_bytes_;
  }

  const simd::Table& table_;
  std::vector<DType> input_types_;
  std::vector<DType> value_types_;  // of inputs and steps; storage types
  std::vector<int32_t> alias_;      // by value: the value it equals; -1: zeros
  std::vector<Step> steps_;
  std::vector<Output> outputs_;
  int64_t slots_ = 0;
  int64_t element_bytes_ = 4;
  int64_t tile_ = 0;
  int64_t cost_ = 1;
};

}  // namespace cleave::backend
