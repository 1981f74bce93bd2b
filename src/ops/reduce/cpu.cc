// Reductions on the CPU. What is added up in which order depends on sizes alone: results are the
// same however many threads there are.
#include <algorithm>
#include <array>
#include <numeric>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simple_kernel.h"
#include "backend/index_space.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;
constexpr int64_t kLanes = 256;  // results that are accumulated side by side
constexpr int64_t kVector = 16;  // floats of the longest vectors
// Elements that are added in float before the sum goes to double.
constexpr int64_t kFloatSums = 64;
// Few results of many elements are put together from the results of parts.
constexpr int64_t kMostParts = 32;
constexpr int64_t kMostPartials = int64_t{64} << 10;  // results times parts

constexpr auto kOnes = [] {
  std::array<float, kFloatSums> ones{};
  ones.fill(1);
  return ones;
}();

struct Reduction {
  ReduceOp op;
  DType type;
  IndexSpace kept;     // of x, y; y is dense
  IndexSpace reduced;  // of x
  const simd::Table* table;

  // Elements of each result follow each other: a result is a row, or several.
  bool by_rows() const { return !reduced.extents.empty() && reduced.linear_stride(0) == 1; }

  // Parts of the elements that are reduced, each worth a task of its own.
  int64_t parts() const {
    if (by_rows() || kept.elements == 0) return 1;
    const int64_t most = std::min(kMostParts, kMostPartials / kept.elements);
    return std::clamp<int64_t>(kept.elements * reduced.elements / kChunkElements, 1,
                               std::max<int64_t>(1, std::min(most, reduced.elements)));
  }

  // Results [begin, end) in the order of `kept`.
  void run(Range range, const void* x, void* y) const {
    dispatch([&]<class T, ReduceOp kOp>() {
      const auto* from = static_cast<const T*>(x);
      auto* to = static_cast<T*>(y);
      if (by_rows()) {
        for (int64_t at = range.begin; at < range.end; ++at) {
          to[kept.offset(1, at)] = narrowed<T>(one_result<T, kOp>(from + kept.offset(0, at)));
        }
        return;
      }
      blocks<T, kOp>(range, {0, reduced.elements}, from, [&](int64_t at, Wide<T> result) {
        to[kept.offset(1, at)] = narrowed<T>(result);
      });
    });
  }

  // All results of one part of the elements, into partials[result].
  void run_part(Range part, const void* x, std::byte* partials) const {
    dispatch([&]<class T, ReduceOp kOp>() {
      auto* to = reinterpret_cast<Wide<T>*>(partials);
      blocks<T, kOp>({0, kept.elements}, part, static_cast<const T*>(x),
                     [&](int64_t at, Wide<T> result) { to[at] = result; });
    });
  }

  // The results from those of the parts, `partials[part][result]`.
  void join(int64_t parts, const std::byte* partials, void* y) const {
    dispatch([&]<class T, ReduceOp kOp>() {
      const auto* from = reinterpret_cast<const Wide<T>*>(partials);
      for (int64_t at = 0; at < kept.elements; ++at) {
        Wide<T> result = from[at];
        for (int64_t part = 1; part < parts; ++part) {
          result = combine<kOp>(result, from[part * kept.elements + at]);
        }
        static_cast<T*>(y)[kept.offset(1, at)] = narrowed<T>(result);
      }
    });
  }

 private:
  // Calls f<element type, op>().
  template <class F>
  void dispatch(const F& f) const {
    dispatch_dtype(type, [&]<class T>() {
      dispatch_reduction(op, [&]<ReduceOp kOp>() { f.template operator()<T, kOp>(); });
    });
  }

