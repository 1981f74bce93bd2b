// arg_max and arg_min on the CPU.
#include <cmath>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;

// The first extreme counts; NaN beats every number.
template <class T>
int64_t extreme_index(const T* x, int64_t stride, int64_t count, bool largest) {
  int64_t best = 0;
  for (int64_t e = 1; e < count; ++e) {
    const auto value = widened<Term<T>>(x[e * stride]);
    const auto record = widened<Term<T>>(x[best * stride]);
    if constexpr (kIsFloating<T>) {
      if (std::isnan(record)) break;
      if (std::isnan(value)) {
        best = e;
        continue;
      }
    }
    if (largest ? value > record : value < record) best = e;
  }
  return best;
}

std::shared_ptr<const Kernel> make(const char* op, bool largest) {
  const auto prepare = [largest](const KernelProblem& problem) -> RunFunction {
    const AxisView view(problem.inputs[0].shape,
                        static_cast<size_t>(problem.attributes.integer("axis")));
    const DType type = problem.inputs[0].dtype;
    return
        [=](std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool) {
          const int64_t lines = view.outer * view.inner;
          if (lines == 0) return;
          const int64_t grain =
              std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, view.extent));
          const int64_t chunks = chunks_for(lines, grain, pool.threads() * 4);
          pool.parallel_for(chunks, [&](int64_t chunk) {
            const Range range = partition(lines, chunks, chunk);
            for (int64_t line = range.begin; line < range.end; ++line) {
              const int64_t at = line / view.inner * view.extent * view.inner + line % view.inner;
              dispatch_dtype(type, [&]<class T>() {
                static_cast<int64_t*>(outputs[0])[line] = extreme_index(
                    static_cast<const T*>(inputs[0]) + at, view.inner, view.extent, largest);
              });
            }
          });
        };
  };
  const auto refuses = [](const KernelProblem& problem) -> std::optional<std::string> {
    if (auto reason = refuse_operands(problem, 1, 1)) return reason;
    if (problem.outputs[0].dtype != DType::kInt64) return "the result is i64";
    return refuse_strides(problem);
  };
  return std::make_shared<SimpleKernel>(op, std::string(op) + ".plain", refuses, prepare);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_arg_extreme_cpu() {
  return {make("arg_max", true), make("arg_min", false)};
}

}  // namespace cleave::backend
