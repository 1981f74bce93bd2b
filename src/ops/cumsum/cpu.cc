// cumsum on the CPU: lines that lie beside each other are summed together.
#include <algorithm>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kLanes = 256;  // lines that are summed side by side

struct CumSum {
  AxisView view;
  bool is_exclusive;
  bool is_reversed;

  // Lines [begin, end) of outer · inner. Sums of floating types are taken in double.
  template <class T>
  void run(Range lines, const T* x, T* y) const {
    Wide<T> sums[kLanes];
    for (int64_t line = lines.begin; line < lines.end;) {
      const int64_t column = line % view.inner;
      const int64_t count = std::min({view.inner - column, lines.end - line, kLanes});
      const int64_t first = line / view.inner * view.extent * view.inner + column;
      std::fill_n(sums, count, Wide<T>{});
      for (int64_t e = 0; e < view.extent; ++e) {
        const int64_t at = first + (is_reversed ? view.extent - 1 - e : e) * view.inner;
        for (int64_t i = 0; i < count; ++i) {
          const Wide<T> next = combine<ReduceOp::kSum>(sums[i], widened<Wide<T>>(x[at + i]));
          y[at + i] = narrowed<T>(is_exclusive ? sums[i] : next);
          sums[i] = next;
        }
      }
      line += count;
    }
  }
};

RunFunction prepare(const KernelProblem& problem) {
  const CumSum work{.view = AxisView(problem.inputs[0].shape,
                                     static_cast<size_t>(problem.attributes.integer("axis"))),
                    .is_exclusive = problem.attributes.integer("exclusive", 0) != 0,
                    .is_reversed = problem.attributes.integer("reverse", 0) != 0};
  const DType type = problem.inputs[0].dtype;
  return [work, type](std::span<const void* const> inputs, std::span<void* const> outputs,
                      ThreadPool& pool) {
    const int64_t lines = work.view.outer * work.view.inner;
    if (lines == 0 || work.view.extent == 0) return;
    const int64_t grain = std::max<int64_t>(1, kChunkElements / work.view.extent);
    const int64_t chunks = chunks_for(lines, grain, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      dispatch_dtype(type, [&]<class T>() {
        work.run(partition(lines, chunks, chunk), static_cast<const T*>(inputs[0]),
                 static_cast<T*>(outputs[0]));
      });
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_cumsum_cpu() {
  return {std::make_shared<SimpleKernel>("cumsum", "cumsum.lines", refuses, prepare)};
}

}  // namespace cleave::backend
