// Attention of T with a mask of M, a block for a row of queries and a tile of the result's columns.
// Each thread finds the score of one key at a time; the softmax is carried along.
constexpr int kThreads = 128;
constexpr int kColumns = 4;  // of a thread

// Of all threads of the block, the same in each.
template <ReduceOp kOp, class A>
__device__ inline A of_block(A value, A (&shared)[kThreads / 32]) {
  for (int step = 16; step > 0; step /= 2) {
    value = combine<kOp>(value, __shfl_xor_sync(0xffffffffu, value, step));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  value = shared[0];
  for (int i = 1; i < kThreads / 32; ++i) value = combine<kOp>(value, shared[i]);
  return value;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    plain_attention(const Attention work, const int64_t tiles, const int64_t items, const T* q,
                    const T* k, const T* v, const M* mask, T* out) {
  using A = Working<T>;
  const A kHidden = -A(__int_as_float(0x7f800000));
  __shared__ A shared[kThreads / 32];
  __shared__ A weights[kThreads];
  for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const int64_t first_column = item % tiles * (kThreads * kColumns) + threadIdx.x;
    const int64_t line = item / tiles;
    const int64_t row = line % work.rows;
    const int64_t head = line / work.rows % work.heads;
    const int64_t batch = line / work.rows / work.heads;
    const int64_t kv = work.key_head(head);
    const T* query = q + place(work.q, batch, head, row, 0);
    const T* values = v + place(work.v, batch, kv, 0, 0);
    const int64_t end = work.seen(row);
    A largest = kHidden;
    A total = 0;
    A sums[kColumns] = {};
    for (int64_t first = 0; first < end; first += kThreads) {
      const int64_t t = first + threadIdx.x;
      A score = kHidden;
      if (t < end) {
        const T* key = k + place(work.k, batch, kv, t, 0);
        // Several sums: fewer roundings in each.
        A parts[4] = {};
#pragma unroll 4
        for (int64_t d = 0; d < work.depth; ++d) {
          parts[d % 4] += A(widen(query[d * work.q[3]])) * A(widen(key[d * work.k[3]]));
        }
        const A dot = (parts[0] + parts[1]) + (parts[2] + parts[3]);
        score = dot * A(work.scale);
        if (kHasMask) score = masked(score, mask[place(work.mask, batch, head, row, t)]);
      }
      const A now = combine<kMax>(largest, of_block<kMax>(score, shared));
      if (now == kHidden) continue;
      const A factor = op_exp(largest - now);
      const A weight = score == kHidden ? A(0) : op_exp(score - now);
      largest = now;
      total = total * factor + of_block<kSum>(weight, shared);
      weights[threadIdx.x] = weight;
      __syncthreads();
      const int count = end - first < kThreads ? int(end - first) : kThreads;
      for (int c = 0; c < kColumns; ++c) {
        const int64_t column = first_column + c * kThreads;
        if (column >= work.width) break;
        A sum = sums[c] * factor;
        const T* from = values + first * work.v[2] + column * work.v[3];
        for (int j = 0; j < count; ++j) {
          if (weights[j] != A(0)) sum += weights[j] * A(widen(from[j * work.v[2]]));
        }
        sums[c] = sum;
      }
    }
    for (int c = 0; c < kColumns; ++c) {
      const int64_t column = first_column + c * kThreads;
      if (column >= work.width) break;
      out[place(work.out, batch, head, row, column)] =
          narrow<T>(total == A(0) ? A(0) : sums[c] / total);
    }
  }
}
