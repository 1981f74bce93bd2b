#include "backend/cpu/normalise_rows.h"

namespace cleave::backend {

std::vector<std::shared_ptr<const Kernel>> make_rms_norm_cpu() {
  return {make_normalisation("rms_norm", "rms_norm.rows", false)};
}

}  // namespace cleave::backend
