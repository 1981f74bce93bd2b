// Convolutions on GPUs without a library; cuda_cudnn.cc has those of cuDNN, which come first.
#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "ops/conv/cuda_plain.h"
#include "ops/conv/kernel_problem.h"

namespace cleave::backend {
namespace {

// The bytes of plain_conv.cuh's struct.
struct ConvArgument {
  WindowAxis axes[kMaxImageDims];
  int64_t groups;
  int64_t channels;
  int64_t outputs;
  int64_t total;
  Divisor extents[kMaxImageDims];
  Divisor blocks;
};
static_assert(sizeof(WindowAxis) == 6 * sizeof(int64_t));

constexpr int64_t kMostOutputs = 4;  // that a thread makes

// The largest power of two of them that divides a group's.
int64_t outputs_at_once(const ConvProblem& conv) {
  return std::gcd(kMostOutputs, std::max<int64_t>(1, conv.outputs));
}

}  // namespace

std::optional<std::string> refuse_plain_conv(const KernelProblem& problem) {
  if (auto reason = ConvProblem::refuses(problem)) return reason;
  if (problem.inputs.size() != 2 || problem.outputs.size() != 1) return "it takes no epilogue";
  const DType type = problem.inputs[0].dtype;
  if (type == DType::kBool) return "it takes numbers";
  if (problem.inputs[1].dtype != type || problem.outputs[0].dtype != type) {
    return "its types differ";
  }
  if (problem.outputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

CudaRun prepare_plain_conv(const KernelProblem& problem, CudaDevice& device) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const ConvProblem conv(problem);
  const int64_t at_once = outputs_at_once(conv);
  const int64_t blocks = conv.groups * conv.outputs / at_once;
  ConvArgument argument{.groups = conv.groups,
                        .channels = conv.channels,
                        .outputs = conv.outputs,
                        .total = conv.images * blocks * conv.places(),
                        .blocks = make_divisor(blocks)};
  for (size_t d = 0; d < kMaxImageDims; ++d) {
    argument.axes[d] = conv.axes[d];
    argument.extents[d] = make_divisor(conv.axes[d].out);
  }
  const std::string source = "using T = " + device_type(conv.x_type) +
                             ";\nconstexpr int kOutputs = " + std::to_string(at_once) + ";\n" +
                             std::string(device_source("plain_conv"));
  const cudaKernel_t kernel = device.modules().get(source, "plain_conv");
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    launch_kernel(kernel, grid_for(argument.total, device), launch.stream,
                  {&argument, &inputs[0], &inputs[1], &outputs[0]});
  }};
}

std::vector<std::shared_ptr<const Kernel>> make_conv_cuda() {
  return {std::make_shared<SimpleCudaKernel>("conv", "conv.plain", refuse_plain_conv,
                                             prepare_plain_conv)};
}

}  // namespace cleave::backend
