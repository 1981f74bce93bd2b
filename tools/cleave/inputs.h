// The inputs of a run: given in files, filled by rule, or made from a seed.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cleave/engine.h"
#include "cleave/tensor.h"
#include "shapes.h"

namespace cleave::cli {

// --inputs and --fill.
struct InputOptions {
  std::vector<std::string> places;
  std::vector<std::string> fills;

  void add(CLI::App& app);
  // What --inputs gives; see read_tensors. Error(kUsage) for a --fill that is none.
  TensorMap read(const std::function<std::vector<std::string>()>& names) const;
};

NamedShapes shapes_of(const TensorMap& tensors);

// All inputs of the engine: those of `given`, and the others by --fill. Without any given, those
// that no --fill names are noise: floats uniform in [-1, 1); integers and booleans 0 or 1, the
// first along the last axis 1, so that they are legal as token numbers and as masks alike.
// Sizes: of `shapes`, else as the given inputs say, else the profile's usual ones.
//
// Error(kInvalid) for inputs of names or types that the engine does not have, or that are missing;
// Error(kUsage) for shapes and fills of such names.
TensorMap make_inputs(const Engine& engine, const TensorMap& given, const InputOptions& options,
                      const NamedShapes& shapes, uint64_t seed);

}  // namespace cleave::cli
