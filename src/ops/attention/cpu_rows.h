// AttentionRows: a few rows of queries on their way through tiles of keys: their scores become
// weights, by a softmax that is carried along, and their sums of values are finished and written.
#pragma once

#include <cstdint>
#include <span>

#include "backend/cpu/simd/simd.h"
#include "ops/attention/kernel_problem.h"

namespace cleave::backend {

// Rows of floats, `stride` apart.
struct FloatMatrix {
  const float* data = nullptr;
  int64_t stride = 0;
};
// Rows of an operand's matrix that begins at `element`: where they lie, or converted or gathered
// into `buffer` (rows × columns) where they are no floats one behind the other.
FloatMatrix float_matrix(const simd::Table& table, const Operand4& operand, const void* data,
                         int64_t element, int64_t row_stride, int64_t rows, int64_t columns,
                         float* buffer);

// Where one row of queries is.
struct QueryRow {
  int64_t batch = 0;
  int64_t head = 0;
  int64_t row = 0;
};

// What is carried from tile to tile of keys, for each row.
struct RowState {
  float* largest = nullptr;
  float* totals = nullptr;

  static int64_t floats(int64_t rows) { return 2 * rows; }
  RowState(float* memory, int64_t rows);
  RowState from(int64_t row) const { return {largest + row, totals + row}; }

 private:
  RowState(float* l, float* t) : largest(l), totals(t) {}
};

class AttentionRows {
 public:
  static constexpr int64_t kMost = simd::kMaxTileRows;

  // `tile_keys`: the most keys of a tile; rows of scores begin so many floats apart.
  AttentionRows(const AttentionProblem& work, const simd::Table& table, int64_t tile_keys);
  // Of scratch, for the mask of the rows in a tile.
  int64_t scratch_floats() const;

  // Keys [key, key + keys): how many of the first ones some row sees.
  int64_t seen(std::span<const QueryRow> rows, int64_t key, int64_t keys) const;
  // Scores of `keys` keys from `key` on become weights, those of them that follow 0. `sums`, whose
  // rows are `sums_stride` apart, hold what the tiles before have given, and are rescaled.
  void weigh(std::span<const QueryRow> rows, int64_t key, int64_t keys, const void* mask,
             float* scores, const RowState& state, float* sums, int64_t sums_stride,
             float* scratch) const;
  // Divides the sums and writes them, also where they lie in the result.
  void finish(std::span<const QueryRow> rows, const RowState& state, float* sums,
              int64_t sums_stride, void* out) const;

 private:
  int64_t seen(const QueryRow& row, int64_t key, int64_t keys) const;
  const float* mask_row(const QueryRow& row, int64_t key, int64_t keys, const void* mask,
                        float* buffer) const;

  const AttentionProblem& work_;
  const simd::Table& table_;
  int64_t tile_keys_;
  bool mask_in_place_;
};

}  // namespace cleave::backend
