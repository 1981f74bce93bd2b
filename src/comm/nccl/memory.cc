#include "comm/nccl/memory.h"

#include <algorithm>

#include "comm/nccl/check.h"

namespace cleave::nccl {
namespace {

constexpr int64_t kLeastStaging = int64_t{1} << 20;

}  // namespace

DeviceMemory::DeviceMemory(int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const RecordingPause pause;
  const cudaError_t status = cudaMalloc(&data_, static_cast<size_t>(bytes));
  if (status == cudaSuccess) return;
  cudaGetLastError();  // the next call is not to blame
  if (status == cudaErrorMemoryAllocation) {
    throw out_of_device_memory("communication between devices", bytes);
  }
  cuda_check(status, "allocating memory for collectives");
}

PrivateStream::PrivateStream() {
  cuda_check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
}

std::byte* Staging::get(int64_t bytes) {
  if (bytes == 0) return nullptr;
  if (blocks_.empty() || blocks_.back().bytes() < bytes) {
    // At least twice what it was, so that what is kept besides is no more than what is used.
    const int64_t doubled = blocks_.empty() ? 0 : 2 * blocks_.back().bytes();
    blocks_.emplace_back(std::max({bytes, doubled, kLeastStaging}));
  }
  return blocks_.back().data();
}

DeviceMemory upload(const std::vector<CopyRuns>& entries) {
  const auto bytes = static_cast<int64_t>(entries.size() * sizeof(CopyRuns));
  DeviceMemory memory(bytes);
  const RecordingPause pause;
  const PrivateStream stream;
  cuda_check(cudaMemcpyAsync(memory.data(), entries.data(), static_cast<size_t>(bytes),
                             cudaMemcpyHostToDevice, stream.get()),
             "copying a table to the device");
  cuda_check(cudaStreamSynchronize(stream.get()), "copying a table to the device");
  return memory;
}

}  // namespace cleave::nccl
