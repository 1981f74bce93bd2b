// Softmax of rows that fit in registers (behind reductions.cuh and row_part.cuh): one read, one
// write. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;          // elements that are read at once, where they can be
//   constexpr int kPieces = 2;          // vectors a thread
//   constexpr bool kWholeBlock = true;  // a block a row, else a warp
template <int kCount, int kPieces_>
__device__ void softmax_row(int64_t rows, int64_t length, const T* x, T* y) {
  const int threads = kWholeBlock ? blockDim.x : 32;
  const int thread = threadIdx.x % threads;
  const int64_t row = int64_t(blockIdx.x) * (blockDim.x / threads) + threadIdx.x / threads;
  if (row >= rows) return;
  using W = Working<T>;
  RowPart<T, kCount, kPieces_> part;
  part.load(x + row * length, length, thread, threads, Limits<W>::lowest());
  W largest = part.at[0][0];
#pragma unroll
  for (int p = 0; p < kPieces_; ++p) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) largest = combine<kMax>(largest, part.at[p][i]);
  }
  largest = reduce_together<kMax, kWholeBlock>(largest);
  W sum = 0;
#pragma unroll
  for (int p = 0; p < kPieces_; ++p) {
    // What is behind the end is -inf, which counts only where all elements are.
    const bool inside = int64_t(p * threads + thread) * kCount < length;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      part.at[p][i] = exp(part.at[p][i] - largest);
      if (inside) sum += part.at[p][i];
    }
  }
  const W scale = W(1) / reduce_together<kSum, kWholeBlock>(sum);
#pragma unroll
  for (int p = 0; p < kPieces_; ++p) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) part.at[p][i] *= scale;
  }
  part.store(y + row * length, length, thread, threads);
}

extern "C" __global__ void __launch_bounds__(kWholeBlock ? 1024 : 128)
    softmax_rows(const int64_t rows, const int64_t length, const T* x, T* y) {
  softmax_row<1, kVector * kPieces>(rows, length, x, y);
}
extern "C" __global__ void __launch_bounds__(kWholeBlock ? 1024 : 128)
    softmax_rows_by_vectors(const int64_t rows, const int64_t length, const T* x, T* y) {
  softmax_row<kVector, kPieces>(rows, length, x, y);
}
