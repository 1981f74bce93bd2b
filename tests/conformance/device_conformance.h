// What every Device must do. A backend instantiates the suite with a function that makes a device
// with a memory limit in bytes (0: none):
//   INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance, testing::Values(...));
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/device.h"
#include "base/thread_pool.h"
#include "cleave/error.h"

namespace cleave::backend {

struct DeviceUnderTest {
  std::string name;
  std::function<std::unique_ptr<Device>(int64_t memory_limit)> make;
};

class DeviceConformance : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  std::unique_ptr<Device> device(int64_t memory_limit = 0) { return GetParam().make(memory_limit); }
};

TEST_P(DeviceConformance, IsNamedAfterItsBackend) {
  const auto it = device();
  EXPECT_EQ(it->name().find(std::string(it->backend()) + ":"), 0u);
  EXPECT_GE(it->threads(), 1);
  EXPECT_EQ(it->pool().threads(), it->threads());
}

TEST_P(DeviceConformance, MemoryIsAlignedZeroedAndSeparate) {
  const auto it = device();
  for (int64_t bytes : {1, 63, 4096, 3 << 20}) {
    const Buffer a = it->allocate(bytes, "a");
    const Buffer b = it->allocate(bytes, "b");
    EXPECT_EQ(a.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
    EXPECT_TRUE(a.data() + bytes <= b.data() || b.data() + bytes <= a.data());
    std::vector<std::byte> host(static_cast<size_t>(bytes), std::byte{1});
    it->copy_to_host(host.data(), a.data(), bytes, it->default_stream());
    it->synchronize(it->default_stream());
    EXPECT_EQ(host, std::vector<std::byte>(static_cast<size_t>(bytes)));
  }
}

TEST_P(DeviceConformance, NoBytesAreAnEmptyBuffer) {
  const auto it = device(1);
  const Buffer empty = it->allocate(0, "nothing");
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_EQ(it->memory().now, 0);
}

TEST_P(DeviceConformance, CopiesInOrder) {
  const auto it = device();
  const StreamHandle stream = it->default_stream();
  std::vector<std::byte> host(5000);
  for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<std::byte>(i * 7);
  const auto size = static_cast<int64_t>(host.size());
  const Buffer a = it->allocate(size, "a");
  const Buffer b = it->allocate(size, "b");
  it->copy_to_device(a.data(), host.data(), size, stream);
  it->copy(b.data(), a.data(), size, stream);
  std::vector<std::byte> back(host.size());
  it->copy_to_host(back.data(), b.data(), size, stream);
  it->synchronize(stream);
  EXPECT_EQ(back, host);
  it->copy(nullptr, nullptr, 0, stream);
}

TEST_P(DeviceConformance, AccountsForItsMemory) {
  const auto it = device();
  {
    Buffer a = it->allocate(1000, "a");
    const Buffer b = it->allocate(3 << 20, "b");
    EXPECT_EQ(it->memory().now, 1000 + (3 << 20));
    Buffer moved = std::move(a);
    EXPECT_EQ(moved.bytes(), 1000);
    EXPECT_EQ(it->memory().now, 1000 + (3 << 20));
    moved = Buffer();
    EXPECT_EQ(it->memory().now, 3 << 20);
  }
  EXPECT_EQ(it->memory().now, 0);
  EXPECT_EQ(it->memory().peak, 1000 + (3 << 20));
  it->reset_peak();
  EXPECT_EQ(it->memory().peak, 0);
}

TEST_P(DeviceConformance, ItsLimitHoldsAndTheErrorSaysWhatNeededHowMuch) {
  const auto it = device(2 << 20);
  const Buffer a = it->allocate(1 << 20, "the arena");
  try {
    it->allocate((1 << 20) + 1, "the packed weight w");
    FAIL() << "memory over the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_NE(error.message().find("the packed weight w"), std::string::npos) << error.what();
    EXPECT_NE(error.message().find("1.0 MiB"), std::string::npos) << error.what();
    EXPECT_NE(error.message().find(it->name()), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_EQ(it->memory().now, 1 << 20);
  const Buffer rest = it->allocate(1 << 20, "the rest");
  it->set_memory_limit(0);
  const Buffer more = it->allocate(1 << 20, "more");
}

TEST_P(DeviceConformance, WhatTheMachineHasNotGotIsAnError) {
  const auto it = device();
  try {
    it->allocate(int64_t{1} << 60, "an exabyte");
    FAIL() << "an exabyte was there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
  EXPECT_EQ(it->memory().now, 0);
}

}  // namespace cleave::backend
