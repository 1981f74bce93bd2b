// Reductions on GPUs. How terms are shared out depends on the shape alone: the same bits in every
// run.
#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/reduce_op.h"

namespace cleave::backend {
namespace {

constexpr int kThreads = 256;
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

// How the work is shared out where `vector` elements are read at once.
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

// Whether terms lie closer to each other than results, and there are enough of them.
bool has_rows(const Spaces& spaces) {
  if (spaces.reduced.elements < kFewTerms || spaces.reduced.extents.empty()) return false;
  return spaces.kept.extents.empty() ||
         spaces.reduced.strides[0].back() < spaces.kept.strides[0].back();
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  if (!problem.outputs[0].is_dense()) return "the result is not dense";
  const Spaces spaces = spaces_of(problem);
  if (auto reason = refuse_space(spaces.kept)) return reason;
  return refuse_space(spaces.reduced);
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device, ReduceOp op) {
  const Spaces spaces = spaces_of(problem);
  const auto results = static_cast<int32_t>(spaces.kept.elements);
  if (results == 0) return CudaRun::nothing();
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  const auto size = static_cast<int64_t>(size_of(x.dtype));
  const bool rows = has_rows(spaces);
  const int64_t vector =
      rows ? vector_elements(spaces.reduced, spaces.kept, piece_elements(x.dtype, {&x}))
           : vector_elements(spaces.kept, spaces.reduced,
                             std::min(piece_elements(x.dtype, {&x, &y}), kMostColumnVector));
  const char* const ops[] = {"kSum", "kMax", "kMin", "kProd"};
  const std::string source = "using T = " + device_type(x.dtype) +
                             ";\nconstexpr ReduceOp kOp = " + ops[static_cast<size_t>(op)] +
                             ";\nconstexpr bool kRows = " + (rows ? "true" : "false") +
                             ";\nconstexpr int kVector = " + std::to_string(vector) + ";\n" +
                             std::string(device_source("reductions")) +
                             std::string(device_source("reduce"));
  const cudaKernel_t reduce = device.modules().get(source, "reduce");
  const cudaKernel_t join = device.modules().get(source, "reduce_parts");
  const Form form(spaces, rows, vector);
  const SpaceArgument kept(form.kept, form.kept.extents.size());
  const SpaceArgument reduced(form.reduced, form.reduced.extents.size());
  const Divisor splits = make_divisor(form.splits);
  const auto part = static_cast<uint32_t>(form.part);
  const auto workers = static_cast<int32_t>(form.workers);
  const Grid grid{.blocks = form.blocks, .threads = kThreads};
  const Grid join_grid{.blocks = (int64_t{results} * 32 + kThreads - 1) / kThreads,
                       .threads = kThreads};
  const bool is_cut = form.splits > 1;
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
            check_aligned({inputs[0]}, vector * size);
            check_aligned({outputs[0]}, rows ? size : vector * size);
            launch_kernel(reduce, grid, launch.stream,
                          {kept.data(), reduced.data(), &splits, &part, &workers, &inputs[0],
                           &outputs[0], &launch.workspace});
            if (!is_cut) return;
            const auto count = static_cast<int32_t>(splits.value);
            launch_kernel(join, join_grid, launch.stream,
                          {&launch.workspace, &count, &results, &outputs[0]});
          },
          is_cut ? results * form.splits * int64_t{sizeof(double)} : 0};
}

std::shared_ptr<const Kernel> make(ReduceOp op) {
  const std::string name = "reduce_" + std::string(name_of(op));
  return std::make_shared<SimpleCudaKernel>(name, name + ".strided", refuses,
                                            [op](const KernelProblem& problem, CudaDevice& device) {
                                              return prepare(problem, device, op);
                                            });
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reduce_cuda() {
  return {make(ReduceOp::kSum), make(ReduceOp::kMax), make(ReduceOp::kMin), make(ReduceOp::kProd)};
}

}  // namespace cleave::backend
