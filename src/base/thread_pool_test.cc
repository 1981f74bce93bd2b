#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>

namespace cleave {
namespace {

constexpr WaitPolicy kBlocks{};
constexpr WaitPolicy kSpins{std::chrono::microseconds(20)};

TEST(Partition, DealsOutEverythingInOrder) {
  for (const int64_t count : {0, 1, 5, 16, 1000}) {
    for (const int64_t parts : {1, 2, 3, 7, 16}) {
      int64_t end = 0;
      for (int64_t part = 0; part < parts; ++part) {
        const Range range = partition(count, parts, part);
        EXPECT_EQ(range.begin, end);
        EXPECT_EQ(range.begin, part * count / parts);
        end = range.end;
      }
      EXPECT_EQ(end, count);
    }
  }
  const int64_t huge = int64_t{1} << 62;
  EXPECT_EQ(partition(huge, 4, 3), (Range{huge / 4 * 3, huge}));
}

TEST(ChunksFor, GivesEachThreadEnoughToDo) {
  EXPECT_EQ(chunks_for(0, 10, 4), 0);
  EXPECT_EQ(chunks_for(9, 10, 4), 1);
  EXPECT_EQ(chunks_for(25, 10, 4), 2);
  EXPECT_EQ(chunks_for(1000, 10, 4), 4);
  EXPECT_EQ(chunks_for(3, 0, 4), 3);
}

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (const WaitPolicy& policy : {kBlocks, kSpins}) {
    for (const int threads : {1, 2, 3, 8}) {
      ThreadPool pool(threads, policy);
      EXPECT_EQ(pool.threads(), threads);
      for (const int64_t chunks : {0, 1, 2, 7, 64, 1000}) {
        for (int repeat = 0; repeat < 50; ++repeat) {
          std::vector<int> runs(static_cast<size_t>(chunks), 0);  // not atomic: one thread a chunk
          pool.parallel_for(chunks, [&](int64_t chunk) { ++runs[static_cast<size_t>(chunk)]; });
          EXPECT_EQ(runs, std::vector<int>(runs.size(), 1));
        }
      }
    }
  }
}

TEST(ThreadPool, ChunksRunAtTheSameTime) {
  ThreadPool pool(2, kBlocks);
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::atomic<int> waiting{0};
    // Each chunk waits for the other: one thread alone would never end.
    pool.parallel_for(2, [&](int64_t) {
      waiting.fetch_add(1);
      while (waiting.load() < 2) std::this_thread::yield();
    });
    EXPECT_EQ(waiting.load(), 2);
  }
}

TEST(ThreadPool, LoopsAfterPausesWakeSleepingWorkers) {
  ThreadPool pool(3, kSpins);
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int64_t> sum{0};
    pool.parallel_for(100, [&](int64_t chunk) { sum.fetch_add(chunk); });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST(ThreadPool, LoopsInsideLoopsRunInline) {
  ThreadPool pool(4, kSpins);
  std::vector<int64_t> sums(16, 0);
  pool.parallel_for(16, [&](int64_t outer) {
    const auto thread = std::this_thread::get_id();
    pool.parallel_for(10, [&](int64_t inner) {
      EXPECT_EQ(std::this_thread::get_id(), thread);
      sums[static_cast<size_t>(outer)] += inner;
    });
  });
  EXPECT_EQ(sums, std::vector<int64_t>(16, 45));
}

TEST(ThreadPool, AnotherCallerAtTheSameTimeRunsInline) {
  ThreadPool pool(2, kSpins);
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 200; ++repeat) {
        pool.parallel_for(5, [&](int64_t chunk) { sum.fetch_add(chunk); });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 3 * 200 * 10);
}

TEST(ThreadPool, ThrowsWhatAChunkThrewAndGoesOn) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads, kBlocks);
    for (int repeat = 0; repeat < 50; ++repeat) {
      try {
        pool.parallel_for(20, [](int64_t chunk) {
          if (chunk == 13) throw std::runtime_error("chunk " + std::to_string(chunk));
        });
        FAIL() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "chunk 13");
      }
      std::atomic<int> runs{0};
      pool.parallel_for(20, [&](int64_t) { runs.fetch_add(1); });
      EXPECT_EQ(runs.load(), 20);
    }
  }
}

TEST(ThreadPool, AConstantBodyIsCalled) {
  ThreadPool pool(2, kBlocks);
  std::atomic<int> runs{0};
  const auto body = [&](int64_t) { runs.fetch_add(1); };
  pool.parallel_for(9, body);
  EXPECT_EQ(runs.load(), 9);
}

}  // namespace
}  // namespace cleave
