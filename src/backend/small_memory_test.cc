#include "backend/small_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace cleave::backend {
namespace {

// Blocks of the host's memory, at most so many.
class Blocks {
 public:
  explicit Blocks(size_t most) : most_(most) {}

  std::byte* more() {
    if (memory_.size() == most_) return nullptr;
    memory_.emplace_back(
        static_cast<std::byte*>(std::aligned_alloc(256, size_t{SmallMemory::kBlock})), &std::free);
    return memory_.back().get();
  }
  size_t count() const { return memory_.size(); }

 private:
  size_t most_;
  std::vector<std::unique_ptr<std::byte, void (*)(void*)>> memory_;
};

TEST(SmallMemory, PiecesAreAlignedSeparateAndWithinBlocks) {
  Blocks blocks(8);
  SmallMemory memory([&] { return blocks.more(); });
  std::set<std::pair<std::byte*, std::byte*>> taken;  // begin and end
  for (const int64_t bytes : {int64_t{1}, int64_t{256}, int64_t{257}, int64_t{5000},
                              SmallMemory::kLargest - 1, SmallMemory::kLargest}) {
    for (int i = 0; i < 9; ++i) {
      std::byte* const piece = memory.take(bytes);
      ASSERT_NE(piece, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(piece) % 256, 0u);
      EXPECT_TRUE(memory.owns(piece) && memory.owns(piece + bytes - 1));
      taken.insert({piece, piece + bytes});
    }
  }
  const std::byte* end = nullptr;
  for (const auto& [from, to] : taken) {
    EXPECT_GE(from, end);
    end = to;
  }
}

TEST(SmallMemory, UsesAgainWhatWasPutBack) {
  Blocks blocks(1);
  SmallMemory memory([&] { return blocks.more(); });
  for (int round = 0; round < 100'000; ++round) {
    std::byte* const one = memory.take(1000);
    std::byte* const other = memory.take(100'000);
    ASSERT_TRUE(one != nullptr && other != nullptr);
    memory.put_back(one, 1000);
    memory.put_back(other, 100'000);
  }
  EXPECT_EQ(blocks.count(), 1u);
}

TEST(SmallMemory, SaysWhereThereIsNoMore) {
  Blocks blocks(1);
  SmallMemory memory([&] { return blocks.more(); });
  std::vector<std::byte*> pieces;
  while (std::byte* const piece = memory.take(SmallMemory::kLargest)) pieces.push_back(piece);
  EXPECT_EQ(pieces.size(), size_t{SmallMemory::kBlock / SmallMemory::kLargest});
  memory.put_back(pieces.back(), SmallMemory::kLargest);
  EXPECT_EQ(memory.take(SmallMemory::kLargest), pieces.back());
}

TEST(SmallMemory, KnowsItsOwnAndGivesBlocksUp) {
  Blocks blocks(2);
  SmallMemory memory([&] { return blocks.more(); });
  std::byte stranger{};
  EXPECT_FALSE(memory.owns(&stranger));
  std::byte* const piece = memory.take(1);
  EXPECT_FALSE(memory.owns(&stranger));
  memory.put_back(piece, 1);
  EXPECT_THAT(memory.release(), testing::ElementsAre(piece));
  EXPECT_FALSE(memory.owns(piece));
  EXPECT_NE(memory.take(1), piece);
}

}  // namespace
}  // namespace cleave::backend
