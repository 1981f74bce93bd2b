// Softmax of rows that fit in registers (behind reductions.cuh and row_part.cuh): one read, one
// write. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;          // elements that are read at once
//   constexpr int kPieces = 2;          // vectors a thread
//   constexpr bool kWholeBlock = true;  // a block a row, else
//   constexpr int kLanes = 8;           // so many lanes of a warp
//   constexpr int kThreads = 128;       // of a block
extern "C" __global__ void __launch_bounds__(kThreads, kRowBlocks)
    softmax_rows(const int64_t rows, const int64_t length, const T* x, T* y) {
  const RowThread at(rows);
  using W = Working<T>;
  RowPart<T, kVector, kPieces> part;
  part.load(x + at.row * length, length, at.thread, at.threads, Limits<W>::lowest());
  W largest = part.at[0][0];
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) largest = combine<kMax>(largest, part.at[p][i]);
  }
  largest = reduce_together<kMax, kWholeBlock, kLanes>(largest);
  W sum = 0;
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    // What is behind the end is -inf, which counts only where all elements are.
    const bool inside = int64_t(p * at.threads + at.thread) * kVector < length;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      part.at[p][i] = exp(part.at[p][i] - largest);
      if (inside) sum += part.at[p][i];
    }
  }
  const W scale = W(1) / reduce_together<kSum, kWholeBlock, kLanes>(sum);
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) part.at[p][i] *= scale;
  }
  if (at.there) part.store(y + at.row * length, length, at.thread, at.threads);
}
