// The backends of this build, by name.
#pragma once

#include <memory>
#include <string_view>

#include "backend/backend.h"

namespace cleave::runtime {

// "cpu", or "cuda": that one is a library of its own (libcleave_cuda.so), which is loaded when it
// is first asked for and stays, so that who has no GPU does not wait for GPU libraries.
// Error(kDevice) where it was not built, its libraries are missing, or there is no driver.
std::shared_ptr<const backend::Backend> find_backend(std::string_view name);

// The same for what takes no devices: there need be no driver.
std::shared_ptr<const backend::Backend> find_backend_without_devices(std::string_view name);

// How many CUDA devices can be used; 0 for whatever reason there is none.
int cuda_device_count();

}  // namespace cleave::runtime
