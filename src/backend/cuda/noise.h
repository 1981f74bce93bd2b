// Noise made on a GPU, to the bit as types/noise.h makes it.
#pragma once

#include <cstdint>
#include <span>

#include "backend/cuda/cuda_device.h"
#include "types/noise.h"

namespace cleave::backend {

// Puts on the stream what makes the dense tensor of this shape at `to`; false, and nothing done,
// where a box lies in more dimensions than device code walks.
bool make_noise_on(CudaDevice& device, const Noise& noise, std::span<const int64_t> shape, void* to,
                   StreamHandle stream);

}  // namespace cleave::backend
