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

// A tensor whose elements are in channels-last order.
Tensor row_major(const Tensor& channels_last) {
  const std::vector<int64_t>& shape = channels_last.shape();
  Tensor result = Tensor::uninitialized(channels_last.dtype(), shape);
  const auto size = size_of(channels_last.dtype());
  const auto channels = static_cast<size_t>(shape[1]);
  const size_t images = static_cast<size_t>(shape[0]);
  const size_t places = result.bytes() / size / images / channels;
  const auto* from = static_cast<const std::byte*>(channels_last.data());
  auto* to = static_cast<std::byte*>(result.mutable_data());
  for (size_t image = 0; image < images; ++image) {
    for (size_t c = 0; c < channels; ++c) {
      for (size_t place = 0; place < places; ++place, to += size) {
        std::memcpy(to, from + ((image * places + place) * channels + c) * size, size);
      }
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
  return output.strides.empty() ? part : row_major(part);
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
