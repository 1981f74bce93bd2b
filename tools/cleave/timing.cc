#include "timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <numeric>

namespace cleave::cli {
namespace {

using Clock = std::chrono::steady_clock;

double us_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

}  // namespace

double Latencies::mean() const {
  return std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
}

double Latencies::percentile(double percent) const {
  const auto count = static_cast<double>(sorted.size());
  const double rank = std::ceil(percent / 100 * count);
  return sorted[static_cast<size_t>(std::clamp(rank, 1.0, count)) - 1];
}

TensorMap in_host_memory(const Runtime& runtime, const TensorMap& tensors) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    Tensor copy = runtime.host_tensor(tensor.dtype(), tensor.shape());
    if (tensor.bytes() > 0) std::memcpy(copy.mutable_data(), tensor.data(), tensor.bytes());
    result.set(name, std::move(copy));
  }
  return result;
}

Latencies measure_latencies(ExecutionContext& context, const TensorMap& inputs,
                            const TimingOptions& options) {
  const auto warm_up_start = Clock::now();
  do {
    context.run(inputs);
  } while (us_between(warm_up_start, Clock::now()) < options.warm_up_ms * 1e3);

  Latencies latencies;
  const std::clock_t cpu_start = std::clock();
  const auto start = Clock::now();
  for (int64_t run = 0; run < options.at_most; ++run) {
    const auto before = Clock::now();
    if (run > 0 && run >= options.iterations &&
        us_between(start, before) >= options.duration_s * 1e6) {
      break;
    }
    double device_us = 0;
    RunOptions run_options;
    run_options.device_us = &device_us;
    context.run(inputs, run_options);
    latencies.start_us.push_back(us_between(start, before));
    latencies.in_order.push_back(us_between(before, Clock::now()));
    latencies.device_us.push_back(device_us);
  }
  latencies.wall_s = us_between(start, Clock::now()) / 1e6;
  latencies.cpu_s = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  latencies.sorted = latencies.in_order;
  std::sort(latencies.sorted.begin(), latencies.sorted.end());
  std::sort(latencies.device_us.begin(), latencies.device_us.end());
  return latencies;
}

TimingSummary trace_runs(ExecutionContext& context, const TensorMap& inputs, int64_t runs) {
  TimingSummary summary;
  for (int64_t run = 0; run < runs; ++run) {
    Timeline timeline;
    RunOptions options;
    options.timeline = &timeline;
    context.run(inputs, options);
    summary.add(timeline);
  }
  return summary;
}

}  // namespace cleave::cli
