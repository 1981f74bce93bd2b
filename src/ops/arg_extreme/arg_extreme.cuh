// The first extreme of short or many lines (behind reductions.cuh and arg_record.cuh). Line l
// begins at l / inner · extent · inner + l % inner, its elements are `inner` apart. A warp has a
// line where `inner` is 1, and 8 threads elsewhere.
__device__ inline Record record_of_line(const T* line, int64_t extent, int64_t inner, int64_t first,
                                        int64_t step) {
  Record record;
#pragma unroll 4
  for (int64_t e = first; e < extent; e += step) record.take_next(widen(line[e * inner]), e);
  return record;
}

extern "C" __global__ void __launch_bounds__(256)
    arg_extreme(const int64_t lines, const int64_t extent, const int64_t inner, const T* x,
                int64_t* y) {
  __shared__ W values[256];
  __shared__ int64_t indices[256];
  const int lane = threadIdx.x % 32;
  const int worker = threadIdx.x / 32;
  const int workers = blockDim.x / 32;
  if (inner == 1) {
    const int64_t line = int64_t(blockIdx.x) * workers + worker;
    if (line >= lines) return;
    const Record record = record_of_warp(record_of_line(x + line * extent, extent, 1, lane, 32));
    if (lane == 0) y[line] = record.index;
    return;
  }
  const int64_t line = int64_t(blockIdx.x) * 32 + lane;
  const T* from = x + line / inner * extent * inner + line % inner;
  Record record;
  if (line < lines) record = record_of_line(from, extent, inner, worker, workers);
  values[threadIdx.x] = record.value;
  indices[threadIdx.x] = record.index;
  __syncthreads();
  if (worker != 0 || line >= lines) return;
  for (int w = 1; w < workers; ++w) record.take(values[w * 32 + lane], indices[w * 32 + lane]);
  y[line] = record.index;
}
