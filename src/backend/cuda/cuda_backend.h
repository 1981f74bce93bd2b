// GPUs as a backend.
#pragma once

#include "backend/backend.h"

namespace cleave::backend {

std::shared_ptr<const Backend> make_cuda_backend();

}  // namespace cleave::backend
