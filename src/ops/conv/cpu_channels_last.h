// "conv.channels_last" and "conv.depthwise_channels_last": float32 convolutions of images whose
// channels lie innermost in memory.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

// Scratch memory of all threads together (capabilities_cpu.cc).
inline constexpr int64_t kConvWorkspaceBytes = int64_t{8} << 20;

std::optional<std::string> refuses_channels_last(const KernelProblem& problem);

std::shared_ptr<const Kernel> make_channels_last_conv();
std::shared_ptr<const Kernel> make_channels_last_depthwise_conv();

}  // namespace cleave::backend
