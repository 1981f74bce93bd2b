// Resizing of T: each element of the result is made from those of the operand that the tables of
// its resized dimensions name. W is the type of weights and sums; where kCopies, there is one
// element.
struct ResizeDim {
  Divisor extent;          // of the result
  int32_t count;           // of an element's taps; 0: the dimension is the operand's own
  const int64_t* offsets;  // [element · count + tap]: where the operand's elements lie
  const W* weights;        // of each
  const bool* outside;     // [element]: it is the extrapolated value
  int64_t x_stride;        // where the dimension is the operand's own
  int64_t y_stride;
};
struct Resize {
  int32_t dims;
  ResizeDim at[kMostDims];  // outermost first
};

extern "C" __global__ void resize(const Resize work, const int64_t total, const T extrapolation,
                                  const T* x, T* y) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    uint32_t index = i;
    int64_t from = 0, to = 0;
    bool is_outside = false;
    // Of the dimensions that are resized: their first taps, and the tap at hand.
    int64_t first[kResized];
    int32_t dim_of[kResized];
    int32_t tap[kResized];
    int32_t resized = 0;
    for (int d = work.dims - 1; d >= 0; --d) {
      const ResizeDim& dim = work.at[d];
      const uint32_t rest = dim.extent.divide(index);
      const int64_t at = index - rest * dim.extent.value;
      index = rest;
      to += at * dim.y_stride;
      if (dim.count == 0) {
        from += at * dim.x_stride;
        continue;
      }
      is_outside = is_outside || dim.outside[at];
      first[resized] = at * dim.count;
      dim_of[resized] = d;
      tap[resized++] = 0;
    }
    if (is_outside) {
      y[to] = extrapolation;
      continue;
    }
    if constexpr (kCopies) {
      for (int r = 0; r < kResized; ++r) from += work.at[dim_of[r]].offsets[first[r]];
      y[to] = x[from];
    } else {
      W sum = 0;
      for (;;) {
        // Along the innermost of them.
        const ResizeDim& line = work.at[dim_of[0]];
        int64_t offset = from;
        W weight = 1;
        for (int r = 1; r < kResized; ++r) {
          const ResizeDim& dim = work.at[dim_of[r]];
          offset += dim.offsets[first[r] + tap[r]];
          weight *= dim.weights[first[r] + tap[r]];
        }
        W part = 0;
        for (int t = 0; t < line.count; ++t) {
          const W value = widen(x[offset + line.offsets[first[0] + t]]);
          part += value * line.weights[first[0] + t];
        }
        sum += part * weight;
        int r = 1;
        while (r < kResized && ++tap[r] == work.at[dim_of[r]].count) tap[r++] = 0;
        if (r == kResized) break;
      }
      y[to] = narrow<T>(sum);
    }
  }
}
