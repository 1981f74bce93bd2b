#include "backend/cuda/cuda_device.h"

#include "tests/conformance/device_conformance.h"
#include "tests/cuda/gpus.h"

namespace cleave::backend {
namespace {

// None where there is no GPU, as the suite makes devices without asking.
std::vector<DeviceUnderTest> devices() {
  if (conformance::gpus() == 0) return {};
  return {{"first", [](int64_t limit) -> std::unique_ptr<Device> {
             int major = 0;
             int minor = 0;
             cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
             cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
             auto modules = std::make_shared<Modules>(major * 10 + minor, module_cache_folder());
             return make_cuda_device({.index = 0, .memory_limit = limit}, std::move(modules));
           }}};
}

INSTANTIATE_TEST_SUITE_P(Cuda, DeviceConformance, testing::ValuesIn(devices()),
                         [](const auto& info) { return info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceConformance);

TEST(CudaDevice, IsAnErrorWhereItDoesNotExist) {
  EXPECT_THROW(make_cuda_device({.index = 1000}, nullptr), Error);
}

}  // namespace
}  // namespace cleave::backend
