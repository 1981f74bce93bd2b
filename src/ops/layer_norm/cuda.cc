#include "backend/cuda/normalise_rows.h"

namespace cleave::backend {

std::vector<std::shared_ptr<const Kernel>> make_layer_norm_cuda() {
  return {make_cuda_normalisation("layer_norm", "layer_norm.rows", true)};
}

}  // namespace cleave::backend
