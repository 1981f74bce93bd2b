// Piecewise linear gates in the ways that exporters write them.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// min(max(alpha · argument + ½, 0), 1)
struct HardGate {
  ir::ValueId argument;
  double alpha;
};

// What coefficient · value is as such a gate, for each argument that its line can be taken to be
// of, the nearest first. Clamps may be min and max in any order, or relu and min, of any scale:
// min(max(x + 3, 0), 6) / 6 is the gate of x with alpha = 1/6.
std::vector<HardGate> hard_gates(const Rewriter& r, ir::ValueId value, double coefficient = 1);

}  // namespace cleave::passes
