// Masks M of attention as a bias of T (ops/attention/cuda_bias.h), after `attention.cuh`.
struct Bias {
  int64_t heads, rows, columns;  // its own
  int64_t lines;                 // rows of all batches and heads
  int64_t strides[3];            // where a dimension is 1: 0
};

// Who adds it may hold scores times log2(e), where the lowest of finite numbers becomes -inf.
// (Limits<float>::lowest() is -inf.)
constexpr float kLeast = -1e30f;
__device__ inline float bias_of(bool shown) { return masked(0.0f, shown); }
__device__ inline float bias_of(float added) {
  return added < kLeast && added != Limits<float>::lowest() ? kLeast : added;
}
template <class X>
__device__ inline float bias_of(X added) {
  return bias_of(float(widen(added)));
}

// A block a row.
extern "C" __global__ void add_bias(const Attention work, const Bias layout, const M* mask,
                                    T* bias) {
  for (int64_t line = blockIdx.x; line < layout.lines; line += gridDim.x) {
    const int64_t row = line % layout.rows;
    const int64_t head = line / layout.rows % layout.heads;
    const int64_t batch = line / layout.rows / layout.heads;
    const M* from = mask + place(work.mask, batch, head, row, 0);
    T* to = bias + batch * layout.strides[0] + head * layout.strides[1] + row * layout.strides[2];
    for (int64_t column = threadIdx.x; column < layout.columns; column += blockDim.x) {
      to[column] = narrow<T>(bias_of(from[column * work.mask[3]]));
    }
  }
}

// A warp a row of the result; most see one of their first columns.
extern "C" __global__ void hide_rows(const Attention work, const Bias layout, const T* bias,
                                     T* out) {
  const int lane = threadIdx.x % 32;
  const int64_t lines = work.batches * work.heads * work.rows;
  const int64_t warps = int64_t(gridDim.x) * blockDim.x / 32;
  for (int64_t line = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / 32; line < lines;
       line += warps) {
    const int64_t row = line % work.rows;
    const int64_t head = line / work.rows % work.heads;
    const int64_t batch = line / work.rows / work.heads;
    const T* from =
        bias + batch * layout.strides[0] + head * layout.strides[1] + row * layout.strides[2];
    const int64_t seen = work.seen(row);
    const int64_t end = seen < layout.columns ? seen : layout.columns;
    bool sees = false;
    for (int64_t first = 0; !sees && first < end; first += 32) {
      const int64_t column = first + lane;
      sees =
          __any_sync(0xffffffffu, column < end && widen(from[column]) != Limits<float>::lowest());
    }
    for (int64_t column = lane; !sees && column < work.width; column += 32) {
      out[place(work.out, batch, head, row, column)] = narrow<T>(0.0f);
    }
  }
}
