// Attention on the CPU: for a block of rows, keys are taken a tile at a time and the softmax is
// carried along (its running maximum and sum), so that scores never leave the cache. Storage is
// float32, float16 or bfloat16, arithmetic float32.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "ops/attention/cpu_plain.h"
#include "ops/attention/cpu_problem.h"

namespace cleave::backend {
namespace {

constexpr int64_t kKeys = 192;  // of a tile at most, whole panels: 96 × 192 scores are 72 KiB
constexpr int64_t kSmallBlockRows = 24;  // smaller blocks are not made for the threads' sake
constexpr int64_t kPackingRows = 16;     // a block's packing takes as long as so many rows
constexpr int64_t kDirectRows = 4;       // up to this many, packing keys costs more than it saves
constexpr float kHidden = -std::numeric_limits<float>::infinity();

// An attention cut into blocks of rows and tiles of keys.
struct TiledAttention : AttentionProblem {
  int64_t block_rows = 0;
  int64_t blocks = 0;
  int64_t tile_keys = 0;
  const simd::Table* table = &simd::best();

  explicit TiledAttention(const KernelProblem& problem) : AttentionProblem(problem) {
    blocks = blocks_for(problem.threads);
    if (blocks > 0) block_rows = (rows + blocks - 1) / blocks;
    // Tiles as even as can be, of whole panels: a short last one costs nearly as much as a full
    // one.
    const int64_t tiles = std::max<int64_t>(1, (keys + kKeys - 1) / kKeys);
    const int64_t even = std::max<int64_t>(1, (keys + tiles - 1) / tiles);
    tile_keys = (even + table->panel - 1) / table->panel * table->panel;
  }

  // How many blocks the rows of a head make: all threads have work, and no more blocks than that
  // takes, as each packs the keys again. Results do not depend on the blocks.
  int64_t blocks_for(int64_t threads) const {
    const int64_t least = (rows + kBlockRows - 1) / kBlockRows;
    const int64_t most = std::max(least, (rows + kSmallBlockRows - 1) / kSmallBlockRows);
    int64_t best = least;
    int64_t best_cost = std::numeric_limits<int64_t>::max();
    for (int64_t candidate = least; candidate > 0 && candidate <= most; ++candidate) {
      const int64_t turns = (batches * heads * candidate + threads - 1) / threads;
      const int64_t cost = turns * ((rows + candidate - 1) / candidate + kPackingRows);
      if (cost >= best_cost) continue;
      best_cost = cost;
      best = candidate;
    }
    return best;
  }
};

// The state of one block of rows, reused from block to block.
class RowBlock {
 public:
  RowBlock(const TiledAttention& work, std::span<const void* const> inputs, void* out)
      : work_(work),
        inputs_(inputs),
        out_(out),
        keys_shape_{
            .k = work.depth, .n = kKeys, .dtype = DType::kFloat32, .panel = work.table->panel},
        values_shape_{
            .k = kKeys, .n = work.width, .dtype = DType::kFloat32, .panel = work.table->panel},
        leading_(values_shape_.panels() * values_shape_.panel),
        scores_(static_cast<size_t>(work.block_rows * kKeys)),
        sums_(static_cast<size_t>(work.block_rows * leading_)),
        row_(static_cast<size_t>(std::max({work.depth, work.width, kKeys}))),
        queries_(
            static_cast<size_t>(work.block_rows <= kDirectRows ? work.block_rows * work.depth : 0)),
        largest_(static_cast<size_t>(work.block_rows)),
        totals_(static_cast<size_t>(work.block_rows)) {
    if (work.block_rows > kDirectRows) {
      packed_keys_.resize(static_cast<size_t>(keys_shape_.bytes()));
      packed_values_.resize(static_cast<size_t>(values_shape_.bytes()));
    }
  }

  void run(int64_t batch, int64_t head, int64_t first, int64_t count) {
    batch_ = batch;
    head_ = head;
    first_ = first;
    count_ = count;
    std::fill(sums_.begin(), sums_.end(), 0.0f);
    std::fill(largest_.begin(), largest_.end(), kHidden);
    std::fill(totals_.begin(), totals_.end(), 0.0f);
    const int64_t end = work_.causal
                            ? std::clamp<int64_t>(first + count - 1 + work_.visible, 0, work_.keys)
                            : work_.keys;
    for (int64_t key = 0; key < end; key += work_.tile_keys) {
      const int64_t size = std::min(work_.tile_keys, end - key);
      if (work_.block_rows <= kDirectRows) {
        score_directly(key, size);
      } else {
        score_packed(key, size);
      }
      for (int64_t i = 0; i < count_; ++i) softmax_row(i, key, size);
      if (work_.block_rows <= kDirectRows) {
        add_directly(key, size);
      } else {
        add_packed(key, size);
      }
    }
    for (int64_t i = 0; i < count_; ++i) write_row(i);
  }

