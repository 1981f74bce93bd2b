// Padding on GPUs: each thread finds out where a piece of the result comes from.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <optional>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "ops/pad/cuda_pad.h"
#include "types/host_tensor.h"
#include "types/pad_mode.h"

namespace cleave::backend {
namespace {

// A dimension of operand and result, in elements.
struct PaddedDim {
  int64_t in;
  int64_t out;
  int64_t low;
  int64_t x_stride;
  int64_t y_stride;

  bool is_padded() const { return in != out || low != 0; }
};

// In the order of the result's memory; what is not padded and lies alike in both is one dimension,
// and padding with a constant goes on from one row to the next.
std::vector<PaddedDim> dims_of(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  const auto low = problem.attributes.integers("low");
  const bool is_constant = pad_mode(problem.attributes) == PadMode::kConstant;
  std::vector<PaddedDim> all;
  for (size_t d = 0; d < y.rank(); ++d) {
    const PaddedDim dim{x.shape[d], y.shape[d], low.at(d), x.strides[d], y.strides[d]};
    if (dim.out != 1 || dim.is_padded()) all.push_back(dim);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const PaddedDim& a, const PaddedDim& b) { return a.y_stride > b.y_stride; });
  std::vector<PaddedDim> merged;
  for (const PaddedDim& dim : all) {
    if (!merged.empty() && !dim.is_padded() && (is_constant || !merged.back().is_padded()) &&
        merged.back().x_stride == dim.x_stride * dim.in &&
        merged.back().y_stride == dim.y_stride * dim.out) {
      merged.back() = {merged.back().in * dim.in, merged.back().out * dim.out,
                       merged.back().low * dim.in, dim.x_stride, dim.y_stride};
    } else {
      merged.push_back(dim);
    }
  }
  return merged;
}

// How many elements are moved at once: what follows each other in both, up to 16 bytes.
int64_t elements_at_once(const KernelProblem& problem, const std::vector<PaddedDim>& dims) {
  if (dims.empty()) return 1;
  const TensorView& y = problem.outputs[0];
  const bool is_constant = pad_mode(problem.attributes) == PadMode::kConstant;
  const int64_t most = piece_elements(y.dtype, {&problem.inputs[0], &y});
  const PaddedDim& last = dims.back();
  if (last.x_stride != 1 || last.y_stride != 1 || (last.is_padded() && !is_constant)) return 1;
  int64_t count = std::gcd(std::gcd(most, last.in), std::gcd(last.out, last.low));
  for (size_t d = 0; d + 1 < dims.size(); ++d) {
    count = std::gcd(std::gcd(count, dims[d].x_stride), dims[d].y_stride);
  }
  return count;
}

// The bytes of device code's PadDims.
struct PadDims {
  struct Dim {
    Divisor extent;
    int32_t in;
    int64_t low;
    int64_t x_stride;
    int64_t y_stride;
  };
  int32_t dims = 0;
  Dim at[kMostDims] = {};

  // In pieces of `count` elements.
  PadDims(const std::vector<PaddedDim>& from, int64_t count) {
    for (const PaddedDim& dim : from) {
      const bool is_last = static_cast<size_t>(dims) + 1 == from.size();
      const int64_t part = is_last ? count : 1;
      const int64_t step = is_last ? 1 : count;
      at[dims++] = {make_divisor(std::max<int64_t>(1, dim.out / part)),
                    static_cast<int32_t>(dim.in / part), dim.low / part, dim.x_stride / step,
                    dim.y_stride / step};
    }
  }
};

}  // namespace

CudaRun prepare_pad(const KernelProblem& problem, CudaDevice& device) {
  const TensorView& y = problem.outputs[0];
  const int64_t elements = y.elements();
  if (elements == 0) return CudaRun::nothing();
  const size_t size = size_of(y.dtype);
  const std::vector<PaddedDim> all = dims_of(problem);
  const int64_t count = elements_at_once(problem, all);
  const int64_t bytes = count * static_cast<int64_t>(size);
  const auto mode = static_cast<int>(pad_mode(problem.attributes));
  const std::string source = "constexpr int kMode = " + std::to_string(mode) +
                             ";\nusing T = " + piece_type(bytes) + ";\n" +
                             std::string(device_source("pad"));
  const cudaKernel_t kernel = device.modules().get(source, "pad");
  const PadDims dims(all, count);
  const int64_t total = elements / count;
  HostTensor value(y.dtype, {1});
  value.set(0, problem.attributes.real("value", 0));
  std::array<std::byte, kMostPieceBytes> pattern;
  for (size_t i = 0; i < pattern.size(); i += size) {
    std::memcpy(pattern.data() + i, value.bytes.data(), size);
  }
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    check_aligned({inputs[0], outputs[0]}, bytes);
    launch_kernel(kernel, grid_for(total, device), launch.stream,
                  {&dims, &total, pattern.data(), &inputs[0], &outputs[0]});
  }};
}

namespace {

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  if (y.dtype != x.dtype) return "operand and result are of one type";
  const bool repeats = pad_mode(problem.attributes) != PadMode::kConstant;
  for (size_t d = 0; d < y.rank(); ++d) {
    if (repeats && x.shape[d] == 0 && y.shape[d] != 0) {
      return "dimension " + std::to_string(d) + " has no elements to pad with";
    }
  }
  if (dims_of(problem).size() > static_cast<size_t>(kMostDims)) {
    return "its operands lie in more than 8 different dimensions";
  }
  if (y.elements() > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_pad_cuda() {
  return {std::make_shared<SimpleCudaKernel>("pad", "pad.pieces", refuses, prepare_pad)};
}

}  // namespace cleave::backend
