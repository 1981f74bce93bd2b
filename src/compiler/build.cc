// The public face of the compiler.
#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>

#include "base/log.h"
#include "cleave/builder.h"
#include "compiler/compile.h"
#include "compiler/plan_json.h"
#include "partition/partition.h"
#include "runtime/engine_impl.h"

namespace cleave {
namespace {

// The constants of a compiled network, read from the model box by box.
class ModelWeights final : public program::WeightSource {
 public:
  ModelWeights(std::shared_ptr<const NetworkImpl> network, std::vector<ir::Value> values)
      : network_(std::move(network)), values_(std::move(values)) {}

  std::vector<uint64_t> pieces(size_t weight, int64_t rank) const override {
    const std::shared_ptr<const Share> share = share_of(weight, rank);
    std::vector<uint64_t> sizes;
    for (const ir::Box& box : share->boxes) {
      uint64_t size = size_of(share->recipe->dtype());
      for (const int64_t extent : box.extent) size *= static_cast<uint64_t>(extent);
      sizes.push_back(size);
    }
    return sizes;
  }
  void read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const override {
    const std::shared_ptr<const Share> share = share_of(weight, rank);
    share->recipe->read(share->boxes.at(piece), into);
  }

 private:
  // What a rank holds of a weight, and the boxes that it is read by.
  struct Share {
    size_t weight;
    ir::RecipePtr recipe;
    std::vector<ir::Box> boxes;
  };

  // A rank reads one weight after the other, all pieces of each: its last share is kept.
  std::shared_ptr<const Share> share_of(size_t weight, int64_t rank) const {
    const std::lock_guard lock(mutex_);
    auto& last = last_[rank];
    if (last == nullptr || last->weight != weight) {
      const ir::RecipePtr recipe = values_.at(weight).held({{std::string(kRankSymbol), rank}});
      const auto most = static_cast<int64_t>(program::kPieceBytes / size_of(recipe->dtype()));
      last = std::make_shared<const Share>(
          Share{weight, recipe, ir::boxes_in_order(recipe->shape(), most)});
    }
    return last;
  }

  std::shared_ptr<const NetworkImpl> network_;  // keeps the sources alive
  std::vector<ir::Value> values_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::shared_ptr<const Share>> last_;  // by rank
};

}  // namespace

PlanReport plan(const Network& network, const BuilderConfig& config) {
  const compiler::Compilation compilation = compiler::compile(*network.impl(), config);
  return {compiler::plan_json(compilation, compiler::PlanningTime::kShown),
          compiler::plan_table(compilation)};
}

std::string explain(const Network& network, const BuilderConfig& config, const std::string& node) {
  const compiler::PlanningInput input = compiler::prepare(*network.impl(), config);
  auto costs = planner::explain(input.graph, network.impl()->registry, *input.capabilities,
                                input.machine, input.options, node);
  std::stable_sort(costs.begin(), costs.end(),
                   [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string out = "strategies of " + node + ", with the cost of the best plan that has each:\n";
  for (const auto& [strategy, us] : costs) {
    char line[256];
    if (us == costs[0].second) {
      std::snprintf(line, sizeof line, "%-28s %12.1f us\n", strategy.c_str(), us);
    } else {
      std::snprintf(line, sizeof line, "%-28s %12.1f us  lost by %.1f us\n", strategy.c_str(), us,
                    us - costs[0].second);
    }
    out += line;
  }
  return out;
}

Engine compiler::build(const std::shared_ptr<const NetworkImpl>& network,
                       const BuilderConfig& config, const Overrides& overrides) {
  Compilation compilation = compile(*network, config, overrides);
  std::vector<ir::Value> values;
  for (ir::ValueId id : compilation.lowered.weights) {
    values.push_back(compilation.local.value(id));
  }
  return make_engine(std::move(compilation.data),
                     std::make_shared<ModelWeights>(network, std::move(values)));
}

Engine build(const Network& network, const BuilderConfig& config) {
  return compiler::build(network.impl(), config);
}

Engine build_unsplit(const Network& network, const BuilderConfig& config) {
  BuilderConfig whole = config;
  whole.devices = DeviceList::parse(config.devices[0].text());
  whole.memory_limit = 0;
  whole.pins.clear();
  whole.plan.clear();
  whole.log = {};
  compiler::Overrides overrides;
  overrides.devices_at_work = static_cast<int64_t>(config.devices.size());
  return compiler::build(network.impl(), whole, overrides);
}

}  // namespace cleave
