// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cleave/builder.h"
#include "cleave/device_list.h"
#include "cleave/network.h"
#include "cleave/timing_cache.h"
#include "output.h"
#include "shapes.h"

namespace cleave::cli {

// An option that may be repeated, one value each time.
CLI::Option* add_repeatable(CLI::App& app, const std::string& name,
                            std::vector<std::string>& values, const std::string& description);

struct LogOptions {
  bool quiet = false;
  bool verbose = false;

  void add(CLI::App& app);
  Verbosity verbosity() const;
  LogSink sink() const { return make_log(verbosity()); }
  // A line about what is being done, unless quiet.
  void progress(const std::string& line) const;
};

// --timingCacheFile and --tune: which kernels run.
struct TuningOptions {
  std::string file;
  bool tune = false;

  void add(CLI::App& app);
  // The file's content where it is there, else empty. With --tune makes sure, before anything else
  // takes its time, that the file can be written. Error(kInvalid).
  TimingCache read(const LogSink& log) const;
  // Before a build: with --tune planning times what it chooses from, and takes what `timings` knows
  // of that. After it: they are what is known then.
  void plan_with(TimingCache timings, BuilderConfig& config) const;
  static TimingCache planned(const BuilderConfig& config, TimingCache timings);
  // After --tune: writes the file, where one is named.
  void write(const TimingCache& cache) const;
};

// --devices and --mesh. The environment variable CLEAVE_DEVICES is the default of --devices.
struct DeviceOptions {
  std::string devices;
  std::string mesh;

  void add(CLI::App& app);
  // Those given, by option or environment; else `otherwise`, or those of this machine. Where
  // `counted` names a backend, a number alone is how many of it. Error(kUsage) also for a mesh that
  // does not fit.
  DeviceList list(const std::optional<DeviceList>& otherwise = {},
                  const std::string& counted = {}) const;
};

// What a build is made by.
struct BuildOptions {
  std::string machine;
  bool fp16 = false;
  bool bf16 = false;
  bool tf32 = false;
  std::string memory;
  std::string shapes;
  std::vector<std::string> min_shapes;
  std::vector<std::string> opt_shapes;
  std::vector<std::string> max_shapes;
  std::vector<std::string> pins;
  std::string plan;
  bool random_weights = false;
  uint64_t seed = 0;

  void add(CLI::App& app);
  // --shapes, --minShapes, --optShapes, --maxShapes: also trtexec's.
  void add_shapes(CLI::App& app);

  NamedShapes static_shapes() const;
  // Error(kUsage) where min, opt and max do not name the same inputs; what is left out is taken
  // from what is given. Error(kUnsupported) for more than one profile.
  std::vector<InputProfile> profile() const;
  int64_t memory_limit() const;  // 0: none
  // Of the devices that --machine is of; empty where none is given.
  std::string machine_backend() const;
  // Without the profile.
  BuilderConfig config(const DeviceList& devices, LogSink log) const;
};

}  // namespace cleave::cli
