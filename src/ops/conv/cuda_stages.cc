#include "ops/conv/cuda_stages.h"

#include <vector>

#include "backend/cuda/pieces.h"
#include "backend/cuda/space.h"
#include "base/hash.h"
#include "ops/pad/cuda_pad.h"

namespace cleave::backend {
namespace {

constexpr int64_t kAlignment = 256;

}  // namespace

std::optional<std::string> ConvStages::refuses(const KernelProblem& problem) {
  if (!is_floating(problem.inputs[0].dtype)) return "it takes floating point";
  if (problem.outputs[0].elements() == 0) return "there is nothing to do";
  if (problem.inputs[0].elements() == 0 || problem.inputs[1].elements() == 0) {
    return "there is nothing to add up";
  }
  if (!cudnn_takes(problem.outputs[0])) return "the result begins where cuDNN does not write";
  const CudnnImage image = image_of(problem);
  const auto operand =
      TensorView::dense(problem.inputs[0].dtype, image.padded_shape(problem.inputs[0]));
  if (operand.elements() > kMostIndex || problem.inputs[0].elements() > kMostIndex ||
      problem.inputs[1].elements() > kMostIndex) {
    return "an operand has more than 2^31 elements";
  }
  if (needs_copy(problem, image) && operand.reach_bytes() > most_conv_workspace(problem) / 2) {
    return "the operand with its padding is larger than the workspace may be";
  }
  return std::nullopt;
}

ConvStages::ConvStages(const KernelProblem& problem, KernelCache& cache, bool pads, bool chains)
    : image_(image_of(problem)),
      views_(problem, image_, pads),
      most_algorithm_bytes_(most_conv_workspace(problem)) {
  CudaDevice& device = cuda_device(cache);
  if (pads) {
    make_pad(problem, device);
    most_algorithm_bytes_ -= bytes_;
  }
  if (chains) chain_.emplace(problem, device);
  make_weight(problem, cache, device);
  if (chain_) sums_at_ = room(chain_->workspace_bytes());
}

// Where so many bytes of the workspace begin.
int64_t ConvStages::room(int64_t bytes) {
  const int64_t at = bytes_;
  bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return at;
}

void ConvStages::make_pad(const KernelProblem& problem, CudaDevice& device) {
  room(views_.x.reach_bytes());
  std::vector<Dim> low = {0, 0};
  for (const WindowAxis& axis : image_.axes()) low.emplace_back(axis.low);
  const Attributes attributes = {{"low", low}};
  const CudnnViews given(problem, image_, /*pads=*/false);
  pad_ = prepare_pad(
      {.op = "pad", .attributes = attributes, .inputs = {given.x}, .outputs = {views_.x}}, device);
}

void ConvStages::make_weight(const KernelProblem& problem, KernelCache& cache, CudaDevice& device) {
  if (views_.w.is_dense() && cudnn_takes(problem.inputs[1])) return;
  const TensorView from = TensorView::dense(views_.w.dtype, views_.w.shape);
  std::vector<CopyPiece> pieces;
  pieces.push_back({.space = IndexSpace(views_.w.shape, {from.strides, views_.w.strides})});
  reorder_.emplace(std::move(pieces), size_of(views_.w.dtype), device);
  if (!problem.is_constant(1) || problem.key(1) == 0) {
    weight_at_ = room(views_.w.reach_bytes());
    return;
  }
  const uint64_t key =
      hash_combine(problem.key(1), hash_bytes("channels last of " + views_.w.text()));
  kept_weight_ = cache.packed(key, views_.w.reach_bytes(), "a weight in channels-last order",
                              [&](std::byte* to) {
                                const void* weight = problem.constant(1);
                                void* target = to;
                                const StreamHandle stream = device.default_stream();
                                reorder_->run({&weight, 1}, {&target, 1}, stream);
                                device.synchronize(stream);
                              });
}

const void* ConvStages::weights(std::span<const void* const> inputs, const Launch& launch) const {
  if (kept_weight_ != nullptr) return kept_weight_->data();
  if (!reorder_) return inputs[1];
  void* copy = launch.workspace + weight_at_;
  reorder_->run({&inputs[1], 1}, {&copy, 1}, launch.stream);
  return copy;
}

ConvStages::Operands ConvStages::before(std::span<const void* const> inputs,
                                        std::span<void* const> outputs,
                                        const Launch& launch) const {
  Operands operands{inputs[0], weights(inputs, launch), outputs[0], launch.workspace + bytes_};
  if (pad_) {
    void* copy = launch.workspace;
    pad_->run(inputs.first(1), {&copy, 1}, launch);
    operands.x = copy;
  }
  if (chain_) operands.y = chain_->result(outputs, launch.workspace + sums_at_);
  check_aligned({operands.x, operands.w, operands.y}, kMostPieceBytes);
  return operands;
}

void ConvStages::run_instead(const CudaRun& other, std::span<const void* const> inputs,
                             std::span<void* const> outputs, const Launch& launch) const {
  std::vector<const void*> operands(inputs.begin(), inputs.end());
  operands[1] = weights(inputs, launch);
  other.run(operands, outputs, {launch.workspace + bytes_, launch.pool, launch.stream});
}

void ConvStages::after(const Operands& operands, std::span<const void* const> inputs,
                       std::span<void* const> outputs, const Launch& launch) const {
  if (chain_) chain_->run(operands.y, inputs, outputs, launch);
}

}  // namespace cleave::backend
