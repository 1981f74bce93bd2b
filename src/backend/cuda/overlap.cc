#include "backend/cuda/overlap.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string_view>

#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

constexpr std::string_view kKernel = "__global__";
constexpr std::string_view kWait = " await_stream();";
constexpr int kLeastMajor = 9;

// Where the body of the function that is declared at `at` opens.
size_t body_of(std::string_view source, size_t at) {
  int parentheses = 0;
  for (; at < source.size(); ++at) {
    if (source[at] == '(') ++parentheses;
    if (source[at] == ')') --parentheses;
    if (source[at] == '{' && parentheses == 0) break;
  }
  return at;
}

// For measurements of what it brings.
bool is_wanted() {
  static const bool kWanted = [] {
    const char* set = std::getenv("CLEAVE_OVERLAP");
    return set == nullptr || std::string_view(set) != "0";
  }();
  return kWanted;
}

}  // namespace

std::string with_waits(std::string source) {
  for (size_t at = source.find(kKernel); at != std::string::npos; at = source.find(kKernel, at)) {
    at = body_of(source, at);
    if (at == source.size()) break;
    source.insert(at + 1, kWait);
  }
  return source;
}

bool kernels_overlap() {
  if (!is_wanted()) return false;
  int device = 0;
  int major = 0;
  cuda_check(cudaGetDevice(&device), "asking for the current device");
  cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
             "asking for the device's properties");
  return major >= kLeastMajor;
}

}  // namespace cleave::backend
