// Writes bytes that are an argument of the call.
struct GivenBytes {
  uint8_t at[1024];
};

extern "C" __global__ void given_bytes(const __grid_constant__ GivenBytes bytes,
                                       const int32_t count, uint8_t* y) {
  for (int32_t i = threadIdx.x; i < count; i += blockDim.x) y[i] = bytes.at[i];
}
