// A matrix product of T, one thread a result. Spaces have the operands a, b, y.
extern "C" __global__ void plain_matmul(const Space<3> batches, const Space<3> rows,
                                        const Divisor columns, const Divisor row_count,
                                        const int64_t elements, const int64_t k,
                                        const int64_t a_k_stride, const int64_t b_k_stride,
                                        const int64_t b_n_stride, const int64_t y_n_stride,
                                        const T* a, const T* b, T* y) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += stride) {
    const uint32_t row_of_all = columns.divide(i);
    const uint32_t column = i - row_of_all * columns.value;
    const uint32_t batch = row_count.divide(row_of_all);
    const uint32_t row = row_of_all - batch * row_count.value;
    int64_t in_batch[3], in_rows[3];
    batches.locate(batch, in_batch);
    rows.locate(row, in_rows);
    const T* from_a = a + in_batch[0] + in_rows[0];
    const T* from_b = b + in_batch[1] + column * b_n_stride;
    Working<T> sum = Working<T>(0);
    for (int64_t j = 0; j < k; ++j) {
      sum = op_add(sum, op_mul(widen(from_a[j * a_k_stride]), widen(from_b[j * b_k_stride])));
    }
    y[in_batch[2] + in_rows[2] + column * y_n_stride] = narrow<T>(sum);
  }
}
