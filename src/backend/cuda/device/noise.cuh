// Noise of a box (types/noise.h): operand 0 of the space is the noise's index, operand 1 the
// tensor. What stands before it: using T = float; double rounded(double), to the tensor's type in
// the end.

// Every operation is exact or rounded as the host does it: no product is followed by a sum that
// could be fused with it to other bits.
__device__ inline double noise_at(const uint64_t seed, const uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return double(z >> 11) * 0x1p-52 - 1.0;
}

extern "C" __global__ void noise(const Space<2> space, const uint64_t seed, const uint64_t first,
                                 const double scale, T* tensor) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < space.elements; i += stride) {
    int64_t offsets[2];
    space.locate(i, offsets);
    const double value = rounded(noise_at(seed, first + uint64_t(offsets[0])) * scale);
    tensor[offsets[1]] = narrow<T>(Working<T>(value));
  }
}
