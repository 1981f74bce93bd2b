// Kernels that a GPU starts while the stream's last one still runs (programmatic dependent launch):
// most of the gap between two kernels goes. Each waits for what is before it ahead of all else, so
// that nothing else changes; kernels before and behind it that know nothing of this may be
// anyone's.
#pragma once

#include <string>

namespace cleave::backend {

// The source with `await_stream()` (device/prelude.cuh) as the first statement of every kernel.
std::string with_waits(std::string source);

// Whether kernels compiled with waits may be started early on the current device: it can do that
// (compute capability 9.0), and CLEAVE_OVERLAP=0 is not set.
bool kernels_overlap();

}  // namespace cleave::backend
