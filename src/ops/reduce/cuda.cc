// Reductions on GPUs. How terms are shared out depends on the shape alone: the same bits in every
// run.
#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/reduce_op.h"

namespace cleave::backend {
namespace {

constexpr int64_t kThreads = 256;
constexpr int64_t kBlocks = 512;          // fewer are made more by cutting reductions
constexpr int64_t kLeastPart = 4;         // terms a thread, of a reduction that is cut
constexpr int64_t kFewTerms = 16;         // that a thread adds up alone
constexpr int64_t kLeastRow = 8;          // terms a thread, of a row that part of a warp adds up
constexpr int64_t kMostColumnVector = 8;  // results of a thread

struct Spaces {
  IndexSpace kept;     // of x, y; y is dense
  IndexSpace reduced;  // of x
};

Spaces spaces_of(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const auto axes = problem.attributes.integers("axes");
  std::vector<int64_t> kept_shape, kept_strides, reduced_shape, reduced_strides;
  for (size_t d = 0; d < x.rank(); ++d) {
    const bool drops = std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) != axes.end();
    (drops ? reduced_shape : kept_shape).push_back(x.shape[d]);
    (drops ? reduced_strides : kept_strides).push_back(x.strides[d]);
  }
  const auto y = TensorView::dense(x.dtype, kept_shape);
  return {IndexSpace(kept_shape, {kept_strides, y.strides}),
          IndexSpace(reduced_shape, {reduced_strides})};
}

// How many elements of x can be read at once along the last dimension of `along`.
int64_t vector_elements(const IndexSpace& along, const IndexSpace& other, int64_t most) {
  if (along.extents.empty() || along.strides[0].back() != 1) return 1;
  int64_t count = std::gcd(most, along.extents.back());
  for (const auto& strides : along.strides) {
    for (size_t d = 0; d + 1 < strides.size(); ++d) count = std::gcd(count, strides[d]);
  }
  for (int64_t stride : other.strides[0]) count = std::gcd(count, stride);
  return count;
}

// The space of vectors of so many elements of `space`.
IndexSpace by_vectors(IndexSpace space, int64_t elements) {
  if (elements == 1) return space;
  space.extents.back() /= elements;
  space.elements /= elements;
  for (auto& strides : space.strides) strides.back() *= elements;
  return space;
}

// How the work is shared out where so many elements are read at once.
struct Form {
  Form(const Spaces& spaces, bool rows, int64_t vector)
      : kept(by_vectors(spaces.kept, rows ? 1 : vector)),
        reduced(by_vectors(spaces.reduced, rows ? vector : 1)) {
    const int64_t terms = reduced.elements;
    if (rows) {
      workers = kThreads;
      if (terms <= 8 * 32) {
        workers = 32;
        while (workers > 1 && terms < workers * kLeastRow) workers /= 2;
      }
    } else {
      workers = terms <= kFewTerms ? 1 : 8;
    }
    const int64_t together = kThreads / workers;
    const int64_t needed = (kept.elements + together - 1) / together;
    if (workers > 1 && (!rows || workers == kThreads)) {
      splits = std::clamp<int64_t>(kBlocks / std::max<int64_t>(1, needed), 1,
                                   std::max<int64_t>(1, terms / (workers * kLeastPart)));
    }
    part = (terms + splits - 1) / splits;
    if (part > 0) splits = (terms + part - 1) / part;  // none without terms
    blocks = needed * splits;
  }

