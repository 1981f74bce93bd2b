// How the operands of a rotary embedding are walked, whatever kernel carries it out.
#pragma once

#include "backend/index_space.h"

namespace cleave::backend {

// All dimensions of x but the last, with the operands cos, sin, x, y.
IndexSpace rotary_rows(const KernelProblem& problem);

}  // namespace cleave::backend
