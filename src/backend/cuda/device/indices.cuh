// Elements along a dimension that indices reach (types/indexing.h lays it out): negative ones count
// from the end, and what lies outside is nobody's element.
struct IndexRange {
  int64_t extent;
  int64_t offset;
  int64_t total;

  // -1 where the index is outside.
  __device__ int64_t position(int64_t index) const {
    if (index < 0) index += total;
    index -= offset;
    return index < 0 || index >= extent ? -1 : index;
  }
};
