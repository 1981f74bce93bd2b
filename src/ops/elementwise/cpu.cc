// Chains of element-wise operations on the CPU.
#include <algorithm>
#include <utility>

#include "backend/cpu/element_size.h"
#include "backend/cpu/fused_evaluator.h"
#include "backend/cpu/repeat_row.h"
#include "backend/index_space.h"
#include "backend/kernel.h"
#include "base/thread_pool.h"

namespace cleave::backend {
namespace {

// A chunk of this many simple operations takes about ten times as long as starting a loop.
constexpr int64_t kChunkWork = 64 * 1024;
// Rows shorter than this are not worth a run of the chain each.
constexpr int64_t kShortRow = 64;
constexpr int64_t kBlock = 512;
// Those that are longer are worth one.
constexpr int64_t kRepeatedRow = 1024;

std::vector<DType> types_of(const std::vector<TensorView>& views) {
  std::vector<DType> types;
  for (const TensorView& view : views) types.push_back(view.dtype);
  return types;
}

std::vector<std::vector<int64_t>> strides_of(const KernelProblem& problem) {
  std::vector<std::vector<int64_t>> strides;
  const auto& shape = problem.outputs.at(0).shape;
  for (const TensorView& view : problem.inputs) strides.push_back(broadcast_strides(view, shape));
  for (const TensorView& view : problem.outputs) strides.push_back(view.strides);
  return strides;
}

class PreparedElementwise final : public PreparedKernel {
 public:
  PreparedElementwise(const KernelProblem& problem, const FusedProgram& program)
      : inputs_(types_of(problem.inputs)),
        outputs_(types_of(problem.outputs)),
        evaluator_(program, inputs_, outputs_, problem.attributes.integer("rank", 0)),
        space_(problem.outputs[0].shape, strides_of(problem)) {
    const int64_t inner = space_.extents.empty() ? 1 : space_.extents.back();
    bool linear = true;
    for (size_t i = 0; i < space_.strides.size(); ++i) linear = linear && space_.is_linear(i);
    linear_ = linear;
    repeats_ = !linear && inner <= kRepeatedRow && can_repeat();
    by_blocks_ = !linear && inner < kShortRow;
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (space_.elements == 0) return;
    const int64_t grain = std::max<int64_t>(kChunkWork / evaluator_.cost(), 1);
    const int64_t chunks = chunks_for(space_.elements, grain, launch.pool.threads() * 4);
    launch.pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(space_.elements, chunks, chunk);
      if (repeats_) {
        run_repeated(range, inputs, outputs);
      } else if (by_blocks_) {
        run_blocks(range, inputs, outputs);
      } else {
        run_rows(range, inputs, outputs);
      }
    });
  }

 private:
  size_t operands() const { return inputs_.size() + outputs_.size(); }
  DType type(size_t operand) const {
    return operand < inputs_.size() ? inputs_[operand] : outputs_[operand - inputs_.size()];
  }
  static std::byte* pointer(size_t operand, std::span<const void* const> inputs,
                            std::span<void* const> outputs) {
    if (operand >= inputs.size()) return static_cast<std::byte*>(outputs[operand - inputs.size()]);
    return static_cast<std::byte*>(const_cast<void*>(inputs[operand]));
  }

  // Elements [begin, end) in the order of the space, a row (or all, where linear) at a time.
  void run_rows(Range range, std::span<const void* const> inputs,
                std::span<void* const> outputs) const {
    const int64_t inner =
        linear_ ? space_.elements : (space_.extents.empty() ? 1 : space_.extents.back());
    RowWalk walk(space_, linear_ ? 0 : range.begin / inner);
    std::vector<InputSpan> in(inputs_.size());
    std::vector<OutputSpan> out(outputs_.size());
    for (int64_t at = range.begin; at < range.end;) {
      const int64_t column = at % inner;
      const int64_t count = std::min(inner - column, range.end - at);
      for (size_t i = 0; i < operands(); ++i) {
        const int64_t stride = space_.linear_stride(i);
        const int64_t offset = (linear_ ? 0 : walk.offset(i)) + column * stride;
        std::byte* data = pointer(i, inputs, outputs) + offset * int64_t(size_of(type(i)));
        if (i < inputs_.size()) {
          in[i] = {data, stride};
        } else {
          out[i - inputs_.size()] = {data, stride};
        }
      }
      evaluator_.run(count, in, out);
      at += count;
      if (!linear_ && at < range.end) walk.next();
    }
  }

  // Whether each operand is the same for all rows of the last dimension but one, or lies in one
  // piece over them.
  bool can_repeat() const {
    const size_t last = space_.extents.size() - 1;
    if (last == 0) return false;
    for (size_t i = 0; i < operands(); ++i) {
      if (!is_joined(i) && (i >= inputs_.size() || space_.strides[i][last - 1] != 0)) return false;
    }
    return true;
  }
  bool is_joined(size_t operand) const {
    const std::vector<int64_t>& strides = space_.strides[operand];
    const size_t last = strides.size() - 1;
    return strides[last - 1] == strides[last] * space_.extents[last];
  }

