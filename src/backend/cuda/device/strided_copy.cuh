// Strided copies. What stands before it:
//   using T = uint32_t;          // what is read at once: of 1, 2, 4, 8 or 16 bytes
//   constexpr int kRepeat = 1;   // how often each T is written, one behind the other
//   constexpr int kPieces = 1;   // most copies in a call
constexpr int kEach = 4;  // elements a thread

struct CopyPiece {
  Space<2> space;  // of the source, in T, and the target, in T
  const T* from;
  T* to;
  int64_t first_block;
};
struct CopyPieces {
  CopyPiece at[kPieces];
};

extern "C" __global__ void strided_copy(const __grid_constant__ CopyPieces pieces,
                                        const int32_t count) {
  int piece = 0;
  if constexpr (kPieces > 1) {
    while (piece + 1 < count && pieces.at[piece + 1].first_block <= blockIdx.x) ++piece;
  }
  const CopyPiece& copy = pieces.at[piece];
  const uint32_t block = blockIdx.x - uint32_t(copy.first_block);
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const uint32_t i = (block * kEach + e) * blockDim.x + threadIdx.x;
    if (i >= copy.space.elements) return;
    int64_t offsets[2];
    copy.space.locate(i, offsets);
    const T value = copy.from[offsets[0]];
    if constexpr (kRepeat == 1) {
      copy.to[offsets[1]] = value;
    } else {
      Vector<T, kRepeat> values;
#pragma unroll
      for (int r = 0; r < kRepeat; ++r) values.at[r] = value;
      *reinterpret_cast<Vector<T, kRepeat>*>(copy.to + offsets[1]) = values;
    }
  }
}
