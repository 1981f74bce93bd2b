#include "trtexec_report.h"

#include <fmt/format.h>

#include "text.h"
#include "values.h"

namespace cleave::cli {
namespace {

std::string figures(const Latencies& latencies) {
  return fmt::format(
      "min = {:.6f} ms, max = {:.6f} ms, mean = {:.6f} ms, median = {:.6f} ms, "
      "percentile(90%) = {:.6f} ms, percentile(95%) = {:.6f} ms, percentile(99%) = {:.6f} ms",
      latencies.min() / 1e3, latencies.max() / 1e3, latencies.mean() / 1e3,
      latencies.median() / 1e3, latencies.percentile(90) / 1e3, latencies.percentile(95) / 1e3,
      latencies.percentile(99) / 1e3);
}

}  // namespace

std::string performance_summary(const Latencies& latencies) {
  return fmt::format(
      "[I] === Performance summary ===\n"
      "[I] Throughput: {:.4f} qps\n"
      "[I] Latency: {}\n"
      "[I] Total Host Walltime: {:.5f} s\n",
      latencies.throughput_per_s(), figures(latencies), latencies.wall_s);
}

Json outputs_json(const TensorMap& outputs) {
  Json json = Json::array();
  for (const auto& [name, tensor] : outputs) {
    Json values = Json::array();
    for_each_value(tensor, [&](int64_t, double value) { values.push_back(value); });
    json.push_back({{"name", name},
                    {"dimensions", shape_text(tensor.shape())},
                    {"values", std::move(values)}});
  }
  return json;
}

Json times_json(const Latencies& latencies) {
  Json json = Json::array();
  for (size_t run = 0; run < latencies.in_order.size(); ++run) {
    const double start = latencies.start_us[run] / 1e3;
    const double time = latencies.in_order[run] / 1e3;
    json.push_back({{"startComputeMs", start},
                    {"endComputeMs", start + time},
                    {"computeMs", time},
                    {"latencyMs", time}});
  }
  return json;
}

Json layers_json(const Engine& engine) {
  Json layers = Json::array();
  for (const InstructionInfo& instruction : engine.instructions()) {
    layers.push_back({{"Name", instruction.name},
                      {"LayerType", instruction.op},
                      {"Description", instruction.text}});
  }
  Json bindings = Json::array();
  for (const TensorInfo& info : engine.inputs()) bindings.push_back(info.name);
  for (const TensorInfo& info : engine.outputs()) bindings.push_back(info.name);
  return {{"Layers", std::move(layers)}, {"Bindings", std::move(bindings)}};
}

}  // namespace cleave::cli
