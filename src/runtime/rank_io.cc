#include "runtime/rank_io.h"

namespace cleave::runtime {
namespace {

constexpr int64_t kAlignment = 256;

int64_t round_up(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// One place for each tensor that needs one, behind each other.
std::vector<std::byte*> places(GrowingBuffer& memory, backend::Device& device,
                               std::span<const HostTensor> tensors, const std::vector<bool>& needed,
                               std::string_view what) {
  int64_t total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) total += needed[i] ? round_up(tensors[i].bytes) : 0;
  std::byte* at = memory.at_least(device, total, what);
  std::vector<std::byte*> result;
  for (size_t i = 0; i < tensors.size(); ++i) {
    result.push_back(needed[i] ? at : nullptr);
    if (needed[i] && at != nullptr) at += round_up(tensors[i].bytes);
  }
  return result;
}

}  // namespace

std::byte* GrowingBuffer::at_least(backend::Device& device, int64_t bytes, std::string_view what) {
  if (buffer_.bytes() < bytes) {
    buffer_ = {};  // first, so that both need not fit
    buffer_ = device.allocate(bytes, what);
  }
  return buffer_.data();
}

void RankIo::begin(backend::Device& device, std::span<const HostTensor> inputs,
                   std::span<const HostTensor> outputs, StreamHandle stream) {
  const bool host = device.memory_is_host();
  const auto copied_in =
      places(input_memory_, device, inputs, std::vector<bool>(inputs.size(), !host), "inputs");
  inputs_.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs_.push_back(host ? inputs[i].data : copied_in[i]);
    if (!host) device.copy_to_device(copied_in[i], inputs[i].data, inputs[i].bytes, stream);
  }
  wanted_.assign(outputs.begin(), outputs.end());
  std::vector<bool> own(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) own[i] = !host || outputs[i].data == nullptr;
  outputs_ = places(output_memory_, device, outputs, own, "outputs");
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!own[i]) outputs_[i] = outputs[i].data;
  }
}

void RankIo::end(backend::Device& device, StreamHandle stream) {
  for (size_t i = 0; i < wanted_.size(); ++i) {
    if (wanted_[i].data == nullptr || wanted_[i].data == outputs_[i]) continue;
    device.copy_to_host(wanted_[i].data, outputs_[i], wanted_[i].bytes, stream);
  }
}

}  // namespace cleave::runtime