  IndexSpace kept;
  IndexSpace reduced;
  int64_t workers = 1;
  int64_t splits = 1;
  int64_t part = 0;
  int64_t blocks = 0;
};

class PreparedReduce final : public PreparedKernel {
 public:
  PreparedReduce(const KernelProblem& problem, ReduceOp op, CudaDevice& device) {
    const Spaces spaces = spaces_of(problem);
    results_ = spaces.kept.elements;
    if (results_ == 0) return;
    const DType type = problem.inputs[0].dtype;
    const auto size = static_cast<int64_t>(size_of(type));
    const bool rows = has_rows(spaces);
    const int64_t most = rows ? 16 / size : std::min(16 / size, kMostColumnVector);
    const int64_t vector = rows ? vector_elements(spaces.reduced, spaces.kept, most)
                                : vector_elements(spaces.kept, spaces.reduced, most);
    const char* const ops[] = {"kSum", "kMax", "kMin", "kProd"};
    const std::string source = "using T = " + device_type(type) +
                               ";\nconstexpr ReduceOp kOp = " + ops[static_cast<size_t>(op)] +
                               ";\nconstexpr bool kRows = " + (rows ? "true" : "false") +
                               ";\nconstexpr int kVector = " + std::to_string(vector) + ";\n" +
                               std::string(device_source("reductions")) +
                               std::string(device_source("reduce"));
    const auto make = [&](int64_t elements, const char* kernel) {
      const Form form(spaces, rows, elements);
      workspace_ = std::max(
          workspace_, form.splits == 1 ? 0 : results_ * form.splits * int64_t{sizeof(double)});
      return Call{device.modules().get(source, kernel),
                  SpaceArgument(form.kept, form.kept.extents.size()),
                  SpaceArgument(form.reduced, form.reduced.extents.size()),
                  make_divisor(form.splits),
                  static_cast<uint32_t>(form.part),
                  static_cast<int32_t>(form.workers),
                  form.blocks};
    };
    alignment_ = static_cast<size_t>(vector * size);
    plain_ = make(1, "reduce");
    if (vector > 1) vectors_ = make(vector, "reduce_by_vectors");
    parts_ = device.modules().get(source, "reduce_parts");
  }

  int64_t workspace_bytes() const override { return workspace_; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (results_ == 0) return;
    const bool aligned = are_aligned({inputs[0], outputs[0]}, alignment_);
    const Call& call = vectors_ && aligned ? *vectors_ : *plain_;
    launch_kernel(call.kernel, {.blocks = call.blocks, .threads = kThreads}, launch.stream,
                  {call.kept.data(), call.reduced.data(), &call.splits, &call.part, &call.workers,
                   &inputs[0], &outputs[0], &launch.workspace});
    if (call.splits.value == 1) return;
    const auto splits = static_cast<int32_t>(call.splits.value);
    const auto results = static_cast<int32_t>(results_);
    launch_kernel(parts_,
                  {.blocks = (results_ * 32 + kThreads - 1) / kThreads, .threads = kThreads},
                  launch.stream, {&launch.workspace, &splits, &results, &outputs[0]});
  }

 private:
  struct Call {
    cudaKernel_t kernel;
    SpaceArgument kept;
    SpaceArgument reduced;
    Divisor splits;
    uint32_t part;
    int32_t workers;
    int64_t blocks;
  };

  // Whether terms lie closer to each other than results, and there are enough of them.
  static bool has_rows(const Spaces& spaces) {
    if (spaces.reduced.elements < kFewTerms || spaces.reduced.extents.empty()) return false;
    return spaces.kept.extents.empty() ||
           spaces.reduced.strides[0].back() < spaces.kept.strides[0].back();
  }

  int64_t results_ = 0;
  int64_t workspace_ = 0;
  size_t alignment_ = 1;
  cudaKernel_t parts_ = nullptr;
  std::optional<Call> plain_;
  std::optional<Call> vectors_;
};

class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(ReduceOp op)
      : reduction_(op), op_("reduce_" + std::string(name_of(op))), name_(op_ + ".strided") {}

  std::string_view op() const override { return op_; }
  std::string_view name() const override { return name_; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_operands(problem, 1, 1)) return reason;
    if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
    if (!problem.outputs[0].is_dense()) return "the result is not dense";
    const Spaces spaces = spaces_of(problem);
    if (auto reason = refuse_space(spaces.kept)) return reason;
    return refuse_space(spaces.reduced);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedReduce>(problem, reduction_, cuda_device(cache));
  }

 private:
  ReduceOp reduction_;
  std::string op_;
  std::string name_;
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reduce_cuda() {
  std::vector<std::shared_ptr<const Kernel>> kernels;
  for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin, ReduceOp::kProd}) {
    kernels.push_back(std::make_shared<ReduceKernel>(op));
  }
  return kernels;
}

}  // namespace cleave::backend
