#include "compiler/instruction_cost.h"

#include <algorithm>
#include <memory>

#include "capabilities/view_walk.h"
#include "cost/kernel_cost.h"
#include "cost/redistribution.h"
#include "types/fused.h"
#include "types/window.h"

namespace cleave::compiler {

using program::Instruction;
using program::Operand;
using program::Space;

namespace {

TensorType numeric(const Operand& operand, const SymbolValues& values) {
  const std::vector<int64_t> shape = evaluate(operand.type.shape, values);
  return {operand.type.dtype, Shape(shape.begin(), shape.end())};
}

double bytes_of(const Operand& operand, const SymbolValues& values) {
  return static_cast<double>(numeric(operand, values).bytes().constant());
}

// Read again and again, from cache.
bool is_broadcast(const Operand& operand) {
  for (size_t d = 0; d < operand.strides.size(); ++d) {
    if (operand.strides[d].is(0) && !operand.type.shape[d].is(1)) return true;
  }
  return false;
}

capabilities::View view_of(const Operand& operand) {
  return {{},
          0,
          operand.strides.empty() ? dense_strides(Format::kRowMajor, operand.type.shape)
                                  : operand.strides};
}

// That of a result, which has one.
Format format_of(const Operand& result) {
  return capabilities::format_of(view_of(result), result.type.shape);
}

bool lies_channels_last(const Operand& operand, const SymbolValues& values) {
  const std::vector<int64_t> shape = evaluate(operand.type.shape, values);
  const std::vector<int64_t> strides = operand.strides.empty()
                                           ? dense_strides(Format::kRowMajor, shape)
                                           : evaluate(operand.strides, values);
  return has_format(Format::kChannelsLast, shape, strides);
}

// How many elements of an operand lie one behind the other in a format.
int64_t together(const Operand& operand, Format format, const SymbolValues& values) {
  const Dim run = capabilities::contiguous_elements(view_of(operand), operand.type.shape, format);
  return std::max<int64_t>(1, run.evaluate(values));
}

// How many elements a copy finds one behind the other.
int64_t copied_together(const Instruction& copy, const SymbolValues& values) {
  if (copy.op != "shard") {
    return together(copy.inputs.at(0), format_of(copy.outputs.at(0)), values);
  }
  const Shape& part = copy.outputs.at(0).type.shape;
  Dim run = 1;
  for (size_t d = part.size(); d-- > static_cast<size_t>(copy.attributes.integer("axis"));) {
    run *= part[d];
  }
  return std::max<int64_t>(1, run.evaluate(values));
}

}  // namespace

InstructionCosts::InstructionCosts(const cost::MachineModel& machine, const ops::Registry& registry,
                                   const capabilities::Capabilities& capabilities,
                                   const std::vector<program::Symbol>& symbols, int64_t ranks,
                                   int64_t devices)
    : machine_(machine),
      registry_(registry),
      capabilities_(capabilities),
      devices_(std::max(ranks, devices)) {
  SymbolValues values = values_of(symbols, &program::Symbol::opt);
  for (int64_t rank = 0; rank < ranks; ++rank) {
    values[std::string(kRankSymbol)] = rank;
    values_.push_back(values);
  }
}

double InstructionCosts::us(const Instruction& instruction) const {
  const ops::OpDefinition* definition = registry_.find(instruction.op);
  if (definition != nullptr && definition->is_collective()) return collective_us(instruction);
  std::vector<double> by_rank;
  for (const SymbolValues& values : values_) by_rank.push_back(rank_us(instruction, values));
  return cost::ranks_us(machine_, by_rank);
}

double InstructionCosts::rank_us(const Instruction& instruction, const SymbolValues& values) const {
  if (instruction.op == "copy" || instruction.op == "shard") {
    return cost::copy_us(machine_, devices_, bytes_of(instruction.outputs.at(0), values),
                         copied_together(instruction, values),
                         size_of(instruction.outputs.at(0).type.dtype));
  }
  cost::KernelCost kernel(machine_, devices_);
  const bool alone = instruction.op == "fused_elementwise";
  const std::string_view prefix = alone ? "" : kEpiloguePrefix;
  const bool has_chain = FusedProgram::is_in(instruction.attributes, prefix);
  const FusedProgram chain =
      has_chain ? FusedProgram::from_attributes(instruction.attributes, prefix) : FusedProgram();
  // The op's own operands come first; its result is the chain's operand 0.
  const size_t operands = has_chain ? static_cast<size_t>(chain.inputs) - (alone ? 0 : 1) : 0;
  const size_t own = instruction.inputs.size() - operands;
  if (!alone) kernel.set_op(op_us(instruction, own, values));
  if (!has_chain) return kernel.us();
  const double elements =
      static_cast<double>(numeric(instruction.outputs.at(0), values).elements().constant());
  for (const FusedStep& step : chain.steps) kernel.add_step(step.op, elements);
  for (size_t i = own; i < instruction.inputs.size(); ++i) {
    const Operand& operand = instruction.inputs[i];
    if (is_broadcast(operand)) continue;
    const double bytes = bytes_of(operand, values);
    kernel.add_bytes(bytes);
    if (!capabilities_.reads_across("fused_elementwise")) continue;
    kernel.add_us(cost::across_us(machine_, devices_, bytes,
                                  together(operand, format_of(instruction.outputs[0]), values),
                                  size_of(operand.type.dtype)));
  }
  if (alone) kernel.add_bytes(bytes_of(instruction.outputs[0], values));
  return kernel.us();
}

double InstructionCosts::op_us(const Instruction& instruction, size_t operands,
                               const SymbolValues& values) const {
  const ops::OpDefinition& definition = registry_.at(instruction.op);
  const Attributes attributes = instruction.attributes.evaluated(values);
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  const std::unique_ptr<bool[]> present(new bool[operands + 1]);
  for (size_t i = 0; i < operands; ++i) {
    present[i] = instruction.inputs[i].space != Space::kNone;
    inputs.push_back(present[i] ? numeric(instruction.inputs[i], values) : TensorType{});
  }
  for (const Operand& output : instruction.outputs) outputs.push_back(numeric(output, values));
  const bool packed = operands > 1 && instruction.inputs[1].space == Space::kWeight;
  Format format = Format::kRowMajor;
  const DType made = instruction.outputs[0].type.dtype;
  const bool by_operand =
      capabilities_.costs_by_operand(instruction.op) && inputs[0].rank() > kImage;
  if ((by_operand || (capabilities_.writes(instruction.op, made, Format::kChannelsLast) &&
                      lies_channels_last(instruction.outputs[0], values))) &&
      lies_channels_last(instruction.inputs[0], values)) {
    format = Format::kChannelsLast;
  }
  return cost::op_us(machine_, devices_, definition,
                     {attributes, inputs, {}, {present.get(), inputs.size()}}, outputs, packed,
                     format);
}

// By the bytes of the whole tensor; where it is dealt out anew, by those that move.
double InstructionCosts::collective_us(const Instruction& instruction) const {
  const SymbolValues& values = values_.front();
  const Operand& in = instruction.inputs.at(0);
  const Operand& out = instruction.outputs.at(0);
  const auto ranks = static_cast<int64_t>(values_.size());
  if (instruction.op == "all_to_all") {
    const Attributes attributes = instruction.attributes.evaluated(values);
    const auto shards = [&](const std::string& prefix) {
      return cost::Shards(attributes.integer(prefix + "axis"),
                          layout::Cut::from_attributes(attributes, prefix), ranks);
    };
    return cost::redistribution_us(machine_, devices_, attributes.integers("shape"),
                                   static_cast<int64_t>(size_of(in.type.dtype)), shards("from_"),
                                   shards("to_"));
  }
  const double bytes = bytes_of(instruction.op == "reduce_scatter" ? in : out, values);
  return machine_.collective_us(instruction.op, ranks, bytes);
}

}  // namespace cleave::compiler
