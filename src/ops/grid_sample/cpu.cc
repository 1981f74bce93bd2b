// Grid sampling on the CPU: the taps of some points are found once, then used for every channel.
#include <algorithm>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"
#include "types/grid_taps.h"

namespace cleave::backend {
namespace {

constexpr int64_t kPoints = 64;  // whose taps are kept at a time

struct GridSample {
  GridSampling sampling;
  std::vector<int64_t> image;
  AxisView in;   // n, c, image
  AxisView out;  // n, c, points

  // Points [begin, end) of those of all n, which are of one n.
  template <class T, class G>
  void run(Range points, const T* x, const G* grid, T* y) const {
    const size_t rank = image.size();
    std::vector<double> point(rank);
    std::vector<GridTap> found, taps;
    std::vector<size_t> ends;
    for (int64_t p = points.begin; p < points.end; ++p) {
      for (size_t d = 0; d < rank; ++d) {
        point[d] = widened<double>(grid[static_cast<size_t>(p) * rank + d]);
      }
      find_grid_taps(sampling, image, point, found);
      taps.insert(taps.end(), found.begin(), found.end());
      ends.push_back(taps.size());
    }
    const int64_t n = points.begin / out.inner;
    for (int64_t c = 0; c < out.extent; ++c) {
      const T* plane = x + in.index(n, c, 0);
      T* result = y + out.index(n, c, points.begin % out.inner);
      size_t tap = 0;
      for (const size_t end : ends) {
        Term<T> sum = 0;
        for (; tap < end; ++tap) {
          sum += widened<Term<T>>(plane[taps[tap].offset]) * static_cast<Term<T>>(taps[tap].weight);
        }
        *result++ = narrowed<T>(sum);
      }
    }
  }
};

RunFunction prepare(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const GridSample work{GridSampling::of(problem.attributes),
                        {x.shape.begin() + 2, x.shape.end()},
                        AxisView(x.shape, 1),
                        AxisView(problem.outputs[0].shape, 1)};
  return
      [work, type = x.dtype, grid_type = problem.inputs[1].dtype](
          std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool) {
        if (work.out.outer * work.out.inner * work.out.extent == 0) return;
        const int64_t parts = ceil_div(work.out.inner, kPoints);  // of one n
        pool.parallel_for(work.out.outer * parts, [&](int64_t chunk) {
          const int64_t first = chunk / parts * work.out.inner;
          const int64_t begin = chunk % parts * kPoints;
          const Range points{first + begin, first + std::min(begin + kPoints, work.out.inner)};
          dispatch_floating(type, [&]<class T>() {
            dispatch_floating(grid_type, [&]<class G>() {
              work.run(points, static_cast<const T*>(inputs[0]), static_cast<const G*>(inputs[1]),
                       static_cast<T*>(outputs[0]));
            });
          });
        });
      };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 2, 2)) return reason;
  const TensorView& x = problem.inputs[0];
  if (!is_floating(x.dtype) || !is_floating(problem.inputs[1].dtype)) {
    return "it takes floating types";
  }
  if (problem.outputs[0].dtype != x.dtype) return "the result is of another type";
  if (x.elements() == 0 && problem.outputs[0].elements() != 0) return "the image is empty";
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_grid_sample_cpu() {
  return {std::make_shared<SimpleKernel>("grid_sample", "grid_sample.points", refuses, prepare)};
}

}  // namespace cleave::backend
