// Pooling on GPUs: a thread a window, a warp where windows are large and few.
#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/pooling.h"

namespace cleave::backend {
namespace {

constexpr int64_t kLargeWindow = 64;        // taps
constexpr int64_t kFewWindows = 64 * 1024;  // fewer do not fill a GPU with a thread each

// As in pool.cuh.
struct PoolAxis {
  int64_t in;
  int64_t kernel;
  int64_t stride;
  int64_t dilation;
  int64_t low;
  int64_t counted_in;
  int64_t counted_low;
  int64_t index_stride;
  Divisor out;
};
struct PoolArgument {
  PoolAxis axes[3];
  Divisor inner;
  int64_t results;
  int64_t index_begin;
  double power;
};

PoolArgument argument_of(const KernelProblem& problem, Pooling how) {
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  const PoolGeometry geometry(how, problem.attributes, x.shape, y.shape);
  const bool channels_last = common_format(problem) == Format::kChannelsLast;
  PoolArgument argument{.axes = {},
                        .inner = make_divisor(channels_last ? x.shape[1] : 1),
                        .results = y.elements(),
                        .index_begin = geometry.index_begin,
                        .power = geometry.power};
  const size_t before = kMaxImageDims - (x.rank() - kImage);
  for (size_t d = 0; d < kMaxImageDims; ++d) {
    const WindowAxis& axis = geometry.axes[d];
    int64_t low = 0;
    int64_t high = 0;
    if (how == Pooling::kAverage && d >= before) {
      low = problem.attributes.integers("counted_low").at(d - before);
      high = problem.attributes.integers("counted_high").at(d - before);
    }
    argument.axes[d] = {.in = axis.in,
                        .kernel = axis.kernel,
                        .stride = axis.stride,
                        .dilation = axis.dilation,
                        .low = axis.low,
                        .counted_in = axis.in + low + high,
                        .counted_low = axis.low - low,
                        .index_stride = geometry.index_strides[d],
                        .out = make_divisor(axis.out)};
  }
  return argument;
}

std::optional<std::string> refuses(const KernelProblem& problem, Pooling how) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  const DType type = problem.inputs[0].dtype;
  const bool takes_numbers = how == Pooling::kMax || how == Pooling::kMaxIndex;
  if (takes_numbers ? type == DType::kBool : !is_floating(type)) {
    return takes_numbers ? "it takes numbers" : "it takes floating types";
  }
  if (problem.outputs[0].dtype != (how == Pooling::kMaxIndex ? DType::kInt64 : type)) {
    return "the result is of another type";
  }
  if (problem.outputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  if (how == Pooling::kMaxIndex) return refuse_strides(problem);
  if (!common_format(problem)) return "operand and result are not dense in one format";
  return std::nullopt;
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device, Pooling how) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const PoolArgument argument = argument_of(problem, how);
  int64_t taps = 1;
  for (const PoolAxis& axis : argument.axes) taps *= axis.kernel;
  const int64_t lanes = taps >= kLargeWindow && argument.results <= kFewWindows ? 32 : 1;
  const std::string source = "using T = " + device_type(problem.inputs[0].dtype) +
                             ";\nconstexpr int kHow = " + std::to_string(static_cast<int>(how)) +
                             ";\nconstexpr int kLanes = " + std::to_string(lanes) + ";\n" +
                             std::string(device_source("reductions")) +
                             std::string(device_source("pool"));
  const cudaKernel_t kernel = device.modules().get(source, "pool");
  const Grid grid{.blocks = (argument.results * lanes + 255) / 256, .threads = 256};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream, {&argument, &inputs[0], &outputs[0]});
  }};
}

std::shared_ptr<const Kernel> make(const char* op, Pooling how) {
  return std::make_shared<SimpleCudaKernel>(
      op, std::string(op) + ".windows",
      [how](const KernelProblem& problem) { return refuses(problem, how); },
      [how](const KernelProblem& problem, CudaDevice& device) {
        return prepare(problem, device, how);
      });
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_pool_cuda() {
  return {make("max_pool", Pooling::kMax), make("max_pool_index", Pooling::kMaxIndex),
          make("average_pool", Pooling::kAverage), make("lp_pool", Pooling::kLp)};
}

}  // namespace cleave::backend
