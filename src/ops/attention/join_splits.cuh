// Joins what was made of each split of the keys: sums that are not divided yet, and of each the
// largest score and the total of the weights.
extern "C" __global__ void join_splits(const Attention work, const int64_t splits,
                                       const int64_t total, const float* sums, const float* states,
                                       T* out) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += stride) {
    const int64_t line = i / work.width;
    const int64_t column = i % work.width;
    const float* state = states + line * splits * 2;
    float largest = hidden_score();
    for (int64_t s = 0; s < splits; ++s) largest = fmaxf(largest, state[2 * s]);
    const float shift = shift_of(largest);
    float sum = 0;
    float weights = 0;
    for (int64_t s = 0; s < splits; ++s) {
      const float factor = exp2f(exponent_of(state[2 * s], shift));
      weights += state[2 * s + 1] * factor;
      sum += sums[(line * splits + s) * work.width + column] * factor;
    }
    const int64_t row = line % work.rows;
    const int64_t head = line / work.rows % work.heads;
    const int64_t batch = line / work.rows / work.heads;
    out[place(work.out, batch, head, row, column)] = narrow<T>(weights == 0 ? 0.0f : sum / weights);
  }
}
