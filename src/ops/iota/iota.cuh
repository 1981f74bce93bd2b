// y[o, e, i] = e + offset. What stands before it: using T = float;
extern "C" __global__ void iota(const int64_t elements, const Divisor extent, const Divisor inner,
                                const int64_t offset, T* y) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += stride) {
    const uint32_t row = inner.divide(i);
    const uint32_t e = row - extent.divide(row) * extent.value;
    y[i] = narrow<T>(Working<T>(int64_t(e) + offset));
  }
}
