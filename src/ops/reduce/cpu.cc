// Reductions on the CPU. Each result is reduced by one thread in the order of memory: the same
// however many threads there are.
#include <algorithm>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simple_kernel.h"
#include "backend/index_space.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kLanes = 256;  // results that are accumulated side by side

struct Reduction {
  ReduceOp op;
  DType type;
  IndexSpace kept;     // of x, y; y is dense
  IndexSpace reduced;  // of x
  const simd::Table* table;

  void run(Range range, const void* x, void* y) const {
    dispatch_dtype(type, [&]<class T>() {
      dispatch_reduction(op, [&]<ReduceOp kOp>() {
        results<T, kOp>(range, static_cast<const T*>(x), static_cast<T*>(y));
      });
    });
  }

 private:
  // Results [begin, end) in the order of `kept`.
  template <class T, ReduceOp kOp>
  void results(Range range, const T* x, T* y) const {
    const bool inner = !reduced.extents.empty() && reduced.linear_stride(0) == 1;
    const int64_t row = kept.extents.empty() ? 1 : kept.extents.back();
    for (int64_t at = range.begin; at < range.end;) {
      const int64_t column = at % row;
      const int64_t count = inner ? 1 : std::min({row - column, range.end - at, kLanes});
      const T* from = x + kept.offset(0, at);
      T* to = y + kept.offset(1, at);
      if (inner) {
        *to = narrowed<T>(one_result<T, kOp>(from));
      } else {
        side_by_side<T, kOp>(from, kept.linear_stride(0), to, kept.linear_stride(1), count);
      }
      at += count;
    }
  }

  // One result from rows whose elements follow each other.
  template <class T, ReduceOp kOp>
  Wide<T> one_result(const T* from) const {
    Wide<T> result = identity<Wide<T>>(kOp);
    if (reduced.elements == 0) return result;
    const int64_t count = reduced.extents.back();
    RowWalk walk(reduced, 0);
    for (int64_t r = 0; r < reduced.elements / count; ++r) {
      const T* x = from + walk.offset(0);
      walk.next();
      if constexpr (std::is_same_v<T, float> && kOp != ReduceOp::kProd) {
        const auto loop = kOp == ReduceOp::kSum   ? table->sum
                          : kOp == ReduceOp::kMax ? table->max
                                                  : table->min;
        // Parts of 4096 keep the sums' rounding errors small; parts are added in double.
        for (int64_t i = 0; i < count; i += 4096) {
          const Wide<T> part = loop(x + i, std::min<int64_t>(4096, count - i));
          result = combine<kOp>(result, part);
        }
      } else {
        for (int64_t i = 0; i < count; ++i) result = combine<kOp>(result, widened<Wide<T>>(x[i]));
      }
    }
    return result;
  }

  // Results that lie beside each other, accumulated together.
  template <class T, ReduceOp kOp>
  void side_by_side(const T* from, int64_t from_stride, T* to, int64_t to_stride,
                    int64_t count) const {
    Wide<T> sums[kLanes];
    std::fill_n(sums, count, identity<Wide<T>>(kOp));
    const int64_t inner = reduced.extents.empty() ? 1 : reduced.extents.back();
    const int64_t stride = reduced.linear_stride(0);
    RowWalk walk(reduced, 0);
    for (int64_t r = 0; reduced.elements > 0 && r < reduced.elements / inner; ++r) {
      for (int64_t e = 0; e < inner; ++e) {
        const T* x = from + walk.offset(0) + e * stride;
        if (from_stride == 1) {
          for (int64_t i = 0; i < count; ++i)
            sums[i] = combine<kOp>(sums[i], widened<Wide<T>>(x[i]));
        } else {
          for (int64_t i = 0; i < count; ++i) {
            sums[i] = combine<kOp>(sums[i], widened<Wide<T>>(x[i * from_stride]));
          }
        }
      }
      walk.next();
    }
    for (int64_t i = 0; i < count; ++i) to[i * to_stride] = narrowed<T>(sums[i]);
  }
};

RunFunction prepare(const KernelProblem& problem, ReduceOp op) {
  const TensorView& x = problem.inputs[0];
  const auto axes = problem.attributes.integers("axes");
  std::vector<int64_t> kept_shape, kept_strides, reduced_shape, reduced_strides;
  for (size_t d = 0; d < x.rank(); ++d) {
    const bool drops = std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) != axes.end();
    (drops ? reduced_shape : kept_shape).push_back(x.shape[d]);
    (drops ? reduced_strides : kept_strides).push_back(x.strides[d]);
  }
  const auto y = TensorView::dense(x.dtype, kept_shape);
  const Reduction work{.op = op,
                       .type = x.dtype,
                       .kept = IndexSpace(kept_shape, {kept_strides, y.strides}),
                       .reduced = IndexSpace(reduced_shape, {reduced_strides}),
                       .table = &simd::best()};
  return [work](std::span<const void* const> inputs, std::span<void* const> outputs,
                ThreadPool& pool) {
    if (work.kept.elements == 0) return;
    const int64_t grain =
        std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, work.reduced.elements));
    const int64_t chunks = chunks_for(work.kept.elements, grain, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      work.run(partition(work.kept.elements, chunks, chunk), inputs[0], outputs[0]);
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  if (!problem.outputs[0].is_dense()) return "the result is not dense";
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reduce_cpu() {
  std::vector<std::shared_ptr<const Kernel>> kernels;
  for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin, ReduceOp::kProd}) {
    const std::string name = "reduce_" + std::string(name_of(op));
    kernels.push_back(std::make_shared<SimpleKernel>(
        name, name + ".strided", refuses,
        [op](const KernelProblem& problem) { return prepare(problem, op); }));
  }
  return kernels;
}

}  // namespace cleave::backend
