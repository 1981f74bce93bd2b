// gather_nd and scatter_nd on the CPU. A row of the result belongs to one thread, which takes its
// updates in order: the result does not depend on the number of threads.
#include <cstring>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/row_index.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkBytes = 64 * 1024;

RunFunction prepare_gather(const KernelProblem& problem) {
  const RowIndex index(problem.attributes, problem.inputs[0].shape, problem.inputs[1].shape);
  const DType index_type = problem.inputs[1].dtype;
  const int64_t row_bytes = index.inner * static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  return
      [=](std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool) {
        const int64_t items = index.batches * index.items;
        if (items == 0 || row_bytes == 0) return;
        const auto* data = static_cast<const std::byte*>(inputs[0]);
        auto* out = static_cast<std::byte*>(outputs[0]);
        const int64_t grain = std::max<int64_t>(1, kChunkBytes / row_bytes);
        const int64_t chunks = chunks_for(items, grain, pool.threads() * 4);
        pool.parallel_for(chunks, [&](int64_t chunk) {
          const Range range = partition(items, chunks, chunk);
          dispatch_index(index_type, [&]<class I>() {
            for (int64_t item = range.begin; item < range.end; ++item) {
              const int64_t row = index.row(static_cast<const I*>(inputs[1]), item);
              if (row < 0) {
                std::memset(out + item * row_bytes, 0, static_cast<size_t>(row_bytes));
              } else {
                std::memcpy(out + item * row_bytes, data + row * row_bytes,
                            static_cast<size_t>(row_bytes));
              }
            }
          });
        });
      };
}

// Rows [begin, end) of the result, of which `to` is the first: those updates that name one of them.
template <class A, class T, class I, class Combine>
void update_rows(const RowIndex& index, Range rows, const I* indices, const T* updates, A* to,
                 Combine combine) {
  for (int64_t item = 0; item < index.items; ++item) {
    const int64_t row = index.row(indices, item);
    if (row < rows.begin || row >= rows.end) continue;
    const T* from = updates + item * index.inner;
    A* into = to + (row - rows.begin) * index.inner;
    for (int64_t i = 0; i < index.inner; ++i) {
      into[i] = static_cast<A>(combine(into[i], widened<A>(from[i])));
    }
  }
}

template <class T, class I, class Combine>
void scatter_rows(const RowIndex& index, Range rows, const T* data, const I* indices,
                  const T* updates, T* out, Combine combine) {
  const T* from = data + rows.begin * index.inner;
  T* to = out + rows.begin * index.inner;
  const int64_t count = rows.size() * index.inner;
  if constexpr (kIsHalf<T>) {
    // In float32, rounded once.
    std::vector<float> sums(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) sums[static_cast<size_t>(i)] = widened<float>(from[i]);
    update_rows(index, rows, indices, updates, sums.data(), combine);
    for (int64_t i = 0; i < count; ++i) to[i] = narrowed<T>(sums[static_cast<size_t>(i)]);
  } else {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
    update_rows(index, rows, indices, updates, to, combine);
  }
}

RunFunction prepare_scatter(const KernelProblem& problem) {
  const RowIndex index(problem.attributes, problem.inputs[0].shape, problem.inputs[1].shape);
  const DType type = problem.inputs[0].dtype;
  const DType index_type = problem.inputs[1].dtype;
  const auto reduce = scatter_reduction(problem.attributes);
  return [=](std::span<const void* const> inputs, std::span<void* const> outputs,
             ThreadPool& pool) {
    if (index.rows == 0 || index.inner == 0) return;
    const int64_t row_bytes = index.inner * static_cast<int64_t>(size_of(type));
    const int64_t grain = std::max<int64_t>(1, kChunkBytes / row_bytes);
    // Each chunk reads all indices: no more of them than threads.
    const int64_t chunks = chunks_for(index.rows, grain, pool.threads());
    pool.parallel_for(chunks, [&](int64_t chunk) {
      dispatch_update(type, reduce, [&]<class T>() {
        dispatch_index(index_type, [&]<class I>() {
          dispatch_scatter(reduce, [&](auto combine) {
            scatter_rows(index, partition(index.rows, chunks, chunk),
                         static_cast<const T*>(inputs[0]), static_cast<const I*>(inputs[1]),
                         static_cast<const T*>(inputs[2]), static_cast<T*>(outputs[0]), combine);
          });
        });
      });
    });
  };
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_indexed_rows_cpu() {
  return {
      std::make_shared<SimpleKernel>(
          "gather_nd", "gather_nd.rows",
          [](const KernelProblem& problem) { return refuse_indexing(problem, 2); }, prepare_gather),
      std::make_shared<SimpleKernel>(
          "scatter_nd", "scatter_nd.rows",
          [](const KernelProblem& problem) { return refuse_indexing(problem, 3); },
          prepare_scatter)};
}

}  // namespace cleave::backend
