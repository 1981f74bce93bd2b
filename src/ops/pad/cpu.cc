// Padding on the CPU.
#include <algorithm>

#include "backend/cpu/element_size.h"
#include "backend/cpu/simple_kernel.h"
#include "backend/cpu/strided_copy.h"
#include "base/thread_pool.h"
#include "types/host_tensor.h"
#include "types/pad_mode.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;

RunFunction prepare_constant(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const TensorView y = problem.outputs[0];
  const size_t size = size_of(y.dtype);
  const auto low = problem.attributes.integers("low");
  int64_t offset = 0;
  for (size_t d = 0; d < y.rank(); ++d) offset += low.at(d) * y.strides[d];
  HostTensor value(y.dtype, {1});
  value.set(0, problem.attributes.real("value", 0));
  return
      [y, value, bytes = offset * static_cast<int64_t>(size), empty = x.elements() == 0,
       copy = StridedCopy(x.shape, x.strides, y.strides, size)](
          std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool) {
        fill_view(y, value.bytes.data(), outputs[0], pool);
        if (!empty) copy.run(inputs[0], static_cast<std::byte*>(outputs[0]) + bytes, pool);
      };
}

// Where the elements of one dimension of the result come from and go to, in elements.
struct Line {
  std::vector<int64_t> from;
  int64_t to_stride = 0;
  Range copied;  // what follows each other in both

  template <class T>
  void copy(const T* source, T* target) const {
    const auto one_by_one = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        target[i * to_stride] = source[from[static_cast<size_t>(i)]];
      }
    };
    one_by_one(0, copied.begin);
    std::copy_n(source, copied.size(), target + copied.begin);
    one_by_one(copied.end, static_cast<int64_t>(from.size()));
  }
};

RunFunction prepare_repeated(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  const auto low = problem.attributes.integers("low");
  const PadMode mode = pad_mode(problem.attributes);
  std::vector<Line> lines;
  int64_t rows = 1;
  for (size_t d = 0; d < y.rank(); ++d) {
    Line line{{}, y.strides[d], {}};
    for (int64_t i = 0; i < y.shape[d]; ++i) {
      line.from.push_back(padded_source(mode, i - low.at(d), x.shape[d]) * x.strides[d]);
    }
    if (d + 1 < y.rank()) rows *= y.shape[d];
    if (x.strides[d] == 1 && y.strides[d] == 1) line.copied = {low.at(d), low.at(d) + x.shape[d]};
    lines.push_back(std::move(line));
  }
  return
      [lines = std::move(lines), rows, size = size_of(y.dtype)](
          std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool) {
        const Line& last = lines.back();
        const auto columns = static_cast<int64_t>(last.from.size());
        if (rows == 0 || columns == 0) return;
        const int64_t grain = std::max<int64_t>(1, kChunkElements / columns);
        const int64_t chunks = chunks_for(rows, grain, pool.threads() * 4);
        pool.parallel_for(chunks, [&](int64_t chunk) {
          const Range range = partition(rows, chunks, chunk);
          for (int64_t row = range.begin; row < range.end; ++row) {
            int64_t from = 0;
            int64_t to = 0;
            int64_t rest = row;
            for (size_t d = lines.size() - 1; d-- > 0;) {
              const auto extent = static_cast<int64_t>(lines[d].from.size());
              from += lines[d].from[static_cast<size_t>(rest % extent)];
              to += rest % extent * lines[d].to_stride;
              rest /= extent;
            }
            dispatch_size(size, [&]<class T>() {
              last.copy(static_cast<const T*>(inputs[0]) + from, static_cast<T*>(outputs[0]) + to);
            });
          }
        });
      };
}

std::optional<std::string> refuse_types(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs[0].dtype == problem.inputs[0].dtype) return std::nullopt;
  return "operand and result are of one type";
}

std::optional<std::string> refuse_constant(const KernelProblem& problem) {
  if (pad_mode(problem.attributes) == PadMode::kConstant) return refuse_types(problem);
  return "it pads with a constant";
}

std::optional<std::string> refuse_repeated(const KernelProblem& problem) {
  if (pad_mode(problem.attributes) == PadMode::kConstant) return "it pads with elements";
  const TensorView& x = problem.inputs.at(0);
  const TensorView& y = problem.outputs.at(0);
  if (y.rank() == 0) return "there is no dimension to pad";
  for (size_t d = 0; d < y.rank(); ++d) {
    if (x.shape[d] == 0 && y.shape[d] != 0) {
      return "dimension " + std::to_string(d) + " has no elements to pad with";
    }
  }
  return refuse_types(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_pad_cpu() {
  return {std::make_shared<SimpleKernel>("pad", "pad.strided", refuse_constant, prepare_constant),
          std::make_shared<SimpleKernel>("pad", "pad.repeated", refuse_repeated, prepare_repeated)};
}

}  // namespace cleave::backend
