#include "ops/conv/cpu_plain.h"

#include <string>
#include <type_traits>
#include <vector>

#include "backend/cpu/float_rows.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_epilogue.h"
#include "types/host_tensor.h"

namespace cleave::backend {
namespace {

class PreparedPlain final : public PreparedKernel {
 public:
  explicit PreparedPlain(const KernelProblem& problem)
      : conv_(problem), epilogue_(problem, problem.inputs[0].dtype) {}

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const int64_t rows =
        conv_.images * conv_.groups * conv_.outputs * conv_.axes[0].out * conv_.axes[1].out;
    if (rows == 0 || conv_.axes[2].out == 0) return;
    const int64_t chunks = chunks_for(rows, 1, launch.pool.threads() * 4);
    launch.pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(rows, chunks, chunk);
      dispatch_dtype(conv_.x_type, [&]<class T>() {
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
          for (int64_t row = range.begin; row < range.end; ++row) {
            compute<T>(row, inputs, outputs);
          }
        }
      });
    });
  }

 private:
  template <class T>
  void compute(int64_t index, std::span<const void* const> inputs,
               std::span<void* const> outputs) const {
    const int64_t y = index % conv_.axes[1].out;
    const int64_t z = index / conv_.axes[1].out % conv_.axes[0].out;
    const int64_t channel = index / (conv_.axes[0].out * conv_.axes[1].out);
    const int64_t all = conv_.groups * conv_.outputs;
    const int64_t first = (channel / all * conv_.groups + channel % all / conv_.outputs) *
                          conv_.channels * conv_.plane();
    const int64_t weights = channel % all * conv_.channels * conv_.taps();
    const T* x = static_cast<const T*>(inputs[0]) + first;
    const T* w = static_cast<const T*>(inputs[1]) + weights;
    std::vector<T> row;
    for (int64_t u = 0; u < conv_.axes[2].out; ++u) row.push_back(sum_at(x, w, {z, y, u}));
    epilogue_.run(row.data(), channel / all, channel % all,
                  (z * conv_.axes[1].out + y) * conv_.axes[2].out, conv_.axes[2].out, inputs,
                  outputs);
  }

  template <class T>
  T sum_at(const T* x, const T* w, const ImageIndex& at) const {
    // Integers wrap around.
    using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
    const auto& [deep, high, wide] = conv_.axes;
    const Range slices = deep.taps(at[0]);
    const Range lines = high.taps(at[1]);
    const Range columns = wide.taps(at[2]);
    Sum sum{};
    for (int64_t c = 0; c < conv_.channels; ++c) {
      for (int64_t kz = slices.begin; kz < slices.end; ++kz) {
        for (int64_t ky = lines.begin; ky < lines.end; ++ky) {
          const int64_t line =
              (c * deep.in + deep.position(at[0], kz)) * high.in + high.position(at[1], ky);
          const T* taps = w + ((c * deep.kernel + kz) * high.kernel + ky) * wide.kernel;
          for (int64_t kx = columns.begin; kx < columns.end; ++kx) {
            sum += static_cast<Sum>(x[line * wide.in + wide.position(at[2], kx)]) *
                   static_cast<Sum>(taps[kx]);
          }
        }
      }
    }
    return static_cast<T>(sum);
  }

  ConvProblem conv_;
  ConvEpilogue epilogue_;
};

class PlainConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.plain"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = ConvProblem::refuses(problem)) return reason;
    const DType type = problem.inputs[0].dtype;
    if (is_float_storage(type) || type == DType::kBool || problem.inputs[1].dtype != type) {
      return "it takes f64 and integers of one type";
    }
    return ConvEpilogue::refuses(problem, type);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    return std::make_unique<PreparedPlain>(problem);
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_plain_conv() { return std::make_shared<PlainConv>(); }

}  // namespace cleave::backend
