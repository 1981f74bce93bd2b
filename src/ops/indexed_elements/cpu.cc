// gather_elements and scatter_elements on the CPU. A line along the axis belongs to one thread,
// which takes its updates in order: the result does not depend on the number of threads.
#include <cstring>

#include "backend/cpu/element_size.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/indexing.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;

// outer × count × inner indices into outer × extent × inner elements.
struct Lines {
  AxisView data;
  IndexRange range;
  int64_t count;
  DType index_type;

  explicit Lines(const KernelProblem& problem)
      : data(problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis"))),
        range(IndexRange::of(problem.attributes, data.extent)),
        count(problem.inputs[1].shape[static_cast<size_t>(problem.attributes.integer("axis"))]),
        index_type(problem.inputs[1].dtype) {}
};

// Rows of `inner` elements, outer · count of them.
template <class T, class I>
void gather_rows(const Lines& lines, Range rows, const T* data, const I* indices, T* out) {
  const auto [outer, extent, inner] = lines.data;
  const T* from = data + rows.begin / lines.count * extent * inner;
  int64_t e = rows.begin % lines.count;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t at = lines.range.position(indices[row * inner + i]);
      out[row * inner + i] = at < 0 ? T{} : from[at * inner + i];
    }
    if (++e == lines.count) {
      e = 0;
      from += extent * inner;
    }
  }
}

RunFunction prepare_gather(const KernelProblem& problem) {
  const Lines lines(problem);
  const size_t size = size_of(problem.inputs[0].dtype);
  return [lines, size](std::span<const void* const> inputs, std::span<void* const> outputs,
                       ThreadPool& pool) {
    const int64_t rows = lines.data.outer * lines.count;
    if (rows == 0 || lines.data.inner == 0) return;
    const int64_t grain = std::max<int64_t>(1, kChunkElements / lines.data.inner);
    const int64_t chunks = chunks_for(rows, grain, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      dispatch_size(size, [&]<class T>() {
        dispatch_index(lines.index_type, [&]<class I>() {
          gather_rows(lines, partition(rows, chunks, chunk), static_cast<const T*>(inputs[0]),
                      static_cast<const I*>(inputs[1]), static_cast<T*>(outputs[0]));
        });
      });
    });
  };
}

// `lines` that lie beside each other in one outer part; `to` is the first's first element, held as
// A with `stride` between an element of a line and the next.
template <class A, class T, class I, class Combine>
void update_lines(const Lines& view, int64_t lines, const I* indices, const T* updates, A* to,
                  int64_t stride, Combine combine) {
  for (int64_t e = 0; e < view.count; ++e) {
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t from = e * view.data.inner + i;
      const int64_t at = view.range.position(indices[from]);
      if (at < 0) continue;
      A& element = to[at * stride + i];
      element = static_cast<A>(combine(element, widened<A>(updates[from])));
    }
  }
}

// Lines [begin, end) of outer · inner; `out` holds the data already.
template <class T, class I, class Combine>
void scatter_lines(const Lines& view, Range range, const I* indices, const T* updates, T* out,
                   Combine combine) {
  const auto [outer, extent, inner] = view.data;
  std::vector<float> sums;
  for (int64_t line = range.begin; line < range.end;) {
    const int64_t part = line / inner;
    const int64_t column = line % inner;
    const int64_t count = std::min(inner - column, range.end - line);
    const int64_t first = part * view.count * inner + column;
    T* to = out + part * extent * inner + column;
    if constexpr (kIsHalf<T>) {
      // In float32, rounded once.
      sums.resize(static_cast<size_t>(extent * count));
      for (int64_t k = 0; k < extent * count; ++k) {
        sums[static_cast<size_t>(k)] = widened<float>(to[k / count * inner + k % count]);
      }
      update_lines(view, count, indices + first, updates + first, sums.data(), count, combine);
      for (int64_t k = 0; k < extent * count; ++k) {
        to[k / count * inner + k % count] = narrowed<T>(sums[static_cast<size_t>(k)]);
      }
    } else {
      update_lines(view, count, indices + first, updates + first, to, inner, combine);
    }
    line += count;
  }
}

RunFunction prepare_scatter(const KernelProblem& problem) {
  const Lines lines(problem);
  const DType type = problem.inputs[0].dtype;
  const auto reduce = scatter_reduction(problem.attributes);
  const int64_t elements = problem.outputs[0].elements();
  return [=](std::span<const void* const> inputs, std::span<void* const> outputs,
             ThreadPool& pool) {
    if (elements == 0) return;
    const auto size = static_cast<int64_t>(size_of(type));
    const int64_t pieces = chunks_for(elements, kChunkElements, pool.threads());
    pool.parallel_for(pieces, [&](int64_t piece) {
      const Range range = partition(elements, pieces, piece);
      std::memcpy(static_cast<std::byte*>(outputs[0]) + range.begin * size,
                  static_cast<const std::byte*>(inputs[0]) + range.begin * size,
                  static_cast<size_t>(range.size() * size));
    });
    const int64_t all = lines.data.outer * lines.data.inner;
    const int64_t grain = std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, lines.count));
    const int64_t chunks = chunks_for(all, grain, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      dispatch_update(type, reduce, [&]<class T>() {
        dispatch_index(lines.index_type, [&]<class I>() {
          dispatch_scatter(reduce, [&](auto combine) {
            scatter_lines(lines, partition(all, chunks, chunk), static_cast<const I*>(inputs[1]),
                          static_cast<const T*>(inputs[2]), static_cast<T*>(outputs[0]), combine);
          });
        });
      });
    });
  };
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_indexed_elements_cpu() {
  return {
      std::make_shared<SimpleKernel>(
          "gather_elements", "gather_elements.rows",
          [](const KernelProblem& problem) { return refuse_indexing(problem, 2); }, prepare_gather),
      std::make_shared<SimpleKernel>(
          "scatter_elements", "scatter_elements.lines",
          [](const KernelProblem& problem) { return refuse_indexing(problem, 3); },
          prepare_scatter)};
}

}  // namespace cleave::backend
