// Tensors that are made from nothing, on GPUs.
#include <algorithm>
#include <cstring>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

std::optional<std::string> refuse_operands_and_strides(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 0, 0)) return reason;
  return refuse_strides(problem);
}

std::optional<std::string> refuse_iota(const KernelProblem& problem) {
  if (auto reason = refuse_operands_and_strides(problem)) return reason;
  if (problem.outputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

CudaRun prepare_iota(const KernelProblem& problem, CudaDevice& device) {
  const TensorView& y = problem.outputs[0];
  const int64_t elements = y.elements();
  if (elements == 0) return CudaRun::nothing();
  const AxisView view(y.shape, static_cast<size_t>(problem.attributes.integer("axis")));
  const int64_t offset = problem.attributes.integer("offset", 0);
  const cudaKernel_t kernel = device.modules().get(
      "using T = " + device_type(y.dtype) + ";\n" + std::string(device_source("iota")), "iota");
  const Divisor extent = make_divisor(view.extent);
  const Divisor inner = make_divisor(view.inner);
  const Grid grid = grid_for(elements, device);
  return {[=](std::span<const void* const>, std::span<void* const> outputs, const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream, {&elements, &extent, &inner, &offset, &outputs[0]});
  }};
}

std::optional<std::string> refuse_shape_values(const KernelProblem& problem) {
  if (auto reason = refuse_operands_and_strides(problem)) return reason;
  if (problem.outputs[0].elements() !=
      static_cast<int64_t>(problem.attributes.integers("values").size())) {
    return "the result has another size";
  }
  return std::nullopt;
}

struct GivenBytes {
  std::byte at[1024];
};

// The few values are known when the kernel is prepared: they are arguments of its calls.
CudaRun prepare_shape_values(const KernelProblem& problem, CudaDevice& device) {
  const auto values = problem.attributes.integers("values");
  HostTensor tensor(problem.outputs[0].dtype, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) {
    tensor.set_integer(static_cast<int64_t>(i), values[i]);
  }
  const cudaKernel_t kernel =
      device.modules().get(std::string(device_source("given_bytes")), "given_bytes");
  return {[tensor, kernel](std::span<const void* const>, std::span<void* const> outputs,
                           const Launch& launch) {
    for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(GivenBytes)) {
      GivenBytes given = {};
      const size_t count = std::min(sizeof given, tensor.bytes.size() - at);
      std::memcpy(given.at, tensor.bytes.data() + at, count);
      const auto bytes = static_cast<int32_t>(count);
      void* y = static_cast<std::byte*>(outputs[0]) + at;
      launch_kernel(kernel, {.blocks = 1, .threads = 128}, launch.stream, {&given, &bytes, &y});
    }
  }};
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_iota_cuda() {
  return {std::make_shared<SimpleCudaKernel>("iota", "iota.plain", refuse_iota, prepare_iota),
          std::make_shared<SimpleCudaKernel>("shape_values", "shape_values.plain",
                                             refuse_shape_values, prepare_shape_values)};
}

}  // namespace cleave::backend
