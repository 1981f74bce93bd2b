#include "backend/cuda/cuda_device.h"

#include "tests/conformance/device_conformance.h"
#include "tests/cuda/gpus.h"

namespace cleave::backend {
namespace {

std::unique_ptr<Device> first_gpu(int64_t limit) {
  int major = 0;
  int minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  auto modules = std::make_shared<Modules>(major * 10 + minor, module_cache_folder());
  return make_cuda_device({.index = 0, .memory_limit = limit}, std::move(modules));
}

// None where there is no GPU, as the suite makes devices without asking.
std::vector<DeviceUnderTest> devices() {
  if (conformance::gpus() == 0) return {};
  return {{"first", first_gpu}};
}

INSTANTIATE_TEST_SUITE_P(Cuda, DeviceConformance, testing::ValuesIn(devices()),
                         [](const auto& info) { return info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceConformance);

// The suite sees that its bits are right; here, that the host need not make it.
TEST(CudaDevice, MakesNoiseItself) {
  if (conformance::gpus() == 0) GTEST_SKIP() << "no GPU";
  const auto gpu = first_gpu(0);
  const int64_t shape[] = {64, 32};
  const Noise columns = {{DType::kFloat32, DType::kFloat16},
                         {{.begin = {0, 0}, .extent = {64, 20}, .seed = 1, .strides = {1, 64}},
                          {.begin = {0, 20}, .extent = {64, 12}, .seed = 2, .strides = {12, 1}}}};
  const Buffer buffer = gpu->allocate(64 * 32 * 2, "noise");
  EXPECT_TRUE(gpu->make_noise(columns, shape, buffer.data(), gpu->default_stream()));
  gpu->synchronize(gpu->default_stream());
}

TEST(CudaDevice, IsAnErrorWhereItDoesNotExist) {
  EXPECT_THROW(make_cuda_device({.index = 1000}, nullptr), Error);
}

}  // namespace
}  // namespace cleave::backend
