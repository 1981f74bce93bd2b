// rms_norm: the last dimensions divided by their root mean square, then scaled.
#include "ops/layer_norm/normalisation.h"

namespace cleave::ops {

std::vector<std::shared_ptr<const OpDefinition>> make_rms_norm() {
  return {make_normalisation("rms_norm", Normalised::kRootSquare)};
}

}  // namespace cleave::ops
