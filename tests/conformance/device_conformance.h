// What every Device must do. A backend instantiates the suite with a function that makes a device
// with a memory limit in bytes (0: none):
//   INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance, testing::Values(...));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "backend/device.h"
#include "backend/host_memory.h"
#include "base/thread_pool.h"
#include "cleave/error.h"

namespace cleave::backend {

struct DeviceUnderTest {
  std::string name;
  std::function<std::unique_ptr<Device>(int64_t memory_limit)> make;

  friend void PrintTo(const DeviceUnderTest& device, std::ostream* out) { *out << device.name; }
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

// Copies in place are under way when the calls return.
TEST_P(DeviceConformance, CopiesFromAndToItsHostMemory) {
  const auto it = device();
  const StreamHandle stream = it->default_stream();
  const std::shared_ptr<HostMemory> memory = it->host_memory();
  if (!memory) GTEST_SKIP() << "it has none";
  for (const int64_t bytes : {1, 5000, 40 << 20}) {
    const auto size = static_cast<size_t>(bytes);
    const auto from = memory->take(size);
    const auto to = memory->take(size);
    ASSERT_TRUE(from && to);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(from.get()) % 64, 0u);
    EXPECT_TRUE(memory->owns(from.get(), size));
    for (size_t i = 0; i < size; ++i) from[i] = static_cast<std::byte>(i * 7 + i / 4096);
    const Buffer on_device = it->allocate(bytes, "a copy");
    it->copy_to_device(on_device.data(), from.get(), bytes, stream);
    it->copy_to_host(to.get(), on_device.data(), bytes, stream);
    it->synchronize(stream);
    EXPECT_EQ(std::memcmp(to.get(), from.get(), size), 0) << bytes;
  }
}

// The host's copy of `bytes` of the device's memory.
inline std::vector<std::byte> fetched(Device& device, const std::byte* data, int64_t bytes) {
  std::vector<std::byte> host(static_cast<size_t>(bytes));
  device.copy_to_host(host.data(), data, bytes, device.default_stream());
  device.synchronize(device.default_stream());
  return host;
}

// Pieces of all sizes, more of them than threads, filled in any order.
TEST_P(DeviceConformance, UploadsWhatTheHostFills) {
  const auto it = device();
  std::vector<int64_t> sizes = {1, 0, 17 << 20, 64, 3, 16 << 20, 1 << 20};
  for (int64_t i = 0; i < 40; ++i) sizes.push_back(i * i * 1001);
  const auto byte = [](size_t piece, size_t at) {
    return static_cast<std::byte>(piece * 31 + at + (at >> 8) * 7);
  };
  int64_t total = 0;
  for (const int64_t size : sizes) total += size;
  const Buffer buffer = it->allocate(total, "pieces");
  for (int round = 0; round < 2; ++round) {
    std::vector<HostPiece> pieces;
    int64_t at = 0;
    for (const int64_t size : sizes) {
      pieces.push_back({buffer.data() + at, size});
      at += size;
    }
    const auto shift = static_cast<size_t>(round);
    it->upload(
        pieces,
        [&](size_t piece, std::span<std::byte> into) {
          ASSERT_EQ(static_cast<int64_t>(into.size()), sizes[piece]);
          for (size_t i = 0; i < into.size(); ++i) into[i] = byte(piece + shift, i);
        },
        it->default_stream());
    const std::vector<std::byte> host = fetched(*it, buffer.data(), total);
    size_t next = 0;
    for (size_t piece = 0; piece < sizes.size(); ++piece) {
      for (size_t i = 0; i < static_cast<size_t>(sizes[piece]); ++i, ++next) {
        ASSERT_EQ(host[next], byte(piece + shift, i)) << piece << ", " << i;
      }
    }
  }
}

TEST_P(DeviceConformance, DownloadsWhatTheStreamHasMade) {
  const auto it = device();
  constexpr int64_t kPiece = 100'003;
  constexpr int64_t kPieces = 37;
  std::vector<std::byte> sent(kPiece * kPieces);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 131 % 251);
  Buffer memory = it->allocate(kPiece * kPieces, "pieces");
  Buffer copy = it->allocate(kPiece * kPieces, "a copy");
  it->copy_to_device(memory.data(), sent.data(), kPiece * kPieces, it->default_stream());
  it->copy(copy.data(), memory.data(), kPiece * kPieces, it->default_stream());
  std::vector<DevicePiece> pieces;
  for (int64_t i = 0; i < kPieces; ++i) pieces.push_back({copy.data() + i * kPiece, kPiece});
  pieces.push_back({copy.data(), 0});
  std::vector<std::byte> got(sent.size());
  std::atomic<int> calls{0};
  it->download(
      pieces,
      [&](size_t piece, std::span<const std::byte> bytes) {
        calls.fetch_add(1);
        std::copy(bytes.begin(), bytes.end(),
                  got.begin() + static_cast<int64_t>(piece) * kPiece % (kPiece * kPieces));
      },
      it->default_stream());
  EXPECT_EQ(calls.load(), kPieces + 1);
  EXPECT_EQ(got, sent);
}

