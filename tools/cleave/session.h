// Session: what `run` and `bench` work with, an engine on its devices and the inputs of a run.
#pragma once

#include <string>

#include "cleave/runtime.h"
#include "inputs.h"
#include "model.h"
#include "options.h"

namespace cleave::cli {

struct SessionOptions {
  std::string target;  // an engine or a model
  DeviceOptions devices;
  BuildOptions build;
  InputOptions inputs;
  TuningOptions tuning;
  LogOptions log;

  void add(CLI::App& app, const char* target_help);
};

struct Session {
  Engine engine;
  DeviceList devices;
  TensorMap inputs;
};

// Loads the engine, or builds it from the model in memory. An engine runs on as many CPU devices as
// it was built for where none are given.
// `timings`: what --timingCacheFile holds; with --tune, what planning has timed is added.
Session open_session(const SessionOptions& options, TimingCache& timings);

// Reads --inputs; nameless tensors get the model's or engine's names.
TensorMap read_inputs(const SessionOptions& options);

// `timings`: what --timingCacheFile holds.
RuntimeOptions runtime_options(const SessionOptions& options, TimingCache timings);

// As runtime_options, for the model whole on one of `devices` devices: with that one's share of
// the cores. --memory does not hold for it: the host's memory serves.
RuntimeOptions unsplit_runtime_options(const SessionOptions& options, TimingCache timings,
                                       size_t devices);

}  // namespace cleave::cli
