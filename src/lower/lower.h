// Lowering: local graph → program. Fixes kernels' bounds: fusion groups, views and copies, the
// schedule and the memory plan, all without a device.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "capabilities/capabilities.h"
#include "ops/registry.h"
#include "program/program.h"

namespace cleave::lower {

struct Options {
  int64_t ranks = 1;
  std::vector<program::Symbol> symbols;
  // Predicted time of a planned group, by its index, and of a collective that ends with so many
  // bytes of the whole tensor; both may be empty.
  std::function<double(int32_t group)> group_us;
  std::function<double(std::string_view op, double bytes)> collective_us;
};

struct Lowered {
  program::Program program;
  // The constants that the program's weights stand for, by weight index: values of the local graph.
  std::vector<ir::ValueId> weights;
};

Lowered lower(const ir::Graph& local, const ops::Registry& registry,
              const capabilities::Capabilities& capabilities, const Options& options);

}  // namespace cleave::lower
