// Matrix products on GPUs: cuBLASLt, and a plain kernel for what it does not take.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <utility>

#include "backend/cuda/cublas.h"
#include "backend/cuda/device_sources.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "base/check.h"
#include "ops/matmul/kernel_layout.h"

namespace cleave::backend {
namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;  // capabilities_cuda.cc has it too

// A matrix in memory: consecutive elements along one dimension, `leading` elements between those of
// the other. Row-major: it is the columns that follow each other.
struct Matrix {
  bool row_major = true;
  int64_t leading = 1;

  // Of `rows` and `columns` with these strides; nothing where neither dimension is without gaps.
  static std::optional<Matrix> of(int64_t rows, int64_t columns, int64_t row_stride,
                                  int64_t column_stride) {
    // A single row or column may have any stride between.
    if (column_stride == 1 || columns == 1) {
      const int64_t leading = rows == 1 ? columns : row_stride;
      if (leading >= columns && leading > 0) return Matrix{true, leading};
    }
    if (row_stride == 1 || rows == 1) {
      const int64_t leading = columns == 1 ? rows : column_stride;
      if (leading >= rows && leading > 0) return Matrix{false, leading};
    }
    return std::nullopt;
  }
};

// The products of a problem: `batch` side by side, and those again for each element of `outer`.
struct Plan {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  Matrix a, b, y;
  int64_t batch = 1;
  std::array<int64_t, 3> batch_strides = {};  // of a, b, y
  int64_t outer = 1;
  IndexSpace outer_space;
};

// The products of a problem: those that have a b each, and, where the rows of one do not lie at one
// distance (images' points as rows, say), those of its leading dimensions.
IndexSpace products_of(const MatmulLayout& layout) {
  std::vector<int64_t> extents = layout.batch_space.extents;
  std::vector<std::vector<int64_t>> strides = layout.batch_space.strides;
  for (size_t d = 0; d + 1 < layout.rows.extents.size(); ++d) {
    extents.push_back(layout.rows.extents[d]);
    for (size_t i = 0; i < strides.size(); ++i) strides[i].push_back(layout.rows.strides[i][d]);
  }
  return IndexSpace(extents, std::move(strides));
}

// The last dimension of the space becomes the batch, what is before it is walked one by one.
Plan with_batch(const MatmulLayout& layout) {
  const IndexSpace outer = products_of(layout);
  const int64_t rows = layout.rows.extents.empty() ? 1 : layout.rows.extents.back();
  Plan plan{.m = rows, .n = layout.n, .k = layout.k, .outer_space = outer};
  if (!outer.extents.empty()) {
    plan.batch = outer.extents.back();
    const size_t y = outer.strides.size() - 1;
    plan.batch_strides = {outer.strides[0].back(), outer.strides[1].back(),
                          outer.strides[y].back()};
    plan.outer_space.extents.pop_back();
    for (auto& strides : plan.outer_space.strides) strides.pop_back();
    plan.outer_space.elements = plan.batch == 0 ? 0 : outer.elements / plan.batch;
  }
  plan.outer = plan.outer_space.elements;
  return plan;
}

// Nothing where the operands do not lie as cuBLASLt takes them.
std::optional<Plan> plan_of(const MatmulLayout& layout) {
  Plan plan = with_batch(layout);
  const size_t y = layout.rows.strides.size() - 1;
  const int64_t a_row = layout.rows.linear_stride(0);
  const int64_t y_row = layout.rows.linear_stride(y);
  const auto a = Matrix::of(plan.m, plan.k, a_row, layout.a_k_stride);
  const auto b = Matrix::of(plan.k, plan.n, layout.b_k_stride, layout.b_n_stride);
  const auto result = Matrix::of(plan.m, plan.n, y_row, layout.column_strides[y]);
  if (!a || !b || !result || !result->row_major) return std::nullopt;
  plan.a = *a;
  plan.b = *b;
  plan.y = *result;
  return plan;
}

cudaDataType_t data_type(DType type) {
  switch (type) {
    case DType::kFloat16:
      return CUDA_R_16F;
    case DType::kBFloat16:
      return CUDA_R_16BF;
    case DType::kFloat64:
      return CUDA_R_64F;
    default:
      return CUDA_R_32F;
  }
}

// cuBLASLt sees column-major matrices: it computes the transposed product yᵀ = bᵀ·aᵀ.
class CublasProduct {
 public:
  CublasProduct(const Plan& plan, DType type) : wide_(type == DType::kFloat64) {
    const cudaDataType_t scale = wide_ ? CUDA_R_64F : CUDA_R_32F;
    cublas_check(cublasLtMatmulDescCreate(&product_.value,
                                          wide_ ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, scale),
                 "describing a product");
    set_transposed(CUBLASLT_MATMUL_DESC_TRANSA, !plan.b.row_major);
    set_transposed(CUBLASLT_MATMUL_DESC_TRANSB, !plan.a.row_major);
    const auto matrix = [&](Layout& layout, const Matrix& m, int64_t rows, int64_t columns,
                            int64_t stride) {
      const int64_t inner = m.row_major ? columns : rows;
      const int64_t others = m.row_major ? rows : columns;
      cublas_check(
          cublasLtMatrixLayoutCreate(&layout.value, data_type(type), static_cast<uint64_t>(inner),
                                     static_cast<uint64_t>(others), m.leading),
          "describing a matrix");
      const auto count = static_cast<int32_t>(plan.batch);
      set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
      set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
    };
    matrix(b_, plan.b, plan.k, plan.n, plan.batch_strides[1]);
    matrix(a_, plan.a, plan.m, plan.k, plan.batch_strides[0]);
    matrix(y_, plan.y, plan.m, plan.n, plan.batch_strides[2]);
  }