  // Several rows at a time.
  void run_repeated(Range range, std::span<const void* const> inputs,
                    std::span<void* const> outputs) const {
    const size_t last = space_.extents.size() - 1;
    const int64_t inner = space_.extents[last];
    const int64_t plane = inner * space_.extents[last - 1];
    const int64_t rows = rows_at_once(inner) + 1;
    const int64_t most = (rows - 1) * inner;
    std::vector<std::byte> repeated(inputs_.size() * static_cast<size_t>(rows * inner) * 8);
    std::vector<InputSpan> in(inputs_.size());
    std::vector<OutputSpan> out(outputs_.size());
    for (int64_t at = range.begin; at < range.end;) {
      const int64_t end = std::min(range.end, (at / plane + 1) * plane);
      for (size_t i = 0; i < inputs_.size(); ++i) {
        if (is_joined(i)) continue;
        const auto size = static_cast<int64_t>(size_of(inputs_[i]));
        const int64_t offset = space_.offset(i, at / plane * plane);
        const int64_t needed = std::min(rows, (end - at) / inner + 2);
        repeat_row(pointer(i, inputs, outputs) + offset * size, space_.strides[i][last], inner,
                   needed, size, repeated.data() + i * static_cast<size_t>(rows * inner) * 8);
      }
      for (; at < end; at += std::min(most, end - at)) {
        for (size_t i = 0; i < operands(); ++i) {
          const auto size = static_cast<int64_t>(size_of(type(i)));
          std::byte* data = nullptr;
          int64_t stride = 1;
          if (is_joined(i)) {
            stride = space_.strides[i][last];
            data = pointer(i, inputs, outputs) +
                   (space_.offset(i, at / plane * plane) + at % plane * stride) * size;
          } else {
            data = repeated.data() + i * static_cast<size_t>(rows * inner) * 8 + at % inner * size;
          }
          if (i < inputs_.size()) {
            in[i] = {data, stride};
          } else {
            out[i - inputs_.size()] = {data, stride};
          }
        }
        evaluator_.run(std::min(most, end - at), in, out);
      }
    }
  }

  // The same where rows are short: operands that are not linear are gathered into blocks.
  void run_blocks(Range range, std::span<const void* const> inputs,
                  std::span<void* const> outputs) const {
    std::vector<std::byte> gathered(operands() * kBlock * 8);
    std::vector<int64_t> offsets(operands() * kBlock);
    std::vector<InputSpan> in(inputs_.size());
    std::vector<OutputSpan> out(outputs_.size());
    for (int64_t at = range.begin; at < range.end; at += kBlock) {
      const int64_t count = std::min(kBlock, range.end - at);
      find_offsets(at, count, offsets);
      for (size_t i = 0; i < operands(); ++i) {
        const int64_t size = int64_t(size_of(type(i)));
        std::byte* data = pointer(i, inputs, outputs);
        std::byte* block = gathered.data() + i * kBlock * 8;
        const bool linear = space_.is_linear(i);
        const int64_t stride = linear ? space_.linear_stride(i) : 1;
        if (linear) block = data + at * stride * size;
        if (i < inputs_.size()) {
          if (!linear) move(data, block, &offsets[i * kBlock], count, size, true);
          in[i] = {block, stride};
        } else {
          out[i - inputs_.size()] = {block, stride};
        }
      }
      evaluator_.run(count, in, out);
      for (size_t i = inputs_.size(); i < operands(); ++i) {
        if (space_.is_linear(i)) continue;
        move(pointer(i, inputs, outputs), gathered.data() + i * kBlock * 8, &offsets[i * kBlock],
             count, int64_t(size_of(type(i))), false);
      }
    }
  }

  void find_offsets(int64_t begin, int64_t count, std::vector<int64_t>& offsets) const {
    const int64_t inner = space_.extents.back();
    RowWalk walk(space_, begin / inner);
    int64_t column = begin % inner;
    for (int64_t e = 0; e < count; ++e) {
      for (size_t i = 0; i < operands(); ++i) {
        offsets[i * kBlock + static_cast<size_t>(e)] =
            walk.offset(i) + column * space_.strides[i].back();
      }
      if (++column == inner) {
        column = 0;
        walk.next();
      }
    }
  }

  // Between the tensor and a block of it, by the elements' size.
  static void move(std::byte* tensor, std::byte* block, const int64_t* offsets, int64_t count,
                   int64_t size, bool into_block) {
    dispatch_size(static_cast<size_t>(size), [&]<class T>() {
      T* x = reinterpret_cast<T*>(tensor);
      T* y = reinterpret_cast<T*>(block);
      for (int64_t i = 0; i < count; ++i)
        (into_block ? y[i] : x[offsets[i]]) = into_block ? x[offsets[i]] : y[i];
    });
  }

  std::vector<DType> inputs_;
  std::vector<DType> outputs_;
  FusedEvaluator evaluator_;
  IndexSpace space_;
  bool repeats_ = false;
  bool by_blocks_ = false;
  bool linear_ = false;
};

class ElementwiseKernel final : public Kernel {
 public:
  std::string_view op() const override { return "fused_elementwise"; }
  std::string_view name() const override { return "fused_elementwise.tiles"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (problem.outputs.empty()) return "it has no result";
    for (const TensorView& view : problem.outputs) {
      if (view.shape != problem.outputs[0].shape) return "results differ in shape";
    }
    return FusedEvaluator::refuses(FusedProgram::from_attributes(problem.attributes),
                                   types_of(problem.inputs), types_of(problem.outputs));
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    return std::make_unique<PreparedElementwise>(problem,
                                                 FusedProgram::from_attributes(problem.attributes));
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_elementwise_cpu() {
  return {std::make_shared<ElementwiseKernel>()};
}

}  // namespace cleave::backend
