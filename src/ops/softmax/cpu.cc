// Softmax on the CPU; sums and exponentials in float32 (float64 for float64).
#include <cmath>
#include <limits>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 8 * 1024;

void softmax_floats(const simd::Table& table, const float* x, float* y, int64_t count) {
  const float largest = table.max(x, count);
  table.scale(y, 1.0f / table.exp_sum(x, y, 1.0f, largest, count), count);
}

void softmax_doubles(double* x, int64_t count) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) {
    largest = std::isnan(largest) || largest > x[i] ? largest : x[i];
  }
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i] = std::exp(x[i] - largest);
  for (int64_t i = 0; i < count; ++i) x[i] /= sum;
}

// Copies a line of the axis to a contiguous row of T and back.
template <class T, class F>
void on_line(const T* x, T* y, int64_t stride, int64_t count, std::vector<T>& row, F&& f) {
  for (int64_t i = 0; i < count; ++i) row[static_cast<size_t>(i)] = x[i * stride];
  f(row.data());
  for (int64_t i = 0; i < count; ++i) y[i * stride] = row[static_cast<size_t>(i)];
}

RunFunction prepare(const KernelProblem& problem) {
  const DType type = problem.inputs[0].dtype;
  const AxisView view(problem.inputs[0].shape,
                      static_cast<size_t>(problem.attributes.integer("axis")));
  const simd::Table* table = &simd::best();
  return [=](std::span<const void* const> inputs, std::span<void* const> outputs,
             ThreadPool& pool) {
    const int64_t lines = view.outer * view.inner;
    if (lines == 0 || view.extent == 0) return;
    const int64_t chunks =
        chunks_for(lines, std::max<int64_t>(1, kChunkElements / view.extent), pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(lines, chunks, chunk);
      std::vector<float> floats(type == DType::kFloat64 ? 0 : static_cast<size_t>(view.extent));
      std::vector<double> doubles(type == DType::kFloat64 ? static_cast<size_t>(view.extent) : 0);
      std::vector<uint16_t> bits(
          size_of(type) == 2 && view.inner != 1 ? static_cast<size_t>(view.extent) : 0);
      for (int64_t line = range.begin; line < range.end; ++line) {
        const int64_t at = line / view.inner * view.extent * view.inner + line % view.inner;
        const auto halves = [&](const void* x, void* y, int64_t offset) {
          const float* in = as_floats(*table, type, x, offset, view.extent, floats.data());
          softmax_floats(*table, in, floats.data(), view.extent);
          finish_floats(*table, type, floats.data(), y, offset, view.extent);
        };
        if (type == DType::kFloat64) {
          on_line(static_cast<const double*>(inputs[0]) + at, static_cast<double*>(outputs[0]) + at,
                  view.inner, view.extent, doubles,
                  [&](double* row) { softmax_doubles(row, view.extent); });
        } else if (view.inner == 1 && type == DType::kFloat32) {
          softmax_floats(*table, static_cast<const float*>(inputs[0]) + at,
                         static_cast<float*>(outputs[0]) + at, view.extent);
        } else if (view.inner == 1) {
          halves(inputs[0], outputs[0], at);
        } else if (type == DType::kFloat32) {
          on_line(static_cast<const float*>(inputs[0]) + at, static_cast<float*>(outputs[0]) + at,
                  view.inner, view.extent, floats,
                  [&](float* row) { softmax_floats(*table, row, row, view.extent); });
        } else {
          on_line(static_cast<const uint16_t*>(inputs[0]) + at,
                  static_cast<uint16_t*>(outputs[0]) + at, view.inner, view.extent, bits,
                  [&](uint16_t* row) { halves(row, row, 0); });
        }
      }
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (!is_floating(problem.inputs[0].dtype)) return "it takes floating types";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_softmax_cpu() {
  return {std::make_shared<SimpleKernel>("softmax", "softmax.rows", refuses, prepare)};
}

}  // namespace cleave::backend