 private:
  float* scores(int64_t row) { return scores_.data() + row * kKeys; }
  float* sums(int64_t row) { return sums_.data() + row * leading_; }

  MatrixSource keys_from(int64_t key) const {
    const Operand4& k = work_.k;
    return {.data = k.at(inputs_[1], k.offset(batch_, work_.key_head(head_), key)),
            .dtype = k.type,
            .row_stride = k.strides[3],
            .column_stride = k.strides[2]};
  }
  MatrixSource values_from(int64_t key) const {
    const Operand4& v = work_.v;
    return {.data = v.at(inputs_[2], v.offset(batch_, work_.key_head(head_), key)),
            .dtype = v.type,
            .row_stride = v.strides[2],
            .column_stride = v.strides[3]};
  }

  void score_packed(int64_t key, int64_t size) {
    keys_shape_.n = size;
    pack_panels(*work_.table, keys_from(key), keys_shape_, 0, keys_shape_.panels(),
                packed_keys_.data());
    const std::byte* rows[kBlockRows];
    for (int64_t i = 0; i < count_; ++i) {
      rows[i] = work_.q.at(inputs_[0], work_.q.offset(batch_, head_, first_ + i));
    }
    multiply_block(*work_.table, {rows, work_.q.type, work_.q.strides[3]}, count_, keys_shape_,
                   packed_keys_.data(), 0, keys_shape_.panels(), scores_.data(), kKeys, scratch_);
  }

  void add_packed(int64_t key, int64_t size) {
    values_shape_.k = size;
    pack_panels(*work_.table, values_from(key), values_shape_, 0, values_shape_.panels(),
                packed_values_.data());
    const std::byte* rows[kBlockRows];
    for (int64_t i = 0; i < count_; ++i) rows[i] = reinterpret_cast<const std::byte*>(scores(i));
    multiply_block(*work_.table, {rows, DType::kFloat32, 1}, count_, values_shape_,
                   packed_values_.data(), 0, values_shape_.panels(), sums_.data(), leading_,
                   scratch_, true);
  }

  // One element after the other where the view is not contiguous.
  const float* gather(const MatrixSource& from, int64_t offset, int64_t stride, int64_t count) {
    const std::byte* data = from.data + offset * static_cast<int64_t>(size_of(from.dtype));
    if (stride == 1 || count == 1) {
      return as_floats(*work_.table, from.dtype, data, 0, count, row_.data());
    }
    for (int64_t i = 0; i < count; ++i) {
      row_[static_cast<size_t>(i)] =
          *as_floats(*work_.table, from.dtype, data, i * stride, 1, row_.data() + i);
    }
    return row_.data();
  }

  void score_directly(int64_t key, int64_t size) {
    const Operand4& q = work_.q;
    if (key == 0) {
      for (int64_t i = 0; i < count_; ++i) {
        const MatrixSource row{.data = q.at(inputs_[0], q.offset(batch_, head_, first_ + i)),
                               .dtype = q.type};
        std::copy_n(gather(row, 0, q.strides[3], work_.depth), work_.depth,
                    queries_.data() + i * work_.depth);
      }
    }
    const MatrixSource from = keys_from(key);
    for (int64_t j = 0; j < size; ++j) {
      const float* row = gather(from, j * from.column_stride, from.row_stride, work_.depth);
      for (int64_t i = 0; i < count_; ++i) {
        scores(i)[j] = work_.table->dot(queries_.data() + i * work_.depth, row, work_.depth);
      }
    }
  }

  void add_directly(int64_t key, int64_t size) {
    const MatrixSource from = values_from(key);
    for (int64_t j = 0; j < size; ++j) {
      const float* row = gather(from, j * from.row_stride, from.column_stride, work_.width);
      for (int64_t i = 0; i < count_; ++i) {
        work_.table->scale_add(row, scores(i)[j], sums(i), sums(i), work_.width);
      }
    }
  }

