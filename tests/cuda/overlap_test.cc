// Kernels that are started while the one before still runs: order is kept.
#include "backend/cuda/overlap.h"

#include <gtest/gtest.h>

#include "backend/cuda/launch.h"
#include "backend/cuda/modules.h"
#include "tests/cuda/recorded.h"

namespace cleave::backend {
namespace {

using conformance::Graph;
using conformance::GuardedMemory;
using conformance::require;
using conformance::Stream;

constexpr int kElements = 64 * 1024;
constexpr int kThreads = 256;

// y[i] = x[j] + 1, where j is another block's; later blocks take longer.
constexpr const char* kSource = R"(
extern "C" __global__ void __launch_bounds__(256)
    add_one(const int elements, const int* x, int* y) {
  const long long start = clock64();
  while (clock64() - start < blockIdx.x * 10) {
  }
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = x[(i + 4099) % elements] + 1;
}
)";

class Overlap : public testing::Test {
 protected:
  void SetUp() override {
    if (conformance::gpus() == 0) GTEST_SKIP() << "this machine has no GPU";
  }
};

TEST_F(Overlap, AChainOfKernelsCountsDirectlyAndRecorded) {
  const Stream stream(0);
  int major = 0;
  int minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  Modules modules(major * 10 + minor, {});
  const cudaKernel_t kernel = modules.get(kSource, "add_one");
  const std::vector<int> zeros(kElements, 0);
  GuardedMemory first;
  GuardedMemory second;
  first.fill(zeros.data(), kElements * 4, 0, stream.get());
  second.fill(zeros.data(), kElements * 4, 0, stream.get());
  const int elements = kElements;
  const auto add_one = [&](const GuardedMemory& from, const GuardedMemory& to) {
    const void* x = from.data();
    void* y = to.data();
    launch_kernel(kernel, {kElements / kThreads, kThreads, 0}, {stream.get()}, {&elements, &x, &y});
  };
  // Other work of the stream between kernels, too.
  const auto chain = [&] {
    for (int i = 0; i < 20; ++i) {
      add_one(first, second);
      add_one(second, first);
    }
    require(cudaMemcpyAsync(second.data(), first.data(), kElements * 4, cudaMemcpyDeviceToDevice,
                            stream.get()));
    add_one(second, first);
    require(cudaMemsetAsync(second.data(), 0, kElements * 4, stream.get()));
  };
  chain();
  Graph graph(stream.get(), chain);
  for (int replay = 0; replay < 20; ++replay) graph.replay(stream.get());
  std::vector<int> counts(kElements);
  require(cudaMemcpyAsync(counts.data(), first.data(), kElements * 4, cudaMemcpyDeviceToHost,
                          stream.get()));
  require(cudaStreamSynchronize(stream.get()));
  EXPECT_EQ(counts, std::vector<int>(kElements, 21 * 41));
  EXPECT_TRUE(first.intact(stream.get()));
  EXPECT_TRUE(second.intact(stream.get()));
}

}  // namespace
}  // namespace cleave::backend
