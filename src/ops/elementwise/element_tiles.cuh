// Tiles of rows and columns for a chain whose result lies along its columns and of whose operands
// some lie along its rows: those are read along the rows into a tile that the block shares, and
// taken from it along the columns. What stands before it:
//   constexpr int kTogether = 2;  // elements that are read and written at once
constexpr int kSide = 32 * kTogether;
constexpr int kLines = 8;              // of 32 threads
constexpr int kRows = kSide / kLines;  // of a tile, that a thread has elements of

// Matrices of so many rows and columns, cut into tiles.
struct TileGrid {
  Divisor row_tiles;
  Divisor column_tiles;
  int64_t rows;
  int64_t columns;
};

template <int kOperands>
struct TileStrides {
  int64_t row[kOperands];
  int64_t column[kOperands];
};

// The tile of a block, and where a thread is in it.
struct TilePlace {
  uint32_t matrix;
  int64_t row, column;    // where the tile begins
  int64_t rows, columns;  // that it has
  int lane, line;

  __device__ explicit TilePlace(const TileGrid& grid) {
    const uint32_t row_of_tiles = grid.column_tiles.divide(blockIdx.x);
    matrix = grid.row_tiles.divide(row_of_tiles);
    column = int64_t(blockIdx.x - row_of_tiles * grid.column_tiles.value) * kSide;
    row = int64_t(row_of_tiles - matrix * grid.row_tiles.value) * kSide;
    rows = min(int64_t(kSide), grid.rows - row);
    columns = min(int64_t(kSide), grid.columns - column);
    lane = threadIdx.x % 32 * kTogether;
    line = threadIdx.x / 32;
  }
};

// The elements of an operand that lies along the rows.
template <class T>
struct Tile {
  T at[kSide][kSide + kTogether];  // [column][row]

  // `from` is the tile's first element.
  __device__ void load(const TilePlace& place, const T* from, int64_t column_stride) {
    using Together = Vector<T, kTogether>;
    if (place.lane >= place.rows) return;
#pragma unroll
    for (int c = place.line; c < kSide; c += kLines) {
      if (c >= place.columns) break;
      *reinterpret_cast<Together*>(&at[c][place.lane]) =
          *reinterpret_cast<const Together*>(from + c * column_stride + place.lane);
    }
  }
  // Those of a row, from the thread's first column on.
  __device__ Vector<T, kTogether> columns(const TilePlace& place, int row) const {
    Vector<T, kTogether> values;
#pragma unroll
    for (int i = 0; i < kTogether; ++i) values.at[i] = at[place.lane + i][row];
    return values;
  }
};

// Of an operand that lies in any other way.
template <class T>
__device__ inline Vector<T, kTogether> apart(const T* from, int64_t stride) {
  Vector<T, kTogether> values;
#pragma unroll
  for (int i = 0; i < kTogether; ++i) values.at[i] = from[i * stride];
  return values;
}
