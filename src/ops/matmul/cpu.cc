// Matrix products on the CPU: "matmul.tiled" for float32 and the 16-bit types, "matmul.plain" for
// the others.
#include <algorithm>
#include <string>
#include <utility>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/gemm.h"
#include "backend/kernel.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "ops/matmul/cpu_epilogue.h"
#include "types/host_tensor.h"

namespace cleave::backend {
namespace {

constexpr int64_t kPackedAtOnce = 16 << 20;  // bytes of b packed in the workspace, where batched

class PreparedTiled final : public PreparedKernel {
 public:
  PreparedTiled(const KernelProblem& problem, KernelCache& cache)
      : table_(simd::best()), layout_(problem), epilogue_(problem, layout_, DType::kFloat32) {
    shape_ = {.k = layout_.k, .n = layout_.n, .dtype = DType::kFloat32, .panel = table_.panel};
    if (problem.is_constant(1) && problem.key(1) != 0 && layout_.batches == 1) {
      // A weight stays in its own type: half the memory to read.
      shape_.dtype = layout_.b_type;
      pack_weight(problem, cache);
    } else if (shape_.bytes() > 0) {
      packed_batches_ = std::clamp<int64_t>(kPackedAtOnce / shape_.bytes(), 1,
                                            std::max<int64_t>(1, layout_.batches));
    }
    choose_blocks(problem.threads);
  }

  int64_t workspace_bytes() const override { return packed_batches_ * shape_.bytes(); }
  bool reads_input(size_t input) const override { return input != 1 || weight_ == nullptr; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (layout_.rows.elements == 0 || layout_.n == 0 || layout_.batches == 0) return;
    if (weight_ != nullptr) {
      multiply(inputs, outputs, weight_->data(), 0, 1, launch.pool);
      return;
    }
    if (packed_batches_ == 0) {  // k is 0
      multiply(inputs, outputs, launch.workspace, 0, layout_.batches, launch.pool);
      return;
    }
    for (int64_t first = 0; first < layout_.batches; first += packed_batches_) {
      const int64_t last = std::min(first + packed_batches_, layout_.batches);
      pack(inputs[1], first, last, launch.workspace, launch.pool);
      multiply(inputs, outputs, launch.workspace, first, last, launch.pool);
    }
  }

 private:
  MatrixSource source(const void* b, int64_t batch) const {
    const int64_t offset = layout_.batch_space.offset(layout_.b_operand(), batch);
    return {.data = static_cast<const std::byte*>(b) + offset * int64_t(size_of(layout_.b_type)),
            .dtype = layout_.b_type,
            .row_stride = layout_.b_k_stride,
            .column_stride = layout_.b_n_stride};
  }

  void pack_weight(const KernelProblem& problem, KernelCache& cache) {
    const uint64_t format =
        hash_bytes("panels " + std::to_string(table_.panel) + " " +
                   std::to_string(layout_.b_k_stride) + " " + std::to_string(layout_.b_n_stride) +
                   " " + std::to_string(shape_.k) + "x" + std::to_string(shape_.n));
    weight_ = cache.packed(hash_combine(problem.key(1), format), shape_.bytes(), "a packed weight",
                           [&](std::byte* to) {
                             const void* data = problem.constant(1);
                             pack_panels(table_, source(data, 0), shape_, 0, shape_.panels(), to);
                           });
  }