  // The algorithm that cuBLASLt thinks best where operands are aligned to so many bytes; false
  // where it has none.
  bool choose(cublasLtHandle_t handle, uint32_t alignment, cublasLtMatmulAlgo_t& algorithm) const {
    Preference preference;
    cublas_check(cublasLtMatmulPreferenceCreate(&preference.value), "choosing an algorithm");
    const auto bytes = static_cast<uint64_t>(kWorkspaceBytes);
    const auto set_preference = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
      cublas_check(
          cublasLtMatmulPreferenceSetAttribute(preference.value, which, &value, sizeof value),
          "choosing an algorithm");
    };
    set_preference(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, bytes);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
    cublasLtMatmulHeuristicResult_t result = {};
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, product_.value, b_.value, a_.value, y_.value,
                                       y_.value, preference.value, 1, &result, &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || found == 0) return false;
    cublas_check(status, "choosing an algorithm");
    algorithm = result.algo;
    return true;
  }

  void run(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm, const void* a,
           const void* b, void* y, std::byte* workspace, StreamHandle stream) const {
    const double one = 1;
    const double zero = 0;
    const float one_f = 1;
    const float zero_f = 0;
    cublas_check(
        cublasLtMatmul(handle, product_.value,
                       wide_ ? static_cast<const void*>(&one) : static_cast<const void*>(&one_f), b,
                       b_.value, a, a_.value,
                       wide_ ? static_cast<const void*>(&zero) : static_cast<const void*>(&zero_f),
                       y, y_.value, y, y_.value, &algorithm, workspace, kWorkspaceBytes,
                       static_cast<cudaStream_t>(stream.native)),
        "multiplying");
  }

 private:
  template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
  struct Owned {
    Owned() = default;
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() {
      if (value != nullptr) kDestroy(value);
    }
    Handle value = nullptr;
  };
  using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
  using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

  void set_transposed(cublasLtMatmulDescAttributes_t which, bool transposed) {
    const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublas_check(
        cublasLtMatmulDescSetAttribute(product_.value, which, &operation, sizeof operation),
        "describing a product");
  }
  template <class T>
  static void set(Layout& layout, cublasLtMatrixLayoutAttribute_t which, const T& value) {
    cublas_check(cublasLtMatrixLayoutSetAttribute(layout.value, which, &value, sizeof value),
                 "describing a matrix");
  }

  bool wide_;
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> product_;
  Layout a_, b_, y_;
};

// Operands that begin at any multiple of 16 bytes, as nearly all do, or anywhere.
constexpr uint32_t kAligned = 16;

class PreparedCublas final : public PreparedKernel {
 public:
  PreparedCublas(const Plan& plan, DType type, CudaDevice& device)
      : plan_(plan),
        size_(static_cast<int64_t>(size_of(type))),
        product_(plan, type),
        handle_(cublas_of(device)) {
    const auto element = static_cast<uint32_t>(size_);
    const bool aligned = product_.choose(handle_, kAligned, aligned_);
    const bool any = product_.choose(handle_, element, unaligned_);
    if (!aligned || !any) {
      throw Error(ErrorCode::kUnsupported, "cuBLASLt has no algorithm for a product",
                  "please report it with the model");
    }
  }

