// Resizing on GPUs, a thread for each element of the result. What each element of a resized
// dimension is made from is found on the host and kept in the device's memory.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "types/arithmetic.h"
#include "types/resize_taps.h"

namespace cleave::backend {
namespace {

bool is_nearest(const KernelProblem& problem) {
  return problem.attributes.string("mode", "nearest") == "nearest";
}

// The bytes of resize.cuh's structs.
struct ResizeArgument {
  struct Dim {
    Divisor extent;
    int32_t count = 0;
    const std::byte* offsets = nullptr;
    const std::byte* weights = nullptr;
    const std::byte* outside = nullptr;
    int64_t x_stride = 0;
    int64_t y_stride = 0;
  };
  int32_t dims = 0;
  Dim at[kMostDims] = {};
};

// Tables of all dimensions, laid out one behind the other and copied at once.
class Tables {
 public:
  // Where the bytes will lie, counted from the begin.
  template <class T>
  size_t add(const std::vector<T>& values) {
    const size_t at = (bytes_.size() + 15) / 16 * 16;
    bytes_.resize(at + values.size() * sizeof(T));
    std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
    return at;
  }
  std::shared_ptr<const Buffer> copy_to(Device& device) const {
    auto buffer = std::make_shared<Buffer>(
        device.allocate(static_cast<int64_t>(bytes_.size()), "the tables of a resize"));
    device.copy_to_device(buffer->data(), bytes_.data(), static_cast<int64_t>(bytes_.size()),
                          device.default_stream());
    device.synchronize(device.default_stream());
    return buffer;
  }

 private:
  std::vector<std::byte> bytes_;
};

struct DimTables {
  size_t offsets = 0;
  size_t weights = 0;
  size_t outside = 0;
};

DimTables add_tables(Tables& tables, const ResizeTaps& taps, int64_t x_stride, bool doubles) {
  DimTables added;
  std::vector<int64_t> offsets;
  for (const int64_t source : taps.source) offsets.push_back(source * x_stride);
  added.offsets = tables.add(offsets);
  added.weights = doubles ? tables.add(taps.weight)
                          : tables.add(std::vector<float>(taps.weight.begin(), taps.weight.end()));
  added.outside = tables.add(std::vector<uint8_t>(taps.outside.begin(), taps.outside.end()));
  return added;
}

// The dimensions of more than one element in either, in the order of the result's memory.
std::vector<size_t> dims_of(const KernelProblem& problem) {
  const TensorView& y = problem.outputs[0];
  const std::vector<int64_t> axes = problem.attributes.integers("axes");
  std::vector<size_t> dims;
  for (size_t d = 0; d < y.rank(); ++d) {
    const bool is_resized = std::ranges::count(axes, static_cast<int64_t>(d)) > 0;
    if (is_resized || y.shape[d] != 1) dims.push_back(d);
  }
  std::stable_sort(dims.begin(), dims.end(),
                   [&](size_t a, size_t b) { return y.strides[a] > y.strides[b]; });
  return dims;
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  const int64_t total = y.elements();
  if (total == 0) return CudaRun::nothing();
  const std::vector<int64_t> axes = problem.attributes.integers("axes");
  const bool doubles = x.dtype == DType::kFloat64;
  ResizeArgument argument;
  Tables tables;
  std::vector<std::pair<int32_t, DimTables>> placed;
  for (const size_t d : dims_of(problem)) {
    auto& dim = argument.at[argument.dims];
    dim.extent = make_divisor(y.shape[d]);
    dim.x_stride = x.shape[d] == 1 ? 0 : x.strides[d];
    dim.y_stride = y.strides[d];
    const auto axis = std::ranges::find(axes, static_cast<int64_t>(d));
    if (axis != axes.end()) {
      const ResizeTaps taps = resize_taps(
          problem.attributes, static_cast<size_t>(axis - axes.begin()), x.shape[d], y.shape[d]);
      dim.count = static_cast<int32_t>(taps.count);
      placed.emplace_back(argument.dims, add_tables(tables, taps, dim.x_stride, doubles));
    }
    ++argument.dims;
  }
  const std::shared_ptr<const Buffer> buffer = tables.copy_to(device);
  for (const auto& [index, at] : placed) {
    argument.at[index].offsets = buffer->data() + at.offsets;
    argument.at[index].weights = buffer->data() + at.weights;
    argument.at[index].outside = buffer->data() + at.outside;
  }
  HostTensor extrapolation(x.dtype, {1});
  extrapolation.set(0, problem.attributes.real("extrapolation", 0));
  const bool copies = is_nearest(problem);
  const std::string type =
      copies ? piece_type(static_cast<int64_t>(size_of(x.dtype))) : device_type(x.dtype);
  const std::string source = "using T = " + type +
                             ";\nusing W = " + (doubles ? "double" : "float") +
                             ";\nconstexpr bool kCopies = " + std::to_string(copies) +
                             ";\nconstexpr int kResized = " + std::to_string(placed.size()) +
                             ";\n" + std::string(device_source("resize"));
  const cudaKernel_t kernel = device.modules().get(source, "resize");
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    static_cast<void>(buffer);  // lives as long as this
    launch_kernel(kernel, grid_for(total, device), launch.stream,
                  {&argument, &total, extrapolation.bytes.data(), &inputs[0], &outputs[0]});
  }};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  if (y.dtype != x.dtype) return "the result is of another type";
  if (!is_nearest(problem) && !is_floating(x.dtype)) return "it interpolates floating types";
  if (problem.attributes.integers("axes").empty()) return "there is no axis to resize";
  if (x.elements() == 0 && y.elements() != 0) return "there are no elements to resize";
  if (y.elements() > kMostIndex) return "it has more than 2^31 elements";
  if (dims_of(problem).size() > static_cast<size_t>(kMostDims)) {
    return "its operands lie in more than 8 different dimensions";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_resize_cuda() {
  return {std::make_shared<SimpleCudaKernel>("resize", "resize.elements", refuses, prepare)};
}

}  // namespace cleave::backend
