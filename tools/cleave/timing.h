// Latencies of many runs.
#pragma once

#include <cstdint>
#include <vector>

#include "cleave/runtime.h"

namespace cleave::cli {

struct TimingOptions {
  double warm_up_ms = 200;
  int64_t iterations = 10;  // at least
  double duration_s = 3;    // at least
  int64_t at_most = 100'000;
};

// Latencies in microseconds.
struct Latencies {
  std::vector<double> in_order;
  std::vector<double> start_us;  // of each run, from the first
  std::vector<double> sorted;
  // Also sorted: the devices' own times, without copies between them and the host.
  std::vector<double> device_us;
  double wall_s = 0;
  double cpu_s = 0;  // of all threads of this process, over all runs

  double min() const { return sorted.front(); }
  double max() const { return sorted.back(); }
  double mean() const;
  // The value that `percent` of all runs do not exceed.
  double percentile(double percent) const;
  double median() const { return percentile(50); }
  double device_median() const { return device_us[(device_us.size() - 1) / 2]; }
  double throughput_per_s() const { return static_cast<double>(sorted.size()) / wall_s; }
  // CPU time of one run, on average, over all threads.
  double cpu_us() const { return cpu_s * 1e6 / static_cast<double>(sorted.size()); }
  double busy_cores() const { return cpu_s / wall_s; }
};

// The same values where they reach the devices soonest (Runtime::host_tensor).
TensorMap in_host_memory(const Runtime& runtime, const TensorMap& tensors);

// At least one run warms up, whatever the options say.
Latencies measure_latencies(ExecutionContext& context, const TensorMap& inputs,
                            const TimingOptions& options);

// A pass of its own, since tracing slows runs down.
TimingSummary trace_runs(ExecutionContext& context, const TensorMap& inputs, int64_t runs);

}  // namespace cleave::cli
