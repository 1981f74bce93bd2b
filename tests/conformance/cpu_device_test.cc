#include "backend/cpu/cpu_device.h"

#include "base/wait_word.h"
#include "tests/conformance/device_conformance.h"

namespace cleave::backend {
namespace {

DeviceUnderTest cpu(std::string name, int threads) {
  return {std::move(name), [threads](int64_t limit) {
            return make_cpu_device({.threads = threads, .memory_limit = limit});
          }};
}

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance, testing::Values(cpu("one", 1), cpu("three", 3)),
                         [](const auto& info) { return info.param.name; });

TEST(CpuDevice, SharesTheCoresAndHasAtLeastOneThread) {
  EXPECT_EQ(make_cpu_device({.devices = 1})->threads(), available_cores());
  EXPECT_EQ(make_cpu_device({.devices = 100000})->threads(), 1);
  EXPECT_EQ(make_cpu_device({.index = 3})->name(), "cpu:3");
}

}  // namespace
}  // namespace cleave::backend
