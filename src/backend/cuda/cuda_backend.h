// GPUs as a backend.
#pragma once

#include "backend/backend.h"
#include "comm/nccl/nccl_group.h"

namespace cleave::backend {

// `can_reach` says which devices reach each other's memory; tests deny it.
std::shared_ptr<const Backend> make_cuda_backend(CanReach can_reach = cuda_can_reach);

}  // namespace cleave::backend
