// What layer_norm and rms_norm are made from: an op that normalises the last dimensions of its
// first operand; the others (scale, bias) run along those.
#pragma once

#include <memory>
#include <string_view>

#include "ops/definition.h"

namespace cleave::ops {

enum class Normalised {
  kCentred,     // (x - mean) / sqrt(variance + epsilon) · scale + bias
  kRootSquare,  // x / sqrt(mean of x² + epsilon) · scale
};

std::shared_ptr<const OpDefinition> make_normalisation(std::string_view name, Normalised how);

}  // namespace cleave::ops
