// Softmax of rows that do not fit in registers (behind reductions.cuh and softmax_sums.cuh). A row
// is cut into `splits` parts of `part` vectors, a block each: the first kernel makes the sums of
// each part, the second joins those of a row and writes. A block that has a whole row needs no
// first kernel. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;  // elements that are read at once
struct RowPiece {
  int64_t row;
  int64_t begin;
  int64_t end;

  __device__ RowPiece(int64_t length, int64_t splits, int64_t part, int64_t block) {
    row = block / splits;
    begin = (block - row * splits) * part * kVector;
    end = begin + part * kVector < length ? begin + part * kVector : length;
  }
};

__device__ inline Sums sums_of_piece(const RowPiece& piece, const T* row) {
  constexpr int kBatch = kVector > 4 ? 2 : 4;  // vectors that are read before they are added
  const int64_t step = int64_t(blockDim.x) * kVector;
  Sums mine;
  for (int64_t e = piece.begin + threadIdx.x * kVector; e < piece.end; e += kBatch * step) {
    W values[kBatch][kVector];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      if (e + b * step < piece.end) {
        const auto vector = *reinterpret_cast<const Vector<T, kVector>*>(row + e + b * step);
#pragma unroll
        for (int i = 0; i < kVector; ++i) values[b][i] = widen(vector.at[i]);
      } else {
        // Counts only where all elements are -inf, where the sum does not.
#pragma unroll
        for (int i = 0; i < kVector; ++i) values[b][i] = Limits<W>::lowest();
      }
    }
    mine.add(values);
  }
  return sums_together<true>(mine);
}

// Every warp does the same.
__device__ inline Sums sums_of_row(const Sums* pieces, int64_t splits) {
  Sums mine;
  for (int64_t s = threadIdx.x % 32; s < splits; s += 32)
    mine.add(pieces[s].largest, pieces[s].sum);
  return sums_together<false>(mine);
}

extern "C" __global__ void __launch_bounds__(512, 2)
    softmax_sums(const int64_t length, const int64_t splits, const int64_t part, Sums* sums,
                 const T* x) {
  const RowPiece piece(length, splits, part, blockIdx.x);
  const Sums total = sums_of_piece(piece, x + piece.row * length);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

extern "C" __global__ void __launch_bounds__(512, 2)
    softmax_parts(const int64_t length, const int64_t splits, const int64_t part, const Sums* sums,
                  const T* x, T* y) {
  // What was read last is still in a cache.
  const RowPiece piece(length, splits, part, gridDim.x - 1 - blockIdx.x);
  x += piece.row * length;
  y += piece.row * length;
  const Sums total =
      splits == 1 ? sums_of_piece(piece, x) : sums_of_row(sums + piece.row * splits, splits);
  const W scale = total.scale();
  const int64_t step = int64_t(blockDim.x) * kVector;
#pragma unroll 4
  for (int64_t e = piece.begin + threadIdx.x * kVector; e < piece.end; e += step) {
    auto vector = *reinterpret_cast<const Vector<T, kVector>*>(x + e);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      vector.at[i] = narrow<T>(exp(widen(vector.at[i]) - total.largest) * scale);
    }
    *reinterpret_cast<Vector<T, kVector>*>(y + e) = vector;
  }
}
