// Attention of T in float32 arithmetic: a block takes a tile of 64 lines of queries by tiles of 64
// keys, and carries the softmax along. Of the scores and of the sums a thread has the lines
// 4 · (thread / 16) to + 3, and every 16th column.
constexpr int kThreads = 256;
constexpr int kLines = 64;
constexpr int kKeys = 64;
constexpr int kPart = 32;       // of the depth, in shared memory at once
constexpr int kValueRows = 16;  // so are values
constexpr int kColumns = kWidth / 16;

// The largest or the sum over the 16 threads that have the same lines.
__device__ inline float largest_of(float value) {
#pragma unroll
  for (int step = 1; step < 16; step *= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
  }
  return value;
}
__device__ inline float sum_of(float value) {
#pragma unroll
  for (int step = 1; step < 16; step *= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

union Shared {
  struct {
    float queries[kLines][kPart + 1];
    float keys[kKeys][kPart + 1];
  } products;
  float values[kValueRows][kWidth];
};

extern "C" __global__ void __launch_bounds__(kThreads)
    float_attention(const Attention work, const Tiles tiles, const T* q, const T* k, const T* v,
                    const M* mask, T* out, float* partial_sums, float* partial_states) {
  __shared__ Shared shared;
  __shared__ float weights[kLines][kKeys + 1];
  const QueryTile tile(work, tiles, blockIdx.x, kLines);
  if (tile.is_empty()) return;
  const int x = threadIdx.x % 16;
  const int y = threadIdx.x / 16 * 4;
  const T* key_rows = k + place(work.k, tile.batch, tile.kv, 0, 0);
  const T* value_rows = v + place(work.v, tile.batch, tile.kv, 0, 0);
  const float scale = float(work.scale);
  float largest[4], total[4];
  float sums[4][kColumns] = {};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    largest[i] = hidden_score();
    total[i] = 0;
  }
  for (int64_t first = tile.begin; first < tile.end; first += kKeys) {
    float scores[4][4] = {};
    for (int64_t depth = 0; depth < work.depth; depth += kPart) {
      __syncthreads();
      for (int i = threadIdx.x; i < kLines * kPart; i += kThreads) {
        const int64_t line = tile.first_line + i / kPart;
        const int64_t column = depth + i % kPart;
        const bool is_there = line < tile.lines && column < work.depth;
        shared.products.queries[i / kPart][i % kPart] =
            is_there ? float(widen(q[place(work.q, tile.batch, tile.head(work, line),
                                           line % work.rows, column)]))
                     : 0.0f;
      }
      for (int i = threadIdx.x; i < kKeys * kPart; i += kThreads) {
        const int64_t key = first + i / kPart;
        const int64_t column = depth + i % kPart;
        shared.products.keys[i / kPart][i % kPart] =
            key < tile.end && column < work.depth
                ? float(widen(key_rows[key * work.k[2] + column * work.k[3]]))
                : 0.0f;
      }
      __syncthreads();
      float parts[4][4] = {};
#pragma unroll 8
      for (int d = 0; d < kPart; ++d) {
        float a[4], b[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) a[i] = shared.products.queries[y + i][d];
#pragma unroll
        for (int j = 0; j < 4; ++j) b[j] = shared.products.keys[x + 16 * j][d];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) parts[i][j] += a[i] * b[j];
        }
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) scores[i][j] += parts[i][j];
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t line = tile.first_line + y + i;
      const bool is_there = line < tile.lines;
      const int64_t row = line % work.rows;
      const int64_t seen = is_there ? work.seen(row) : 0;
      const M* mask_row = kHasMask && is_there
                              ? mask + place(work.mask, tile.batch, tile.head(work, line), row, 0)
                              : nullptr;
      float most = largest[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int64_t column = first + x + 16 * j;
        const bool is_seen = column < seen && column < tile.end;
        scores[i][j] = is_seen ? score_of(scores[i][j], scale,
                                          kHasMask ? mask_row + column * work.mask[3] : nullptr)
                               : hidden_score();
        most = fmaxf(most, scores[i][j]);
      }
      most = largest_of(most);
      const float shift = shift_of(most);
      const float factor = exp2f(exponent_of(largest[i], shift));
      largest[i] = most;
      total[i] *= factor;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float weight = exp2f(exponent_of(scores[i][j], shift));
        total[i] += weight;
        weights[y + i][x + 16 * j] = weight;
      }
#pragma unroll
      for (int c = 0; c < kColumns; ++c) sums[i][c] *= factor;
    }
    for (int key = 0; key < kKeys && first + key < tile.end; key += kValueRows) {
      __syncthreads();
      for (int i = threadIdx.x; i < kValueRows * kWidth; i += kThreads) {
        const int64_t row = first + key + i / kWidth;
        const int64_t column = i % kWidth;
        shared.values[i / kWidth][i % kWidth] =
            row < tile.end && column < work.width
                ? float(widen(value_rows[row * work.v[2] + column * work.v[3]]))
                : 0.0f;
      }
      __syncthreads();
#pragma unroll 4
      for (int j = 0; j < kValueRows; ++j) {
        float a[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) a[i] = weights[y + i][key + j];
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const float b = shared.values[j][x + 16 * c];
#pragma unroll
          for (int i = 0; i < 4; ++i) sums[i][c] += a[i] * b;
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t line = tile.first_line + y + i;
    const float all = sum_of(total[i]);
    if (line >= tile.lines) continue;
    const int64_t partial = tile.partial(work, tiles, line);
    T* row = out + place(work.out, tile.batch, tile.head(work, line), line % work.rows, 0);
    if (tiles.splits > 1 && x == 0) {
      partial_states[2 * partial] = largest[i];
      partial_states[2 * partial + 1] = all;
    }
    for (int c = 0; c < kColumns; ++c) {
      const int64_t column = x + 16 * c;
      if (column >= work.width) continue;
      if (tiles.splits > 1) {
        partial_sums[partial * work.width + column] = sums[i][c];
      } else {
        row[column * work.out[3]] = narrow<T>(all == 0 ? 0.0f : sums[i][c] / all);
      }
    }
  }
}
