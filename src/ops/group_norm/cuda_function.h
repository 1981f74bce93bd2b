// The function behind a group norm that runs in its kernel.
#pragma once

#include <optional>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

// Why a problem is not one of x, scale and bias, with no more than a function of each result.
std::optional<std::string> refuse_group_norm(const KernelProblem& problem);

// The device code of `finish`, which carries out that function.
std::string finish_source(const KernelProblem& problem);

}  // namespace cleave::backend