  // Blocks of rows and columns are the tasks; few rows are shared out by columns.
  void choose_blocks(int threads) {
    row_blocks_ = (layout_.rows.elements + kBlockRows - 1) / kBlockRows;
    // Even blocks, a whole number of tiles each.
    const int64_t tiles = (layout_.rows.elements + table_.tile_rows - 1) / table_.tile_rows;
    block_rows_ = row_blocks_ == 0 ? 0 : (tiles + row_blocks_ - 1) / row_blocks_ * table_.tile_rows;
    block_panels_ = std::max<int64_t>(1, kBlockColumns / table_.panel);
    if (layout_.rows.elements <= 2) block_panels_ = std::max<int64_t>(block_panels_, 64);
    const int64_t others = std::max<int64_t>(1, row_blocks_ * layout_.batches);
    const int64_t wanted = threads == 1 ? 1 : (threads * 3 + others - 1) / others;
    block_panels_ =
        std::min(block_panels_, std::max<int64_t>(1, (shape_.panels() + wanted - 1) / wanted));
    column_blocks_ = (shape_.panels() + block_panels_ - 1) / block_panels_;
  }

  void pack(const void* b, int64_t first, int64_t last, std::byte* workspace,
            ThreadPool& pool) const {
    const int64_t tasks = (last - first) * column_blocks_;
    pool.parallel_for(tasks, [&](int64_t task) {
      const int64_t batch = task / column_blocks_;
      const int64_t begin = task % column_blocks_ * block_panels_;
      pack_panels(table_, source(b, first + batch), shape_, begin,
                  std::min(begin + block_panels_, shape_.panels()),
                  workspace + batch * shape_.bytes());
    });
  }

  void multiply(std::span<const void* const> inputs, std::span<void* const> outputs,
                const std::byte* packed, int64_t first, int64_t last, ThreadPool& pool) const {
    const int64_t per_batch = row_blocks_ * column_blocks_;
    pool.parallel_for((last - first) * per_batch, [&](int64_t task) {
      const int64_t batch = task / per_batch;
      Task block{.batch = first + batch, .packed = packed + batch * shape_.bytes()};
      // Blocks of one column range follow each other: its panels stay in the cache.
      block.first_row = task % row_blocks_ * block_rows_;
      block.rows = std::min(block_rows_, layout_.rows.elements - block.first_row);
      block.first_panel = task % per_batch / row_blocks_ * block_panels_;
      block.last_panel = std::min(block.first_panel + block_panels_, shape_.panels());
      if (block.rows > 0) compute(block, inputs, outputs);
    });
  }

  struct Task {
    int64_t batch = 0;
    const std::byte* packed = nullptr;
    int64_t first_row = 0;
    int64_t rows = 0;
    int64_t first_panel = 0;
    int64_t last_panel = 0;
  };

  void compute(const Task& task, std::span<const void* const> inputs,
               std::span<void* const> outputs) const {
    // In pieces of columns that the scratch holds.
    const int64_t most = kBlockColumns / table_.panel;
    BlockScratch scratch;
    alignas(64) float c[kBlockRows * kBlockColumns];
    const std::byte* rows[kBlockRows];
    const auto* a = static_cast<const std::byte*>(inputs[0]);
    const int64_t size = static_cast<int64_t>(size_of(layout_.a_type));
    const int64_t base = layout_.batch_space.offset(layout_.a_operand(), task.batch);
    for (int64_t i = 0; i < task.rows; ++i) {
      rows[i] = a + (base + layout_.rows.offset(layout_.a_operand(), task.first_row + i)) * size;
    }
    const RowSource source{rows, layout_.a_type, layout_.a_k_stride};
    for (int64_t p = task.first_panel; p < task.last_panel; p += most) {
      const int64_t end = std::min(p + most, task.last_panel);
      const int64_t first = p * table_.panel;
      const int64_t columns = std::min(end * table_.panel, layout_.n) - first;
      int64_t ldc = (end - p) * table_.panel;
      float* to = c;
      if (columns == ldc) {
        // Whole panels of a plain float result are computed where they belong.
        if (float* direct = epilogue_.direct(outputs, task.batch, task.first_row, first, ldc)) {
          to = direct;
        }
      }
      multiply_block(table_, source, task.rows, shape_, task.packed, p, end, to, ldc, scratch);
      if (to != c) continue;
      for (int64_t i = 0; i < task.rows; ++i) {
        epilogue_.run(c + i * ldc, task.batch, task.first_row + i, first, columns, inputs, outputs);
      }
    }
  }

