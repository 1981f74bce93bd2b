// Rotary embedding on the CPU, in float32 (float64 for float64).
#include <type_traits>

#include "backend/cpu/simple_kernel.h"
#include "backend/index_space.h"
#include "base/thread_pool.h"
#include "ops/rotary/kernel_rows.h"
#include "types/host_tensor.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;

struct Rotary {
  DType type;
  int64_t depth;
  bool interleaved;
  IndexSpace rows;  // of cos, sin, x
  int64_t cos_stride;
  int64_t sin_stride;

  template <class T>
  void run_row(const T* x, const T* cos, const T* sin, T* y) const {
    using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const int64_t pairs = depth / 2;
    const int64_t step = interleaved ? 2 : 1;
    const int64_t second = interleaved ? 1 : pairs;
    for (int64_t i = 0; i < pairs; ++i) {
      const A a = static_cast<A>(x[i * step]);
      const A b = static_cast<A>(x[i * step + second]);
      const A c = static_cast<A>(cos[i * cos_stride]);
      const A s = static_cast<A>(sin[i * sin_stride]);
      y[i * step] = T(a * c - b * s);
      y[i * step + second] = T(b * c + a * s);
    }
  }
};

RunFunction prepare(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const Rotary work{.type = x.dtype,
                    .depth = x.shape.back(),
                    .interleaved = problem.attributes.integer("interleaved", 0) != 0,
                    .rows = rotary_rows(problem),
                    .cos_stride = problem.inputs[1].strides.back(),
                    .sin_stride = problem.inputs[2].strides.back()};
  return [work](std::span<const void* const> inputs, std::span<void* const> outputs,
                ThreadPool& pool) {
    if (work.rows.elements == 0 || work.depth == 0) return;
    const int64_t chunks = chunks_for(
        work.rows.elements, std::max<int64_t>(1, kChunkElements / work.depth), pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(work.rows.elements, chunks, chunk);
      dispatch_dtype(work.type, [&]<class T>() {
        if constexpr (!std::is_integral_v<T>) {
          for (int64_t row = range.begin; row < range.end; ++row) {
            work.run_row(static_cast<const T*>(inputs[0]) + work.rows.offset(2, row),
                         static_cast<const T*>(inputs[1]) + work.rows.offset(0, row),
                         static_cast<const T*>(inputs[2]) + work.rows.offset(1, row),
                         static_cast<T*>(outputs[0]) + work.rows.offset(3, row));
          }
        }
      });
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 3, 3)) return reason;
  const TensorView& x = problem.inputs[0];
  if (!is_floating(x.dtype)) return "it takes floating types";
  for (const TensorView& view : {problem.inputs[1], problem.inputs[2], problem.outputs[0]}) {
    if (view.dtype != x.dtype) return "operands are of one type";
  }
  if (x.strides.back() != 1 || problem.outputs[0].strides.back() != 1) {
    return "elements of a row do not follow each other";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_rotary_cpu() {
  return {std::make_shared<SimpleKernel>("rotary", "rotary.rows", refuses, prepare)};
}

}  // namespace cleave::backend
