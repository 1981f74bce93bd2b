// How groups fail and recover: aborts, late ranks, calls that do not match or are invalid.
#pragma once

#include <atomic>
#include <chrono>

#include "tests/conformance/communicator_fixture.h"
#include "tests/conformance/communicator_maps.h"

namespace cleave::conformance {

template <class Harness>
class CommunicatorFailures : public CommunicatorTest<Harness> {};

TYPED_TEST_SUITE_P(CommunicatorFailures);

TYPED_TEST_P(CommunicatorFailures, AbortWakesAllRanksAndNamesTheFailed) {
  for (const int size : this->sizes_above_one()) {
    const Group group = TypeParam::make_group(size);
    const int failing = size / 2;
    const auto start = std::chrono::steady_clock::now();
    const auto thrown = run_ranks(group, [&](Communicator& rank) {
      if (rank.rank() != failing) return rank.barrier();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the others block meanwhile
      rank.abort(Error(ErrorCode::kOutOfMemory, "no memory for node fc1", "use more devices"));
      rank.barrier();
    });
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    for (const std::exception_ptr& error : thrown) {
      EXPECT_TRUE(is_device_error(error));
      EXPECT_THAT(message_of(error), testing::HasSubstr("rank " + std::to_string(failing) +
                                                        " failed: no memory for node fc1"));
      EXPECT_THAT(message_of(error), testing::HasSubstr("use more devices"));
    }
  }
}

TYPED_TEST_P(CommunicatorFailures, AFailedGroupStaysFailedUntilAllHaveRecovered) {
  for (const int size : TypeParam::sizes()) {
    const Group group = TypeParam::make_group(size);
    std::vector<std::unique_ptr<Communicator>> halves(static_cast<size_t>(size));
    this->expect_success(group, [&](Communicator& rank) {
      halves[static_cast<size_t>(rank.rank())] = rank.split(rank.rank() % 2, 0);
    });
    for (int round = 0; round < 3; ++round) {
      group.back()->abort(Error(ErrorCode::kDevice, "first"));
      group.front()->abort(Error(ErrorCode::kDevice, "second"));
      for (int again = 0; again < 2; ++again) {
        for (const std::exception_ptr& error :
             run_ranks(group, [](Communicator& rank) { rank.barrier(); })) {
          EXPECT_THAT(message_of(error), testing::HasSubstr("failed: first"));
        }
      }
      // Ranks that have recovered wait for those that have not.
      this->expect_success(group, [&](Communicator& rank) {
        if (rank.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        rank.recover();
        this->expect_working(rank);
        this->expect_working(*halves[static_cast<size_t>(rank.rank())]);
      });
    }
  }
}

// A failure strikes at any moment of calls that read other ranks' memory. Once its call has thrown,
// a rank may reuse its memory: copies of what it wrote then never reach another rank. (A thread
// sanitizer sees the race itself.)
TYPED_TEST_P(CommunicatorFailures, NobodyTouchesTheMemoryOfARankWhoseCallHasThrown) {
  for (const int size : this->possible_sizes({2, 3})) {
    const Group group = TypeParam::make_group(size);
    for (int round = 0; round < 20; ++round) {
      std::atomic<int> ready{0};
      std::thread saboteur([&] {
        while (ready.load() < size) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(53 * round));
        group[static_cast<size_t>(round % size)]->abort(Error(ErrorCode::kDevice, "stop"));
      });
      const auto thrown = run_ranks(group, [&](Communicator& rank) {
        const ShardMap map = even_shard_map(1, rank.size(), 200'000, rank.size());
        std::vector<float> shard(static_cast<size_t>(map.local_elements(rank.rank())), 1.0f);
        std::vector<float> whole(static_cast<size_t>(map.elements()), 1.0f);
        ready.fetch_add(1);
        try {
          while (true) {
            rank.all_gather(shard.data(), whole.data(), map, DType::kFloat32);
            rank.all_reduce(whole.data(), whole.data(), map.elements(), DType::kFloat32,
                            ReduceOp::kMax);
          }
        } catch (const Error&) {
          EXPECT_THAT(std::count(whole.begin(), whole.end(), -1.0f), 0);
          std::fill(shard.begin(), shard.end(), -1.0f);
          std::fill(whole.begin(), whole.end(), -1.0f);
          throw;
        }
      });
      saboteur.join();
      for (const std::exception_ptr& error : thrown) EXPECT_TRUE(is_device_error(error));
      for (const auto& rank : group) rank->recover();
    }
    this->expect_success(group, [this](Communicator& rank) { this->expect_working(rank); });
  }
}

TYPED_TEST_P(CommunicatorFailures, AFailureInASubGroupFailsAll) {
  for (const int size : this->sizes_above_one()) {
    const Group group = TypeParam::make_group(size);
    const auto thrown = run_ranks(group, [&](Communicator& rank) {
      const auto half = rank.split(rank.rank() % 2, 0);
      if (rank.rank() == size - 1) {
        half->abort(Error(ErrorCode::kDevice, "lost"));
      } else {
        rank.barrier();
      }
    });
    for (int rank = 0; rank + 1 < size; ++rank) {
      EXPECT_THAT(message_of(thrown[static_cast<size_t>(rank)]),
                  testing::HasSubstr("rank " + std::to_string(size - 1) + " failed: lost"));
    }
  }
}

TYPED_TEST_P(CommunicatorFailures, CallsThatDoNotMatchAreErrors) {
  using Call = std::function<void(Communicator&, bool odd_one)>;
  const std::vector<std::pair<std::string, Call>> calls = {
      {"count",
       [](Communicator& rank, bool odd) {
         std::vector<float> own(64);
         rank.all_reduce(own.data(), own.data(), odd ? 63 : 64, DType::kFloat32, ReduceOp::kSum);
       }},
      {"type",
       [](Communicator& rank, bool odd) {
         std::vector<float> own(64);
         rank.all_reduce(own.data(), own.data(), 64, odd ? DType::kInt32 : DType::kFloat32,
                         ReduceOp::kSum);
       }},
      {"operator",
       [](Communicator& rank, bool odd) {
         std::vector<float> own(64);
         rank.all_reduce(own.data(), own.data(), 64, DType::kFloat32,
                         odd ? ReduceOp::kMax : ReduceOp::kSum);
       }},
      {"root",
       [](Communicator& rank, bool odd) {
         std::vector<float> own(64);
         rank.broadcast(own.data(), 64, DType::kFloat32, odd ? 1 : 0);
       }},
      {"operation",
       [](Communicator& rank, bool odd) {
         std::vector<float> own(64);
         if (odd) return rank.barrier();
         rank.broadcast(own.data(), 64, DType::kFloat32, 0);
       }},
      {"map",
       [](Communicator& rank, bool odd) {
         const int n = rank.size();
         std::vector<float> own(64 * 16);
         std::vector<float> whole(64 * 16);
         const ShardMap map = odd ? all_at(0, 1, 64, n) : even_shard_map(1, 64, 1, n);
         rank.all_gather(own.data(), whole.data(), map, DType::kFloat32);
       }},
      {"partner",
       [](Communicator& rank, bool odd) {
         std::vector<float> own(64);
         std::vector<float> got(64);
         const int n = rank.size();
         rank.permute(own.data(), odd ? 63 : 64, (rank.rank() + 1) % n, got.data(), 64,
                      (rank.rank() + n - 1) % n, DType::kFloat32);
       }},
  };
  for (const int size : this->sizes_above_one()) {
    const Group group = TypeParam::make_group(size);
    for (const auto& [name, call] : calls) {
      const auto thrown =
          run_ranks(group, [&](Communicator& rank) { call(rank, rank.rank() == size - 1); });
      for (const std::exception_ptr& error : thrown) {
        EXPECT_TRUE(is_device_error(error)) << name;
        EXPECT_THAT(message_of(error), testing::HasSubstr("do not match")) << name;
      }
      for (const auto& rank : group) rank->recover();
    }
    this->expect_success(group, [this](Communicator& rank) { this->expect_working(rank); });
  }
}

TYPED_TEST_P(CommunicatorFailures, ALateRankIsNamed) {
  for (const int size : this->possible_sizes({2, 5})) {
    const Group group = TypeParam::make_group(size);
    group.front()->set_lateness_limit(std::chrono::milliseconds(50));
    const auto thrown = run_ranks(group, [&](Communicator& rank) {
      if (rank.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(400));
      rank.barrier();
    });
    for (const std::exception_ptr& error : thrown) {
      EXPECT_TRUE(is_device_error(error));
      EXPECT_THAT(message_of(error), testing::HasSubstr("rank 1 is late"));
    }
    for (const auto& rank : group) rank->recover();
    group.front()->set_lateness_limit(std::chrono::milliseconds(0));
    this->expect_success(group, [this](Communicator& rank) {
      if (rank.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(100));
      this->expect_working(rank);
    });
  }
}

TYPED_TEST_P(CommunicatorFailures, InvalidArgumentsAreErrorsOfAllRanks) {
  const std::vector<std::function<void(Communicator&)>> calls = {
      [](Communicator& rank) { rank.broadcast(nullptr, -1, DType::kFloat32, 0); },
      [](Communicator& rank) { rank.broadcast(nullptr, int64_t{1} << 62, DType::kFloat32, 0); },
      [](Communicator& rank) { rank.broadcast(nullptr, 0, DType::kFloat32, rank.size()); },
      [](Communicator& rank) {
        rank.permute(nullptr, 0, -2, nullptr, 0, kNoRank, DType::kFloat32);
      },
      [](Communicator& rank) {
        ShardMap map = even_shard_map(1, 8, 1, rank.size());
        map.pieces[0][0].count += 100;  // over the end of the row
        rank.reduce_scatter(nullptr, nullptr, map, DType::kFloat32, ReduceOp::kSum);
      },
      [](Communicator& rank) {
        ShardMap map = all_at(0, 1, 8, rank.size());
        map.pieces[0][0].count = 7;  // nobody holds the last element
        rank.all_gather(nullptr, nullptr, map, DType::kFloat32);
      },
      [](Communicator& rank) {
        const ShardMap map = even_shard_map(1, 8, 1, rank.size() + 1);
        rank.all_gather(nullptr, nullptr, map, DType::kFloat32);
      },
      [](Communicator& rank) {
        const std::vector<int64_t> shape = {4, 4};
        BoxMap map = replicated_boxes(shape, rank.size());
        map.ranks[0].boxes[0].begin[1] = -1;
        rank.redistribute(nullptr, map, nullptr, map, shape, DType::kFloat32);
      },
      [](Communicator& rank) {
        const std::vector<int64_t> shape = {int64_t{1} << 40, int64_t{1} << 40};
        const BoxMap map = replicated_boxes(shape, rank.size());
        rank.redistribute(nullptr, map, nullptr, map, shape, DType::kFloat32);
      },
  };
  for (const int size : this->possible_sizes({1, 3})) {
    const Group group = TypeParam::make_group(size);
    for (const auto& call : calls) {
      for (const std::exception_ptr& error : run_ranks(group, call)) {
        EXPECT_NE(message_of(error), "");
        EXPECT_THAT(message_of(error), testing::Not(testing::HasSubstr("not a cleave::Error")));
      }
      for (const auto& rank : group) rank->recover();
    }
    this->expect_success(group, [this](Communicator& rank) { this->expect_working(rank); });
  }
}

REGISTER_TYPED_TEST_SUITE_P(CommunicatorFailures, AbortWakesAllRanksAndNamesTheFailed,
                            AFailedGroupStaysFailedUntilAllHaveRecovered,
                            NobodyTouchesTheMemoryOfARankWhoseCallHasThrown,
                            AFailureInASubGroupFailsAll, CallsThatDoNotMatchAreErrors,
                            ALateRankIsNamed, InvalidArgumentsAreErrorsOfAllRanks);

}  // namespace cleave::conformance
