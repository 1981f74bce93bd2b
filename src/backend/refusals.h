// Refusals that several kernels share, whatever their backend; nothing where the problem passes.
#pragma once

#include <optional>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

std::optional<std::string> refuse_operands(const KernelProblem& problem, size_t least, size_t most);
// Any operand that is there but not dense, by position.
std::optional<std::string> refuse_strides(const KernelProblem& problem);
// The format of images in which all operands and results are dense; none where there is no such.
std::optional<Format> common_format(const KernelProblem& problem);
// What a kernel of `operands` dense operands, data and indices first, does not take.
std::optional<std::string> refuse_indexing(const KernelProblem& problem, size_t operands);
// What a normalisation by groups, with a scale and a bias of one type with it, does not take; where
// the operands lie is not looked at.
std::optional<std::string> refuse_group_normalisation(const KernelProblem& problem);
// What a normalisation of the last `axes` dimensions, with an optional scale and bias, does not
// take.
std::optional<std::string> refuse_normalisation(const KernelProblem& problem);

}  // namespace cleave::backend