  // Scales, adds the mask and hides columns of the scores of one row.
  void mask_row(int64_t i, int64_t key, int64_t size) {
    float* score = scores(i);
    work_.table->scale(score, work_.scale, size);
    if (work_.has_mask) {
      const Operand4& mask = work_.mask;
      const std::byte* data = mask.at(inputs_[3], mask.offset(batch_, head_, first_ + i, key));
      const int64_t stride = mask.strides[3];
      if (mask.type == DType::kBool) {
        const auto* shown = reinterpret_cast<const uint8_t*>(data);
        for (int64_t j = 0; j < size; ++j) score[j] = shown[j * stride] != 0 ? score[j] : kHidden;
      } else if (stride == 1) {
        const float* added = as_floats(*work_.table, mask.type, data, 0, size, row_.data());
        for (int64_t j = 0; j < size; ++j) score[j] += added[j];
      } else {
        for (int64_t j = 0; j < size; ++j) {
          score[j] += *as_floats(*work_.table, mask.type, data, j * stride, 1, row_.data());
        }
      }
    }
    if (work_.causal) {
      const int64_t seen = std::clamp<int64_t>(first_ + i + work_.visible - key, 0, size);
      std::fill(score + seen, score + size, kHidden);
    }
  }

  // Scores become weights relative to the running maximum; what was summed so far is rescaled.
  void softmax_row(int64_t i, int64_t key, int64_t size) {
    mask_row(i, key, size);
    float& largest = largest_[static_cast<size_t>(i)];
    float& total = totals_[static_cast<size_t>(i)];
    const float tile = work_.table->max(scores(i), size);
    const float next = std::isnan(tile) || tile > largest ? tile : largest;
    const float shift = next == kHidden ? 0.0f : next;  // all hidden so far: weights of 0
    if (next != largest && total != 0) {
      const float factor = std::exp(largest - next);
      total *= factor;
      work_.table->scale(sums(i), factor, work_.width);
    }
    largest = next;
    total += work_.table->exp_sum(scores(i), scores(i), 1.0f, shift, size);
  }

  void write_row(int64_t i) {
    const float total = totals_[static_cast<size_t>(i)];
    work_.table->scale(sums(i), total == 0 ? 0.0f : 1.0f / total, work_.width);
    const int64_t at = work_.out.offset(batch_, head_, first_ + i);
    if (work_.out.type == DType::kFloat32) {
      std::copy_n(sums(i), work_.width, static_cast<float*>(out_) + at);
    } else {
      finish_floats(*work_.table, work_.out.type, sums(i), out_, at, work_.width);
    }
  }

  const TiledAttention& work_;
  std::span<const void* const> inputs_;
  void* out_;
  PackedShape keys_shape_;
  PackedShape values_shape_;
  int64_t leading_;
  std::vector<float> scores_;
  std::vector<float> sums_;
  std::vector<float> row_;
  std::vector<float> queries_;
  std::vector<float> largest_;
  std::vector<float> totals_;
  std::vector<std::byte> packed_keys_;
  std::vector<std::byte> packed_values_;
  BlockScratch scratch_;
  int64_t batch_ = 0, head_ = 0, first_ = 0, count_ = 0;
};

RunFunction prepare(const KernelProblem& problem) {
  const TiledAttention work(problem);
  return [work](std::span<const void* const> inputs, std::span<void* const> outputs,
                ThreadPool& pool) {
    const int64_t tasks = work.batches * work.heads * work.blocks;
    if (tasks == 0 || work.width == 0) return;
    const int64_t chunks = chunks_for(tasks, 1, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(tasks, chunks, chunk);
      RowBlock block(work, inputs, outputs[0]);
      for (int64_t task = range.begin; task < range.end; ++task) {
        const int64_t first = task % work.blocks * work.block_rows;
        const int64_t head = task / work.blocks;
        const int64_t count = std::min(work.block_rows, work.rows - first);
        if (count > 0) block.run(head / work.heads, head % work.heads, first, count);
      }
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  return AttentionProblem::refuses(problem, false);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_attention_cpu() {
  return {std::make_shared<SimpleKernel>("attention", "attention.tiled", refuses, prepare),
          make_plain_attention()};
}

}  // namespace cleave::backend
