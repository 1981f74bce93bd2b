// Attention on the CPU, as products of tiles: the keys and values of a head are laid out in panels,
// a tile of keys at a time; a tile of queries gives scores, which become weights and are multiplied
// with the values while they are in the first-level cache. The softmax is carried along from tile
// to tile of keys. Storage is float32, float16 or bfloat16, arithmetic float32.
#include <algorithm>
#include <limits>

#include "backend/cpu/gemm.h"
#include "backend/cpu/slots.h"
#include "base/thread_pool.h"
#include "ops/attention/cpu_few_rows.h"
#include "ops/attention/cpu_plain.h"
#include "ops/attention/cpu_rows.h"
#include "ops/attention/kernel_problem.h"
#include "types/workspace.h"

namespace cleave::backend {
namespace {

// Of a tile: its scores for a tile of queries (12 × 512) are 24 KiB, its panels of keys and values
// stay in the second-level cache.
constexpr int64_t kTileKeys = 512;
constexpr int64_t kTileFloats = 64 << 10;
constexpr int64_t kBlockRows = 384;   // at most, or their sums would not stay there either
constexpr int64_t kPackingTiles = 1;  // to pack a block's keys and values takes as long as so many

int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Keys and values that are packed together.
struct KeyTile {
  HeadGroup group;
  int64_t first = 0;
  int64_t count = 0;
};

// Rows of queries that lie a stride apart: of one head, or one row of several heads.
struct QueryTile {
  HeadGroup group;
  int64_t head = 0;
  int64_t row = 0;
  int64_t count = 0;
};

class PreparedTiled final : public PreparedKernel {
 public:
  explicit PreparedTiled(const KernelProblem& problem)
      : work_(problem),
        table_(simd::best()),
        tile_keys_(tile_keys()),
        keys_shape_{.k = work_.depth, .n = 0, .dtype = DType::kFloat32, .panel = table_.panel},
        values_shape_{.k = 0, .n = work_.width, .dtype = DType::kFloat32, .panel = table_.panel},
        softmax_(work_, table_, tile_keys_),
        sums_in_place_(work_.out.type == DType::kFloat32 && work_.width % (table_.panel / 2) == 0) {
    if (nothing()) return;
    // One row of each head: the heads of a group are the rows.
    across_heads_ = work_.rows == 1;
    const int64_t lines = across_heads_ ? work_.most_heads() : work_.rows;
    // Tiles as even as can be.
    tile_rows_ = ceil_of(lines, ceil_of(lines, table_.tile_rows));
    line_tiles_ = ceil_of(lines, tile_rows_);
    group_tiles_ = line_tiles_ * (across_heads_ ? 1 : work_.most_heads());
    choose_blocks(problem.threads);
    slots_ = slots_within(kAttentionPartsBytes, slot_bytes(), problem.threads);
  }

  int64_t workspace_bytes() const override { return nothing() ? 0 : slots_ * slot_bytes(); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (nothing()) return;
    Slots slots(launch.workspace, slot_bytes(), slots_);
    launch.pool.parallel_for(work_.groups() * blocks_, [&](int64_t task) {
      const Slots::Slot slot(slots);
      Scratch scratch(*this, reinterpret_cast<float*>(slot.data()));
      attend(task / blocks_, task % blocks_ * block_tiles_, inputs, outputs[0], scratch);
    });
  }

 private:
  // A thread's memory.
  struct Scratch {
    Scratch(const PreparedTiled& kernel, float* memory)
        : keys(memory),
          values(keys + kernel.keys_floats()),
          scores(values + kernel.values_floats()),
          queries(scores + kernel.tile_rows_ * kernel.tile_keys_),
          masks(queries + kernel.tile_rows_ * kernel.work_.depth),
          sums(masks + kernel.softmax_.scratch_floats()),
          state(sums + kernel.sums_floats(), kernel.block_tiles_ * kernel.tile_rows_) {}
    float* keys;
    float* values;
    float* scores;
    float* queries;
    float* masks;
    float* sums;
    RowState state;
  };

  bool nothing() const { return work_.batches * work_.heads * work_.rows * work_.width == 0; }

  // Tiles as even as can be, of whole panels: a short last one costs nearly as much as a full one.
  int64_t tile_keys() const {
    const int64_t most =
        std::min(kTileKeys, kTileFloats / std::max<int64_t>(1, work_.depth + work_.width));
    const int64_t tiles = std::max<int64_t>(1, ceil_of(work_.keys, std::max<int64_t>(1, most)));
    return std::max<int64_t>(1, ceil_of(ceil_of(work_.keys, tiles), table_.panel)) * table_.panel;
  }

