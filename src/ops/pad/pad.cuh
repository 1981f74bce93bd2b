// Padding, in pieces of T: with `value`, or with the operand's own elements as kMode says.
enum PadMode { kConstant, kReflect, kEdge, kWrap };

struct PadDim {
  Divisor extent;  // of the result
  int32_t in;      // of the operand
  int64_t low;
  int64_t x_stride;
  int64_t y_stride;
};
struct PadDims {
  int32_t dims;
  PadDim at[kMostDims];  // outermost first
};

// Which of `extent` > 0 elements stands at `position`; -1 where the constant does.
__device__ inline int64_t padded_source(const int64_t position, const int64_t extent) {
  if (position >= 0 && position < extent) return position;
  if (kMode == kConstant) return -1;
  if (kMode == kEdge || extent == 1) return position < 0 ? 0 : extent - 1;
  const int64_t period = kMode == kReflect ? 2 * (extent - 1) : extent;
  const int64_t rest = position % period;
  const int64_t at = rest < 0 ? rest + period : rest;
  return at < extent ? at : period - at;
}

extern "C" __global__ void pad(const PadDims dims, const int64_t total, const T value, const T* x,
                               T* y) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    uint32_t index = i;
    int64_t from = 0, to = 0;
    bool is_inside = true;
    for (int d = dims.dims - 1; d >= 0; --d) {
      const PadDim& dim = dims.at[d];
      const uint32_t rest = dim.extent.divide(index);
      const int64_t at = index - rest * dim.extent.value;
      index = rest;
      const int64_t source = padded_source(at - dim.low, dim.in);
      is_inside = is_inside && source >= 0;
      from += source * dim.x_stride;
      to += at * dim.y_stride;
    }
    y[to] = is_inside ? x[from] : value;
  }
}
