// Masks M of attention as a bias of T (ops/attention/cuda_bias.h), after `attention.cuh`.
struct Bias {
  int64_t heads, rows, columns;  // its own
  int64_t lines;                 // rows of all batches and heads
  int64_t row_stride;
  bool has_batches, has_heads, has_rows;  // more than one

  // The line that a query's scores are added to.
  __device__ int64_t line(int64_t batch, int64_t head, int64_t row) const {
    return ((has_batches ? batch : 0) * heads + (has_heads ? head : 0)) * rows +
           (has_rows ? row : 0);
  }
};

__device__ inline float hidden_bias() { return -__int_as_float(0x7f800000); }
// Who adds it may hold scores times log2(e), where the lowest of finite numbers becomes -inf.
constexpr float kLeast = -1e30f;
__device__ inline float bias_of(bool shown) { return shown ? 0.0f : hidden_bias(); }
__device__ inline float bias_of(float added) {
  return added < kLeast && added != hidden_bias() ? kLeast : added;
}
template <class X>
__device__ inline float bias_of(X added) {
  return bias_of(float(widen(added)));
}

// A block a line: its bias, and the first column that is not hidden.
extern "C" __global__ void add_bias(const Attention work, const Bias layout, const M* mask, T* bias,
                                    int* first_shown) {
  __shared__ int first;
  for (int64_t line = blockIdx.x; line < layout.lines; line += gridDim.x) {
    const int64_t row = line % layout.rows;
    const int64_t head = line / layout.rows % layout.heads;
    const int64_t batch = line / layout.rows / layout.heads;
    const M* from = mask + place(work.mask, batch, head, row, 0);
    T* to = bias + line * layout.row_stride;
    __syncthreads();
    if (threadIdx.x == 0) first = int(layout.columns);
    __syncthreads();
    int own = int(layout.columns);
    for (int column = threadIdx.x; column < int(layout.columns); column += blockDim.x) {
      const float value = bias_of(from[column * work.mask[3]]);
      to[column] = narrow<T>(value);
      if (value != hidden_bias() && column < own) own = column;
    }
    if (own < int(layout.columns)) atomicMin(&first, own);
    __syncthreads();
    if (threadIdx.x == 0) first_shown[line] = first;
  }
}

// A thread looks at a row of the result, and the warp clears those that see nothing.
extern "C" __global__ void hide_rows(const Attention work, const Bias layout,
                                     const int* first_shown, T* out) {
  const int64_t lines = work.batches * work.heads * work.rows;
  const int lane = threadIdx.x % 32;
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i - lane < lines; i += stride) {
    const int64_t row = i % work.rows;
    const int64_t head = i / work.rows % work.heads;
    const int64_t batch = i / work.rows / work.heads;
    const bool hides =
        i < lines && first_shown[layout.line(batch, head, row)] >= int(work.seen(row));
    unsigned left = __ballot_sync(0xffffffffu, hides);
    for (; left != 0; left &= left - 1) {
      const int64_t hidden = i - lane + __ffs(left) - 1;
      T* to = out + place(work.out, hidden / work.rows / work.heads,
                          hidden / work.rows % work.heads, hidden % work.rows, 0);
      for (int64_t column = lane; column < work.width; column += 32) to[column] = narrow<T>(0.0f);
    }
  }
}