  // How many blocks the rows of a group make: all threads have work, and no more blocks than that
  // takes, as each packs the keys again. Results do not depend on them.
  void choose_blocks(int64_t threads) {
    const int64_t least = ceil_of(group_tiles_ * tile_rows_, kBlockRows);
    int64_t best_cost = std::numeric_limits<int64_t>::max();
    for (int64_t blocks = least; blocks <= group_tiles_; ++blocks) {
      const int64_t tiles = ceil_of(group_tiles_, blocks);
      const int64_t cost = ceil_of(work_.groups() * blocks, threads) * (tiles + kPackingTiles);
      if (cost >= best_cost) continue;
      best_cost = cost;
      block_tiles_ = tiles;
    }
    blocks_ = ceil_of(group_tiles_, block_tiles_);
  }

  int64_t leading() const { return ceil_of(work_.width, table_.panel) * table_.panel; }
  int64_t keys_floats() const { return tile_keys_ * work_.depth; }
  int64_t values_floats() const { return tile_keys_ * leading(); }
  int64_t sums_floats() const { return sums_in_place_ ? 0 : block_tiles_ * tile_rows_ * leading(); }
  int64_t slot_bytes() const {
    const int64_t floats = keys_floats() + values_floats() +
                           tile_rows_ * (tile_keys_ + work_.depth) + softmax_.scratch_floats() +
                           sums_floats() + RowState::floats(block_tiles_ * tile_rows_);
    return ceil_of(floats * static_cast<int64_t>(sizeof(float)), 64) * 64;
  }

  QueryTile tile_at(const HeadGroup& group, int64_t index) const {
    QueryTile tile{.group = group, .head = group.first};
    const int64_t first = index % line_tiles_ * tile_rows_;
    if (across_heads_) {
      tile.head += first;
      tile.count = std::min(tile_rows_, group.heads - first);
    } else {
      tile.head += index / line_tiles_;
      tile.row = first;
      tile.count = index / line_tiles_ < group.heads ? std::min(tile_rows_, work_.rows - first) : 0;
    }
    return tile;
  }
  // From row to row of a tile.
  int64_t stride(const Operand4& operand) const { return operand.strides[across_heads_ ? 1 : 2]; }

  // Tiles of queries [first, first + block_tiles_) of a group.
  void attend(int64_t group_index, int64_t first, std::span<const void* const> inputs, void* out,
              Scratch& scratch) const {
    const HeadGroup group = work_.head_group(group_index);
    const int64_t last = std::min(first + block_tiles_, group_tiles_);
    for (int64_t key = 0; key == 0 || key < work_.keys; key += tile_keys_) {
      const KeyTile keys{group, key, std::min(tile_keys_, work_.keys - key)};
      const KeyTile next = tile_after(keys, group_index);
      bool packed = false;
      for (int64_t index = first; index < last; ++index) {
        const QueryTile tile = tile_at(group, index);
        if (tile.count <= 0) continue;
        if (!packed && sees(tile, keys)) {
          pack(keys, inputs, scratch);
          packed = true;
        }
        const Range part = partition(next.count, last - first, index - first);
        fetch({next.group, next.first + part.begin, part.size()}, inputs);
        add_tile(tile, index - first, keys, inputs, out, scratch);
      }
    }
  }

  KeyTile tile_after(const KeyTile& keys, int64_t group_index) const {
    const int64_t key = keys.first + tile_keys_;
    if (key < work_.keys) return {keys.group, key, std::min(tile_keys_, work_.keys - key)};
    if (group_index + 1 == work_.groups()) return {};
    return {work_.head_group(group_index + 1), 0, std::min(tile_keys_, work_.keys)};
  }

  // Keys and values lie in many short pieces, which are packed faster where they have been brought
  // into the cache before.
  void fetch(const KeyTile& keys, std::span<const void* const> inputs) const {
    fetch_rows(work_.k, inputs[1], keys, work_.depth);
    fetch_rows(work_.v, inputs[2], keys, work_.width);
  }
  static void fetch_rows(const Operand4& operand, const void* data, const KeyTile& keys,
                         int64_t columns) {
    constexpr int64_t kLine = 64;
    if (operand.strides[3] > 1) return;
    for (int64_t i = 0; i < keys.count; ++i) {
      const std::byte* row =
          operand.at(data, operand.offset(keys.group.batch, keys.group.key_head, keys.first + i));
      const std::byte* end = row + columns * static_cast<int64_t>(size_of(operand.type));
      for (; row < end; row += kLine) __builtin_prefetch(row);
    }
  }

  void pack(const KeyTile& keys, std::span<const void* const> inputs, Scratch& scratch) const {
    const Operand4& k = work_.k;
    const Operand4& v = work_.v;
    const HeadGroup& group = keys.group;
    const PackedShape keys_shape = keys_of(keys.count);
    const PackedShape values_shape = values_of(keys.count);
    pack_panels(table_,
                {.data = k.at(inputs[1], k.offset(group.batch, group.key_head, keys.first)),
                 .dtype = k.type,
                 .row_stride = k.strides[3],
                 .column_stride = k.strides[2]},
                keys_shape, 0, keys_shape.panels(), reinterpret_cast<std::byte*>(scratch.keys));
    pack_panels(table_,
                {.data = v.at(inputs[2], v.offset(group.batch, group.key_head, keys.first)),
                 .dtype = v.type,
                 .row_stride = v.strides[2],
                 .column_stride = v.strides[3]},
                values_shape, 0, values_shape.panels(),
                reinterpret_cast<std::byte*>(scratch.values));
  }
  PackedShape keys_of(int64_t keys) const {
    PackedShape shape = keys_shape_;
    shape.n = keys;
    return shape;
  }
  PackedShape values_of(int64_t keys) const {
    PackedShape shape = values_shape_;
    shape.k = keys;
    return shape;
  }

