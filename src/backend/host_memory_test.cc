#include "backend/host_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

namespace cleave::backend {
namespace {

class HostMemoryTest : public ::testing::Test {
 protected:
  std::shared_ptr<HostMemory> memory(size_t most) {
    return HostMemory::make(
        most,
        [this](size_t bytes) -> void* {
          ++taken_;
          return there_is_some_ ? std::aligned_alloc(4096, bytes) : nullptr;
        },
        [this](void* block) {
          ++given_back_;
          std::free(block);
        });
  }

  bool there_is_some_ = true;
  std::atomic<int> taken_{0};
  std::atomic<int> given_back_{0};
};

TEST_F(HostMemoryTest, GivesWhatCameBackAgain) {
  const auto host = memory(1 << 20);
  auto first = host->take(100'000);
  const std::byte* const at = first.get();
  first.reset();
  for (const size_t bytes : {100'000, 98'500, 100'000}) {
    const auto again = host->take(bytes);
    EXPECT_EQ(again.get(), at);
    again[bytes - 1] = std::byte{1};
  }
  const auto one = host->take(100'000);
  const auto other = host->take(100'000);
  EXPECT_NE(one, other);
  EXPECT_EQ(taken_, 2);
  EXPECT_EQ(given_back_, 0);
}

TEST_F(HostMemoryTest, HoldsNoMoreThanItMay) {
  const auto host = memory(64 << 10);
  EXPECT_EQ(host->take(0), nullptr);
  EXPECT_EQ(host->take((64 << 10) + 1), nullptr);
  auto small = host->take(16 << 10);
  auto large = host->take(48 << 10);
  EXPECT_EQ(host->held(), size_t{64 << 10});
  EXPECT_EQ(host->take(1), nullptr);
  large.reset();
  EXPECT_EQ(host->held(), size_t{64 << 10});  // kept for the next of its size
  const auto middle = host->take(24 << 10);   // for which it has to go
  ASSERT_NE(middle, nullptr);
  EXPECT_EQ(given_back_, 1);
  EXPECT_LE(host->held(), size_t{64 << 10});
}

TEST_F(HostMemoryTest, WhereThereIsNoneNothingIsHeld) {
  const auto host = memory(1 << 20);
  there_is_some_ = false;
  EXPECT_EQ(host->take(5000), nullptr);
  EXPECT_EQ(host->held(), 0u);
  there_is_some_ = true;
  EXPECT_NE(host->take(5000), nullptr);
}

TEST_F(HostMemoryTest, KnowsItsOwn) {
  const auto host = memory(1 << 20);
  const auto piece = host->take(10'000);
  EXPECT_TRUE(host->owns(piece.get(), 10'000));
  EXPECT_TRUE(host->owns(piece.get() + 9'999, 1));
  EXPECT_FALSE(host->owns(piece.get(), 1 << 20));
  EXPECT_FALSE(host->owns(piece.get() - 1, 1));
  const std::vector<std::byte> other(100);
  EXPECT_FALSE(host->owns(other.data(), other.size()));
}

TEST_F(HostMemoryTest, PiecesOutliveIt) {
  auto host = memory(1 << 20);
  auto piece = host->take(10'000);
  host.reset();
  piece[9'999] = std::byte{1};
  EXPECT_EQ(given_back_, 0);
  piece.reset();
  EXPECT_EQ(given_back_, 1);
}

TEST_F(HostMemoryTest, ServesThreadsAtOnce) {
  const auto host = memory(4 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const size_t bytes = 5'000 + static_cast<size_t>((i * 7 + t) % 9) * 20'000;
        const auto piece = host->take(bytes);
        if (!piece) continue;
        piece[0] = piece[bytes - 1] = std::byte(t);
        EXPECT_TRUE(host->owns(piece.get(), bytes));
        EXPECT_EQ(piece[0], std::byte(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(host->held(), size_t{4 << 20});
}

}  // namespace
}  // namespace cleave::backend
