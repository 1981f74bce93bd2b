// Keys and values are read once, where they lie: to lay them out for a product of tiles takes as
// long as the products of several rows. Storage is float32, float16 or bfloat16, arithmetic
// float32.
#include "ops/attention/cpu_few_rows.h"

#include <algorithm>

#include "backend/cpu/slots.h"
#include "base/thread_pool.h"
#include "ops/attention/cpu_rows.h"
#include "ops/attention/kernel_problem.h"
#include "types/workspace.h"

namespace cleave::backend {
namespace {

constexpr int64_t kFewRows = 8;  // up to which this is faster
static_assert(kFewRows <= AttentionRows::kMost);
// Of a tile's keys, in floats: they stay in the first-level cache from row to row.
constexpr int64_t kTileFloats = 8192;
constexpr int64_t kTileKeys = 256;  // at most

class PreparedFewRows final : public PreparedKernel {
 public:
  explicit PreparedFewRows(const KernelProblem& problem)
      : work_(problem),
        table_(simd::best()),
        tile_keys_(tile_keys(work_, table_.panel)),
        softmax_(work_, table_, tile_keys_),
        rows_(work_.most_heads() * work_.rows),
        slots_(slots_within(kAttentionPartsBytes, slot_bytes(), problem.threads)) {}

  int64_t workspace_bytes() const override { return slots_ * slot_bytes(); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (work_.batches * work_.heads * work_.rows * work_.width == 0) return;
    Slots slots(launch.workspace, slot_bytes(), slots_);
    launch.pool.parallel_for(work_.groups(), [&](int64_t group) {
      const Slots::Slot slot(slots);
      attend(work_.head_group(group), inputs, outputs[0], reinterpret_cast<float*>(slot.data()));
    });
  }

 private:
  static int64_t tile_keys(const AttentionProblem& work, int64_t panel) {
    const int64_t longest = std::max<int64_t>({1, work.depth, work.width});
    return std::clamp(kTileFloats / longest / panel * panel, panel, kTileKeys);
  }
  int64_t buffer_floats() const { return tile_keys_ * std::max(work_.depth, work_.width); }
  int64_t slot_bytes() const {
    const int64_t floats = rows_ * (work_.depth + work_.width + tile_keys_) + buffer_floats() +
                           RowState::floats(rows_) + softmax_.scratch_floats();
    return (floats * static_cast<int64_t>(sizeof(float)) + 63) / 64 * 64;
  }

  void attend(const HeadGroup& group, std::span<const void* const> inputs, void* out,
              float* memory) const {
    const int64_t count = group.heads * work_.rows;
    float* queries = memory;
    float* sums = queries + rows_ * work_.depth;
    float* scores = sums + rows_ * work_.width;
    float* buffer = scores + rows_ * tile_keys_;
    const RowState state(buffer + buffer_floats(), count);
    float* scratch = buffer + buffer_floats() + RowState::floats(rows_);

    QueryRow rows[kFewRows];
    FloatMatrix query[kFewRows];
    for (int64_t i = 0; i < count; ++i) {
      rows[i] = {group.batch, group.first + i / work_.rows, i % work_.rows};
      query[i] = float_matrix(table_, work_.q, inputs[0],
                              work_.q.offset(rows[i].batch, rows[i].head, rows[i].row), 0, 1,
                              work_.depth, queries + i * work_.depth);
    }
    const std::span<const QueryRow> all(rows, static_cast<size_t>(count));
    std::fill_n(sums, count * work_.width, 0.0f);
    for (int64_t key = 0; key < work_.keys; key += tile_keys_) {
      const int64_t keys = softmax_.seen(all, key, std::min(tile_keys_, work_.keys - key));
      if (keys == 0) break;
      const FloatMatrix k = rows_of(work_.k, inputs[1], group, key, keys, work_.depth, buffer);
      for (int64_t i = 0; i < count; ++i) {
        table_.dot_rows(query[i].data, k.data, k.stride, keys, work_.depth,
                        scores + i * tile_keys_);
      }
      softmax_.weigh(all, key, keys, work_.has_mask ? inputs[3] : nullptr, scores, state, sums,
                     work_.width, scratch);
      const FloatMatrix v = rows_of(work_.v, inputs[2], group, key, keys, work_.width, buffer);
      for (int64_t i = 0; i < count; ++i) {
        table_.add_weighted_rows(scores + i * tile_keys_, v.data, v.stride, keys, work_.width,
                                 sums + i * work_.width);
      }
    }
    softmax_.finish(all, state, sums, work_.width, out);
  }

  FloatMatrix rows_of(const Operand4& operand, const void* data, const HeadGroup& group,
                      int64_t key, int64_t keys, int64_t columns, float* buffer) const {
    return float_matrix(table_, operand, data, operand.offset(group.batch, group.key_head, key),
                        operand.strides[2], keys, columns, buffer);
  }

  AttentionProblem work_;
  const simd::Table& table_;
  int64_t tile_keys_;
  AttentionRows softmax_;
  int64_t rows_;  // of a group, at most
  int slots_;
};

class FewRows final : public Kernel {
 public:
  std::string_view op() const override { return "attention"; }
  std::string_view name() const override { return "attention.few_rows"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = AttentionProblem::refuses(problem, false)) return reason;
    const AttentionProblem work(problem);
    if (work.most_heads() * work.rows > kFewRows) return "a key head has many rows of queries";
    return std::nullopt;
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    return std::make_unique<PreparedFewRows>(problem);
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_few_rows_attention() { return std::make_shared<FewRows>(); }

}  // namespace cleave::backend
