// How the kernels that take tiles of queries find theirs. The lines of a group are the rows of all
// query heads that read one key head, the heads one behind the other.
struct Tiles {
  int64_t first_key_head, groups_of_batch;
  int64_t tiles;       // of a group
  int64_t splits;      // of the keys
  int64_t split_keys;  // of a split
};

struct QueryTile {
  int64_t batch, kv;          // key head
  int64_t first_head, lines;  // of the group
  int64_t first_line;
  int64_t split;
  int64_t begin, end;  // keys

  __device__ QueryTile(const Attention& work, const Tiles& tiles, int64_t block, int count) {
    split = block % tiles.splits;
    // Later tiles see more keys: they begin first.
    const int64_t tile = tiles.tiles - 1 - block / tiles.splits % tiles.tiles;
    const int64_t group = block / tiles.splits / tiles.tiles;
    batch = group / tiles.groups_of_batch;
    kv = tiles.first_key_head + group % tiles.groups_of_batch;
    const int64_t first = (kv + work.kv_offset) * work.group - work.head_offset;
    first_head = first < 0 ? 0 : first;
    const int64_t last = first + work.group < work.heads ? first + work.group : work.heads;
    lines = (last - first_head) * work.rows;
    first_line = tile * count;
    if (first_line >= lines) return;
    const int64_t last_line = (first_line + count < lines ? first_line + count : lines) - 1;
    const bool is_one_head = first_line / work.rows == last_line / work.rows;
    const int64_t seen = work.seen(is_one_head ? last_line % work.rows : work.rows - 1);
    begin = split * tiles.split_keys;
    end = begin + tiles.split_keys < seen ? begin + tiles.split_keys : seen;
  }
  __device__ bool is_empty() const { return first_line >= lines; }
  __device__ int64_t head(const Attention& work, int64_t line) const {
    return first_head + line / work.rows;
  }
  // Where the partial result of a line lies among all.
  __device__ int64_t partial(const Attention& work, const Tiles& tiles, int64_t line) const {
    return ((batch * work.heads + head(work, line)) * work.rows + line % work.rows) * tiles.splits +
           split;
  }
};

constexpr float kLog2E = 1.44269504088896340736f;
__device__ inline float hidden_score() { return -__int_as_float(0x7f800000); }
// What scores are made smaller by: a row that sees nothing has none.
__device__ inline float shift_of(float largest) {
  return largest == hidden_score() ? 0.0f : largest;
}

// Scores are held times log2(e), but for those with a mask, which may have the lowest of numbers.
__device__ inline float score_of(float dot, float scale, const M* mask) {
  return kHasMask ? masked(dot * scale, *mask) : dot * (scale * kLog2E);
}
// What is to be raised to a power of two: the weight of a score, where the largest is `shift`.
__device__ inline float exponent_of(float score, float shift) {
  return kHasMask ? (score - shift) * kLog2E : score - shift;
}
