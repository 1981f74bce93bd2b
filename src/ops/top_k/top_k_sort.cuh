// The first k elements of lines in order (behind reductions.cuh and top_order.cuh), for any k: what
// stands around a stable sort of all elements, first by their keys, then by their lines. A place is
// an element's number, line after line; lines lie as in top_k_select.cuh.

// Where element `e` of a line lies.
__device__ inline int64_t element_at(int64_t line, int64_t e, int64_t extent, int64_t inner) {
  const int64_t outer = line / inner;
  return (outer * extent + e) * inner + line - outer * inner;
}

extern "C" __global__ void __launch_bounds__(256)
    top_k_keys(const int64_t elements, const int64_t extent, const int64_t inner, const T* x,
               Key* keys, uint32_t* places) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    const int64_t line = i / extent;
    keys[i] = key_of(x[element_at(line, i - line * extent, extent, inner)]);
    places[i] = uint32_t(i);
  }
}

extern "C" __global__ void __launch_bounds__(256)
    top_k_lines(const int64_t elements, const int64_t extent, const uint32_t* places,
                uint32_t* lines) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    lines[i] = places[i] / uint32_t(extent);
  }
}

extern "C" __global__ void __launch_bounds__(256)
    top_k_take(const int64_t taken, const int64_t extent, const int64_t inner, const int64_t k,
               const uint32_t* places, const T* x, T* values, int64_t* indices) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < taken; i += step) {
    const int64_t line = i / k;
    const int64_t rank = i - line * k;
    const int64_t e = places[line * extent + rank] - line * extent;
    const int64_t to = element_at(line, rank, k, inner);
    indices[to] = e;
    values[to] = x[element_at(line, e, extent, inner)];
  }
}
