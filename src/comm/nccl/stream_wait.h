// Waiting for a stream in a way that can be given up.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <functional>

namespace cleave::nccl {

// Waits until all that was put on the stream is done: true; or until `stop` says so or `limit` has
// passed (zero: never): false. It asks without a break for the first 2 ms, which is as long as many
// a run takes, and then about every 20 us. Error(kDevice) where the device fails.
bool poll_stream(cudaStream_t stream, std::chrono::milliseconds limit,
                 const std::function<bool()>& stop);

}  // namespace cleave::nccl
