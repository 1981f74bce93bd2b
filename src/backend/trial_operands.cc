#include "backend/trial_operands.h"

#include <algorithm>

#include "backend/other_work.h"
#include "base/half.h"

namespace cleave::backend {
namespace {

constexpr int64_t kMostCopies = 32;
// Activations of a usual network; operands of a call are seldom where the call before had its own.
constexpr int64_t kArenaBytes = int64_t{12} << 20;
// A device whose memory is not the host's takes long to give some: small operands share it.
constexpr int64_t kSlab = int64_t{64} << 20;
constexpr int64_t kAlignment = 256;

bool is_table(size_t input, int64_t index_extent) { return input == 0 && index_extent > 1; }

// Numbers of usual size: zeros and denormal numbers take other times.
void fill(DType type, std::span<std::byte> bytes, int64_t index_extent, uint32_t seed) {
  const auto each = [&]<class T>(const auto& value_of) {
    auto* data = reinterpret_cast<T*>(bytes.data());
    uint32_t state = 12345 + seed;
    for (size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
      state = state * 1664525u + 1013904223u;
      data[i] = static_cast<T>(value_of(state >> 8));
    }
  };
  const auto real = [](uint32_t bits) { return static_cast<float>(bits) / (1 << 23) - 1; };
  const auto index = [&](uint32_t bits) { return int64_t{bits} % index_extent; };
  if (type == DType::kFloat32) each.template operator()<float>(real);
  if (type == DType::kFloat64) each.template operator()<double>(real);
  if (type == DType::kFloat16) each.template operator()<Half>(real);
  if (type == DType::kBFloat16) each.template operator()<BFloat16>(real);
  // A mask that hides little.
  const auto shown = [](uint32_t bits) { return bits % 8 != 0; };
  if (type == DType::kBool) each.template operator()<uint8_t>(shown);
  if (type == DType::kInt32) each.template operator()<int32_t>(index);
  if (type == DType::kInt64) each.template operator()<int64_t>(index);
}

// The same in a device's memory.
void fill(Device& device, DType type, std::span<std::byte> memory, int64_t index_extent,
          uint32_t seed) {
  if (device.memory_is_host()) return fill(type, memory, index_extent, seed);
  // Large buffers repeat their beginning: no kernel takes note.
  constexpr int64_t kFilled = int64_t{1} << 20;
  const auto bytes = static_cast<int64_t>(memory.size());
  std::vector<std::byte> host(static_cast<size_t>(std::min(bytes, kFilled)));
  fill(type, host, index_extent, seed);
  const StreamHandle stream = device.default_stream();
  auto done = static_cast<int64_t>(host.size());
  device.copy_to_device(memory.data(), host.data(), done, stream);
  for (; done < bytes; done *= 2) {
    device.copy(memory.data() + done, memory.data(), std::min(done, bytes - done), stream);
  }
  device.synchronize(stream);
}

}  // namespace

TrialOperands::TrialOperands(const KernelProblem& problem, Device& device, int64_t index_extent)
    : device_(device) {
  int64_t constants = 0;
  int64_t others = 1;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const int64_t bytes = problem.inputs[i].reach_bytes();
    constants_of_.push_back({problem.key(i) != 0 ? bytes : 0, problem.inputs[i].alignment});
    if (problem.key(i) != 0) {
      constants += bytes;
    } else if (!is_table(i, index_extent)) {
      others += bytes;
    }
  }
  for (const TensorView& view : problem.outputs) others += view.reach_bytes();
  const int64_t turns = turns_for(others, kArenaBytes);
  for (int64_t turn = 0; turn < turns; ++turn) add_turn(problem, index_extent);
  if (constants > 0) {
    copies_ =
        static_cast<size_t>(std::clamp<int64_t>(device_.cold_bytes() / constants, 1, kMostCopies));
  }
}

std::byte* TrialOperands::memory(int64_t bytes, int64_t alignment, const char* what) {
  if (bytes == 0) return nullptr;
  if (alignment < kMostAlignment) {
    return memory(alignment + bytes, kMostAlignment, what) + alignment;
  }
  if (device_.memory_is_host() || bytes > kSlab / 2) {
    buffers_.push_back(device_.allocate(bytes, what));
    return buffers_.back().data();
  }
  if (slab_left_ < bytes) {
    buffers_.push_back(device_.allocate(kSlab, what));
    slab_at_ = buffers_.back().data();
    slab_left_ = kSlab;
  }
  std::byte* const at = slab_at_;
  const int64_t taken = std::min(slab_left_, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  slab_at_ += taken;
  slab_left_ -= taken;
  return at;
}

void TrialOperands::add_turn(const KernelProblem& problem, int64_t index_extent) {
  Turn turn;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (!turns_.empty() && (problem.key(i) != 0 || is_table(i, index_extent))) {
      turn.inputs.push_back(turns_[0].inputs[i]);
      continue;
    }
    const int64_t bytes = problem.inputs[i].reach_bytes();
    std::byte* const data = memory(bytes, problem.inputs[i].alignment, "an operand");
    turn.inputs.push_back(data);
    if (data == nullptr) continue;
    const std::span<std::byte> operand(data, static_cast<size_t>(bytes));
    if (problem.key(i) == 0 && !is_table(i, index_extent)) turn.written.push_back(operand);
    // Rows that are taken differ from turn to turn; what a device has to be sent is sent once.
    if (turns_.empty() || index_extent > 1 || device_.memory_is_host()) {
      fill(device_, problem.inputs[i].dtype, operand, index_extent,
           static_cast<uint32_t>(turns_.size()));
    } else {
      device_.copy(data, turns_[0].inputs[i], bytes, device_.default_stream());
    }
    if (problem.key(i) != 0) constants_[{i, 0}] = turn.inputs.back();
  }
  for (const TensorView& view : problem.outputs) {
    turn.outputs.push_back(memory(view.reach_bytes(), view.alignment, "a result"));
  }
  turns_.push_back(std::move(turn));
}

const void* TrialOperands::constant(size_t input, size_t copy) {
  const auto& [bytes, alignment] = constants_of_[input];
  if (bytes == 0) return nullptr;
  const void*& data = constants_[{input, copy}];
  if (data == nullptr) {
    std::byte* const own = memory(bytes, alignment, "a weight");
    device_.copy(own, constants_.at({input, 0}), bytes, device_.default_stream());
    device_.synchronize(device_.default_stream());
    data = own;
  }
  return data;
}

}  // namespace cleave::backend
