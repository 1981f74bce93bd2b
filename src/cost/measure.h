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
  // Another program's work on the machine lasts for seconds and only adds time: all is measured in
  // rounds, and the less disturbed one counts.
  int rounds = 2;
  double largest_us = 80e3;  // products that would take longer are left out: time grows evenly
  int64_t largest_weight = int64_t{1} << 26;                 // elements, n times k
  std::vector<DType> types = {DType::kFloat32};              // of all but element-wise kernels
  std::vector<int64_t> kernel_rows = {1, 8, 64, 512, 4096};  // of kernels on rows
  std::vector<int64_t> row_widths = {512, 64};               // of normalisations
  std::vector<int64_t> lengths = {16, 64, 128, 256, 512};    // of queries and keys
  std::vector<int64_t> kept_lengths = {128, 1024};           // of keys that one query meets
  bool has_mask = true;                                      // attention; as most networks have it
  bool computes_while_moving = false;                        // element-wise: the longer of the two
  int64_t largest_scores = int64_t{4} << 20;                 // heads times queries times keys
  int64_t largest_collective = int64_t{16} << 20;            // bytes
  bool large_images = false;                                 // see large_image_specs
  std::function<void(const std::string&)> progress = {};
};

// What is worth measuring on GPUs: larger work, and half precision too.
MeasurePlan gpu_measure_plan();

// The profiler's devices, all at work: products, other kernels, memory, launch overhead. Times of
// larger work are never below those of smaller: what was disturbed is put right.
DeviceModel measure_device(Profiler& profiler, const ops::Registry& registry,
                           const MeasurePlan& plan);

// Every collective between 2 and all devices of the profiler.
std::vector<CollectivePoint> measure_collectives(Profiler& profiler, const MeasurePlan& plan);

}  // namespace cleave::cost
