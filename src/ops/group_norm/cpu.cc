// Group norm on the CPU: two passes over a group for its statistics, one that writes it.
#include <algorithm>
#include <cmath>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;
// Sums of so many elements are float32, their sum is double: rounding errors stay small, and so is
// what a thread converts at a time.
constexpr int64_t kPart = 4096;

struct GroupNorm {
  DType type;
  int64_t channels;  // of a group
  int64_t groups;    // of one n
  int64_t inner;     // elements of a channel
  double epsilon;
  const simd::Table* table;

  int64_t elements() const { return channels * inner; }

  void run_floats(int64_t group, const void* x, const void* scale, const void* bias,
                  void* y) const {
    float buffer[kPart];
    const int64_t first = group * elements();
    // f(part, its elements, their count) over the elements [begin, end) of x.
    const auto for_parts = [&](int64_t begin, int64_t end, auto&& f) {
      for (int64_t at = begin; at < end; at += kPart) {
        const int64_t count = std::min(kPart, end - at);
        f(at, as_floats(*table, type, x, at, count, buffer), count);
      }
    };
    double sum = 0;
    for_parts(first, first + elements(),
              [&](int64_t, const float* part, int64_t count) { sum += table->sum(part, count); });
    const auto mean = static_cast<float>(sum / static_cast<double>(elements()));
    double squares = 0;
    for_parts(first, first + elements(), [&](int64_t, const float* part, int64_t count) {
      squares += table->sum_of_squares(part, mean, count);
    });
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(elements()) + epsilon);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t channel = group % groups * channels + c;
      const auto factor = static_cast<float>(inverse * parameter(scale, channel));
      const auto shift = static_cast<float>(parameter(bias, channel));
      const int64_t begin = first + c * inner;
      for_parts(begin, begin + inner, [&](int64_t at, const float* part, int64_t count) {
        float* to = float_target(type, y, at, buffer);
        table->normalise(part, mean, factor, nullptr, nullptr, to, count);
        table->binary[static_cast<size_t>(simd::Binary::kAdd)](to, 1, &shift, 0, to, count);
        finish_floats(*table, type, to, y, at, count);
      });
    }
  }

  void run_doubles(int64_t group, const double* x, const double* scale, const double* bias,
                   double* y) const {
    const double* from = x + group * elements();
    double* to = y + group * elements();
    double mean = 0;
    for (int64_t i = 0; i < elements(); ++i) mean += from[i];
    mean /= static_cast<double>(elements());
    double variance = 0;
    for (int64_t i = 0; i < elements(); ++i) variance += (from[i] - mean) * (from[i] - mean);
    const double inverse = 1 / std::sqrt(variance / static_cast<double>(elements()) + epsilon);
    for (int64_t i = 0; i < elements(); ++i) {
      const int64_t channel = group % groups * channels + i / inner;
      to[i] = (from[i] - mean) * inverse * scale[channel] + bias[channel];
    }
  }

 private:
  double parameter(const void* values, int64_t channel) const {
    float buffer = 0;
    return *as_floats(*table, type, values, channel, 1, &buffer);
  }
};

RunFunction prepare(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  const AxisView view(x.shape, 1);
  const int64_t channels = problem.attributes.integer("group_channels");
  const GroupNorm work{.type = x.dtype,
                       .channels = channels,
                       .groups = view.extent / channels,
                       .inner = view.inner,
                       .epsilon = problem.attributes.real("epsilon"),
                       .table = &simd::best()};
  return [work, rows = view.outer * work.groups](std::span<const void* const> inputs,
                                                 std::span<void* const> outputs, ThreadPool& pool) {
    if (work.elements() == 0) return;
    const int64_t chunks = chunks_for(rows, std::max<int64_t>(1, kChunkElements / work.elements()),
                                      pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(rows, chunks, chunk);
      for (int64_t group = range.begin; group < range.end; ++group) {
        if (work.type == DType::kFloat64) {
          work.run_doubles(group, static_cast<const double*>(inputs[0]),
                           static_cast<const double*>(inputs[1]),
                           static_cast<const double*>(inputs[2]), static_cast<double*>(outputs[0]));
        } else {
          work.run_floats(group, inputs[0], inputs[1], inputs[2], outputs[0]);
        }
      }
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_group_normalisation(problem)) return reason;
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_group_norm_cpu() {
  return {std::make_shared<SimpleKernel>("group_norm", "group_norm.groups", refuses, prepare)};
}

}  // namespace cleave::backend
