// Sums of all elements of a line up to each one. Line l begins at l / inner · extent · inner + l %
// inner, its elements are `inner` apart; `reversed` walks it from its end. Sums of floating types
// are taken in double, those of integers wrap around, of booleans "or". Few long lines are cut into
// `splits` parts of `part` elements, a block each: a kernel of its own sums up each part first.
// What stands before it:
//   using T = float;
//   constexpr bool kExclusive = false;
//   constexpr bool kWholeBlock = true;  // a block of 256 threads a line or part, else a thread
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

// A line, in the order in which it is walked.
struct Walk {
  int64_t first;
  int64_t step;

  __device__ Walk(int64_t line, int64_t extent, int64_t inner, bool reversed) {
    first = line / inner * extent * inner + line % inner + (reversed ? (extent - 1) * inner : 0);
    step = reversed ? -inner : inner;
  }
  __device__ int64_t at(int64_t e) const { return first + e * step; }
};

// The elements that a block has: those of part `blockIdx.x % splits` of a line.
struct Share {
  int64_t line;
  int64_t split;
  int64_t begin;
  int64_t end;

  __device__ Share(int64_t extent, int64_t splits, int64_t part) {
    line = blockIdx.x / splits;
    split = blockIdx.x - line * splits;
    begin = split * part;
    end = begin + part < extent ? begin + part : extent;
  }
};

// The sum of what all threads of a block have.
__device__ inline Sum sum_of_block(Sum mine) {
  Sum all;
  sum_before(mine, all);
  return all;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    part_sums(const int64_t extent, const int64_t inner, const int32_t reversed,
              const int64_t splits, const int64_t part, const T* x, Sum* sums) {
  const Share share(extent, splits, part);
  const Walk walk(share.line, extent, inner, reversed);
  Sum mine = 0;
#pragma unroll 8
  for (int64_t e = share.begin + threadIdx.x; e < share.end; e += kThreads) {
    mine = added(mine, Sum(widen(x[walk.at(e)])));
  }
  const Sum all = sum_of_block(mine);
  if (threadIdx.x == 0) sums[blockIdx.x] = all;
}

// `sums` are those of all parts; not read where a line is one part.
extern "C" __global__ void __launch_bounds__(kThreads)
    cumsum(const int64_t lines, const int64_t extent, const int64_t inner, const int32_t reversed,
           const int64_t splits, const int64_t part, const Sum* sums, const T* x, T* y) {
  Sum carried = 0;
  if constexpr (!kWholeBlock) {
    const int64_t line = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (line >= lines) return;
    const Walk walk(line, extent, inner, reversed);
#pragma unroll 4
    for (int64_t e = 0; e < extent; ++e) {
      const Sum next = added(carried, Sum(widen(x[walk.at(e)])));
      y[walk.at(e)] = narrow<T>(Working<T>(kExclusive ? carried : next));
      carried = next;
    }
    return;
  }
  const Share share(extent, splits, part);
  const Walk walk(share.line, extent, inner, reversed);
  if (share.split > 0) {
    const Sum* before = sums + share.line * splits;
    for (int64_t s = threadIdx.x; s < share.split; s += kThreads) {
      carried = added(carried, before[s]);
    }
    carried = sum_of_block(carried);
  }
  for (int64_t chunk = share.begin; chunk < share.end; chunk += kThreads * kEach) {
    const int64_t mine = chunk + threadIdx.x * kEach;
    Sum terms[kEach];
    Sum sum = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      terms[i] = mine + i < share.end ? Sum(widen(x[walk.at(mine + i)])) : Sum(0);
      sum = added(sum, terms[i]);
    }
    Sum all;
    Sum total = added(carried, sum_before(sum, all));
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const Sum next = added(total, terms[i]);
      if (mine + i < share.end) {
        y[walk.at(mine + i)] = narrow<T>(Working<T>(kExclusive ? total : next));
      }
      total = next;
    }
    carried = added(carried, all);
  }
}