TEST_P(DeviceConformance, AnUploadThatFailsSaysWhyAndLeavesTheDeviceUsable) {
  const auto it = device();
  const Buffer buffer = it->allocate(32 << 10, "pieces");
  std::vector<HostPiece> pieces;
  for (int64_t i = 0; i < 32; ++i) pieces.push_back({buffer.data() + (i << 10), 1 << 10});
  const auto fill = [&](bool fails) {
    return [fails](size_t piece, std::span<std::byte> into) {
      if (fails && piece == 19) throw Error(ErrorCode::kInvalid, "the file ends");
      std::fill(into.begin(), into.end(), std::byte{9});
    };
  };
  try {
    it->upload(pieces, fill(true), it->default_stream());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the file ends");
  }
  it->upload(pieces, fill(false), it->default_stream());
  EXPECT_EQ(fetched(*it, buffer.data(), 32 << 10), std::vector<std::byte>(32 << 10, std::byte{9}));
}

// Where a device makes noise itself, its bits are the host's.
TEST_P(DeviceConformance, NoiseIsTheSameEverywhere) {
  const auto it = device();
  const auto box = [](std::vector<int64_t> begin, std::vector<int64_t> extent, uint64_t first,
                      std::vector<int64_t> strides) {
    return NoiseBox{std::move(begin), std::move(extent), 77, 0.37, first, std::move(strides)};
  };
  struct Case {
    std::vector<int64_t> shape;
    std::vector<NoiseBox> boxes;
  };
  const uint64_t far = uint64_t{1} << 40;
  const Case cases[] = {
      {{}, {box({}, {}, 3, {})}},
      {{100'003}, {box({0}, {100'003}, far, {1})}},
      {{40, 30}, {box({0, 0}, {40, 30}, 5, {1, 40})}},
      {{7, 20, 6},
       {box({0, 0, 0}, {7, 12, 6}, 9, {200, 6, 1}), box({0, 12, 0}, {7, 8, 6}, far, {8, 1, 56})}},
      {{2, 3, 2, 3, 2, 3, 2, 3, 2, 3},
       {box(std::vector<int64_t>(10), {2, 3, 2, 3, 2, 3, 2, 3, 2, 3}, 0,
            {1, 12, 60, 500, 2, 7, 1000, 3, 5000, 11})}},
      {{3, 0}, {}},
  };
  using Types = std::vector<DType>;
  constexpr DType kF64 = DType::kFloat64, kF32 = DType::kFloat32, kF16 = DType::kFloat16,
                  kBF16 = DType::kBFloat16;
  for (const Types& types : {Types{kF32}, Types{kF16}, Types{kBF16}, Types{kF64}, Types{kF32, kF16},
                             Types{kF64, kBF16, kF16, kF32}, Types{kF16, kF64}}) {
    for (const double scale : {0.37, 3e-6, 1e5}) {
      for (const Case& one : cases) {
        Noise noise{types, one.boxes};
        for (NoiseBox& part : noise.boxes) part.scale = scale;
        auto bytes = static_cast<int64_t>(size_of(types.back()));
        for (const int64_t extent : one.shape) bytes *= extent;
        const Buffer buffer = it->allocate(bytes, "noise");
        if (!it->make_noise(noise, one.shape, buffer.data(), it->default_stream())) continue;
        std::vector<std::byte> expected(static_cast<size_t>(bytes));
        make_noise(noise, one.shape, 0, expected);
        ASSERT_EQ(fetched(*it, buffer.data(), bytes), expected) << one.shape.size() << " dims";
      }
    }
  }
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
