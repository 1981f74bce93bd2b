#include "program/text.h"

namespace cleave::program {
namespace {

// "64x32" or, where ranks differ, "64x32 | 64x31".
std::string text_of_shapes(const Weight& weight) {
  std::string out;
  for (const std::vector<int64_t>& shape : weight.shapes) {
    if (&shape != &weight.shapes.front()) {
      if (shape == weight.shapes.front()) continue;
      out += " | ";
    }
    out += cleave::text_of(std::vector<Dim>(shape.begin(), shape.end()));
  }
  return out;
}

std::string text_of_operands(const std::vector<Operand>& operands, const EngineData& data) {
  std::string out;
  for (const Operand& operand : operands) {
    out += (out.empty() ? "" : ", ") + text_of(operand, data);
  }
  return out;
}

template <class T>
std::string name_at(const std::vector<T>& table, uint32_t index) {
  return index < table.size() ? table[index].name : "?" + std::to_string(index);
}

}  // namespace

std::string text_of(const Operand& operand, const EngineData& data) {
  std::string out;
  switch (operand.space) {
    case Space::kNone:
      return "none";
    case Space::kArena:
      out = "arena+" + std::to_string(operand.offset);
      break;
    case Space::kWeight:
      out = "weight " + name_at(data.weights, operand.index);
      break;
    case Space::kInput:
      out = "input " + name_at(data.inputs, operand.index);
      break;
    case Space::kOutput:
      out = "output " + name_at(data.outputs, operand.index);
      break;
  }
  out += " " + operand.type.text();
  if (!operand.element_offset.is(0)) out += " from " + operand.element_offset.text();
  if (!operand.strides.empty()) out += " strides " + cleave::text_of(operand.strides);
  return out;
}

std::string text_of(const ModelTensor& tensor) {
  return tensor.name + " " + tensor.placement.text();
}

std::string text_of(const Instruction& instruction, const EngineData& data) {
  std::string out = instruction.op;
  const std::string attributes = instruction.attributes.text();
  if (!attributes.empty()) out += " " + attributes;
  out += " (" + text_of_operands(instruction.inputs, data) + ") -> (" +
         text_of_operands(instruction.outputs, data) + ")";
  for (const ModelTensor& tensor : instruction.tensors) {
    out += (&tensor == instruction.tensors.data() ? " = " : ", ") + text_of(tensor);
  }
  if (!instruction.name.empty()) out += "  # " + instruction.name;
  return out;
}

std::string text_of(const EngineData& data) {
  std::string out = "engine " + data.backend + " ranks " + std::to_string(data.ranks) + "\n";
  for (const Binding& b : data.inputs) out += "input " + b.name + " " + b.type.text() + "\n";
  for (const Binding& b : data.outputs) out += "output " + b.name + " " + b.type.text() + "\n";
  for (const Weight& weight : data.weights) {
    out += "weight " + weight.name + " " + std::string(name_of(weight.dtype)) +
           text_of_shapes(weight) + " " + weight.placement.text() + "\n";
  }
  for (const Program& program : data.programs) {
    out += "program arena " + std::to_string(program.arena_bytes) + " workspace " +
           std::to_string(program.workspace_bytes) + "\n";
    for (const Symbol& s : program.symbols) {
      out += "  symbol " + s.name + " " + std::to_string(s.min) + ".." + std::to_string(s.opt) +
             ".." + std::to_string(s.max) + "\n";
    }
    for (const SizeGuard& guard : program.guards) {
      out += "  guard " + guard.a.text() + " = " + guard.b.text() + "  # " + guard.where + "\n";
    }
    for (const Segment& segment : program.segments) {
      out += "  segment\n";
      for (const Instruction& instruction : segment.instructions) {
        out += "    " + text_of(instruction, data) + "\n";
      }
    }
  }
  return out;
}

}  // namespace cleave::program
