// What a softmax's line is brought down by, from one read of it (behind reductions.cuh).
using W = Working<T>;

// The largest element so far, and the sum of the exponentials of all less that.
struct Sums {
  W largest = Limits<W>::lowest();
  W sum = 0;

  // The exponential of what is no larger; 1 also where both are infinite.
  static __device__ W ratio(W value, W largest) {
    return value == largest ? W(1) : exp(value - largest);
  }
  __device__ void add(W value, W count) {
    const W more = combine<kMax>(largest, value);
    sum = sum * ratio(largest, more) + count * ratio(value, more);
    largest = more;
  }
  // Several elements: the sum is brought to the largest of them once.
  template <int kRows, int kColumns>
  __device__ void add(const W (&values)[kRows][kColumns]) {
    W more = largest;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) more = combine<kMax>(more, values[r][c]);
    }
    sum *= ratio(largest, more);
    largest = more;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) sum += ratio(values[r][c], largest);
    }
  }
  // Infinities and NaN leave no line of numbers.
  __device__ W scale() const { return W(1) / (sum + (largest - largest)); }
};

// Of all threads of a warp or of a block.
template <bool kWholeBlock>
__device__ inline Sums sums_together(const Sums& mine) {
  Sums total;
  total.largest = reduce_together<kMax, kWholeBlock>(mine.largest);
  total.sum =
      reduce_together<kSum, kWholeBlock>(mine.sum * Sums::ratio(mine.largest, total.largest));
  return total;
}
