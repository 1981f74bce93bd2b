// layer_norm: the last dimensions brought to mean 0 and variance 1, then scaled and shifted.
#include "ops/layer_norm/normalisation.h"

namespace cleave::ops {

std::vector<std::shared_ptr<const OpDefinition>> make_layer_norm() {
  return {make_normalisation("layer_norm", Normalised::kCentred)};
}

}  // namespace cleave::ops
