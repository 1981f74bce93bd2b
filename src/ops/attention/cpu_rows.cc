#include "ops/attention/cpu_rows.h"

#include <algorithm>
#include <limits>

#include "backend/cpu/float_rows.h"

namespace cleave::backend {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

}  // namespace

FloatMatrix float_matrix(const simd::Table& table, const Operand4& operand, const void* data,
                         int64_t element, int64_t row_stride, int64_t rows, int64_t columns,
                         float* buffer) {
  const std::byte* from = operand.at(data, element);
  const int64_t step = operand.strides[3];
  const bool lines = step == 1 || columns == 1;
  if (lines && operand.type == DType::kFloat32) {
    return {reinterpret_cast<const float*>(from), row_stride};
  }
  for (int64_t i = 0; i < rows; ++i) {
    float* to = buffer + i * columns;
    if (lines) {
      as_floats(table, operand.type, from, i * row_stride, columns, to);
      continue;
    }
    for (int64_t j = 0; j < columns; ++j) {
      to[j] = *as_floats(table, operand.type, from, i * row_stride + j * step, 1, to + j);
    }
  }
  return {buffer, columns};
}

RowState::RowState(float* memory, int64_t rows) : largest(memory), totals(memory + rows) {
  std::fill_n(largest, rows, kHidden);
  std::fill_n(totals, rows, 0.0f);
}

AttentionRows::AttentionRows(const AttentionProblem& work, const simd::Table& table,
                             int64_t tile_keys)
    : work_(work),
      table_(table),
      tile_keys_(tile_keys),
      mask_in_place_(work.mask.type == DType::kFloat32 &&
                     (work.mask.strides[3] == 1 || work.keys == 1)) {}

int64_t AttentionRows::scratch_floats() const {
  return work_.has_mask && !mask_in_place_ ? kMost * tile_keys_ : 0;
}

int64_t AttentionRows::seen(const QueryRow& row, int64_t key, int64_t keys) const {
  return work_.causal ? std::clamp<int64_t>(row.row + work_.visible - key, 0, keys) : keys;
}

int64_t AttentionRows::seen(std::span<const QueryRow> rows, int64_t key, int64_t keys) const {
  int64_t most = 0;
  for (const QueryRow& row : rows) most = std::max(most, seen(row, key, keys));
  return most;
}

// What is added to the scores: the mask where it lies, or as floats in `buffer`.
const float* AttentionRows::mask_row(const QueryRow& row, int64_t key, int64_t keys,
                                     const void* mask, float* buffer) const {
  const Operand4& m = work_.mask;
  const std::byte* data = m.at(mask, m.offset(row.batch, row.head, row.row, key));
  if (mask_in_place_) return reinterpret_cast<const float*>(data);
  const int64_t stride = m.strides[3];
  if (m.type == DType::kBool) {
    const auto* shown = reinterpret_cast<const uint8_t*>(data);
    const float nothing = 0;
    if (stride == 1) {
      table_.where(shown, 1, &nothing, 0, &kHidden, 0, buffer, keys);
    } else {
      for (int64_t j = 0; j < keys; ++j) buffer[j] = shown[j * stride] != 0 ? nothing : kHidden;
    }
    return buffer;
  }
  if (stride == 1 && m.type != DType::kFloat32) {
    return as_floats(table_, m.type, data, 0, keys, buffer);
  }
  for (int64_t j = 0; j < keys; ++j) {
    float value = 0;
    buffer[j] = *as_floats(table_, m.type, data, j * stride, 1, &value);
  }
  return buffer;
}

void AttentionRows::weigh(std::span<const QueryRow> rows, int64_t key, int64_t keys,
                          const void* mask, float* scores, const RowState& state, float* sums,
                          int64_t sums_stride, float* scratch) const {
  int64_t seen_by[kMost];
  const float* added[kMost];
  float factors[kMost];
  int64_t before = -1;
  for (size_t i = 0; i < rows.size(); ++i) {
    const QueryRow& row = rows[i];
    seen_by[i] = seen(row, key, keys);
    if (!work_.has_mask) continue;
    // Rows often share their mask.
    const int64_t at = work_.mask.offset(row.batch, row.head, row.row);
    added[i] = at == before
                   ? added[i - 1]
                   : mask_row(row, key, keys, mask, scratch + static_cast<int64_t>(i) * tile_keys_);
    before = at;
  }
  table_.softmax_rows({.rows = static_cast<int>(rows.size()),
                       .scores = scores,
                       .stride = tile_keys_,
                       .columns = keys,
                       .seen = seen_by,
                       .added = work_.has_mask ? added : nullptr,
                       .scale = work_.scale,
                       .largest = state.largest,
                       .totals = state.totals,
                       .factors = factors});
  for (size_t i = 0; i < rows.size(); ++i) {
    if (factors[i] == 1.0f) continue;
    table_.scale(sums + static_cast<int64_t>(i) * sums_stride, factors[i], work_.width);
  }
}

void AttentionRows::finish(std::span<const QueryRow> rows, const RowState& state, float* sums,
                           int64_t sums_stride, void* out) const {
  for (size_t i = 0; i < rows.size(); ++i) {
    const float total = state.totals[i];
    float* row = sums + static_cast<int64_t>(i) * sums_stride;
    table_.scale(row, total == 0 ? 0.0f : 1.0f / total, work_.width);
    const int64_t at = work_.out.offset(rows[i].batch, rows[i].head, rows[i].row);
    if (work_.out.type != DType::kFloat32) {
      finish_floats(table_, work_.out.type, row, out, at, work_.width);
      continue;
    }
    float* to = static_cast<float*>(out) + at;
    if (to != row) std::copy_n(row, work_.width, to);
  }
}

}  // namespace cleave::backend
