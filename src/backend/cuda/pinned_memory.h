// Page-locked memory of the host, from and to which GPUs copy by themselves.
#pragma once

#include <memory>

#include "backend/host_memory.h"

namespace cleave::backend {

// Of the process: all GPUs reach it. It stays for ever, since tensors may outlive all else.
// `index`: a device that is in use.
std::shared_ptr<HostMemory> pinned_memory(int index);

}  // namespace cleave::backend
