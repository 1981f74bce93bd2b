// Softmax of rows that fit in registers (behind reductions.cuh and row_part.cuh): one read, one
// write. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;          // elements that are read at once, where they can be
//   constexpr int kPieces = 2;          // vectors a thread
//   constexpr bool kWholeBlock = true;  // a block a row, else
//   constexpr int kLanes = 8;           // so many lanes of a warp
//   constexpr int kThreads = 128;       // of a block
template <int kCount, int kPieces_>
__device__ void softmax_row(int64_t rows, int64_t length, const T* x, T* y) {
  const RowThread at(rows);
  using W = Working<T>;
  RowPart<T, kCount, kPieces_> part;
  part.load(x + at.row * length, length, at.thread, at.threads, Limits<W>::lowest());
  W largest = part.at[0][0];
#pragma unroll
  for (int p = 0; p < kPieces_; ++p) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) largest = combine<kMax>(largest, part.at[p][i]);
  }
  largest = reduce_together<kMax, kWholeBlock, kLanes>(largest);
  W sum = 0;
#pragma unroll
  for (int p = 0; p < kPieces_; ++p) {
    // What is behind the end is -inf, which counts only where all elements are.
    const bool inside = int64_t(p * at.threads + at.thread) * kCount < length;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      part.at[p][i] = exp(part.at[p][i] - largest);
      if (inside) sum += part.at[p][i];
    }
  }
  const W scale = W(1) / reduce_together<kSum, kWholeBlock, kLanes>(sum);
#pragma unroll
  for (int p = 0; p < kPieces_; ++p) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) part.at[p][i] *= scale;
  }
  if (at.there) part.store(y + at.row * length, length, at.thread, at.threads);
}

extern "C" __global__ void __launch_bounds__(kThreads, kRowBlocks)
    softmax_rows(const int64_t rows, const int64_t length, const T* x, T* y) {
  softmax_row<1, kVector * kPieces>(rows, length, x, y);
}
extern "C" __global__ void __launch_bounds__(kThreads, kRowBlocks)
    softmax_rows_by_vectors(const int64_t rows, const int64_t length, const T* x, T* y) {
  softmax_row<kVector, kPieces>(rows, length, x, y);
}
