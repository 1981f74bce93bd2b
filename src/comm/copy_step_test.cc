#include "comm/copy_step.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cleave/error.h"

namespace cleave {
namespace {

std::string text(const std::vector<CopyStep>& steps) {
  std::string out;
  for (const CopyStep& step : steps) {
    out += "rank " + std::to_string(step.peer) + ": " + std::to_string(step.src_offset) + " to " +
           std::to_string(step.dst_offset) + ", " + std::to_string(step.run);
    for (const CopyLoop& loop : step.loops) {
      out += " x " + std::to_string(loop.count) + " (" + std::to_string(loop.src_stride) + ", " +
             std::to_string(loop.dst_stride) + ")";
    }
    out += "\n";
  }
  return out;
}

TEST(GatherSteps, StartAtTheRankItself) {
  const ShardMap map = even_shard_map(1, 6, 2, 3);
  EXPECT_EQ(text(gather_steps(map, 1)),
            "rank 1: 0 to 4, 4\n"
            "rank 2: 0 to 8, 4\n"
            "rank 0: 0 to 0, 4\n");
}

TEST(GatherSteps, GoByRows) {
  const ShardMap map = even_shard_map(4, 3, 1, 2);
  EXPECT_EQ(text(gather_steps(map, 0)),
            "rank 0: 0 to 0, 1 x 4 (1, 3)\n"
            "rank 1: 0 to 1, 2 x 4 (2, 3)\n");
}

TEST(GatherSteps, TakeEachSharedElementOnce) {
  // Ranks 0 and 1 hold the first half; 1 and 2 the second, 2 a little more.
  const ShardMap map{1, 8, {{{0, 0, 4}}, {{0, 0, 4}, {4, 4, 4}}, {{3, 0, 5}}}};
  EXPECT_EQ(text(gather_steps(map, 2)), "rank 2: 0 to 3, 5\nrank 0: 0 to 0, 3\n");
  EXPECT_EQ(text(gather_steps(map, 1)), "rank 1: 0 to 0, 4\nrank 1: 4 to 4, 4\n");
  EXPECT_EQ(text(gather_steps(map, 0)), "rank 0: 0 to 0, 4\nrank 1: 4 to 4, 4\n");
}

TEST(GatherSteps, RefuseATensorWithAHole) {
  const ShardMap map{2, 8, {{{0, 0, 4}}, {{5, 0, 3}}}};
  EXPECT_THROW(gather_steps(map, 0), Error);
  EXPECT_EQ(text(scatter_steps(map, 1)), "rank 1: 5 to 0, 3 x 2 (8, 3)\n");
}

TEST(ScatterSteps, JoinWholeRows) {
  const ShardMap map{3, 8, {{{0, 0, 8}}, {}}};
  EXPECT_EQ(text(scatter_steps(map, 0)), "rank 0: 0 to 0, 24\n");
  EXPECT_EQ(text(scatter_steps(map, 1)), "");
}

TEST(RunCopy, CopiesRunsOfEverySize) {
  for (int64_t run = 1; run <= 70; ++run) {
    const CopyStep step{0, 1, 2, run, {{3, run + 1, run + 2}}};
    std::vector<unsigned char> src(static_cast<size_t>(4 * (run + 2)));
    for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<unsigned char>(i + 1);
    std::vector<unsigned char> dst(static_cast<size_t>(4 * (run + 3)), 0);
    std::vector<unsigned char> expected = dst;
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t i = 0; i < run; ++i) {
        expected[static_cast<size_t>(2 + row * (run + 2) + i)] =
            src[static_cast<size_t>(1 + row * (run + 1) + i)];
      }
    }
    run_copy(step, src.data(), dst.data(), 1);
    EXPECT_EQ(dst, expected) << run;
  }
}

// What the validation of maps, which come from engine files, has to catch.
TEST(Maps, ThatLeaveTheirTensorAreInvalid) {
  const int64_t huge = int64_t{1} << 62;
  const std::vector<ShardMap> invalid = {
      {1, 8, {{{0, 0, 8}}}},                    // for one rank, not two
      {1, 8, {{{0, 0, 9}}, {}}},                // over the end
      {1, 8, {{{-1, 0, 1}}, {}}},               // before the start
      {1, 8, {{{0, 0, -1}}, {}}},               // negative count
      {1, 8, {{{0, -1, 1}}, {}}},               // negative place in the local row
      {1, 8, {{{huge, 0, huge}}, {}}},          // begin + count overflows
      {1, 8, {{{0, huge - 1 + huge, 8}}, {}}},  // local end overflows
      {1, 8, {{{0, huge, 8}}, {}}},             // local tensor too large in bytes
      {huge, 8, {{}, {}}},                      // tensor too large
      {-1, 8, {{}, {}}},                        // negative rows
      {1, -8, {{}, {}}},                        // negative row
  };
  for (size_t i = 0; i < invalid.size(); ++i) {
    EXPECT_THROW(invalid[i].validate(2, 8), Error) << i;
  }
  EXPECT_NO_THROW((ShardMap{2, 8, {{{0, 0, 8}}, {}}}.validate(2, 8)));

  const std::vector<int64_t> shape = {4, 4};
  const std::vector<BoxMap> invalid_boxes = {
      {{{{4, 4}, {}}, {{4, 4}, {}}}},             // for two ranks, not one
      {{{{4}, {}}}},                              // dimensions of the local tensor
      {{{{4, 4}, {{{0}, {1}, {0}}}}}},            // dimensions of the box
      {{{{4, 4}, {{{0, 3}, {1, 2}, {0, 0}}}}}},   // over the end
      {{{{4, 4}, {{{0, 0}, {1, 2}, {0, 3}}}}}},   // over the local end
      {{{{4, 4}, {{{0, 0}, {1, 2}, {0, -1}}}}}},  // before the local start
      {{{{4, huge}, {}}}},                        // local tensor too large
      {{{{-4, 4}, {}}}},                          // negative local size
  };
  for (size_t i = 0; i < invalid_boxes.size(); ++i) {
    EXPECT_THROW(invalid_boxes[i].validate(1, shape, 8), Error) << i;
  }
}

}  // namespace
}  // namespace cleave
