// A split run against the unsplit one, tensor by tensor.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cleave/runtime.h"
#include "compare.h"
#include "output.h"

namespace cleave::cli {

// What one instruction of the split run made, against the same tensor of the unsplit run.
struct Layer {
  std::string tensor;  // the model's name
  std::string layout;  // over the devices
  std::string op;
  std::string node;  // the model's nodes that the instruction carries out
  Difference difference;
};

struct LayerReport {
  std::vector<Layer> layers;  // in the split program's order
  size_t not_compared = 0;    // results of the split run that the unsplit run does not make
  size_t peak_bytes = 0;      // of the unsplit run's tensors that were kept at once

  // Null where no tensor differs by more than the tolerance.
  const Layer* first_difference() const;
};

struct PairedRuns {
  TensorMap split;
  TensorMap unsplit;
  LayerReport report;
};

// How much of the unsplit run is kept for the split one to catch up.
inline constexpr size_t kReferenceBytes = size_t{256} << 20;

// Runs both on the same inputs at once. Their tensors are compared as they are made: of a large
// model's, no more is held than one instruction's results on all devices and `bound_bytes` of the
// unsplit run's (or the largest tensor, or those by which the orders of the two programs differ).
// The unsplit context has one device. Throws what the runs throw.
PairedRuns run_paired(ExecutionContext& split, ExecutionContext& unsplit, const TensorMap& inputs,
                      const Tolerance& tolerance, size_t bound_bytes = kReferenceBytes);

// `parts` together, each where it lies, against the whole.
Difference compare_parts(const ObservedTensor& parts, const Tensor& whole,
                         const Tolerance& tolerance);

// A table of 80 columns, and where the first difference is.
std::string layer_table(const LayerReport& report);
// The keys "layers", "first_difference" and "not_compared".
void add_json(const LayerReport& report, Json& json);

}  // namespace cleave::cli
