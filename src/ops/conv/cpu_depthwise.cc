#include "ops/conv/cpu_depthwise.h"

#include <algorithm>
#include <string>
#include <vector>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simd/simd.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_problem.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;

// Rows of one plane as the taps along x read them: where the stride is over 1, the elements 0,
// stride, 2 · stride, ... lie one behind the other, then 1, 1 + stride, ...
class StridedRow {
 public:
  StridedRow(const ConvProblem& conv, const simd::Table& table)
      : conv_(conv),
        table_(table),
        width_((conv.in[2] + conv.stride[2] - 1) / conv.stride[2]),
        floats_(conv.x_type == DType::kFloat32 ? 0 : static_cast<size_t>(conv.in[2])),
        phases_(conv.stride[2] == 1 ? 0 : static_cast<size_t>(width_ * conv.stride[2])) {}

  void load(const void* x, int64_t offset) {
    data_ = as_floats(table_, conv_.x_type, x, offset, conv_.in[2], floats_.data());
    const int64_t stride = conv_.stride[2];
    if (stride == 1) return;
    for (int64_t phase = 0; phase < stride; ++phase) {
      float* to = phases_.data() + phase * width_;
      for (int64_t i = phase, at = 0; i < conv_.in[2]; i += stride) to[at++] = data_[i];
    }
  }
  // Elements at, at + stride, ... of the row; `at` ≥ 0.
  const float* from(int64_t at) const {
    const int64_t stride = conv_.stride[2];
    return stride == 1 ? data_ + at : phases_.data() + at % stride * width_ + at / stride;
  }

 private:
  const ConvProblem& conv_;
  const simd::Table& table_;
  int64_t width_;
  const float* data_ = nullptr;
  std::vector<float> floats_;
  std::vector<float> phases_;
};

class PreparedDepthwise final : public PreparedKernel {
 public:
  explicit PreparedDepthwise(const KernelProblem& problem)
      : table_(simd::best()), conv_(problem), epilogue_(problem, DType::kFloat32) {
    // The outputs along x that a tap finds an element for.
    for (int64_t tap = 0; tap < conv_.taps[2]; ++tap) {
      const int64_t shift = tap * conv_.dilation[2] - conv_.low[2];
      const int64_t stride = conv_.stride[2];
      const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
      const int64_t last = conv_.in[2] <= shift ? 0 : (conv_.in[2] - 1 - shift) / stride + 1;
      const int64_t begin = std::min(first, conv_.out[2]);
      const int64_t end = std::max(begin, std::min(last, conv_.out[2]));
      columns_.push_back({begin, end - begin, begin * stride + shift});
    }
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs, std::byte*,
           ThreadPool& pool) const override {
    const int64_t rows = conv_.images * conv_.groups * conv_.outputs * conv_.out[0] * conv_.out[1];
    if (rows == 0 || conv_.out[2] == 0) return;
    const int64_t work = conv_.out[2] * volume(conv_.taps);
    const int64_t chunks =
        chunks_for(rows, std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, work)),
                   pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      StridedRow row(conv_, table_);
      std::vector<float> sums(static_cast<size_t>(conv_.out[2]));
      const Range range = partition(rows, chunks, chunk);
      for (int64_t at = range.begin; at < range.end; ++at) {
        compute(at, inputs, outputs, row, sums.data());
      }
    });
  }

 private:
  // The taps [begin, begin + count) of outputs, from element `at` of the row on.
  struct Columns {
    int64_t begin;
    int64_t count;
    int64_t at;
  };

  void compute(int64_t index, std::span<const void* const> inputs, std::span<void* const> outputs,
               StridedRow& row, float* sums) const {
    const int64_t y = index % conv_.out[1];
    const int64_t z = index / conv_.out[1] % conv_.out[0];
    const int64_t channel = index / (conv_.out[0] * conv_.out[1]);
    const int64_t all = conv_.groups * conv_.outputs;
    const int64_t plane = channel / all * conv_.groups + channel % all / conv_.outputs;
    const int64_t weights = channel % all * volume(conv_.taps);
    std::fill_n(sums, conv_.out[2], 0.0f);
    const ConvProblem::TapRange deep = conv_.taps_inside(0, z);
    const ConvProblem::TapRange high = conv_.taps_inside(1, y);
    for (int64_t kz = deep.first; kz < deep.last; ++kz) {
      const int64_t in_z = z * conv_.stride[0] + kz * conv_.dilation[0] - conv_.low[0];
      for (int64_t ky = high.first; ky < high.last; ++ky) {
        const int64_t in_y = y * conv_.stride[1] + ky * conv_.dilation[1] - conv_.low[1];
        row.load(inputs[0], ((plane * conv_.in[0] + in_z) * conv_.in[1] + in_y) * conv_.in[2]);
        add_row(inputs[1], weights + (kz * conv_.taps[1] + ky) * conv_.taps[2], row, sums);
      }
    }
    epilogue_.run(sums, channel / all, channel % all, (z * conv_.out[1] + y) * conv_.out[2],
                  conv_.out[2], inputs, outputs);
  }

  void add_row(const void* weights, int64_t offset, const StridedRow& row, float* sums) const {
    for (size_t tap = 0; tap < columns_.size(); ++tap) {
      const Columns& columns = columns_[tap];
      if (columns.count == 0) continue;
      float converted = 0;
      const float weight = *as_floats(table_, conv_.w_type, weights,
                                      offset + static_cast<int64_t>(tap), 1, &converted);
      float* to = sums + columns.begin;
      table_.scale_add(row.from(columns.at), weight, to, to, columns.count);
    }
  }

  const simd::Table& table_;
  ConvProblem conv_;
  ConvEpilogue epilogue_;
  std::vector<Columns> columns_;  // by tap along x
};

class DepthwiseConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.depthwise"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = ConvProblem::refuses(problem)) return reason;
    if (!is_float_storage(problem.inputs[0].dtype) ||
        problem.inputs[1].dtype != problem.inputs[0].dtype) {
      return "it takes f32, f16 and bf16";
    }
    if (problem.inputs[1].shape[1] != 1 || problem.attributes.integer("groups") == 1) {
      return "it takes groups of one channel";
    }
    return ConvEpilogue::refuses(problem, DType::kFloat32);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    return std::make_unique<PreparedDepthwise>(problem);
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_depthwise_conv() { return std::make_shared<DepthwiseConv>(); }

}  // namespace cleave::backend
