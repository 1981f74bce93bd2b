#include "ops/matmul/cuda_product.h"

#include "backend/cuda/cublas.h"

namespace cleave::backend {
namespace {

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
CublasPlan with_batch(const MatmulLayout& layout, const CublasEpilogue& epilogue) {
  const IndexSpace outer = products_of(layout);
  const int64_t rows = layout.rows.extents.empty() ? 1 : layout.rows.extents.back();
  CublasPlan plan{.m = rows, .n = layout.n, .k = layout.k, .outer_space = outer};
  if (!outer.extents.empty()) {
    plan.batch = outer.extents.back();
    const size_t y = outer.strides.size() - 1;
    plan.batch_strides = {outer.strides[0].back(), outer.strides[1].back(), outer.strides[y].back(),
                          outer.strides[epilogue.matrix.value_or(y)].back()};
    plan.outer_space.extents.pop_back();
    for (auto& strides : plan.outer_space.strides) strides.pop_back();
    plan.outer_space.elements = plan.batch == 0 ? 0 : outer.elements / plan.batch;
  }
  plan.outer = plan.outer_space.elements;
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

// What products are added up in.
cublasComputeType_t compute_type(DType type, bool tf32) {
  if (type == DType::kFloat64) return CUBLAS_COMPUTE_64F;
  return tf32 && type == DType::kFloat32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

template <class T>
void set(cublasLtMatmulDescOpaque_t& product, cublasLtMatmulDescAttributes_t which,
         const T& value) {
  cublas_check(cublasLtMatmulDescSetAttribute(&product, which, &value, sizeof value),
               "describing a product");
}

template <class T>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t which, const T& value) {
  cublas_check(cublasLtMatrixLayoutSetAttribute(layout, which, &value, sizeof value),
               "describing a matrix");
}

}  // namespace

std::optional<CublasPlan> CublasPlan::of(const MatmulLayout& layout,
                                         const CublasEpilogue& epilogue) {
  CublasPlan plan = with_batch(layout, epilogue);
  const size_t y = layout.rows.strides.size() - 1;
  const int64_t a_row = layout.rows.linear_stride(0);
  const int64_t y_row = layout.rows.linear_stride(y);
  const auto a = CublasMatrix::of(plan.m, plan.k, a_row, layout.a_k_stride);
  const auto b = CublasMatrix::of(plan.k, plan.n, layout.b_k_stride, layout.b_n_stride);
  const auto result = CublasMatrix::of(plan.m, plan.n, y_row, layout.column_strides[y]);
  if (!a || !b || !result || !result->row_major) return std::nullopt;
  const size_t c = epilogue.matrix.value_or(y);
  const auto added =
      CublasMatrix::of(plan.m, plan.n, layout.rows.linear_stride(c), layout.column_strides[c]);
  if (!added || !added->row_major) return std::nullopt;
  plan.epilogue = epilogue;
  plan.c = *added;
  plan.a = *a;
  plan.b = *b;
  plan.y = *result;
  return plan;
}

CublasProduct::CublasProduct(const CublasPlan& plan, DType type, bool tf32)
    : wide_(type == DType::kFloat64), has_bias_(plan.epilogue.bias.has_value()) {
  const cudaDataType_t scale = wide_ ? CUDA_R_64F : CUDA_R_32F;
  cublas_check(cublasLtMatmulDescInit(&product_, compute_type(type, tf32), scale),
               "describing a product");
  const auto operation = [](const CublasMatrix& m) {
    return m.row_major ? CUBLAS_OP_N : CUBLAS_OP_T;
  };
  set(product_, CUBLASLT_MATMUL_DESC_TRANSA, operation(plan.b));
  set(product_, CUBLASLT_MATMUL_DESC_TRANSB, operation(plan.a));
  set(product_, CUBLASLT_MATMUL_DESC_EPILOGUE, plan.epilogue.function);
  const auto matrix = [&](Layout& layout, const CublasMatrix& m, int64_t rows, int64_t columns,
                          int64_t stride) {
    const int64_t inner = m.row_major ? columns : rows;
    const int64_t others = m.row_major ? rows : columns;
    cublas_check(
        cublasLtMatrixLayoutCreate(&layout.value, data_type(type), static_cast<uint64_t>(inner),
                                   static_cast<uint64_t>(others), m.leading),
        "describing a matrix");
    set(layout.value, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(plan.batch));
    set(layout.value, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  };
  matrix(b_, plan.b, plan.k, plan.n, plan.batch_strides[1]);
  matrix(a_, plan.a, plan.m, plan.k, plan.batch_strides[0]);
  matrix(y_, plan.y, plan.m, plan.n, plan.batch_strides[2]);
  if (plan.epilogue.matrix) matrix(c_, plan.c, plan.m, plan.n, plan.batch_strides[3]);
}

std::vector<cublasLtMatmulAlgo_t> CublasProduct::algorithms(cublasLtHandle_t handle,
                                                            uint32_t alignment, int most) const {
  Preference preference;
  cublas_check(cublasLtMatmulPreferenceCreate(&preference.value), "choosing an algorithm");
  const auto set_preference = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
    cublas_check(
        cublasLtMatmulPreferenceSetAttribute(preference.value, which, &value, sizeof value),
        "choosing an algorithm");
  };
  set_preference(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                 static_cast<uint64_t>(kCublasWorkspaceBytes));
  set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
  set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
  set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
  set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
  cublasLtMatmulDescOpaque_t product = product_;
  // Of the bias's address it is the alignment that counts here.
  if (has_bias_) {
    set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
        reinterpret_cast<const void*>(static_cast<uintptr_t>(alignment)));
  }
  std::vector<cublasLtMatmulHeuristicResult_t> results(static_cast<size_t>(most));
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle, &product, b_.value, a_.value, c_.value != nullptr ? c_.value : y_.value, y_.value,
      preference.value, most, results.data(), &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || found == 0) return {};
  cublas_check(status, "choosing an algorithm");
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (size_t i = 0; i < static_cast<size_t>(found); ++i) {
    if (results[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(results[i].algo);
  }
  return algorithms;
}

void CublasProduct::run(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm,
                        const Operands& operands, std::byte* workspace, StreamHandle stream) const {
  const bool adds = c_.value != nullptr;
  const double one = 1;
  const double beta = adds ? 1 : 0;
  const float one_f = 1;
  const float beta_f = adds ? 1 : 0;
  cublasLtMatmulDescOpaque_t product = product_;
  if (has_bias_) set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias);
  cublas_check(
      cublasLtMatmul(handle, &product,
                     wide_ ? static_cast<const void*>(&one) : static_cast<const void*>(&one_f),
                     operands.b, b_.value, operands.a, a_.value,
                     wide_ ? static_cast<const void*>(&beta) : static_cast<const void*>(&beta_f),
                     adds ? operands.c : operands.y, adds ? c_.value : y_.value, operands.y,
                     y_.value, &algorithm, workspace, kCublasWorkspaceBytes,
                     static_cast<cudaStream_t>(stream.native)),
      "multiplying");
}

std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::string name = std::to_string(cublasLtGetVersion());
  const auto add = [&](const char* label, cublasLtMatmulAlgoConfigAttributes_t which, auto value) {
    size_t written = 0;  // nothing where the algorithm has no such attribute: then it is 0
    cublasLtMatmulAlgoConfigGetAttribute(&algorithm, which, &value, sizeof value, &written);
    name += " " + std::string(label) + std::to_string(value);
  };
  add("id", CUBLASLT_ALGO_CONFIG_ID, int32_t{0});
  add("tile", CUBLASLT_ALGO_CONFIG_TILE_ID, uint32_t{0});
  add("stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, uint32_t{0});
  add("split", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, int32_t{0});
  add("reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, uint32_t{0});
  add("swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, uint32_t{0});
  add("option", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, uint32_t{0});
  add("shape", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, uint16_t{0});
  add("cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, uint16_t{0});
  return name;
}

}  // namespace cleave::backend