  const simd::Table& table_;
  MatmulLayout layout_;
  MatmulEpilogue epilogue_;
  PackedShape shape_;
  std::shared_ptr<const Buffer> weight_;
  int64_t packed_batches_ = 0;
  int64_t row_blocks_ = 0;
  int64_t block_rows_ = 0;
  int64_t block_panels_ = 0;
  int64_t column_blocks_ = 0;
};

class TiledMatmul final : public Kernel {
 public:
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.tiled"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = MatmulLayout::refuses(problem)) return reason;
    if (!is_float_storage(problem.inputs[0].dtype) || !is_float_storage(problem.inputs[1].dtype)) {
      return "it takes f32, f16 and bf16";
    }
    return MatmulEpilogue::refuses(problem, DType::kFloat32);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedTiled>(problem, cache);
  }
};

// One row of the result at a time, sums in the type itself (integers wrap around).
class PreparedPlain final : public PreparedKernel {
 public:
  explicit PreparedPlain(const KernelProblem& problem)
      : layout_(problem), epilogue_(problem, layout_, problem.inputs[0].dtype) {}

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const int64_t rows = layout_.batches * layout_.rows.elements;
    if (rows == 0 || layout_.n == 0) return;
    const int64_t work = std::max<int64_t>(1, layout_.k * layout_.n);
    const int64_t chunks =
        chunks_for(rows, std::max<int64_t>(1, 65536 / work), launch.pool.threads() * 4);
    launch.pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(rows, chunks, chunk);
      dispatch_dtype(layout_.a_type, [&]<class T>() {
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
          multiply_rows<T>(range, inputs, outputs);
        }
      });
    });
  }

 private:
  template <class T>
  void multiply_rows(Range range, std::span<const void* const> inputs,
                     std::span<void* const> outputs) const {
    using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
    std::vector<Sum> sums(static_cast<size_t>(layout_.n));
    std::vector<T> row(static_cast<size_t>(layout_.n));
    for (int64_t at = range.begin; at < range.end; ++at) {
      const int64_t batch = at / layout_.rows.elements;
      const int64_t i = at % layout_.rows.elements;
      const T* a = static_cast<const T*>(inputs[0]) +
                   layout_.batch_space.offset(layout_.a_operand(), batch) +
                   layout_.rows.offset(layout_.a_operand(), i);
      const T* b =
          static_cast<const T*>(inputs[1]) + layout_.batch_space.offset(layout_.b_operand(), batch);
      std::fill(sums.begin(), sums.end(), Sum{});
      for (int64_t k = 0; k < layout_.k; ++k) {
        const auto factor = static_cast<Sum>(a[k * layout_.a_k_stride]);
        const T* from = b + k * layout_.b_k_stride;
        for (int64_t j = 0; j < layout_.n; ++j) {
          sums[static_cast<size_t>(j)] += factor * static_cast<Sum>(from[j * layout_.b_n_stride]);
        }
      }
      for (size_t j = 0; j < sums.size(); ++j) row[j] = static_cast<T>(sums[j]);
      epilogue_.run(row.data(), batch, i, 0, layout_.n, inputs, outputs);
    }
  }

  MatmulLayout layout_;
  MatmulEpilogue epilogue_;
};

class PlainMatmul final : public Kernel {
 public:
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.plain"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = MatmulLayout::refuses(problem)) return reason;
    const DType type = problem.inputs[0].dtype;
    if (is_float_storage(type) || type == DType::kBool || problem.inputs[1].dtype != type) {
      return "it takes f64 and integers of one type";
    }
    return MatmulEpilogue::refuses(problem, type);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    return std::make_unique<PreparedPlain>(problem);
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_matmul_cpu() {
  return {std::make_shared<TiledMatmul>(), std::make_shared<PlainMatmul>()};
}

}  // namespace cleave::backend
