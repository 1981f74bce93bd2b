#include "ops/conv/cpu_place_epilogue.h"

#include <algorithm>
#include <array>

#include "backend/cpu/repeat_row.h"
#include "backend/index_space.h"

namespace cleave::backend {
namespace {

int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

PlaceEpilogue::PlaceEpilogue(const KernelProblem& problem)
    : chain_(problem, DType::kFloat32),
      shape_(problem.outputs[0].shape),
      inputs_(problem.inputs.size()),
      channels_(shape_[1]) {
  run_places_ = rows_at_once(channels_);
  const std::vector<int64_t> linear = dense_strides(Format::kChannelsLast, shape_);
  const auto add = [&](const TensorView& view, bool result) {
    Operand operand{.strides = broadcast_strides(view, shape_),
                    .bytes = static_cast<int64_t>(size_of(view.dtype))};
    const auto same = [&](size_t d) { return shape_[d] == 1 || operand.strides[d] == linear[d]; };
    const auto none = [&](size_t d) { return shape_[d] == 1 || operand.strides[d] == 0; };
    bool is_linear = true;
    bool is_channel = !result;
    for (size_t d = 1; d < shape_.size(); ++d) is_linear = is_linear && same(d);
    for (size_t d = 2; d < shape_.size(); ++d) is_channel = is_channel && none(d);
    if (is_linear) {
      operand.kind = Kind::kLinear;
    } else if (is_channel && (shape_[1] == 1 || operand.strides[1] == 0)) {
      operand.kind = Kind::kImage;
    } else if (is_channel) {
      operand.kind = Kind::kChannel;
      operand.scratch = scratch_bytes_;
      scratch_bytes_ += rounded(run_places_ * channels_ * operand.bytes);
    } else {
      linear_ = false;
    }
    operands_.push_back(std::move(operand));
  };
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (i < 2) {
      operands_.emplace_back();  // the kernel's own
    } else {
      add(problem.inputs[i], false);
    }
  }
  for (const TensorView& view : problem.outputs) add(view, true);
  in_place_ = problem.outputs.size() == 1 && problem.outputs[0].dtype == DType::kFloat32;
  done_in_place_ = in_place_ && chain_.is_plain_float();
}

int64_t PlaceEpilogue::offset(const Operand& operand, int64_t image, int64_t place) const {
  int64_t at = image * operand.strides[0];
  for (size_t d = shape_.size(); d-- > 2;) {
    at += place % shape_[d] * operand.strides[d];
    place /= shape_[d];
  }
  return at;
}

void PlaceEpilogue::run(const float* sums, int64_t step, int64_t image, int64_t place,
                        int64_t count, int64_t channel, int64_t channels,
                        std::span<const void* const> inputs, std::span<void* const> outputs,
                        std::byte* scratch) const {
  if (done_in_place_) return;
  if (!linear_ || channels != channels_ || step != channels_) {
    for (int64_t i = 0; i < count; ++i) {
      chain_.run(sums + i * step, channels, inputs, outputs, [&](size_t operand) {
        const Operand& o = operands_[operand];
        return Chain::Place{offset(o, image, place + i) + channel * o.strides[1], o.strides[1]};
      });
    }
    return;
  }
  std::array<const void*, Chain::kMostInputs> in{};
  const int64_t rows = std::min(run_places_, count);
  for (size_t i = 2; i < inputs_; ++i) {
    in[i] = inputs[i];
    if (operands_[i].kind != Kind::kChannel) continue;
    const Operand& operand = operands_[i];
    std::byte* to = scratch + operand.scratch;
    repeat_row(
        static_cast<const std::byte*>(inputs[i]) + image * operand.strides[0] * operand.bytes,
        operand.strides[1], channels_, rows, operand.bytes, to);
    in[i] = to;
  }
  for (int64_t i = 0; i < count; i += rows) {
    const int64_t part = std::min(rows, count - i);
    chain_.run(sums + i * step, part * channels_, std::span(in).first(inputs_), outputs,
               [&](size_t operand) {
                 const Operand& o = operands_[operand];
                 if (o.kind == Kind::kChannel) return Chain::Place{0, 1};
                 if (o.kind == Kind::kImage) return Chain::Place{image * o.strides[0], 0};
                 return Chain::Place{image * o.strides[0] + (place + i) * channels_, 1};
               });
  }
}

}  // namespace cleave::backend
