// Times attention: MiniLM's sizes with a mask, longer and deeper ones, causal ones, grouped heads,
// and one query against many keys, as in decoding. Operands lie as projections leave them, and the
// result as the next one reads it: [batch, row, head, depth].
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "backend/builtin_kernels.h"
#include "backend/cpu/cpu_device.h"
#include "backend/kernel.h"
#include "backend/kernel_trial.h"

namespace cleave::backend {
namespace {

struct Case {
  const char* name;
  int64_t batches, heads, kv_heads, rows, keys, depth;
  bool mask, causal;
};

constexpr Case kCases[] = {
    {"minilm", 1, 12, 12, 128, 128, 32, true, false},
    {"minilm", 8, 12, 12, 128, 128, 32, true, false},
    {"no_mask", 1, 12, 12, 128, 128, 32, false, false},
    {"short", 1, 12, 12, 16, 16, 32, true, false},
    {"bert", 1, 12, 12, 128, 128, 64, true, false},
    {"bert", 1, 12, 12, 512, 512, 64, true, false},
    {"causal", 1, 12, 12, 512, 512, 64, false, true},
    {"causal", 1, 4, 4, 2048, 2048, 128, false, true},
    {"grouped", 1, 16, 4, 256, 256, 128, false, true},
    {"decoding", 1, 12, 12, 1, 512, 64, false, false},
    {"decoding", 1, 16, 16, 1, 2048, 128, false, false},
    {"decoding_grouped", 1, 32, 4, 1, 2048, 128, false, false},
};

TensorView heads_inside(int64_t batches, int64_t heads, int64_t rows, int64_t depth) {
  TensorView view = TensorView::dense(DType::kFloat32, {batches, heads, rows, depth});
  view.strides = dense_strides(Format::kHeadsInside, view.shape);
  return view;
}

void attend(benchmark::State& state, const Case& c, int threads) {
  const auto device = make_cpu_device({.threads = threads});
  KernelCache cache(*device);
  const Attributes attributes = {
      {"scale", 0.125}, {"group", Dim(c.heads / c.kv_heads)}, {"causal", Dim(c.causal ? 1 : 0)}};
  std::vector<TensorView> inputs = {heads_inside(c.batches, c.heads, c.rows, c.depth),
                                    heads_inside(c.batches, c.kv_heads, c.keys, c.depth),
                                    heads_inside(c.batches, c.kv_heads, c.keys, c.depth)};
  if (c.mask) inputs.push_back(TensorView::dense(DType::kFloat32, {c.batches, 1, 1, c.keys}));
  const KernelProblem problem{.op = "attention",
                              .attributes = attributes,
                              .inputs = inputs,
                              .outputs = {heads_inside(c.batches, c.heads, c.rows, c.depth)},
                              .threads = threads};
  const KernelRegistry registry = builtin_cpu_kernels();
  KernelTrial trial(registry.at(problem), problem, cache);
  trial.call();
  for (auto _ : state) trial.call();
  const double seen = c.causal ? 0.5 : 1.0;
  state.counters["GFLOP/s"] = benchmark::Counter(
      4e-9 * seen * static_cast<double>(c.batches * c.heads * c.rows * c.keys * c.depth),
      benchmark::Counter::kIsIterationInvariantRate);
}

void register_all() {
  for (const Case& c : kCases) {
    for (const int threads : {1, 2}) {
      std::string name = c.name;
      for (const int64_t size : {c.batches, c.heads, c.rows, c.keys, c.depth}) {
        name += "/" + std::to_string(size);
      }
      name += "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(
          name.c_str(), [&c, threads](benchmark::State& state) { attend(state, c, threads); })
          ->Unit(benchmark::kMicrosecond)
          ->UseRealTime();
    }
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
