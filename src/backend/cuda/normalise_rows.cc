#include "backend/cuda/normalise_rows.h"

#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/line_split.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/row_form.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"

namespace cleave::backend {
namespace {

// Of rows that do not fit in registers.
constexpr int kLongThreads = 256;    // of a block
constexpr int64_t kHeld = 4;         // vectors that a thread reads once
constexpr int64_t kMostSplits = 32;  // one a lane

bool has(const KernelProblem& problem, size_t i) {
  return i < problem.inputs.size() && problem.inputs[i].present;
}

// The rows as device code has them.
struct RowsArgument {
  int64_t rows;
  int64_t length;
  double epsilon;
  int64_t groups;
  int64_t channels;
  Divisor inner;
};

constexpr int64_t kMostBlocks = 2048;
constexpr int64_t kLeastBlocks = 256;  // rather than that threads hold all that they can

// Each thread has as many vectors as it can hold, fewer where there are few rows and more where
// there are many.
LineSplit split_of(int64_t rows, int64_t vectors) {
  const int64_t of_threads = (vectors + kLongThreads - 1) / kLongThreads;
  const int64_t wanted = std::max((of_threads + kHeld - 1) / kHeld, kLeastBlocks / rows);
  return LineSplit::of(rows, vectors, kMostBlocks, std::min({kMostSplits, wanted, of_threads}));
}

std::string flag(const char* name, bool value) {
  return std::string("constexpr bool ") + name + (value ? " = true;\n" : " = false;\n");
}

struct Normalisation {
  RowsArgument rows;
  RowForm form;
  bool is_long = false;
  LineSplit split;  // into parts of vectors
  cudaKernel_t normalise = nullptr;
  cudaKernel_t statistics = nullptr;
  // What x and y, the scale, and the bias begin at multiples of.
  int64_t alignment = 1;
  int64_t scale_alignment = 1;
  int64_t bias_alignment = 1;

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const {
    const void* scale = inputs.size() > 1 ? inputs[1] : nullptr;
    const void* bias = inputs.size() > 2 ? inputs[2] : nullptr;
    check_aligned({inputs[0], outputs[0]}, alignment);
    check_aligned({scale}, scale_alignment);
    check_aligned({bias}, bias_alignment);
    const Grid grid = form.grid(rows.rows * split.splits);
    if (is_long) {
      launch_kernel(statistics, grid, launch.stream,
                    {&rows, &split.splits, &split.part, &launch.workspace, &inputs[0]});
    }
    launch_kernel(normalise, grid, launch.stream,
                  {&rows, &split.splits, &split.part, &launch.workspace, &inputs[0], &scale, &bias,
                   &outputs[0]});
  }
};

// So many elements of a row as 16 bytes hold, where operands let these be read at once.
int64_t elements_at_once(const KernelProblem& problem, bool by_channel) {
  const TensorView& x = problem.inputs[0];
  int64_t count = piece_elements(x.dtype, {&x, &problem.outputs[0]});
  for (size_t i = 1; i < 3 && !by_channel; ++i) {
    if (!has(problem, i)) continue;
    const TensorView& parameter = problem.inputs[i];
    // Those of wider types are read in several pieces.
    if (parameter.alignment == kMostAlignment) continue;
    count = std::gcd(count, piece_elements(parameter.dtype, {&parameter}));
  }
  return count;
}

NormalisedRows last_dimensions(const KernelProblem& problem, bool centred) {
  const TensorView& x = problem.inputs[0];
  const auto axes = static_cast<size_t>(problem.attributes.integer("axes"));
  NormalisedRows result{
      .rows = 1, .length = 1, .epsilon = problem.attributes.real("epsilon"), .centred = centred};
  for (size_t d = 0; d < x.rank(); ++d) {
    (d + axes < x.rank() ? result.rows : result.length) *= x.shape[d];
  }
  return result;
}

}  // namespace

std::optional<std::string> NormalisedRows::refuses() const {
  if (length > 0 && rows > kMostIndex / length) return "it has more than 2^31 elements";
  return std::nullopt;
}

CudaRun prepare_normalisation(const KernelProblem& problem, const NormalisedRows& rows,
                              CudaDevice& device) {
  if (rows.rows == 0 || rows.length == 0) return CudaRun::nothing();
  const bool by_channel = rows.channels > 0;
  const int64_t inner = by_channel ? rows.length / rows.channels : 1;
  const DType type = problem.inputs[0].dtype;
  const auto size = static_cast<int64_t>(size_of(type));
  // Elements that are read at once are of one channel.
  int64_t most = elements_at_once(problem, by_channel);
  if (by_channel) most = std::gcd(most, inner);
  const auto form = RowForm::of(rows.length, most);
  Normalisation work{.rows = {rows.rows, rows.length, rows.epsilon, rows.groups, rows.channels,
                              make_divisor(inner)},
                     .form = form.value_or(RowForm{.vector = std::gcd(most, rows.length),
                                                   .pieces = kHeld,
                                                   .threads = kLongThreads,
                                                   .whole_block = true}),
                     .is_long = !form};
  const auto type_of = [&](size_t i) { return has(problem, i) ? problem.inputs[i].dtype : type; };
  const auto bytes = [&](size_t i) {
    return std::min(kMostPieceBytes, work.form.vector * static_cast<int64_t>(size_of(type_of(i))));
  };
  work.alignment = bytes(0);
  if (has(problem, 1) && !by_channel) work.scale_alignment = bytes(1);
  if (has(problem, 2) && !by_channel) work.bias_alignment = bytes(2);
  if (work.is_long) {
    work.split = split_of(rows.rows, rows.length / work.form.vector);
  }
  const std::string source =
      "using T = " + device_type(type) + ";\nusing S = " + device_type(type_of(1)) +
      ";\nusing B = " + device_type(type_of(2)) + ";\n" + flag("kCentred", rows.centred) +
      flag("kScale", has(problem, 1)) + flag("kBias", has(problem, 2)) +
      flag("kByChannel", by_channel) + flag("kLong", work.is_long) + work.form.prefix() +
      rows.finish + std::string(device_source("reductions")) +
      std::string(device_source("row_part")) + std::string(device_source("normalise_rows"));
  work.normalise = device.modules().get(source, "normalise_rows");
  if (work.is_long) work.statistics = device.modules().get(source, "statistics");
  const int64_t workspace = work.is_long ? work.rows.rows * work.split.splits * 2 *
                                               std::max<int64_t>(size, int64_t{sizeof(float)})
                                         : 0;
  return {[work](std::span<const void* const> inputs, std::span<void* const> outputs,
                 const Launch& launch) { work.run(inputs, outputs, launch); },
          workspace};
}

std::shared_ptr<const Kernel> make_cuda_normalisation(const char* op, const char* name,
                                                      bool centred) {
  const auto refuses = [centred](const KernelProblem& problem) -> std::optional<std::string> {
    if (auto reason = refuse_normalisation(problem)) return reason;
    return last_dimensions(problem, centred).refuses();
  };
  const auto prepare = [centred](const KernelProblem& problem, CudaDevice& device) {
    return prepare_normalisation(problem, last_dimensions(problem, centred), device);
  };
  return std::make_shared<SimpleCudaKernel>(op, name, refuses, prepare);
}

}  // namespace cleave::backend
