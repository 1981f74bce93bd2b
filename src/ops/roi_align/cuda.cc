// roi_align on GPUs: a thread for each bin of a channel, in float64 as the reference.
#include <algorithm>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "types/indexing.h"
#include "types/roi.h"

namespace cleave::backend {
namespace {

// The bytes of roi_align.cuh's struct.
struct AlignArgument {
  double scale;
  double offset;
  int64_t samples;
  IndexRange images;
  int64_t total;
  int64_t height;
  int64_t width;
  Divisor rows;
  Divisor columns;
  Divisor channels;
};

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const auto& x = problem.inputs[0].shape;
  const auto& y = problem.outputs[0].shape;
  const int64_t total = problem.outputs[0].elements();
  if (total == 0) return CudaRun::nothing();
  const RoiAlignment alignment = RoiAlignment::of(problem.attributes);
  const AlignArgument argument{.scale = alignment.scale,
                               .offset = alignment.offset,
                               .samples = alignment.samples,
                               .images = IndexRange::of(problem.attributes, x[0]),
                               .total = total,
                               .height = x[2],
                               .width = x[3],
                               .rows = make_divisor(y[2]),
                               .columns = make_divisor(y[3]),
                               .channels = make_divisor(y[1])};
  const std::string source =
      "using T = " + device_type(problem.inputs[0].dtype) +
      ";\nusing R = " + device_type(problem.inputs[1].dtype) +
      ";\nusing I = " + device_type(problem.inputs[2].dtype) +
      ";\nconstexpr bool kTakesLargest = " + std::to_string(alignment.takes_largest) + ";\n" +
      std::string(device_source("indices")) + std::string(device_source("roi_align"));
  const cudaKernel_t kernel = device.modules().get(source, "roi_align");
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    launch_kernel(kernel, grid_for(argument.total, device, 128), launch.stream,
                  {&argument, &inputs[0], &inputs[1], &inputs[2], &outputs[0]});
  }};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 3, 3)) return reason;
  for (const size_t input : {0, 1}) {
    if (!is_floating(problem.inputs[input].dtype)) return "it takes floating types";
  }
  const DType index = problem.inputs[2].dtype;
  if (index != DType::kInt64 && index != DType::kInt32) return "it takes indices of i32 or i64";
  if (problem.inputs[0].rank() != 4 || problem.outputs[0].rank() != 4) return "ranks do not fit";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  if (problem.outputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_roi_align_cuda() {
  return {std::make_shared<SimpleCudaKernel>("roi_align", "roi_align.bins", refuses, prepare)};
}

}  // namespace cleave::backend
