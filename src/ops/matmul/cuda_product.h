// A problem's matrix products as cuBLASLt takes them, and the algorithms it has for them.
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/device.h"
#include "backend/index_space.h"
#include "ops/matmul/cuda_epilogue.h"
#include "ops/matmul/kernel_layout.h"
#include "types/workspace.h"

namespace cleave::backend {

// A matrix in memory: consecutive elements along one dimension, `leading` elements between those of
// the other. Row-major: it is the columns that follow each other.
struct CublasMatrix {
  bool row_major = true;
  int64_t leading = 1;

  // Of `rows` and `columns` with these strides; nothing where neither dimension is without gaps.
  static std::optional<CublasMatrix> of(int64_t rows, int64_t columns, int64_t row_stride,
                                        int64_t column_stride) {
    // A single row or column may have any stride between.
    if (column_stride == 1 || columns == 1) {
      const int64_t leading = rows == 1 ? columns : row_stride;
      if (leading >= columns && leading > 0) return CublasMatrix{true, leading};
    }
    if (row_stride == 1 || rows == 1) {
      const int64_t leading = columns == 1 ? rows : column_stride;
      if (leading >= rows && leading > 0) return CublasMatrix{false, leading};
    }
    return std::nullopt;
  }
};

// The products of a problem: `batch` side by side, and those again for each element of `outer`.
struct CublasPlan {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  CublasMatrix a, b, y;
  CublasMatrix c;  // the matrix that is added, where there is one
  CublasEpilogue epilogue;
  int64_t batch = 1;
  std::array<int64_t, 4> batch_strides = {};  // of a, b, y, c
  int64_t outer = 1;
  IndexSpace outer_space;

  // Nothing where the operands do not lie as cuBLASLt takes them.
  static std::optional<CublasPlan> of(const MatmulLayout& layout, const CublasEpilogue& epilogue);
};

// The product of a plan; `outer` elements of it are run one by one. cuBLASLt sees column-major
// matrices: it computes the transposed product yᵀ = bᵀ·aᵀ.
class CublasProduct {
 public:
  // `tf32`: float32 operands may be rounded to TF32.
  CublasProduct(const CublasPlan& plan, DType type, bool tf32);

  // What cuBLASLt thinks best, `most` at most, where operands are aligned to so many bytes; none
  // where it has none. Asked for more, it may put another one first.
  std::vector<cublasLtMatmulAlgo_t> algorithms(cublasLtHandle_t handle, uint32_t alignment,
                                               int most) const;

  // What the epilogue does not have is null.
  struct Operands {
    const void* a;
    const void* b;
    const void* bias;
    const void* c;
    void* y;
  };
  void run(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm, const Operands& operands,
           std::byte* workspace, StreamHandle stream) const;

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

  bool wide_;
  bool has_bias_;
  cublasLtMatmulDescOpaque_t product_ = {};  // copied where the bias's address is put into it
  Layout a_, b_, y_;
  Layout c_;  // null where it is y's
};

// All that tells algorithms of a product apart, and the library's version: "130101 id66 tile20
// stages36 split1 reduction0 swizzle0 option0 shape0 cluster2".
std::string name_of(const cublasLtMatmulAlgo_t& algorithm);

}  // namespace cleave::backend
