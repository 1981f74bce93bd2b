// What is said where the driver does not serve. CUDA loads one when it is loaded itself, so each
// test is a process of its own, which finds a stub in a driver's place.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "backend/cuda/cuda_device.h"
#include "cleave/error.h"

namespace cleave::backend {
namespace {

// Prints the error of making a device and ends the process.
[[noreturn]] void make_device() {
  try {
    make_cuda_device({.index = 0}, nullptr);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s", error.what());
    std::exit(error.code() == ErrorCode::kDevice && !error.hint().empty() ? 0 : 1);
  }
  std::exit(2);
}

// Processes that are started while it lives find the driver.
class StubDriver {
 public:
  explicit StubDriver(const std::string& name) {
    if (const char* path = std::getenv(kPath)) before_ = path;
    const std::string folder = std::string(CLEAVE_BINARY_DIR "/stub_drivers/") + name;
    ::setenv(kPath, (folder + (before_ ? ":" + *before_ : "")).c_str(), 1);
  }
  ~StubDriver() {
    if (before_) {
      ::setenv(kPath, before_->c_str(), 1);
    } else {
      ::unsetenv(kPath);
    }
  }
  StubDriver(const StubDriver&) = delete;
  StubDriver& operator=(const StubDriver&) = delete;

 private:
  static constexpr const char* kPath = "LD_LIBRARY_PATH";
  std::optional<std::string> before_;
};

class CudaDriverDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(CudaDriverDeathTest, ThatIsTooOldIsNamedWithWhatIsNeeded) {
  const StubDriver driver("old");
  EXPECT_EXIT(make_device(), testing::ExitedWithCode(0),
              "driver is too old: it is for CUDA 11.4, this build needs 1[0-9]\\.");
}

TEST_F(CudaDriverDeathTest, WithoutDevicesIsAMachineWithoutGpus) {
  const StubDriver driver("idle");
  EXPECT_EXIT(make_device(), testing::ExitedWithCode(0),
              "there is no cuda:0: this machine has 0 GPU");
}

}  // namespace
}  // namespace cleave::backend
