// Padding on GPUs.
#include <cstring>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/space.h"
#include "types/host_tensor.h"
#include "types/pad_mode.h"

namespace cleave::backend {
namespace {

constexpr int64_t kVectorBytes = 16;

struct Dimension {
  int64_t x_extent;
  int64_t y_extent;
  int64_t x_stride;
  int64_t y_stride;
  int64_t low;

  bool is_padded() const { return x_extent != y_extent; }
};

// The dimensions of y, outermost first; those that both sides walk through alike are one.
std::vector<Dimension> dimensions_of(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  const auto low = problem.attributes.integers("low");
  const bool constant = pad_mode(problem.attributes) == PadMode::kConstant;
  std::vector<Dimension> dimensions;
  for (size_t d = 0; d < y.rank(); ++d) {
    const Dimension next{x.shape[d], y.shape[d], x.strides[d], y.strides[d], low.at(d)};
    if (!next.is_padded() && next.y_extent == 1) continue;
    Dimension* last = dimensions.empty() ? nullptr : &dimensions.back();
    // Padding with a constant goes on from one row to the next.
    if (last != nullptr && !next.is_padded() && (constant || !last->is_padded()) &&
        last->x_stride == next.x_stride * next.x_extent &&
        last->y_stride == next.y_stride * next.y_extent) {
      *last = {last->x_extent * next.x_extent, last->y_extent * next.y_extent, next.x_stride,
               next.y_stride, last->low * next.x_extent};
    } else {
      dimensions.push_back(next);
    }
  }
  return dimensions;
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  if (y.dtype != x.dtype) return "operand and result are of one type";
  if (pad_mode(problem.attributes) != PadMode::kConstant) {
    for (size_t d = 0; d < y.rank(); ++d) {
      if (x.shape[d] == 0 && y.shape[d] != 0) {
        return "dimension " + std::to_string(d) + " has no elements to pad with";
      }
    }
  }
  if (dimensions_of(problem).size() > static_cast<size_t>(kMostDims)) {
    return "it has more than " + std::to_string(kMostDims) + " dimensions";
  }
  if (y.elements() > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

// How many elements can be moved at once: all or none of them are padding.
int64_t elements_together(const std::vector<Dimension>& dimensions, int64_t size, bool constant) {
  if (dimensions.empty()) return 1;
  const Dimension& last = dimensions.back();
  if (last.x_stride != 1 || last.y_stride != 1 || (last.is_padded() && !constant)) return 1;
  int64_t count = kVectorBytes / size;
  for (int64_t value : {last.x_extent, last.y_extent, last.low}) count = std::gcd(count, value);
  for (size_t d = 0; d + 1 < dimensions.size(); ++d) {
    count = std::gcd(count, std::gcd(dimensions[d].x_stride, dimensions[d].y_stride));
  }
  return count;
}

// A Padded of device code.
struct Padded {
  std::byte y[sizeof(int64_t) * 14 + sizeof(int64_t) * kMostDims];
  int64_t extents[kMostDims];
  int64_t strides[kMostDims];
  int64_t low[kMostDims];
};

struct Form {
  cudaKernel_t kernel;
  Padded padded;
  int64_t elements;
  size_t alignment;

  Form(const std::vector<Dimension>& dimensions, int64_t together, int64_t size, PadMode mode,
       CudaDevice& device)
      : padded{}, alignment(static_cast<size_t>(together * size)) {
    IndexSpace y({}, {{}});
    for (size_t d = 0; d < dimensions.size(); ++d) {
      const Dimension& dimension = dimensions[d];
      const bool last = d + 1 == dimensions.size();
      const int64_t unit = last ? together : 1;
      y.extents.push_back(dimension.y_extent / unit);
      y.strides[0].push_back(last ? dimension.y_stride : dimension.y_stride / together);
      y.elements *= y.extents.back();
      padded.extents[d] = dimension.x_extent / unit;
      padded.strides[d] = last ? dimension.x_stride : dimension.x_stride / together;
      padded.low[d] = dimension.low / unit;
    }
    elements = y.elements;
    const SpaceArgument space(y, y.extents.size());
    CLEAVE_CHECK(space.size() == sizeof padded.y, "a space of one operand");
    std::memcpy(padded.y, space.data(), space.size());
    const int64_t bytes = together * size;
    const std::string type =
        bytes == kVectorBytes ? "Vector<uint64_t, 2>" : "uint" + std::to_string(bytes * 8) + "_t";
    kernel = device.modules().get(
        "using T = " + type + ";\nconstexpr int kMode = " + std::to_string(static_cast<int>(mode)) +
            ";\n" + std::string(device_source("pad")),
        "pad");
  }
};

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const TensorView& y = problem.outputs[0];
  if (y.elements() == 0) return CudaRun::nothing();
  const PadMode mode = pad_mode(problem.attributes);
  const auto dimensions = dimensions_of(problem);
  const auto size = static_cast<int64_t>(size_of(y.dtype));
  const int64_t together = elements_together(dimensions, size, mode == PadMode::kConstant);
  const Form plain(dimensions, 1, size, mode, device);
  const Form wide = together == 1 ? plain : Form(dimensions, together, size, mode, device);
  // As many as a vector holds.
  HostTensor values(y.dtype, {kVectorBytes / size});
  for (int64_t i = 0; i < values.elements(); ++i) {
    values.set(i, problem.attributes.real("value", 0));
  }
  return {[=, &device](std::span<const void* const> inputs, std::span<void* const> outputs,
                       const Launch& launch) {
    const Form& form = are_aligned({inputs[0], outputs[0]}, wide.alignment) ? wide : plain;
    launch_kernel(form.kernel, grid_for(form.elements, device), launch.stream,
                  {&form.padded, values.bytes.data(), &inputs[0], &outputs[0]});
  }};
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_pad_cuda() {
  return {std::make_shared<SimpleCudaKernel>("pad", "pad.strided", refuses, prepare)};
}

}  // namespace cleave::backend
