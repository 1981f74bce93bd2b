// What the threads of a warp or of a block make together. Every thread gets the result, and the
// order of operations is fixed: the same bits in every run.

// The value of the lane whose number differs by the bits of `mask`.
template <class A>
__device__ inline A shuffle_xor(A value, int mask) {
  if constexpr (sizeof(A) == 8) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  } else if constexpr (IsFloating<A>::value) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  } else {
    return A(__shfl_xor_sync(0xffffffffu, int32_t(value), mask));
  }
}

// Of `kLanes` lanes beside each other, a power of two.
template <ReduceOp kOp, int kLanes = 32, class A>
__device__ inline A reduce_in_warp(A value) {
#pragma unroll
  for (int mask = kLanes / 2; mask > 0; mask /= 2) {
    value = combine<kOp>(value, shuffle_xor(value, mask));
  }
  return value;
}

// Of all threads of a block of whole warps.
template <ReduceOp kOp, class A>
__device__ inline A reduce_in_block(A value) {
  __shared__ A parts[32];
  value = reduce_in_warp<kOp>(value);
  __syncthreads();  // what was reduced before has been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = threadIdx.x % 32 < blockDim.x / 32 ? parts[threadIdx.x % 32] : identity<kOp, A>();
  return reduce_in_warp<kOp>(value);
}

template <ReduceOp kOp, bool kWholeBlock, int kLanes = 32, class A>
__device__ inline A reduce_together(A value) {
  if constexpr (kWholeBlock) {
    return reduce_in_block<kOp>(value);
  } else {
    return reduce_in_warp<kOp, kLanes>(value);
  }
}

template <bool kFirst, class A, class B>
struct Choose {
  using Type = A;
};
template <class A, class B>
struct Choose<false, A, B> {
  using Type = B;
};
