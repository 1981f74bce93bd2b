// grid_sample on GPUs: a thread for each point and a few channels.
#include <cstring>
#include <vector>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "types/grid_taps.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChannels = 8;  // of a thread
constexpr size_t kMostRank = 6;

int32_t padding_number(GridSampling::Padding padding) {
  if (padding == GridSampling::Padding::kZeros) return 0;
  return padding == GridSampling::Padding::kBorder ? 1 : 2;
}

// The bytes of grid_sample.cuh's struct, which has as many extents as images have dimensions.
std::vector<int64_t> argument_of(const KernelProblem& problem, int64_t& total) {
  const TensorView& x = problem.inputs[0];
  const auto& shape = problem.outputs[0].shape;
  int64_t points = 1;
  int64_t plane = 1;
  for (size_t d = 2; d < shape.size(); ++d) points *= shape[d];
  for (size_t d = 2; d < x.rank(); ++d) plane *= x.shape[d];
  const int64_t parts = (shape[1] + kChannels - 1) / kChannels;
  total = shape[0] * parts * points;
  std::vector<int64_t> argument = {shape[0], shape[1], points, plane};
  argument.insert(argument.end(), x.shape.begin() + 2, x.shape.end());
  argument.push_back(total);
  const GridSampling sampling = GridSampling::of(problem.attributes);
  const int32_t flags[2] = {padding_number(sampling.padding), sampling.align_corners ? 1 : 0};
  const Divisor divisors[2] = {make_divisor(points), make_divisor(parts)};
  static_assert(sizeof divisors == 3 * sizeof(int64_t));
  const size_t at = argument.size();
  argument.resize(at + 4);
  std::memcpy(argument.data() + at, flags, sizeof flags);
  std::memcpy(argument.data() + at + 1, divisors, sizeof divisors);
  return argument;
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const TensorView& x = problem.inputs[0];
  const GridSampling sampling = GridSampling::of(problem.attributes);
  const auto constant = [](const char* name, int64_t value) {
    return "constexpr int " + std::string(name) + " = " + std::to_string(value) + ";\n";
  };
  using Mode = GridSampling::Mode;
  const int mode = sampling.mode == Mode::kNearest ? 0 : sampling.mode == Mode::kLinear ? 1 : 2;
  const std::string source =
      "using T = " + device_type(x.dtype) + ";\nusing G = " + device_type(problem.inputs[1].dtype) +
      ";\n" + constant("kRank", static_cast<int64_t>(x.rank()) - 2) + constant("kMode", mode) +
      constant("kChannels", kChannels) + std::string(device_source("grid_sample"));
  const cudaKernel_t kernel = device.modules().get(source, "grid_sample");
  int64_t total = 0;
  const std::vector<int64_t> argument = argument_of(problem, total);
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    launch_kernel(kernel, grid_for(total, device, 128), launch.stream,
                  {argument.data(), &inputs[0], &inputs[1], &outputs[0]});
  }};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 2, 2)) return reason;
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  if (!is_floating(x.dtype) || !is_floating(problem.inputs[1].dtype)) {
    return "it takes floating types";
  }
  if (y.dtype != x.dtype) return "the result is of another type";
  if (x.elements() == 0 && y.elements() != 0) return "the image is empty";
  if (x.rank() < 3 || x.rank() > kMostRank + 2) return "images have 1 to 6 dimensions";
  if (y.elements() > kMostIndex) return "it has more than 2^31 elements";
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_grid_sample_cuda() {
  return {
      std::make_shared<SimpleCudaKernel>("grid_sample", "grid_sample.points", refuses, prepare)};
}

}  // namespace cleave::backend
