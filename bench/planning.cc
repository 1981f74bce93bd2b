// Time of planning models: BM_Import/<model>, BM_Passes/<model>, BM_Plan/<model>/<devices>.
//
//   bench_planning minilm.onnx input_ids:1x128,... gpt2-xl.onnx input_ids:1x128
//
// takes models (their weight files may be absent) each with the shapes of its inputs. BM_Plan is
// what `cleave plan` reports as planning_seconds.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>

#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "shapes.h"

namespace cleave {
namespace {

struct Model {
  std::filesystem::path path;
  cli::NamedShapes shapes;
};

BuilderConfig config_of(const Model& model, int devices) {
  BuilderConfig config;
  config.devices = DeviceList::cpu(devices);
  for (const auto& [name, shape] : model.shapes) {
    config.profile.push_back({name, shape, shape, shape});
  }
  return config;
}

void import_model(benchmark::State& state, const Model& model) {
  for (auto _ : state) benchmark::DoNotOptimize(onnx::load(model.path));
}

void run_passes(benchmark::State& state, const Model& model) {
  const Network network = onnx::load(model.path);
  const BuilderConfig config = config_of(model, 2);
  for (auto _ : state) benchmark::DoNotOptimize(compiler::prepare(*network.impl(), config));
}

void plan_model(benchmark::State& state, const Model& model) {
  const Network network = onnx::load(model.path);
  const compiler::PlanningInput input =
      compiler::prepare(*network.impl(), config_of(model, static_cast<int>(state.range(0))));
  const auto capabilities = capabilities::cpu();
  planner::Plan plan;
  for (auto _ : state) {
    plan = planner::plan(input.graph, network.impl()->registry, *capabilities, input.machine,
                         input.options);
  }
  state.counters["nodes"] = static_cast<double>(input.graph.order().size());
  state.counters["groups"] = static_cast<double>(plan.groups.size());
  state.counters["gap"] = plan.gap;
}

void add(const Model& model) {
  const std::string name = model.path.stem().string();
  const auto in_milliseconds = [](benchmark::internal::Benchmark* bench) {
    bench->Unit(benchmark::kMillisecond);
    return bench;
  };
  in_milliseconds(benchmark::RegisterBenchmark(("BM_Import/" + name).c_str(), import_model, model));
  in_milliseconds(benchmark::RegisterBenchmark(("BM_Passes/" + name).c_str(), run_passes, model));
  in_milliseconds(benchmark::RegisterBenchmark(("BM_Plan/" + name).c_str(), plan_model, model))
      ->ArgsProduct({{2, 4, 8}});
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 3 || argc % 2 == 0) {
    std::fprintf(stderr, "usage: bench_planning [--benchmark_...] MODEL.onnx SHAPES ...\n");
    return 2;
  }
  for (int i = 1; i < argc; i += 2) add({argv[i], cli::parse_shapes("SHAPES", argv[i + 1])});
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace cleave

int main(int argc, char** argv) {
  try {
    return cleave::run(argc, argv);
  } catch (const cleave::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
