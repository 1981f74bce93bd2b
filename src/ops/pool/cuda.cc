// Pooling on GPUs: a thread a window, a warp where windows are large and few.
#include <array>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "ops/pool/cuda_windows.h"

namespace cleave::backend {
namespace {

constexpr int64_t kLargeWindow = 64;        // taps
constexpr int64_t kFewWindows = 64 * 1024;  // fewer do not fill a GPU with a thread each
// Of windows that are written out, tap by tap: of more, or of many planes at once, the code grows
// larger than what it saves.
constexpr int64_t kUnrolledTaps = 32;
constexpr int64_t kUnrolledVectorTaps = 12;

// As in pool.cuh; `I` counts elements of a plane and taps of windows.
template <class I>
struct PoolAxis {
  I in;
  I kernel;
  I stride;
  I dilation;
  I low;
  I counted_in;
  I counted_low;
  Divisor out;
  int64_t index_stride;
};
template <class I>
struct PoolArgument {
  PoolAxis<I> axes[3];
  Divisor inner;
  int64_t results;
  int64_t index_begin;
  double power;
};

// What its source is made of, besides the op and the type.
struct PoolForm {
  bool is_small = true;  // 32 bits count all places of an image and its padding
  bool is_dilated = false;
  int64_t lanes = 1;
  int64_t vector = 1;
  std::array<int64_t, kMaxImageDims> taps = {};  // 0: known to the argument alone

  std::string text() const {
    return std::string("using I = ") + (is_small ? "int32_t" : "int64_t") +
           ";\nconstexpr int kLanes = " + std::to_string(lanes) +
           ";\nconstexpr int kVector = " + std::to_string(vector) +
           ";\nconstexpr bool kDilated = " + (is_dilated ? "true" : "false") +
           ";\nconstexpr int kTaps0 = " + std::to_string(taps[0]) +
           ", kTaps1 = " + std::to_string(taps[1]) + ", kTaps2 = " + std::to_string(taps[2]) +
           ";\n";
  }
};

bool is_channels_last(const KernelProblem& problem) {
  return common_format(problem) == Format::kChannelsLast;
}

PoolForm form_of(const KernelProblem& problem, const PoolGeometry& geometry, Pooling how) {
  constexpr int64_t kFar = int64_t{1} << 29;
  PoolForm form;
  int64_t taps = 1;
  for (const WindowAxis& axis : geometry.axes) {
    taps *= axis.kernel;
    form.is_dilated = form.is_dilated || axis.dilation != 1;
    for (const int64_t extent : {axis.in, axis.kernel, axis.stride, axis.dilation, axis.low}) {
      form.is_small = form.is_small && extent < kFar;
    }
    form.is_small =
        form.is_small && axis.out * axis.stride < kFar && axis.kernel * axis.dilation < kFar;
  }
  form.is_small = form.is_small && geometry.image_elements() < kFar;
  const int64_t results = problem.outputs[0].elements();
  if (taps >= kLargeWindow && results <= kFewWindows) {
    form.lanes = 32;
    return form;
  }
  if (how != Pooling::kMaxIndex && is_channels_last(problem)) {
    // As many channels as 16 bytes hold, where so many can be read at once.
    const TensorView& x = problem.inputs[0];
    form.vector = std::gcd(piece_elements(x.dtype, {&x, &problem.outputs[0]}), x.shape[1]);
  }
  if (taps <= (form.vector == 1 ? kUnrolledTaps : kUnrolledVectorTaps)) {
    for (size_t d = 0; d < kMaxImageDims; ++d) form.taps[d] = geometry.axes[d].kernel;
  }
  return form;
}

template <class I>
PoolArgument<I> argument_of(const KernelProblem& problem, const PoolGeometry& geometry,
                            int64_t vector) {
  const TensorView& x = problem.inputs[0];
  PoolArgument<I> argument{
      .axes = {},
      .inner = make_divisor(is_channels_last(problem) ? x.shape[1] / vector : 1),
      .results = problem.outputs[0].elements() / vector,
      .index_begin = geometry.index_begin,
      .power = geometry.power};
  const size_t before = kMaxImageDims - (x.rank() - kImage);
  const bool counts = problem.attributes.has("counted_low");
  for (size_t d = 0; d < kMaxImageDims; ++d) {
    const WindowAxis& axis = geometry.axes[d];
    int64_t low = 0;
    int64_t high = 0;
    if (counts && d >= before) {
      low = problem.attributes.integers("counted_low").at(d - before);
      high = problem.attributes.integers("counted_high").at(d - before);
    }
    argument.axes[d] = {.in = static_cast<I>(axis.in),
                        .kernel = static_cast<I>(axis.kernel),
                        .stride = static_cast<I>(axis.stride),
                        .dilation = static_cast<I>(axis.dilation),
                        .low = static_cast<I>(axis.low),
                        .counted_in = static_cast<I>(axis.in + low + high),
                        .counted_low = static_cast<I>(axis.low - low),
                        .out = make_divisor(axis.out),
                        .index_stride = geometry.index_strides[d]};
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

template <class I>
CudaRun prepare(const KernelProblem& problem, const PoolGeometry& geometry, Pooling how,
                const PoolForm& form, CudaDevice& device) {
  const std::string source = "using T = " + device_type(problem.inputs[0].dtype) +
                             ";\nconstexpr int kHow = " + std::to_string(static_cast<int>(how)) +
                             ";\n" + form.text() + std::string(device_source("reductions")) +
                             std::string(device_source("pool"));
  const cudaKernel_t kernel = device.modules().get(source, "pool");
  const PoolArgument<I> argument = argument_of<I>(problem, geometry, form.vector);
  const Grid grid{.blocks = (argument.results * form.lanes + 255) / 256, .threads = 256};
  const int64_t alignment = form.vector * static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    check_aligned({inputs[0], outputs[0]}, alignment);
    launch_kernel(kernel, grid, launch.stream, {&argument, &inputs[0], &outputs[0]});
  }};
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device, Pooling how) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const PoolGeometry geometry(how, problem.attributes, problem.inputs[0].shape,
                              problem.outputs[0].shape);
  const PoolForm form = form_of(problem, geometry, how);
  return form.is_small ? prepare<int32_t>(problem, geometry, how, form, device)
                       : prepare<int64_t>(problem, geometry, how, form, device);
}

}  // namespace

std::shared_ptr<const Kernel> make_windows_pool(const char* op, Pooling how) {
  return std::make_shared<SimpleCudaKernel>(
      op, std::string(op) + ".windows",
      [how](const KernelProblem& problem) { return refuses(problem, how); },
      [how](const KernelProblem& problem, CudaDevice& device) {
        return prepare(problem, device, how);
      });
}

std::vector<std::shared_ptr<const Kernel>> make_pool_cuda() {
  return {make_windows_pool("max_pool", Pooling::kMax),
          make_windows_pool("max_pool_index", Pooling::kMaxIndex),
          make_windows_pool("average_pool", Pooling::kAverage),
          make_windows_pool("lp_pool", Pooling::kLp)};
}

}  // namespace cleave::backend
