// An engine's program as text, for people and golden tests.
#pragma once

#include <string>

#include "program/program.h"

namespace cleave::program {

// "arena+128 f32[batch, 64]", "weight 3 f32[64, 32] strides [1, 64]", "none".
std::string text_of(const Operand& operand, const EngineData& data);
// "hidden shard(1, 384/32)"
std::string text_of(const ModelTensor& tensor);
// One line, without a newline.
std::string text_of(const Instruction& instruction, const EngineData& data);
// Inputs, outputs, weights and all programs, one thing a line; the plan is left out.
std::string text_of(const EngineData& data);

}  // namespace cleave::program
