// How the operands of an attention are walked, whatever kernel carries it out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

// Strides of a rank-4 operand; those of dimensions of size 1 are 0.
struct Operand4 {
  DType type = DType::kFloat32;
  int64_t strides[4] = {};

  Operand4() = default;
  explicit Operand4(const TensorView& view) : type(view.dtype) {
    for (size_t d = 0; d < 4; ++d) strides[d] = view.shape[d] == 1 ? 0 : view.strides[d];
  }
  int64_t offset(int64_t b, int64_t h, int64_t i = 0, int64_t j = 0) const {
    return b * strides[0] + h * strides[1] + i * strides[2] + j * strides[3];
  }
  const std::byte* at(const void* data, int64_t element) const {
    return static_cast<const std::byte*>(data) + element * static_cast<int64_t>(size_of(type));
  }
};

// The query heads that read one key head.
struct HeadGroup {
  int64_t batch = 0;
  int64_t key_head = 0;
  int64_t first = 0;  // query head
  int64_t heads = 0;
};

// Operands, sizes and attributes of one attention.
struct AttentionProblem {
  Operand4 q, k, v, out, mask;
  bool has_mask = false;
  bool causal = false;
  int64_t batches = 0, heads = 0, rows = 0, depth = 0, keys = 0, width = 0;
  int64_t group = 1, head_offset = 0, kv_offset = 0;
  int64_t visible = 0;  // causal: row i sees columns < i + visible
  double wide_scale = 1;
  float scale = 1;

  // Why it is none; `doubles` says whether elements are float64 or 32 bits and less.
  static std::optional<std::string> refuses(const KernelProblem& problem, bool doubles);
  // Precondition: not refused.
  explicit AttentionProblem(const KernelProblem& problem);
  int64_t key_head(int64_t head) const { return (head_offset + head) / group - kv_offset; }

  // Groups of query heads, in the order of batches and heads. Precondition: there are heads.
  int64_t groups() const { return batches * groups_of_batch(); }
  int64_t most_heads() const { return std::min(group, heads); }  // of a group
  HeadGroup head_group(int64_t index) const;

 private:
  int64_t groups_of_batch() const { return key_head(heads - 1) - key_head(0) + 1; }
};

}  // namespace cleave::backend
