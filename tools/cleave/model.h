// From the file that a command is given to a network, or an engine.
#pragma once

#include <filesystem>

#include "cleave/engine.h"
#include "cleave/network.h"
#include "options.h"

namespace cleave::cli {

// By its first bytes, or its name where it has none such. Error(kInvalid) where it cannot be read.
bool is_engine_file(const std::filesystem::path& path);

// A network and what it is to be built with; every input's shape is settled.
struct Model {
  Network network;
  BuilderConfig config;
};

// Reads the model. Its dynamic dimensions are settled by --minShapes and its fellows, else by
// --shapes, else by `input_shapes` (those of the inputs that were given); what nothing settles is
// 1, with a warning that shows the option to write.
Model load_model(const std::filesystem::path& path, const BuildOptions& options,
                 const DeviceList& devices, const LogSink& log,
                 const NamedShapes& input_shapes = {});

// Those that an engine is for, from the first on.
DeviceList devices_of(const Engine& engine);

// Error(kUsage) unless as many devices are given as the engine runs on.
void check_devices(const Engine& engine, const DeviceList& devices);

}  // namespace cleave::cli
