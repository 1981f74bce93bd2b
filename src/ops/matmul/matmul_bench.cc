// Times the kernels of products with a weight, each on one thread: MiniLM's sizes and larger ones.
// The weight comes from memory, as in a network of many.
#include <benchmark/benchmark.h>

#include <string>

#include "backend/builtin_kernels.h"
#include "backend/cpu/cpu_device.h"
#include "backend/kernel.h"
#include "backend/kernel_trial.h"

namespace cleave::backend {
namespace {

constexpr int kThreads = 1;

void multiply(benchmark::State& state, const std::string& kernel_name) {
  const int64_t rows = state.range(0);
  const int64_t k = state.range(1);
  const int64_t n = state.range(2);
  const auto device = make_cpu_device({.threads = kThreads});
  KernelCache cache(*device);
  const Attributes attributes;
  const KernelProblem problem{.op = "matmul",
                              .attributes = attributes,
                              .inputs = {TensorView::dense(DType::kFloat32, {rows, k}),
                                         TensorView::dense(DType::kFloat32, {k, n})},
                              .outputs = {TensorView::dense(DType::kFloat32, {rows, n})},
                              .constant_keys = {0, 1},
                              .threads = kThreads};
  const KernelRegistry registry = builtin_cpu_kernels();
  for (const Kernel* kernel : registry.takers(problem)) {
    if (kernel->name() != kernel_name) continue;
    KernelTrial trial(*kernel, problem, cache);
    trial.call();
    for (auto _ : state) trial.call();
    state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(rows * k * n),
                                                   benchmark::Counter::kIsIterationInvariantRate);
    return;
  }
  state.SkipWithError("no such kernel takes it");
}

void sizes(benchmark::internal::Benchmark* bench) {
  for (const int64_t rows : {1, 8, 32, 128, 256}) {
    for (const int64_t k : {384, 1536}) {
      for (const int64_t n : {384, 1536}) bench->Args({rows, k, n});
    }
  }
  for (const int64_t width : {1024, 4096}) {
    for (const int64_t rows : {1, 32, 256, 1024}) bench->Args({rows, width, width});
  }
  bench->Unit(benchmark::kMicrosecond);
}

// One benchmark for each kernel there is, whichever libraries the build has.
void register_all() {
  for (const auto& kernel : builtin_cpu_kernels().of("matmul")) {
    const std::string name(kernel->name());
    if (name == "matmul.plain") continue;  // takes no float32
    sizes(benchmark::RegisterBenchmark(name.c_str(),
                                       [name](benchmark::State& state) { multiply(state, name); }));
  }
}

}  // namespace
}  // namespace cleave::backend

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  cleave::backend::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
