// Reductions on the CPU. Each result is reduced by one thread in the order of memory: the same
// however many threads there are.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/index_space.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/host_tensor.h"
#include "types/reduce_op.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kLanes = 256;  // results that are accumulated side by side

// What a long reduction of T is accumulated in.
template <class T>
using Sum = std::conditional_t<std::is_same_v<T, bool>, bool,
                               std::conditional_t<std::is_integral_v<T>, T, double>>;

template <class T>
Sum<T> widen(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<float>(value);
  } else {
    return value;
  }
}
template <class T>
T narrow(Sum<T> value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class A>
A identity(ReduceOp op) {
  using Limits = std::numeric_limits<A>;
  switch (op) {
    case ReduceOp::kSum:
      return A{0};
    case ReduceOp::kProd:
      return A{1};
    case ReduceOp::kMax:
      return Limits::has_infinity ? static_cast<A>(-Limits::infinity()) : Limits::lowest();
    default:
      return Limits::has_infinity ? Limits::infinity() : Limits::max();
  }
}

template <ReduceOp kOp, class A>
A combine(A a, A b) {
  if constexpr (std::is_same_v<A, bool>) {
    return kOp == ReduceOp::kSum || kOp == ReduceOp::kMax ? a | b : a & b;
  } else if constexpr (kOp == ReduceOp::kMax || kOp == ReduceOp::kMin) {
    if constexpr (std::is_floating_point_v<A>) {
      if (std::isnan(a)) return a;
    }
    return (kOp == ReduceOp::kMax ? a > b : a < b) ? a : b;
  } else if constexpr (std::is_integral_v<A>) {
    const auto x = static_cast<uint64_t>(a);
    const auto y = static_cast<uint64_t>(b);
    return static_cast<A>(kOp == ReduceOp::kSum ? x + y : x * y);
  } else {
    return kOp == ReduceOp::kSum ? a + b : a * b;
  }
}

struct Reduction {
  ReduceOp op;
  DType type;
  IndexSpace kept;     // of x, y; y is dense
  IndexSpace reduced;  // of x
  const simd::Table* table;

  void run(Range range, const void* x, void* y) const {
    dispatch_dtype(type, [&]<class T>() {
      switch (op) {
        case ReduceOp::kSum:
          return results<T, ReduceOp::kSum>(range, static_cast<const T*>(x), static_cast<T*>(y));
        case ReduceOp::kMax:
          return results<T, ReduceOp::kMax>(range, static_cast<const T*>(x), static_cast<T*>(y));
        case ReduceOp::kMin:
          return results<T, ReduceOp::kMin>(range, static_cast<const T*>(x), static_cast<T*>(y));
        case ReduceOp::kProd:
          return results<T, ReduceOp::kProd>(range, static_cast<const T*>(x), static_cast<T*>(y));
      }
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
        *to = narrow<T>(one_result<T, kOp>(from));
      } else {
        side_by_side<T, kOp>(from, kept.linear_stride(0), to, kept.linear_stride(1), count);
      }
      at += count;
    }
  }

  // One result from rows whose elements follow each other.
  template <class T, ReduceOp kOp>
  Sum<T> one_result(const T* from) const {
    Sum<T> result = identity<Sum<T>>(kOp);
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
          const Sum<T> part = loop(x + i, std::min<int64_t>(4096, count - i));
          result = combine<kOp>(result, part);
        }
      } else {
        for (int64_t i = 0; i < count; ++i) result = combine<kOp>(result, widen(x[i]));
      }
    }
    return result;
  }

  // Results that lie beside each other, accumulated together.
  template <class T, ReduceOp kOp>
  void side_by_side(const T* from, int64_t from_stride, T* to, int64_t to_stride,
                    int64_t count) const {
    Sum<T> sums[kLanes];
    std::fill_n(sums, count, identity<Sum<T>>(kOp));
    const int64_t inner = reduced.extents.empty() ? 1 : reduced.extents.back();
    const int64_t stride = reduced.linear_stride(0);
    RowWalk walk(reduced, 0);
    for (int64_t r = 0; reduced.elements > 0 && r < reduced.elements / inner; ++r) {
      for (int64_t e = 0; e < inner; ++e) {
        const T* x = from + walk.offset(0) + e * stride;
        if (from_stride == 1) {
          for (int64_t i = 0; i < count; ++i) sums[i] = combine<kOp>(sums[i], widen(x[i]));
        } else {
          for (int64_t i = 0; i < count; ++i) {
            sums[i] = combine<kOp>(sums[i], widen(x[i * from_stride]));
          }
        }
      }
      walk.next();
    }
    for (int64_t i = 0; i < count; ++i) to[i * to_stride] = narrow<T>(sums[i]);
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
