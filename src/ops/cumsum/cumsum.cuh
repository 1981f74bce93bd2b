// Sums of all elements of a line up to each one. Line l begins at l / inner · extent · inner + l %
// inner, its elements are `inner` apart; `reversed` walks it from its end. Sums of floating types
// are taken in double, those of integers wrap around, of booleans "or". What stands before it:
//   using T = float;
//   constexpr bool kExclusive = false;
//   constexpr bool kWholeBlock = true;  // a block of 256 threads a line, else a thread
template <class A>
struct SumOf {
  using Type = int64_t;
};
template <>
struct SumOf<float> {
  using Type = double;
};
template <>
struct SumOf<double> {
  using Type = double;
};
using Sum = typename SumOf<Working<T>>::Type;

__device__ inline Sum added(Sum a, Sum b) { return op_add(a, b); }

constexpr int kThreads = 256;
constexpr int kEach = 4;  // elements a thread, one behind the other

// The sum of all threads before this one; `all` becomes that of the block.
__device__ inline Sum sum_before(Sum mine, Sum& all) {
  __shared__ Sum warps[kThreads / 32];
  const int lane = threadIdx.x % 32;
  Sum sum = mine;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const Sum other = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane >= distance) sum = added(other, sum);
  }
  Sum before = __shfl_up_sync(0xffffffffu, sum, 1);
  if (lane == 0) before = 0;
  __syncthreads();  // what was there before has been read
  if (lane == 31) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  Sum of_warps = 0;
  all = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w == threadIdx.x / 32) of_warps = all;
    all = added(all, warps[w]);
  }
  return added(of_warps, before);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    cumsum(const int64_t lines, const int64_t extent, const int64_t inner, const int32_t reversed,
           const T* x, T* y) {
  const int64_t line =
      kWholeBlock ? int64_t(blockIdx.x) : int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (line >= lines) return;
  const int64_t first = line / inner * extent * inner + line % inner;
  const int64_t begin = reversed ? first + (extent - 1) * inner : first;
  const int64_t step = reversed ? -inner : inner;
  Sum carried = 0;
  if constexpr (!kWholeBlock) {
#pragma unroll 4
    for (int64_t e = 0; e < extent; ++e) {
      const Sum next = added(carried, Sum(widen(x[begin + e * step])));
      y[begin + e * step] = narrow<T>(Working<T>(kExclusive ? carried : next));
      carried = next;
    }
    return;
  }
  for (int64_t chunk = 0; chunk < extent; chunk += kThreads * kEach) {
    const int64_t mine = chunk + threadIdx.x * kEach;
    Sum terms[kEach];
    Sum sum = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      terms[i] = mine + i < extent ? Sum(widen(x[begin + (mine + i) * step])) : Sum(0);
      sum = added(sum, terms[i]);
    }
    Sum all;
    Sum total = added(carried, sum_before(sum, all));
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const Sum next = added(total, terms[i]);
      if (mine + i < extent) {
        y[begin + (mine + i) * step] = narrow<T>(Working<T>(kExclusive ? total : next));
      }
      total = next;
    }
    carried = added(carried, all);
  }
}
