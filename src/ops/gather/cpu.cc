// Gather on the CPU: rows of the table are copied whole.
#include <cstring>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/indexing.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkBytes = 64 * 1024;

struct Gather {
  AxisView view;
  int64_t count;
  IndexRange range;
  DType index_type;
  int64_t row_bytes;

  int64_t index(const void* indices, int64_t i) const {
    const int64_t value = index_type == DType::kInt64 ? static_cast<const int64_t*>(indices)[i]
                                                      : static_cast<const int32_t*>(indices)[i];
    return range.position(value);
  }
  void run(Range range, const std::byte* data, const void* indices, std::byte* to) const {
    for (int64_t item = range.begin; item < range.end; ++item) {
      const int64_t at = index(indices, item % count);
      std::byte* into = to + item * row_bytes;
      if (at < 0) {
        std::memset(into, 0, static_cast<size_t>(row_bytes));
      } else {
        std::memcpy(into, data + (item / count * view.extent + at) * row_bytes,
                    static_cast<size_t>(row_bytes));
      }
    }
  }
};

RunFunction prepare(const KernelProblem& problem) {
  const TensorView& data = problem.inputs[0];
  const AxisView view(data.shape, static_cast<size_t>(problem.attributes.integer("axis")));
  const Gather gather{.view = view,
                      .count = problem.inputs[1].elements(),
                      .range = IndexRange::of(problem.attributes, view.extent),
                      .index_type = problem.inputs[1].dtype,
                      .row_bytes = view.inner * static_cast<int64_t>(size_of(data.dtype))};
  return [gather](std::span<const void* const> inputs, std::span<void* const> outputs,
                  ThreadPool& pool) {
    const int64_t items = gather.view.outer * gather.count;
    if (items == 0 || gather.row_bytes == 0) return;
    const int64_t chunks =
        chunks_for(items, std::max<int64_t>(1, kChunkBytes / gather.row_bytes), pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      gather.run(partition(items, chunks, chunk), static_cast<const std::byte*>(inputs[0]),
                 inputs[1], static_cast<std::byte*>(outputs[0]));
    });
  };
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_gather_cpu() {
  const auto refuses = [](const KernelProblem& problem) { return refuse_indexing(problem, 2); };
  return {std::make_shared<SimpleKernel>("gather", "gather.rows", refuses, prepare)};
}

}  // namespace cleave::backend