  // Results `range` over the elements `part`, side by side as far as they lie in one row.
  template <class T, ReduceOp kOp, class Store>
  void blocks(Range range, Range part, const T* x, const Store& store) const {
    const int64_t row = kept.extents.empty() ? 1 : kept.extents.back();
    Wide<T> sums[kLanes];
    for (int64_t at = range.begin; at < range.end;) {
      const int64_t count = std::min({row - at % row, range.end - at, kLanes});
      side_by_side<T, kOp>(x + kept.offset(0, at), part, count, sums);
      for (int64_t i = 0; i < count; ++i) store(at + i, sums[i]);
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

  // Results that lie beside each other, accumulated together over the elements `part`.
  template <class T, ReduceOp kOp>
  void side_by_side(const T* from, Range part, int64_t count, Wide<T>* sums) const {
    std::fill_n(sums, count, identity<Wide<T>>(kOp));
    if (part.size() <= 0) return;
    const int64_t step = kept.linear_stride(0);
    const int64_t inner = reduced.extents.empty() ? 1 : reduced.extents.back();
    const int64_t stride = reduced.linear_stride(0);
    RowWalk walk(reduced, part.begin / inner);
    for (int64_t at = part.begin; at < part.end;) {
      const int64_t column = at % inner;
      const int64_t places = std::min(inner - column, part.end - at);
      const T* x = from + walk.offset(0) + column * stride;
      if constexpr (std::is_same_v<T, float> && kOp == ReduceOp::kSum) {
        if (step == 1) {
          add_rows(x, stride, places, count, sums);
        } else {
          add_places<T, kOp>(x, stride, places, step, count, sums);
        }
      } else {
        add_places<T, kOp>(x, stride, places, step, count, sums);
      }
      at += places;
      if (at < part.end) walk.next();
    }
  }

  template <class T, ReduceOp kOp>
  static void add_places(const T* x, int64_t stride, int64_t places, int64_t step, int64_t count,
                         Wide<T>* sums) {
    for (int64_t place = 0; place < places; ++place, x += stride) {
      if (step == 1) {
        for (int64_t i = 0; i < count; ++i) sums[i] = combine<kOp>(sums[i], widened<Wide<T>>(x[i]));
      } else {
        for (int64_t i = 0; i < count; ++i) {
          sums[i] = combine<kOp>(sums[i], widened<Wide<T>>(x[i * step]));
        }
      }
    }
  }

  // In float as far as rounding errors stay small, then in double. Rows that follow each other are
  // taken together where that fills vectors.
  void add_rows(const float* x, int64_t stride, int64_t places, int64_t count, double* sums) const {
    const int64_t filled = kVector / std::gcd(count, kVector);
    const int64_t together = stride == count && filled * count <= kLanes ? filled : 1;
    float some[kLanes];
    for (int64_t place = 0; place < places;) {
      const bool joined = places - place >= together;
      const int64_t rows = joined ? together : 1;
      const int64_t times =
          joined ? std::min(kFloatSums, (places - place) / together) : places - place;
      std::fill_n(some, rows * count, 0.0f);
      table->add_weighted_rows(kOnes.data(), x + place * stride, rows * stride, times, rows * count,
                               some);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < count; ++i) sums[i] += some[row * count + i];
      }
      place += rows * times;
    }
  }
};

class PreparedReduction final : public PreparedKernel {
 public:
  explicit PreparedReduction(Reduction work) : work_(std::move(work)), parts_(work_.parts()) {}

  int64_t workspace_bytes() const override { return parts_ == 1 ? 0 : parts_ * part_bytes(); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (work_.kept.elements == 0) return;
    if (parts_ > 1) {
      launch.pool.parallel_for(parts_, [&](int64_t part) {
        work_.run_part(partition(work_.reduced.elements, parts_, part), inputs[0],
                       launch.workspace + part * part_bytes());
      });
      work_.join(parts_, launch.workspace, outputs[0]);
      return;
    }
    const int64_t grain =
        std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, work_.reduced.elements));
    const int64_t chunks = chunks_for(work_.kept.elements, grain, launch.pool.threads() * 4);
    launch.pool.parallel_for(chunks, [&](int64_t chunk) {
      work_.run(partition(work_.kept.elements, chunks, chunk), inputs[0], outputs[0]);
    });
  }

 private:
  int64_t part_bytes() const { return work_.kept.elements * int64_t{sizeof(double)}; }

  Reduction work_;
  int64_t parts_;
};

class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(ReduceOp op)
      : op_(op), name_("reduce_" + std::string(name_of(op))), kernel_(name_ + ".strided") {}

  std::string_view op() const override { return name_; }
  std::string_view name() const override { return kernel_; }

  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_operands(problem, 1, 1)) return reason;
    if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
    if (!problem.outputs[0].is_dense()) return "the result is not dense";
    return std::nullopt;
  }

  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    const TensorView& x = problem.inputs[0];
    const auto axes = problem.attributes.integers("axes");
    std::vector<int64_t> kept_shape, kept_strides, reduced_shape, reduced_strides;
    for (size_t d = 0; d < x.rank(); ++d) {
      const bool drops = std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) != axes.end();
      (drops ? reduced_shape : kept_shape).push_back(x.shape[d]);
      (drops ? reduced_strides : kept_strides).push_back(x.strides[d]);
    }
    const auto y = TensorView::dense(x.dtype, kept_shape);
    return std::make_unique<PreparedReduction>(
        Reduction{.op = op_,
                  .type = x.dtype,
                  .kept = IndexSpace(kept_shape, {kept_strides, y.strides}),
                  .reduced = IndexSpace(reduced_shape, {reduced_strides}),
                  .table = &simd::best()});
  }

 private:
  ReduceOp op_;
  std::string name_;
  std::string kernel_;
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reduce_cpu() {
  std::vector<std::shared_ptr<const Kernel>> kernels;
  for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin, ReduceOp::kProd}) {
    kernels.push_back(std::make_shared<ReduceKernel>(op));
  }
  return kernels;
}

}  // namespace cleave::backend