  bool sees(const QueryTile& tile, const KeyTile& keys) const {
    const QueryRow last{tile.group.batch, tile.head,
                        tile.row + (across_heads_ ? 0 : tile.count - 1)};
    return softmax_.seen({&last, 1}, keys.first, keys.count) > 0;
  }

  // Tile `index` of the block's queries by the keys that are packed.
  void add_tile(const QueryTile& tile, int64_t index, const KeyTile& keys,
                std::span<const void* const> inputs, void* out, Scratch& scratch) const {
    const int64_t batch = tile.group.batch;
    QueryRow places[AttentionRows::kMost];
    for (int64_t i = 0; i < tile.count; ++i) {
      places[i] = across_heads_ ? QueryRow{batch, tile.head + i, 0}
                                : QueryRow{batch, tile.head, tile.row + i};
    }
    const std::span<const QueryRow> rows(places, static_cast<size_t>(tile.count));
    const RowState state = scratch.state.from(index * tile_rows_);
    float* sums = scratch.sums + index * tile_rows_ * leading();
    int64_t sums_stride = leading();
    if (sums_in_place_) {
      sums = static_cast<float*>(out) + work_.out.offset(batch, tile.head, tile.row);
      sums_stride = stride(work_.out);
    }
    const int64_t seen = softmax_.seen(rows, keys.first, keys.count);
    if (seen > 0) {
      const FloatMatrix queries =
          float_matrix(table_, work_.q, inputs[0], work_.q.offset(batch, tile.head, tile.row),
                       stride(work_.q), tile.count, work_.depth, scratch.queries);
      // Whole panels of scores: there is room for them.
      multiply(tile.count, queries, keys_of(keys.count), scratch.keys, work_.depth,
               ceil_of(seen, table_.panel) * table_.panel, scratch.scores, tile_keys_, false);
      softmax_.weigh(rows, keys.first, seen, work_.has_mask ? inputs[3] : nullptr, scratch.scores,
                     state, sums, sums_stride, scratch.masks);
      multiply(tile.count, {scratch.scores, tile_keys_}, values_of(keys.count), scratch.values,
               seen, sums_in_place_ ? work_.width : leading(), sums, sums_stride, keys.first > 0);
    } else if (keys.first == 0) {
      for (int64_t i = 0; i < tile.count; ++i) {
        std::fill_n(sums + i * sums_stride, work_.width, 0.0f);
      }
    }
    if (keys.first + tile_keys_ >= work_.keys) softmax_.finish(rows, state, sums, sums_stride, out);
  }

  // c (+)= a · b, of which the first `depth` rows and `columns` columns.
  void multiply(int64_t rows, const FloatMatrix& a, const PackedShape& shape, const float* b,
                int64_t depth, int64_t columns, float* c, int64_t ldc, bool accumulate) const {
    if (depth == 0 && !accumulate) {
      for (int64_t i = 0; i < rows; ++i) std::fill_n(c + i * ldc, columns, 0.0f);
    }
    for (int64_t block = 0; block < shape.blocks() && shape.begin(block) < depth; ++block) {
      const int64_t begin = shape.begin(block);
      const int64_t size = std::min(shape.depth(block), depth - begin);
      for (int64_t first = 0; first < columns; first += shape.panel) {
        table_.row_tile(static_cast<int>(rows), size, a.data + begin, a.stride,
                        b + shape.offset(block, first / shape.panel),
                        std::min(shape.panel, columns - first), c + first, ldc,
                        accumulate || block > 0);
      }
    }
  }

  AttentionProblem work_;
  const simd::Table& table_;
  int64_t tile_keys_;
  PackedShape keys_shape_;
  PackedShape values_shape_;
  AttentionRows softmax_;
  int slots_ = 1;
  bool sums_in_place_;
  bool across_heads_ = false;
  int64_t tile_rows_ = 0;
  int64_t line_tiles_ = 0;   // of a head, or of a group's heads
  int64_t group_tiles_ = 0;  // of a group, at most
  int64_t block_tiles_ = 0;
  int64_t blocks_ = 0;  // of a group
};

class Tiled final : public Kernel {
 public:
  std::string_view op() const override { return "attention"; }
  std::string_view name() const override { return "attention.tiled"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    return AttentionProblem::refuses(problem, false);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    return std::make_unique<PreparedTiled>(problem);
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_attention_cpu() {
  return {make_few_rows_attention(), std::make_shared<Tiled>(), make_plain_attention()};
}

}  // namespace cleave::backend
