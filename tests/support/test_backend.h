// The backend that tests run on.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "cleave/device_list.h"
#include "runtime/backends.h"

namespace cleave::backend {

// That of CLEAVE_TEST_BACKEND, else the CPU: the tests of ops and plans are the same for all.
inline const Backend& test_backend() {
  static const std::shared_ptr<const Backend> kBackend = [] {
    const char* name = std::getenv("CLEAVE_TEST_BACKEND");
    return runtime::find_backend(name != nullptr ? name : "cpu");
  }();
  return *kBackend;
}

// Its devices 0 to ranks - 1.
inline DeviceList test_devices(int64_t ranks) {
  const std::string name(test_backend().name());
  return DeviceList::parse(name + ":0-" + std::to_string(ranks - 1));
}

// How many ranks tests may ask for: of the CPU any number, elsewhere as many as there are devices.
inline int64_t most_test_ranks(int64_t wanted) {
  if (test_backend().name() == "cpu") return wanted;
  return std::min<int64_t>(wanted, test_backend().device_count());
}

}  // namespace cleave::backend
