// Padding: y from x, surrounded by a value or by x's own elements. Dimensions are those of y. What
// stands before it:
//   using T = uint32_t;         // by size alone
//   constexpr int kMode = 0;    // 0: a constant, 1: reflect, 2: edge, 3: wrap
struct Padded {
  Space<1> y;
  int64_t extents[kMostDims];  // of x
  int64_t strides[kMostDims];  // of x
  int64_t low[kMostDims];
};

// Which of `extent` elements stands at `position`; -1: none.
__device__ inline int64_t source_of(int64_t position, int64_t extent) {
  if (position >= 0 && position < extent) return position;
  if (kMode == 0) return -1;
  if (kMode == 2 || extent == 1) return position < 0 ? 0 : extent - 1;
  const int64_t period = kMode == 1 ? 2 * (extent - 1) : extent;
  int64_t at = position % period;
  if (at < 0) at += period;
  return at < extent ? at : period - at;
}

extern "C" __global__ void pad(const __grid_constant__ Padded padded, const T value, const T* x,
                               T* y) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < padded.y.elements; i += stride) {
    uint32_t index = i;
    int64_t from = 0;
    int64_t to = 0;
    bool inside = true;
    for (int d = padded.y.dims - 1; d >= 0; --d) {
      const Divisor& extent = padded.y.extents[d];
      const uint32_t rest = extent.divide(index);
      const int64_t at = index - rest * extent.value;
      index = rest;
      const int64_t source = source_of(at - padded.low[d], padded.extents[d]);
      inside = inside && source >= 0;
      from += source * padded.strides[d];
      to += at * padded.y.strides[0][d];
    }
    y[to] = inside ? x[from] : value;
  }
}
