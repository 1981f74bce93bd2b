// What is measured to make a machine model.
#pragma once

#include <functional>
#include <string>

#include "cost/machine_model.h"
#include "cost/profiler.h"
#include "ops/registry.h"

namespace cleave::cost {

struct MeasurePlan {
  double seconds = 20;  // about; less than is useful makes coarser figures, never fewer
  std::vector<int64_t> rows = {1, 4, 16, 64, 256, 1024, 2048};  // m of the products
  std::vector<int64_t> widths = {64, 192, 512, 1536, 4096};     // n and k
  std::vector<int64_t> plain_rows = {1, 16, 128, 512, 2048};    // of products without a weight
  std::vector<int64_t> plain_widths = {32, 128, 512, 2048};
  double largest_us = 80e3;  // products that would take longer are left out: time grows evenly
  std::function<void(const std::string&)> progress = {};
};

// The profiler's devices, all at work: products, other kernels, memory, launch overhead. Times of
// larger work are never below those of smaller: what was disturbed is put right.
DeviceModel measure_device(Profiler& profiler, const ops::Registry& registry,
                           const MeasurePlan& plan);

// Every collective between 2 and all devices of the profiler.
std::vector<CollectivePoint> measure_collectives(Profiler& profiler, const MeasurePlan& plan);

}  // namespace cleave::cost
