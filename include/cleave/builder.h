// Building: from a network to an engine for N devices.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cleave/device_list.h"
#include "cleave/engine.h"
#include "cleave/network.h"
#include "cleave/timing_cache.h"

namespace cleave {

// Lower precisions that the build may use. The CPU stores weights in half ones and computes in
// float32. TF32: on GPUs, float32 products and convolutions may round their operands to it.
enum class Precision { kFP16, kBF16, kTF32 };

// The sizes of one input that an engine is made for.
struct InputProfile {
  std::string name;
  std::vector<int64_t> min;
  std::vector<int64_t> opt;
  std::vector<int64_t> max;
};

struct BuilderConfig {
  DeviceList devices = DeviceList::cpu(1);
  std::set<Precision> precision;
  // Bytes that a device may use; 0: no limit.
  int64_t memory_limit = 0;
  // Dynamic dimensions that no profile names are taken as 1, with a warning.
  std::vector<InputProfile> profile;
  // A machine model as `cleave measure` writes it; empty: the built-in one.
  std::filesystem::path machine;
  // Where set, planning times large convolutions of its choices on the first of the devices, which
  // must be there, in place of reading them off the machine model; what is known is taken from
  // here, and what is timed is added. The same times give the same plan. CPU devices are not timed.
  std::shared_ptr<TimingCache> planned_times = {};
  // Strategies that nodes must have, and a plan (JSON as `cleave plan --json` writes it) to follow.
  std::vector<std::pair<std::string, std::string>> pins;
  std::filesystem::path plan;
  LogSink log;
};

// The plan as a report; what `cleave plan` shows.
struct PlanReport {
  std::string json;   // interface: see the documentation of `cleave plan --json`
  std::string table;  // for a terminal of 80 columns
};

// Plans without reading weights.
PlanReport plan(const Network& network, const BuilderConfig& config);

// The strategies of one node with what the whole plan would cost with each, as text.
std::string explain(const Network& network, const BuilderConfig& config, const std::string& node);

// Compiles. Weights are read when the engine is saved or loaded by a runtime.
Engine build(const Network& network, const BuilderConfig& config);

// The network whole on the first of `config.devices`, with times predicted as if the others were at
// work too: what a split is compared with. Pins, plan, memory limit and log are for the split and
// are left out.
Engine build_unsplit(const Network& network, const BuilderConfig& config);

}  // namespace cleave
