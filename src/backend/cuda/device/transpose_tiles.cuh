// Matrices whose rows become columns: tiles are read along the source's rows and written along the
// target's. What stands before it:
//   using T = uint16_t;
//   constexpr int kGroup = 2;  // elements that are read and written at once, 4 bytes at most
constexpr int kSide = 32 * kGroup;
constexpr int kLines = 8;  // of 32 threads

// Element (row, column) of a matrix is from[row + column * from_stride] and
// to[row * to_stride + column].
extern "C" __global__ void transpose_tiles(const Space<2> matrices, const Divisor row_tiles,
                                           const Divisor column_tiles, const int64_t rows,
                                           const int64_t columns, const int64_t from_stride,
                                           const int64_t to_stride, const T* from, T* to) {
  __shared__ __align__(16) T tile[kSide][kSide + kGroup];  // [column][row]
  using Group = Vector<T, kGroup>;
  const uint32_t row_of_tiles = column_tiles.divide(blockIdx.x);
  const uint32_t matrix = row_tiles.divide(row_of_tiles);
  const int64_t column = int64_t(blockIdx.x - row_of_tiles * column_tiles.value) * kSide;
  const int64_t row = int64_t(row_of_tiles - matrix * row_tiles.value) * kSide;
  int64_t offsets[2];
  matrices.locate(matrix, offsets);
  const int lane = threadIdx.x % 32 * kGroup;
  const int line = threadIdx.x / 32;
  if (row + lane < rows) {
    const T* source = from + offsets[0] + row + lane;
#pragma unroll
    for (int c = line; c < kSide; c += kLines) {
      if (column + c >= columns) break;
      *reinterpret_cast<Group*>(&tile[c][lane]) =
          *reinterpret_cast<const Group*>(source + (column + c) * from_stride);
    }
  }
  __syncthreads();
  if (column + lane < columns) {
    T* target = to + offsets[1] + column + lane;
#pragma unroll
    for (int r = line; r < kSide; r += kLines) {
      if (row + r >= rows) break;
      Group group;
#pragma unroll
      for (int g = 0; g < kGroup; ++g) group.at[g] = tile[lane + g][r];
      *reinterpret_cast<Group*>(target + (row + r) * to_stride) = group;
    }
  }
}
