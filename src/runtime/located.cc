#include "runtime/located.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/hash.h"
#include "cleave/error.h"
#include "program/validate.h"
#include "runtime/collective.h"

namespace cleave::runtime {
namespace {

using backend::TensorView;
using program::Operand;
using program::Space;

uint64_t key_of(uint32_t weight, const TensorView& view, int64_t element_offset) {
  uint64_t key = hash_combine(uint64_t{weight} + 1, static_cast<uint64_t>(element_offset));
  for (const int64_t extent : view.shape) key = hash_combine(key, static_cast<uint64_t>(extent));
  for (const int64_t stride : view.strides) key = hash_combine(key, static_cast<uint64_t>(stride));
  return std::max<uint64_t>(key, 1);
}

}  // namespace

void invalid_engine(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "the engine is invalid for these sizes: " + what,
              "build it again");
}

std::string place_of(const program::Instruction& instruction, uint32_t number) {
  return "instruction " + std::to_string(number) + " (" + instruction.op + " " + instruction.name +
         ")";
}

bool LocatedInstruction::has_work() const {
  return std::any_of(outputs.begin(), outputs.end(),
                     [](const Located& output) { return output.view.elements() > 0; });
}

backend::KernelProblem LocatedInstruction::problem(std::string_view op, int threads) const {
  backend::KernelProblem problem{.op = op, .attributes = attributes, .threads = threads};
  for (const Located& input : inputs) {
    problem.inputs.push_back(input.view);
    problem.constant_keys.push_back(input.key);
  }
  for (const Located& output : outputs) problem.outputs.push_back(output.view);
  return problem;
}

Locator::Locator(const program::EngineData& data, const program::Program& program,
                 const SymbolValues& symbols, int64_t rank)
    : data_(data), program_(program), values_(symbols), rank_(rank) {
  values_[std::string(kRankSymbol)] = rank_;
  for (const program::Binding& output : data_.outputs) {
    output_bytes_.push_back(output.type.bytes().evaluate(values_));
  }
}

LocatedInstruction Locator::locate(const program::Instruction& instruction) const {
  LocatedInstruction located;
  located.attributes = instruction.attributes.evaluated(values_);
  for (const Operand& operand : instruction.inputs) located.inputs.push_back(locate(operand));
  for (const Operand& operand : instruction.outputs) located.outputs.push_back(locate(operand));
  return located;
}

Located Locator::locate(const Operand& operand) const {
  Located located;
  if (operand.space == Space::kNone) return located;
  TensorView& view = located.view;
  view.present = true;
  view.dtype = operand.type.dtype;
  view.shape = evaluate(operand.type.shape, values_);
  view.strides = operand.strides.empty() ? dense_strides(Format::kRowMajor, view.shape)
                                         : evaluate(operand.strides, values_);
  const int64_t element_offset = operand.element_offset.evaluate(values_);
  const auto element = static_cast<int64_t>(size_of(view.dtype));
  const program::Reach reach = program::reach_of(view.shape, view.strides, element_offset);
  if (checked_mul(reach.end, element) > space_bytes(operand)) {
    invalid_engine("an operand reaches beyond the memory it lies in");
  }
  if (view.elements() == 0) return located;  // empty operands lie nowhere
  located.address = {operand.space, operand.index, element_offset * element};
  if (operand.space == Space::kArena) located.address.bytes += operand.offset;
  view.alignment = std::gcd(located.address.bytes, backend::kMostAlignment);
  if (operand.space == Space::kWeight) located.key = key_of(operand.index, view, element_offset);
  return located;
}

// From the operand's offset to the end of the memory it lies in.
int64_t Locator::space_bytes(const Operand& operand) const {
  switch (operand.space) {
    case Space::kArena:
      return program_.arena_bytes - operand.offset;
    case Space::kWeight:
      return static_cast<int64_t>(
          data_.weights[operand.index].slices[static_cast<size_t>(rank_)].bytes);
    case Space::kInput:
      return data_.inputs[operand.index].type.bytes().evaluate(values_);
    case Space::kOutput:
      return output_bytes_[operand.index];
    case Space::kNone:
      break;
  }
  return 0;
}

void for_each_work(const program::EngineData& data, const program::Program& program,
                   const SymbolValues& symbols, const VisitWork& visit) {
  for (int64_t rank = 0; rank < data.ranks; ++rank) {
    const Locator locator(data, program, symbols, rank);
    uint32_t number = 0;
    for (const program::Segment& segment : program.segments) {
      for (const program::Instruction& instruction : segment.instructions) {
        try {
          if (!is_collective_op(instruction.op)) {
            LocatedInstruction located = locator.locate(instruction);
            if (located.has_work()) visit(instruction, number, std::move(located));
          }
        } catch (Error& error) {
          error.at(place_of(instruction, number));
          throw;
        }
        ++number;
      }
    }
  }
}

}  // namespace cleave::runtime
