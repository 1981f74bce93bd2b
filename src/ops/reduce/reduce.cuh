// Reductions (behind reductions.cuh). What stands before it:
//   using T = float;
//   constexpr ReduceOp kOp = kSum;
//   constexpr bool kRows = true;  // terms lie one behind the other, else results do
//   constexpr int kVector = 4;    // elements that are read at once
// Long reductions are cut into parts; a second pass combines these. Sums and products of floating
// types are taken in double, a few terms at a time in the type they are computed in.
constexpr bool kIsFloating = IsFloating<Working<T>>::value;
using Total =
    typename Choose<kIsFloating && (kOp == kSum || kOp == kProd), double, Working<T>>::Type;
using Part = typename Choose<kOp == kSum, Working<T>, Total>::Type;  // of a few terms

__device__ inline T finished(Total total) { return narrow<T>(Working<T>(total)); }

// Which results a block makes, and of which terms.
struct Share {
  uint32_t results;  // the block's position among those that make different results
  uint32_t split;
  uint32_t begin;
  uint32_t end;
  __device__ Share(Divisor splits, uint32_t part, int64_t terms) {
    results = splits.divide(blockIdx.x);
    split = blockIdx.x - results * splits.value;
    begin = split * part;
    end = uint32_t(terms) - begin < part ? uint32_t(terms) : begin + part;
  }
};

// Terms lie one behind the other: `workers` threads (1, 2, 4... of a warp, or the block) make one
// result. `kept` has x and y, `reduced` counts vectors of x.
__device__ inline void rows(const Space<2>& kept, const Space<1>& reduced, Divisor splits,
                            uint32_t part, int32_t workers, const T* x, T* y, Total* partial) {
  const Share share(splits, part, reduced.elements);
  const uint32_t result = share.results * (blockDim.x / workers) + threadIdx.x / workers;
  if (result >= kept.elements) return;
  int64_t at[2];
  kept.locate(result, at);
  const T* from = x + at[0];
  Total total = identity<kOp, Total>();
#pragma unroll 4
  for (uint32_t r = share.begin + threadIdx.x % workers; r < share.end; r += workers) {
    int64_t offset[1];
    reduced.locate(r, offset);
    const auto values = *reinterpret_cast<const Vector<T, kVector>*>(from + offset[0]);
    Part sum = Part(widen(values.at[0]));
#pragma unroll
    for (int i = 1; i < kVector; ++i) sum = combine<kOp>(sum, Part(widen(values.at[i])));
    total = combine<kOp>(total, Total(sum));
  }
  if (workers > 32) {
    total = reduce_in_block<kOp>(total);
  } else {
    for (int mask = workers / 2; mask > 0; mask /= 2) {
      total = combine<kOp>(total, shuffle_xor(total, mask));
    }
  }
  if (threadIdx.x % workers != 0) return;
  if (splits.value == 1) {
    y[at[1]] = finished(total);
  } else {
    partial[int64_t(result) * splits.value + share.split] = total;
  }
}

// Results lie one beside the other: a thread makes the parts of kVector of them, `workers` threads
// share the terms of these. `kept` counts vectors of x and y.
__device__ inline void columns(const Space<2>& kept, const Space<1>& reduced, Divisor splits,
                               uint32_t part, int32_t workers, const T* x, T* y, Total* partial) {
  constexpr int kBatch = 4;  // terms that are read before they are added
  const Share share(splits, part, reduced.elements);
  const uint32_t lanes = blockDim.x / workers;
  const uint32_t lane = threadIdx.x % lanes;
  const uint32_t worker = threadIdx.x / lanes;
  const uint32_t column = share.results * lanes + lane;
  const bool inside = column < kept.elements;
  int64_t at[2];
  kept.locate(inside ? column : 0, at);
  const T* from = x + at[0];
  Total totals[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) totals[i] = identity<kOp, Total>();
  for (uint32_t r = share.begin + worker; inside && r < share.end; r += kBatch * workers) {
    Part sums[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) sums[i] = identity<kOp, Part>();
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      if (r + b * workers >= share.end) continue;
      int64_t offset[1];
      reduced.locate(r + b * workers, offset);
      const auto values = *reinterpret_cast<const Vector<T, kVector>*>(from + offset[0]);
#pragma unroll
      for (int i = 0; i < kVector; ++i) sums[i] = combine<kOp>(sums[i], Part(widen(values.at[i])));
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) totals[i] = combine<kOp>(totals[i], Total(sums[i]));
  }
  __shared__ Total parts[256 * kVector];
  if (workers > 1) {
    Total* mine = parts + threadIdx.x * kVector;
#pragma unroll
    for (int i = 0; i < kVector; ++i) mine[i] = totals[i];
    __syncthreads();
    if (worker != 0) return;
    for (uint32_t w = 1; w < workers; ++w) {
      const Total* other = parts + (w * lanes + lane) * kVector;
#pragma unroll
      for (int i = 0; i < kVector; ++i) totals[i] = combine<kOp>(totals[i], other[i]);
    }
  }
  if (!inside) return;
  if (splits.value > 1) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      partial[(int64_t(column) * kVector + i) * splits.value + share.split] = totals[i];
    }
    return;
  }
  Vector<T, kVector> results;
#pragma unroll
  for (int i = 0; i < kVector; ++i) results.at[i] = finished(totals[i]);
  *reinterpret_cast<Vector<T, kVector>*>(y + at[1]) = results;
}

extern "C" __global__ void __launch_bounds__(256)
    reduce(const Space<2> kept, const Space<1> reduced, const Divisor splits, const uint32_t part,
           const int32_t workers, const T* x, T* y, Total* partial) {
  if constexpr (kRows) {
    rows(kept, reduced, splits, part, workers, x, y, partial);
  } else {
    columns(kept, reduced, splits, part, workers, x, y, partial);
  }
}

// The second pass: a warp combines the parts of a result. y is dense.
extern "C" __global__ void __launch_bounds__(256)
    reduce_parts(const Total* partial, const int32_t splits, const int32_t results, T* y) {
  const int32_t result = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (result >= results) return;
  Total total = identity<kOp, Total>();
  for (int32_t s = threadIdx.x % 32; s < splits; s += 32) {
    total = combine<kOp>(total, partial[int64_t(result) * splits + s]);
  }
  total = reduce_in_warp<kOp>(total);
  if (threadIdx.x % 32 == 0) y[result] = finished(total);
}
