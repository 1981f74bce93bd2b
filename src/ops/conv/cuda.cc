// Convolutions on GPUs without a library; cuda_cudnn.cc has those of cuDNN, which come first.
#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "ops/conv/cuda_depthwise.h"
#include "ops/conv/cuda_plain.h"
#include "ops/conv/kernel_problem.h"
#include "ops/elementwise/cuda_chain.h"

namespace cleave::backend {
namespace {

// The bytes of plain_conv.cuh's struct.
struct ConvArgument {
  WindowAxis axes[kMaxImageDims];
  int64_t groups;
  int64_t channels;
  int64_t outputs;
  int64_t total;
  int64_t x_channel, x_place;
  int64_t y_channel, y_place;
  int64_t w_channel, w_tap;
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
  if (!ConvProblem::format(problem)) return ConvProblem::refuses(problem);
  const DType type = problem.inputs[0].dtype;
  if (type == DType::kBool) return "it takes numbers";
  if (problem.inputs[1].dtype != type) return "its types differ";
  if (problem.outputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  return CudaChain::refuses(problem);
}

CudaRun prepare_plain_conv(const KernelProblem& problem, CudaDevice& device, Format weights) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const ConvProblem conv(problem);
  const bool channels_last = ConvProblem::format(problem) == Format::kChannelsLast;
  const int64_t at_once = outputs_at_once(conv);
  const int64_t blocks = conv.groups * conv.outputs / at_once;
  ConvArgument argument{.groups = conv.groups,
                        .channels = conv.channels,
                        .outputs = conv.outputs,
                        .total = conv.images * blocks * conv.places(),
                        .x_channel = channels_last ? 1 : conv.plane(),
                        .x_place = channels_last ? conv.groups * conv.channels : 1,
                        .y_channel = channels_last ? 1 : conv.places(),
                        .y_place = channels_last ? conv.groups * conv.outputs : 1,
                        .w_channel = weights == Format::kRowMajor ? conv.taps() : 1,
                        .w_tap = weights == Format::kRowMajor ? 1 : conv.channels,
                        .blocks = make_divisor(blocks)};
  for (size_t d = 0; d < kMaxImageDims; ++d) {
    argument.axes[d] = conv.axes[d];
    argument.extents[d] = make_divisor(conv.axes[d].out);
  }
  const std::string source =
      "using T = " + device_type(conv.x_type) +
      ";\nconstexpr int kOutputs = " + std::to_string(at_once) +
      ";\nconstexpr bool kChannelsLast = " + (channels_last ? "true" : "false") + ";\n" +
      std::string(device_source("plain_conv"));
  const cudaKernel_t kernel = device.modules().get(source, "plain_conv");
  const auto chain = std::make_shared<const CudaChain>(problem, device);
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
            void* const y = chain->result(outputs, launch.workspace);
            launch_kernel(kernel, grid_for(argument.total, device), launch.stream,
                          {&argument, &inputs[0], &inputs[1], &y});
            chain->run(y, inputs, outputs, launch);
          },
          chain->workspace_bytes()};
}

std::vector<std::shared_ptr<const Kernel>> make_conv_cuda() {
  const auto prepare = [](const KernelProblem& problem, CudaDevice& device) {
    return prepare_plain_conv(problem, device);
  };
  return {make_depthwise_conv_cuda(),
          std::make_shared<SimpleCudaKernel>("conv", "conv.plain", refuse_plain_conv, prepare)};
}

}  // namespace cleave::backend
