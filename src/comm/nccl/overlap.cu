#include "comm/nccl/overlap.cuh"

namespace cleave::nccl {
namespace {

__global__ void waiting_kernel() { await_stream(); }

}  // namespace

bool code_overlaps() {
  int device = 0;
  int major = 0;
  cuda_check(cudaGetDevice(&device), "asking for the current device");
  cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
             "asking for the device's properties");
  if (major < 9) return false;
  // All device code of this folder is compiled for the same architectures.
  cudaFuncAttributes attributes;
  cuda_check(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(waiting_kernel)),
             "loading device code");
  return attributes.ptxVersion >= 90;
}

}  // namespace cleave::nccl
