// The first k <= kMost elements of lines in order (behind reductions.cuh and top_order.cuh), a
// block a line. The last of them is found digit by digit from the counts of digits; what comes no
// later is gathered and sorted. Line l begins at l / inner · extent · inner + l % inner, its
// elements are `inner` apart. What stands before it:
//   constexpr int kMost = 256;  // a power of two
constexpr int kDigits = 256;

// What is known of the last element taken: the digits of key and index down to a place.
struct Threshold {
  Key key;
  uint32_t index;
};

// Digit `place` of an element, 0 the highest of the key; those of the index follow.
__device__ inline uint32_t digit_of(Key key, uint32_t index, int place) {
  constexpr int kPlaces = sizeof(Key);
  if (place < kPlaces) return uint32_t(key >> (8 * (kPlaces - 1 - place))) & 255;
  return index >> (8 * (3 - (place - kPlaces))) & 255;
}
// Whether an element agrees with the threshold in the digits before `place`.
__device__ inline bool agrees(Key key, uint32_t index, Threshold threshold, int place) {
  constexpr int kPlaces = sizeof(Key);
  if (place == 0) return true;
  if (place < kPlaces) {
    return (key ^ threshold.key) >> (8 * (kPlaces - place)) == 0;
  }
  if (key != threshold.key) return false;
  return place == kPlaces || (index ^ threshold.index) >> (8 * (4 - (place - kPlaces))) == 0;
}

extern "C" __global__ void __launch_bounds__(1024)
    top_k_select(const int64_t extent, const int64_t inner, const int32_t k, const T* x, T* values,
                 int64_t* indices) {
  __shared__ uint32_t counts[kDigits];
  __shared__ Key keys[kMost];
  __shared__ uint32_t places[kMost];  // in the line
  __shared__ uint32_t found;
  __shared__ uint32_t chosen, left, whole;
  const int64_t outer = blockIdx.x / inner;
  const int64_t column = blockIdx.x - outer * inner;
  const T* line = x + outer * extent * inner + column;
  Threshold threshold = {~Key(0), ~uint32_t(0)};
  uint32_t wanted = k;  // elements that agree with the digits known
  // Lines of no more than kMost elements are sorted whole.
  const int last_place = extent > kMost ? int(sizeof(Key)) + 4 : 0;
  bool known = false;
  if (last_place > 0) threshold = {0, 0};
  int place = 0;
  for (; place < last_place && !known; ++place) {
    for (int d = threadIdx.x; d < kDigits; d += blockDim.x) counts[d] = 0;
    __syncthreads();
    for (int64_t e = threadIdx.x; e < extent; e += blockDim.x) {
      const Key key = key_of(line[e * inner]);
      if (agrees(key, uint32_t(e), threshold, place)) {
        atomicAdd(&counts[digit_of(key, uint32_t(e), place)], 1u);
      }
    }
    __syncthreads();
    if (threadIdx.x < 32) {
      // Each lane has 8 digits; the first lane whose digits reach `wanted` chooses among them.
      uint32_t mine = 0;
      for (int d = 0; d < 8; ++d) mine += counts[threadIdx.x * 8 + d];
      uint32_t sum = mine;
#pragma unroll
      for (int distance = 1; distance < 32; distance *= 2) {
        const uint32_t other = __shfl_up_sync(0xffffffffu, sum, distance);
        if (threadIdx.x >= distance) sum += other;
      }
      uint32_t before = sum - mine;
      if (before < wanted && wanted <= sum) {
        for (int d = 0; d < 8; ++d) {
          const uint32_t count = counts[threadIdx.x * 8 + d];
          if (before + count >= wanted) {
            chosen = threadIdx.x * 8 + d;
            left = wanted - before;
            whole = count == wanted - before;
            break;
          }
          before += count;
        }
      }
    }
    __syncthreads();
    wanted = left;
    known = whole != 0;  // all that agree so far are taken
    constexpr int kPlaces = sizeof(Key);
    if (place < kPlaces) {
      threshold.key |= Key(chosen) << (8 * (kPlaces - 1 - place));
    } else {
      threshold.index |= chosen << (8 * (3 - (place - kPlaces)));
    }
  }
  // The digits that are not known are the largest.
  if (place < last_place) {
    constexpr int kPlaces = sizeof(Key);
    if (place < kPlaces) threshold.key |= ~Key(0) >> (8 * place);
    threshold.index |= place <= kPlaces ? ~uint32_t(0) : ~uint32_t(0) >> (8 * (place - kPlaces));
  }
  if (threadIdx.x == 0) found = 0;
  for (int i = threadIdx.x; i < kMost; i += blockDim.x) {
    keys[i] = ~Key(0);
    places[i] = ~uint32_t(0);
  }
  __syncthreads();
  // Where an element is put first does not matter: they are sorted, and no two are equal.
  for (int64_t e = threadIdx.x; e < extent; e += blockDim.x) {
    const Key key = key_of(line[e * inner]);
    if (comes_before(threshold.key, threshold.index, key, uint32_t(e))) continue;
    const uint32_t to = atomicAdd(&found, 1u);
    keys[to] = key;
    places[to] = uint32_t(e);
  }
  for (int size = 2; size <= kMost; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int pair = threadIdx.x; pair < kMost / 2; pair += blockDim.x) {
        const int a = pair / distance * 2 * distance + pair % distance;
        const int b = a + distance;
        const bool ascending = (a & size) == 0;
        if (comes_before(keys[b], places[b], keys[a], places[a]) != ascending) continue;
        const Key key = keys[a];
        keys[a] = keys[b];
        keys[b] = key;
        const uint32_t index = places[a];
        places[a] = places[b];
        places[b] = index;
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < k; i += blockDim.x) {
    const int64_t to = (outer * k + i) * inner + column;
    indices[to] = places[i];
    values[to] = line[int64_t(places[i]) * inner];
  }
}
