#include "runtime/observe.h"

#include <cstring>

#include "base/check.h"

namespace cleave::runtime {
namespace {

using program::EngineData;
using program::Instruction;
using program::ModelTensor;
using program::Operand;
using program::Program;

SymbolValues with_rank(const SymbolValues& symbols, int rank) {
  SymbolValues values = symbols;
  values[std::string(kRankSymbol)] = rank;
  return values;
}

// Of a tensor that is not empty, whose elements lie by `strides`.
Tensor row_major(const Tensor& laid, const std::vector<int64_t>& strides) {
  const std::vector<int64_t>& shape = laid.shape();
  Tensor result = Tensor::uninitialized(laid.dtype(), shape);
  const size_t size = size_of(laid.dtype());
  const auto* from = static_cast<const std::byte*>(laid.data());
  auto* to = static_cast<std::byte*>(result.mutable_data());
  std::vector<int64_t> index(shape.size());
  int64_t at = 0;
  for (size_t left = result.bytes() / size; left > 0; --left, to += size) {
    std::memcpy(to, from + static_cast<size_t>(at) * size, size);
    for (size_t d = shape.size(); d-- > 0;) {
      at += strides[d];
      if (++index[d] < shape[d]) break;
      at -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return result;
}

}  // namespace

Observation::Observation(const EngineData& data, const Program& program,
                         const SymbolValues& symbols, const Observer& observer)
    : data_(data), symbols_(symbols), observer_(observer), parts_(static_cast<size_t>(data.ranks)) {
  for (const program::Segment& segment : program.segments) {
    for (const Instruction& instruction : segment.instructions) {
      instructions_.push_back(&instruction);
    }
  }
}

void Observation::made(uint32_t number, std::span<void* const> outputs, backend::Device& device,
                       Communicator& communicator) {
  const Instruction& instruction = *instructions_.at(number);
  const int rank = communicator.rank();
  std::vector<Tensor>& parts = parts_[static_cast<size_t>(rank)];
  parts.clear();
  for (size_t i = 0; i < instruction.tensors.size(); ++i) {
    parts.push_back(part_of(instruction.outputs[i], outputs[i], device, rank));
  }
  const StreamHandle stream = device.default_stream();
  const auto meet = [&] {
    communicator.barrier(stream);
    communicator.wait(stream);
  };
  meet();
  if (rank == 0) observer_(describe(number));
  meet();
}

// A copy in the host's memory, row-major, of what is dense in a format (program/validate.cc).
Tensor Observation::part_of(const Operand& output, const void* memory, backend::Device& device,
                            int rank) const {
  Tensor part = Tensor::uninitialized(output.type.dtype,
                                      evaluate(output.type.shape, with_rank(symbols_, rank)));
  if (part.bytes() == 0) return part;
  const StreamHandle stream = device.default_stream();
  device.copy_to_host(part.mutable_data(), memory, static_cast<int64_t>(part.bytes()), stream);
  device.synchronize(stream);
  if (output.strides.empty()) return part;
  return row_major(part, evaluate(output.strides, with_rank(symbols_, rank)));
}

// On rank 0, while the others wait.
ObservedInstruction Observation::describe(uint32_t number) {
  const Instruction& instruction = *instructions_[number];
  ObservedInstruction result{number, instruction.op, instruction.name, {}};
  for (size_t i = 0; i < instruction.tensors.size(); ++i) {
    const ModelTensor& tensor = instruction.tensors[i];
    ObservedTensor& observed = result.tensors.emplace_back();
    observed.name = tensor.name;
    observed.shape = evaluate(tensor.type.shape, symbols_);
    const layout::Placement placement = tensor.placement.evaluated(symbols_);
    if (placement.is_shard()) {
      placement.cut.validate(observed.shape[static_cast<size_t>(placement.dim)]);
    }
    observed.layout = placement.text();
    for (int64_t rank = 0; rank < data_.ranks; ++rank) {
      Tensor& part = parts_[static_cast<size_t>(rank)][i];
      const TensorType type =
          layout::local_type({tensor.type.dtype, tensor.type.shape}, placement, rank, data_.ranks);
      if (part.shape() != evaluate(type.shape, symbols_)) {
        throw Error(
            ErrorCode::kInvalid,
            "the engine is invalid: tensor '" + tensor.name + "' is not laid out as it says",
            "build it again");
      }
      observed.parts.push_back(std::move(part));
    }
  }
  return result;
}

}  // namespace cleave::runtime
