// top_k on the CPU: lines are sorted in part, each by one thread.
#include <algorithm>
#include <numeric>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/top_order.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 8 * 1024;

struct TopK {
  AxisView view;
  int64_t k;
  bool largest;

  // Lines [begin, end) of outer · inner.
  template <class T>
  void run(Range lines, const T* x, T* values, int64_t* indices) const {
    std::vector<int64_t> order(static_cast<size_t>(view.extent));
    const auto copy = std::make_unique<T[]>(view.inner == 1 ? 0 : order.size());
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      const int64_t outer = line / view.inner;
      const int64_t inner = line % view.inner;
      const T* from = x + view.index(outer, 0, inner);
      if (view.inner != 1) {
        for (int64_t e = 0; e < view.extent; ++e) {
          copy[static_cast<size_t>(e)] = from[e * view.inner];
        }
        from = copy.get();
      }
      sort(from, order);
      for (int64_t e = 0; e < k; ++e) {
        const int64_t to = (outer * k + e) * view.inner + inner;
        indices[to] = order[static_cast<size_t>(e)];
        values[to] = from[indices[to]];
      }
    }
  }

 private:
  // Few elements of a long line are found with a heap, others by selection.
  template <class T>
  void sort(const T* line, std::vector<int64_t>& order) const {
    std::iota(order.begin(), order.end(), 0);
    const TopOrder<T> before{line, 1, largest};
    const auto middle = order.begin() + k;
    if (k * 8 < view.extent) {
      std::partial_sort(order.begin(), middle, order.end(), before);
      return;
    }
    if (k < view.extent) std::nth_element(order.begin(), middle, order.end(), before);
    std::sort(order.begin(), middle, before);
  }
};

RunFunction prepare(const KernelProblem& problem) {
  const TopK work{.view = AxisView(problem.inputs[0].shape,
                                   static_cast<size_t>(problem.attributes.integer("axis"))),
                  .k = problem.attributes.integer("k"),
                  .largest = problem.attributes.integer("largest", 1) != 0};
  const DType type = problem.inputs[0].dtype;
  return [work, type](std::span<const void* const> inputs, std::span<void* const> outputs,
                      ThreadPool& pool) {
    const int64_t lines = work.view.outer * work.view.inner;
    if (lines == 0 || work.k == 0) return;
    const int64_t grain = std::max<int64_t>(1, kChunkElements / work.view.extent);
    const int64_t chunks = chunks_for(lines, grain, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      dispatch_dtype(type, [&]<class T>() {
        work.run(partition(lines, chunks, chunk), static_cast<const T*>(inputs[0]),
                 static_cast<T*>(outputs[0]), static_cast<int64_t*>(outputs[1]));
      });
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs.size() != 2) return "it gives values and indices";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the values are of another type";
  if (problem.outputs[1].dtype != DType::kInt64) return "indices are i64";
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  if (problem.attributes.integer("k") > problem.inputs[0].shape.at(axis)) {
    return "k is more than there are elements";
  }
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_top_k_cpu() {
  return {std::make_shared<SimpleKernel>("top_k", "top_k.lines", refuses, prepare)};
}

}  // namespace cleave::backend
