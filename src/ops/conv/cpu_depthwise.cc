#include "ops/conv/cpu_depthwise.h"

#include <algorithm>
#include <string>
#include <vector>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simd/simd.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_epilogue.h"

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
        width_((conv.axes[2].in + conv.axes[2].stride - 1) / conv.axes[2].stride),
        floats_(conv.x_type == DType::kFloat32 ? 0 : static_cast<size_t>(conv.axes[2].in)),
        phases_(conv.axes[2].stride == 1 ? 0 : static_cast<size_t>(width_ * conv.axes[2].stride)) {}

  void load(const void* x, int64_t offset) {
    data_ = as_floats(table_, conv_.x_type, x, offset, conv_.axes[2].in, floats_.data());
    const int64_t stride = conv_.axes[2].stride;
    if (stride == 1) return;
    for (int64_t phase = 0; phase < stride; ++phase) {
      float* to = phases_.data() + phase * width_;
      for (int64_t i = phase, at = 0; i < conv_.axes[2].in; i += stride) to[at++] = data_[i];
    }
  }
  // Elements at, at + stride, ... of the row; `at` ≥ 0.
  const float* from(int64_t at) const {
    const int64_t stride = conv_.axes[2].stride;
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
    const WindowAxis& wide = conv_.axes[2];
    for (int64_t tap = 0; tap < wide.kernel; ++tap) {
      const Range windows = wide.windows(tap);
      columns_.push_back({windows, wide.position(windows.begin, tap)});
    }
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const int64_t rows =
        conv_.images * conv_.groups * conv_.outputs * conv_.axes[0].out * conv_.axes[1].out;
    if (rows == 0 || conv_.axes[2].out == 0) return;
    const int64_t work = conv_.axes[2].out * conv_.taps();
    const int64_t chunks =
        chunks_for(rows, std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, work)),
                   launch.pool.threads() * 4);
    launch.pool.parallel_for(chunks, [&](int64_t chunk) {
      StridedRow row(conv_, table_);
      std::vector<float> sums(static_cast<size_t>(conv_.axes[2].out));
      const Range range = partition(rows, chunks, chunk);
      for (int64_t at = range.begin; at < range.end; ++at) {
        compute(at, inputs, outputs, row, sums.data());
      }
    });
  }

 private:
  // The windows along x of which a tap sees an element, from element `at` of the row on.
  struct Columns {
    Range windows;
    int64_t at;
  };

  void compute(int64_t index, std::span<const void* const> inputs, std::span<void* const> outputs,
               StridedRow& row, float* sums) const {
    const int64_t y = index % conv_.axes[1].out;
    const int64_t z = index / conv_.axes[1].out % conv_.axes[0].out;
    const int64_t channel = index / (conv_.axes[0].out * conv_.axes[1].out);
    const int64_t all = conv_.groups * conv_.outputs;
    const int64_t plane = channel / all * conv_.groups + channel % all / conv_.outputs;
    const int64_t weights = channel % all * conv_.taps();
    std::fill_n(sums, conv_.axes[2].out, 0.0f);
    const auto& [deep, high, wide] = conv_.axes;
    const Range slices = deep.taps(z);
    const Range lines = high.taps(y);
    for (int64_t kz = slices.begin; kz < slices.end; ++kz) {
      const int64_t in_z = deep.position(z, kz);
      for (int64_t ky = lines.begin; ky < lines.end; ++ky) {
        const int64_t in_y = high.position(y, ky);
        row.load(inputs[0], ((plane * deep.in + in_z) * high.in + in_y) * wide.in);
        add_row(inputs[1], weights + (kz * high.kernel + ky) * wide.kernel, row, sums);
      }
    }
    epilogue_.run(sums, channel / all, channel % all,
                  (z * conv_.axes[1].out + y) * conv_.axes[2].out, conv_.axes[2].out, inputs,
                  outputs);
  }

  void add_row(const void* weights, int64_t offset, const StridedRow& row, float* sums) const {
    for (size_t tap = 0; tap < columns_.size(); ++tap) {
      const Columns& columns = columns_[tap];
      if (columns.windows.size() == 0) continue;
      float converted = 0;
      const float weight = *as_floats(table_, conv_.w_type, weights,
                                      offset + static_cast<int64_t>(tap), 1, &converted);
      float* to = sums + columns.windows.begin;
      table_.scale_add(row.from(columns.at), weight, to, to, columns.windows.size());
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
