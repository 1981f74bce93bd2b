#include "backend/cuda/normalise_rows.h"

namespace cleave::backend {

std::vector<std::shared_ptr<const Kernel>> make_rms_norm_cuda() {
  return {make_cuda_normalisation("rms_norm", "rms_norm.rows", false)};
}

}  // namespace cleave::backend
