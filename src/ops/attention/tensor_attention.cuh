// Attention of 16-bit T by tensor cores: a block takes a tile of 64 lines of queries, 16 a warp, by
// tiles of kKeys keys, and carries the softmax along (FlashAttention-2, Dao 2023). kDepth and
// kWidth are the depths of keys and values, rounded up to what is compiled. Rows of keys and values
// are read by 16 bytes: values come while scores are computed, the next keys after that.
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kLines = 16 * kWarps;
constexpr int kKeyStride = kDepth + 8;  // of rows in shared memory: no two of 8 share a bank
constexpr int kValueStride = kWidth + 8;

// Rows [key, end) of an operand to shared memory, zeros where there are none.
template <int kColumns, int kStride>
__device__ inline void fetch(T* to, const T* from, int64_t key, int64_t end, int64_t columns,
                             int64_t row_stride) {
  constexpr int kPieces = kColumns / 8;
  for (int i = threadIdx.x; i < kKeys * kPieces; i += kThreads) {
    const int row = i / kPieces;
    const int column = i % kPieces * 8;
    const bool is_there = key + row < end && column < columns;
    const T* source = from + (is_there ? (key + row) * row_stride + column : 0);
    copy_ahead(to + row * kStride + column, source, is_there);
  }
}

__device__ inline uint32_t pair_of(T low, T high) {
  return uint32_t(low.bits) | uint32_t(high.bits) << 16;
}
__device__ inline T query_at(const T* row, int64_t column, const Attention& work) {
  return row != nullptr && column < work.depth ? row[column * work.q[3]] : T{};
}

extern "C" __global__ void __launch_bounds__(kThreads)
    tensor_attention(const Attention work, const Tiles tiles, const T* q, const T* k, const T* v,
                     const M* mask, T* out, float* partial_sums, float* partial_states) {
  alignas(16) __shared__ T keys[kKeys * kKeyStride];
  alignas(16) __shared__ T values[kKeys * kValueStride];
  const QueryTile tile(work, tiles, blockIdx.x, kLines);
  if (tile.is_empty()) return;
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  // This thread's two lines: which there are, what they see, and their queries.
  int64_t line[2];
  int seen[2];
  const T* query[2];
  const M* mask_row[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    line[r] = tile.first_line + threadIdx.x / 32 * 16 + g + 8 * r;
    const bool is_there = line[r] < tile.lines;
    const int64_t row = line[r] % work.rows;
    const int64_t head = tile.head(work, line[r]);
    seen[r] = is_there ? int(work.seen(row)) : 0;
    query[r] = is_there ? q + place(work.q, tile.batch, head, row, 0) : nullptr;
    mask_row[r] =
        kHasMask && is_there ? mask + place(work.mask, tile.batch, head, row, 0) : nullptr;
  }
  uint32_t queries[kDepth / 16][4];
#pragma unroll
  for (int i = 0; i < kDepth / 16; ++i) {
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const int64_t column = i * 16 + part / 2 * 8 + 2 * t;
      queries[i][part] = pair_of(query_at(query[part % 2], column, work),
                                 query_at(query[part % 2], column + 1, work));
    }
  }
  const T* key_rows = k + place(work.k, tile.batch, tile.kv, 0, 0);
  const T* value_rows = v + place(work.v, tile.batch, tile.kv, 0, 0);
  const float scale = float(work.scale);
  float largest[2] = {hidden_score(), hidden_score()};
  float total[2] = {};
  float sums[kWidth / 8][4] = {};
  if (tile.begin < tile.end) {
    fetch<kDepth, kKeyStride>(keys, key_rows, tile.begin, tile.end, work.depth, work.k[2]);
  }
  end_of_copies();
  const int end = int(tile.end);
  for (int first = int(tile.begin); first < end; first += kKeys) {
    wait_for_copies<0>();
    __syncthreads();
    fetch<kWidth, kValueStride>(values, value_rows, first, tile.end, work.width, work.v[2]);
    end_of_copies();
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < kDepth / 32; ++i) {
        uint32_t part[4];
        load_matrices(part, keys + (n * 8 + lane % 8) * kKeyStride + i * 32 + lane / 8 * 8);
        multiply_add(T{}, scores[n], queries[2 * i], part[0], part[1]);
        multiply_add(T{}, scores[n], queries[2 * i + 1], part[2], part[3]);
      }
    }
    __syncthreads();
    if (first + kKeys < end) {
      fetch<kDepth, kKeyStride>(keys, key_rows, first + kKeys, tile.end, work.depth, work.k[2]);
    }
    end_of_copies();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float most = largest[r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          const int column = first + n * 8 + 2 * t + e % 2;
          const bool is_seen = column < seen[r] && column < end;
          scores[n][e] = is_seen
                             ? score_of(scores[n][e], scale,
                                        kHasMask ? mask_row[r] + column * work.mask[3] : nullptr)
                             : hidden_score();
          most = fmaxf(most, scores[n][e]);
        }
      }
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      const float shift = shift_of(most);
      const float factor = fast_exp2(exponent_of(largest[r], shift));
      largest[r] = most;
      total[r] *= factor;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          scores[n][e] = fast_exp2(exponent_of(scores[n][e], shift));
          total[r] += scores[n][e];
        }
      }
#pragma unroll
      for (int w = 0; w < kWidth / 8; ++w) {
        sums[w][2 * r] *= factor;
        sums[w][2 * r + 1] *= factor;
      }
    }
    wait_for_copies<1>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kKeys / 16; ++j) {
      uint32_t weights[4];
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const float(&pair)[4] = scores[2 * j + part / 2];
        weights[part] = pair_of(narrow<T>(pair[part % 2 * 2]), narrow<T>(pair[part % 2 * 2 + 1]));
      }
#pragma unroll
      for (int w = 0; w < kWidth / 16; ++w) {
        uint32_t part[4];
        load_transposed(part,
                        values + (j * 16 + lane % 16) * kValueStride + w * 16 + lane / 16 * 8);
        multiply_add(T{}, sums[2 * w], weights, part[0], part[1]);
        multiply_add(T{}, sums[2 * w + 1], weights, part[2], part[3]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    total[r] += __shfl_xor_sync(0xffffffffu, total[r], 1);
    total[r] += __shfl_xor_sync(0xffffffffu, total[r], 2);
    if (line[r] >= tile.lines) continue;
    const float divisor = total[r] == 0 || tiles.splits > 1 ? 1.0f : 1.0f / total[r];
    const int64_t partial = tile.partial(work, tiles, line[r]);
    T* row = out + place(work.out, tile.batch, tile.head(work, line[r]), line[r] % work.rows, 0);
    if (tiles.splits > 1 && t == 0) {
      partial_states[2 * partial] = largest[r];
      partial_states[2 * partial + 1] = total[r];
    }
#pragma unroll
    for (int w = 0; w < kWidth / 8; ++w) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int64_t column = w * 8 + 2 * t + e;
        if (column >= work.width) continue;
        const float value = sums[w][2 * r + e];
        if (tiles.splits > 1) {
          partial_sums[partial * work.width + column] = value;
        } else {
          row[column * work.out[3]] = narrow<T>(value * divisor);
        }
      }
    }
  }
}
