#include "backend/cpu/normalise_rows.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/float_rows.h"
#include "base/thread_pool.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 16 * 1024;

struct Normalisation {
  DType type;
  DType scale_type;
  DType bias_type;
  bool centred;
  bool has_scale;
  bool has_bias;
  double epsilon;
  int64_t rows = 1;
  int64_t elements = 1;
  const simd::Table* table;

  void run_floats(Range range, const void* x, const void* scale, const void* bias, void* y) const;
  void run_doubles(Range range, const double* x, const double* scale, const double* bias,
                   double* y) const;
};

void Normalisation::run_floats(Range range, const void* x, const void* scale, const void* bias,
                               void* y) const {
  const auto size = static_cast<size_t>(elements);
  std::vector<float> in(type == DType::kFloat32 ? 0 : size);
  std::vector<float> out(type == DType::kFloat32 ? 0 : size);
  std::vector<float> weights(has_scale && scale_type != DType::kFloat32 ? size : 0);
  std::vector<float> biases(has_bias && bias_type != DType::kFloat32 ? size : 0);
  const float* w =
      has_scale ? as_floats(*table, scale_type, scale, 0, elements, weights.data()) : nullptr;
  const float* b =
      has_bias ? as_floats(*table, bias_type, bias, 0, elements, biases.data()) : nullptr;
  const float count = static_cast<float>(elements);
  for (int64_t row = range.begin; row < range.end; ++row) {
    const int64_t at = row * elements;
    const float* from = as_floats(*table, type, x, at, elements, in.data());
    float* to = float_target(type, y, at, out.data());
    const float mean = centred ? table->sum(from, elements) / count : 0.0f;
    const float variance = table->sum_of_squares(from, mean, elements) / count;
    const float inverse = 1.0f / std::sqrt(variance + static_cast<float>(epsilon));
    table->normalise(from, mean, inverse, w, b, to, elements);
    finish_floats(*table, type, to, y, at, elements);
  }
}

void Normalisation::run_doubles(Range range, const double* x, const double* scale,
                                const double* bias, double* y) const {
  for (int64_t row = range.begin; row < range.end; ++row) {
    const double* from = x + row * elements;
    double* to = y + row * elements;
    double mean = 0;
    for (int64_t i = 0; i < elements && centred; ++i) mean += from[i];
    mean /= static_cast<double>(elements);
    double variance = 0;
    for (int64_t i = 0; i < elements; ++i) variance += (from[i] - mean) * (from[i] - mean);
    const double inverse = 1 / std::sqrt(variance / static_cast<double>(elements) + epsilon);
    for (int64_t i = 0; i < elements; ++i) {
      to[i] = (from[i] - mean) * inverse * (has_scale ? scale[i] : 1) + (has_bias ? bias[i] : 0);
    }
  }
}

RunFunction prepare(const KernelProblem& problem, bool centred) {
  const auto has = [&](size_t i) { return i < problem.inputs.size() && problem.inputs[i].present; };
  const TensorView& x = problem.inputs[0];
  Normalisation work{.type = x.dtype,
                     .scale_type = has(1) ? problem.inputs[1].dtype : x.dtype,
                     .bias_type = has(2) ? problem.inputs[2].dtype : x.dtype,
                     .centred = centred,
                     .has_scale = has(1),
                     .has_bias = has(2),
                     .epsilon = problem.attributes.real("epsilon"),
                     .table = &simd::best()};
  const auto axes = static_cast<size_t>(problem.attributes.integer("axes"));
  for (size_t d = 0; d < x.rank(); ++d)
    (d + axes < x.rank() ? work.rows : work.elements) *= x.shape[d];
  return [work](std::span<const void* const> inputs, std::span<void* const> outputs,
                ThreadPool& pool) {
    if (work.rows == 0 || work.elements == 0) return;
    const int64_t chunks = chunks_for(
        work.rows, std::max<int64_t>(1, kChunkElements / work.elements), pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(work.rows, chunks, chunk);
      const void* scale = work.has_scale ? inputs[1] : nullptr;
      const void* bias = work.has_bias ? inputs[2] : nullptr;
      if (work.type == DType::kFloat64) {
        work.run_doubles(range, static_cast<const double*>(inputs[0]),
                         static_cast<const double*>(scale), static_cast<const double*>(bias),
                         static_cast<double*>(outputs[0]));
      } else {
        work.run_floats(range, inputs[0], scale, bias, outputs[0]);
      }
    });
  };
}

}  // namespace

std::shared_ptr<const Kernel> make_normalisation(const char* op, const char* name, bool centred) {
  return std::make_shared<SimpleKernel>(
      op, name, refuse_normalisation,
      [centred](const KernelProblem& problem) { return prepare(problem, centred); });
}

}  // namespace cleave::backend
