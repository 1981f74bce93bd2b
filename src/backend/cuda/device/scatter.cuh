// How an update meets the element that is there: as kReduce says, or, where kReplaces, instead of
// it. 16-bit types are reduced in A, which is float, and rounded once.
template <class Element, class Update>
__device__ inline Element updated(Element element, Update update) {
  if constexpr (kReplaces) {
    return Element(widen(update));
  } else {
    return combine<kReduce>(element, Element(widen(update)));
  }
}

extern "C" __global__ void widen_elements(const int64_t elements, const T* from, A* to) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
    to[i] = widen(from[i]);
  }
}

extern "C" __global__ void narrow_elements(const int64_t elements, const A* from, T* to) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
    to[i] = narrow<T>(from[i]);
  }
}
