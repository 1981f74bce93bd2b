#include "backend/cuda/findings.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <nvrtc.h>

#include <fstream>
#include <string>
#ifdef CLEAVE_HAVE_CUDNN
#include <cudnn.h>
#endif

namespace cleave::backend {
namespace {

// 90501 → "9.5.1"
std::string version_text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

// 13010 → "13.1"
std::string cuda_version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string driver() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) {
    return "missing: NVIDIA's driver is not installed";
  }
  std::string module;
  std::ifstream("/sys/module/nvidia/version") >> module;
  return (module.empty() ? "" : module + ", ") + "for CUDA up to " + cuda_version_text(version);
}

std::vector<Finding> libraries() {
  std::vector<Finding> found;
  int version = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) {
    found.emplace_back("CUDA", cuda_version_text(version));
  }
  int major = 0;
  int minor = 0;
  if (nvrtcVersion(&major, &minor) == NVRTC_SUCCESS) {
    found.emplace_back("NVRTC", std::to_string(major) + "." + std::to_string(minor));
  }
  found.emplace_back("cuBLASLt", version_text(static_cast<int>(cublasLtGetVersion())));
#ifdef CLEAVE_HAVE_CUDNN
  found.emplace_back("cuDNN", version_text(static_cast<int>(cudnnGetVersion())));
#else
  found.emplace_back("cuDNN", "not used: this build has convolutions of its own alone");
#endif
  if (ncclGetVersion(&version) == ncclSuccess) {
    found.emplace_back("NCCL", version_text(version));
  }
  return found;
}

// ", reaches cuda:1 (NVLink), cuda:2 (PCIe)". Only NVLink carries atomic operations.
std::string peers_of(int device, int count) {
  std::string peers;
  for (int other = 0; other < count; ++other) {
    int reachable = 0;
    if (other == device || cudaDeviceCanAccessPeer(&reachable, device, other) != cudaSuccess ||
        reachable == 0) {
      continue;
    }
    int atomics = 0;
    cudaDeviceGetP2PAttribute(&atomics, cudaDevP2PAttrNativeAtomicSupported, device, other);
    peers += (peers.empty() ? ", reaches cuda:" : ", cuda:") + std::to_string(other) +
             (atomics != 0 ? " (NVLink)" : " (PCIe)");
  }
  if (count > 1 && peers.empty()) return ", reaches no peer";
  return peers;
}

std::string device(int index, int count) {
  cudaDeviceProp properties = {};
  if (cudaGetDeviceProperties(&properties, index) != cudaSuccess) return "does not answer";
  return std::string(properties.name) + ", " + std::to_string(properties.totalGlobalMem >> 20) +
         " MiB, " + std::to_string(properties.multiProcessorCount) +
         " multiprocessors, compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor) + peers_of(index, count);
}

}  // namespace

std::vector<Finding> cuda_findings() {
  std::vector<Finding> found = {{"driver", driver()}};
  for (Finding& library : libraries()) found.push_back(std::move(library));
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  for (int i = 0; i < count; ++i) {
    found.emplace_back("cuda:" + std::to_string(i), device(i, count));
  }
  cudaGetLastError();  // a machine without GPUs is none that fails
  return found;
}

}  // namespace cleave::backend