  int64_t workspace_bytes() const override { return kWorkspaceBytes; }
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const size_t y = plan_.outer_space.strides.size() - 1;
    for (int64_t i = 0; i < plan_.outer; ++i) {
      const auto* a = static_cast<const std::byte*>(inputs[0]) + offset(0, i);
      const auto* b = static_cast<const std::byte*>(inputs[1]) + offset(1, i);
      auto* result = static_cast<std::byte*>(outputs[0]) + offset(y, i);
      const auto bits = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) |
                        reinterpret_cast<uintptr_t>(result);
      product_.run(handle_, bits % kAligned == 0 ? aligned_ : unaligned_, a, b, result,
                   launch.workspace, launch.stream);
    }
  }

 private:
  int64_t offset(size_t operand, int64_t i) const {
    return plan_.outer_space.offset(operand, i) * size_;
  }

  Plan plan_;
  int64_t size_;
  CublasProduct product_;
  cublasLtHandle_t handle_;
  cublasLtMatmulAlgo_t aligned_ = {};
  cublasLtMatmulAlgo_t unaligned_ = {};
};

std::optional<std::string> refuse_shapes(const KernelProblem& problem) {
  if (auto reason = MatmulLayout::refuses(problem)) return reason;
  if (problem.inputs.size() != 2 || problem.outputs.size() != 1) return "it takes no epilogue";
  for (const TensorView* view : {&problem.inputs[1], &problem.outputs[0]}) {
    if (view->dtype != problem.inputs[0].dtype) return "its types differ";
  }
  return std::nullopt;
}

class CublasMatmul final : public Kernel {
 public:
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.cublas"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_shapes(problem)) return reason;
    const DType type = problem.inputs[0].dtype;
    if (type != DType::kFloat32 && type != DType::kFloat16 && type != DType::kBFloat16 &&
        type != DType::kFloat64) {
      return "it takes floating point";
    }
    const MatmulLayout layout(problem);
    if (layout.k == 0) return "there is nothing to add up";
    if (layout.rows.elements * layout.n * layout.batches == 0) return "there is nothing to do";
    if (!plan_of(layout)) return "its operands have gaps in both dimensions";
    return std::nullopt;
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedCublas>(*plan_of(MatmulLayout(problem)),
                                            problem.inputs[0].dtype, cuda_device(cache));
  }
};

// A thread for each result: right for every type and layout, and slow.
class PreparedPlain final : public PreparedKernel {
 public:
  PreparedPlain(const KernelProblem& problem, CudaDevice& device)
      : layout_(problem),
        device_(device),
        batches_(layout_.batch_space, layout_.batch_space.extents.size()),
        rows_(layout_.rows, layout_.rows.extents.size()),
        columns_(make_divisor(std::max<int64_t>(1, layout_.n))),
        row_count_(make_divisor(std::max<int64_t>(1, layout_.rows.elements))),
        kernel_(device.modules().get("using T = " + device_type(problem.inputs[0].dtype) + ";\n" +
                                         std::string(device_source("plain_matmul")),
                                     "plain_matmul")) {}

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const int64_t elements = layout_.batches * layout_.rows.elements * layout_.n;
    if (elements == 0) return;
    const size_t y = layout_.column_strides.size() - 1;
    launch_kernel(kernel_, grid_for(elements, device_), launch.stream,
                  {batches_.data(), rows_.data(), &columns_, &row_count_, &elements, &layout_.k,
                   &layout_.a_k_stride, &layout_.b_k_stride, &layout_.b_n_stride,
                   &layout_.column_strides[y], &inputs[0], &inputs[1], &outputs[0]});
  }

 private:
  MatmulLayout layout_;
  CudaDevice& device_;
  SpaceArgument batches_;
  SpaceArgument rows_;
  Divisor columns_;
  Divisor row_count_;
  cudaKernel_t kernel_;
};

class PlainMatmul final : public Kernel {
 public:
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.plain"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_shapes(problem)) return reason;
    if (problem.inputs[0].dtype == DType::kBool) return "it takes numbers";
    const MatmulLayout layout(problem);
    if (layout.batches * layout.rows.elements > kMostIndex / std::max<int64_t>(1, layout.n)) {
      return "it has more than 2^31 elements";
    }
    if (auto reason = refuse_space(layout.batch_space)) return reason;
    return refuse_space(layout.rows);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedPlain>(problem, cuda_device(cache));
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_matmul_cuda() {
  return {std::make_shared<CublasMatmul>(), std::make_shared<PlainMatmul>()};
}

}  // namespace cleave::backend
