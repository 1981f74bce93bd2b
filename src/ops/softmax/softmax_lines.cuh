// Softmax of lines of any length and stride (behind reductions.cuh and softmax_sums.cuh): two
// reads, one write. Line l begins at l / inner · extent · inner + l % inner, its elements are
// `inner` apart. What stands before it:
//   using T = Half;
//   constexpr bool kWholeBlock = true;  // a block a line; else 8 threads a line, for 32 lines that
//                                       // lie beside each other
__device__ inline void store_line(const Sums& total, int64_t extent, int64_t inner, int64_t first,
                                  int64_t step, const T* x, T* y) {
  const W scale = total.scale();
  for (int64_t e = first; e < extent; e += step) {
    y[e * inner] = narrow<T>(exp(widen(x[e * inner]) - total.largest) * scale);
  }
}

extern "C" __global__ void __launch_bounds__(1024)
    softmax_lines(const int64_t lines, const int64_t extent, const int64_t inner, const T* x,
                  T* y) {
  constexpr int kWorkers = 8;
  Sums mine;
  if constexpr (kWholeBlock) {
    const int64_t line = blockIdx.x;
    const int64_t at = line / inner * extent * inner + line % inner;
#pragma unroll 4
    for (int64_t e = threadIdx.x; e < extent; e += blockDim.x) {
      mine.add(widen(x[at + e * inner]), 1);
    }
    store_line(sums_together<true>(mine), extent, inner, threadIdx.x, blockDim.x, x + at, y + at);
  } else {
    __shared__ W largest[kWorkers][32];
    __shared__ W sums[kWorkers][32];
    const int lane = threadIdx.x % 32;
    const int worker = threadIdx.x / 32;
    const int64_t line = int64_t(blockIdx.x) * 32 + lane;
    const int64_t at = line / inner * extent * inner + line % inner;
    if (line < lines) {
#pragma unroll 4
      for (int64_t e = worker; e < extent; e += kWorkers) mine.add(widen(x[at + e * inner]), 1);
    }
    largest[worker][lane] = mine.largest;
    sums[worker][lane] = mine.sum;
    __syncthreads();
    if (line >= lines) return;
    Sums total;
#pragma unroll
    for (int w = 0; w < kWorkers; ++w) total.add(largest[w][lane], sums[w][lane]);
    store_line(total, extent, inner, worker, kWorkers, x + at, y + at);
  }
}
