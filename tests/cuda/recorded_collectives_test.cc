// Collectives recorded in a graph and replayed: nothing of them may depend on the host.
#include <gmock/gmock.h>

#include "comm/nccl/nccl_group.h"
#include "tests/conformance/communicator_cases.h"
#include "tests/conformance/communicator_fixture.h"
#include "tests/cuda/recorded.h"

namespace cleave::conformance {
namespace {

// The largest messages that GPUs pass by each other's memory.
class RecordedCollectives : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    if (gpus() < 2) GTEST_SKIP() << "this machine has not two GPUs";
  }
  // They live longer than the group, which looks at all of them when it fails.
  static std::vector<Stream> streams_of(int size) {
    std::vector<Stream> streams;
    for (const int device : first_gpus(size)) streams.emplace_back(device);
    return streams;
  }
  static Group make_group(int size) {
    NcclGroupOptions options = {.devices = first_gpus(size)};
    options.direct_bytes = GetParam();
    return make_nccl_group(options);
  }
  static void on_all_ranks(int size, const std::function<void(Operands&)>& body) {
    std::vector<Stream> streams = streams_of(size);
    const Group group = make_group(size);
    const auto thrown = run_ranks(group, [&](Communicator& rank) {
      Stream& stream = streams[static_cast<size_t>(rank.rank())];
      stream.make_current();
      Operands operands{rank, stream, {}, {}};
      body(operands);
    });
    for (const auto& error : thrown) EXPECT_EQ(message_of(error), "");
  }
};

TEST_P(RecordedCollectives, AllReduceComesOutTheSameEveryTime) {
  for (int size = 2; size <= gpus(); ++size) {
    for (const DType type : {DType::kBFloat16, DType::kFloat32, DType::kInt32}) {
      for (const int64_t count : {1, 4096, 100'003, 3'000'000}) {
        const ReduceTest test = reduce_test(size, count, type, ReduceOp::kSum);
        on_all_ranks(size, [&](Operands& on) {
          const Buffer& term = test.terms[static_cast<size_t>(on.rank.rank())];
          on.fill(term, Buffer(count, type));
          const auto work = [&] {
            on.rank.all_reduce(on.src.data(), on.dst.data(), count, type, ReduceOp::kSum,
                               on.handle());
          };
          work();
          on.rank.wait(on.handle());
          Graph graph(on.stream.get(), [&] {
            for (int i = 0; i < 5; ++i) work();
          });
          for (int round = 0; round < 50; ++round) {
            on.dst.fill(Buffer(count, type).data(), Operands::bytes_of(term), 0, on.stream.get());
            graph.replay(on.stream.get());
            on.rank.wait(on.handle());
            const bool equal = on.result(count, type) == test.expected;
            EXPECT_TRUE(equal) << test.name() << " N = " << size << " round " << round;
            if (!equal) break;
          }
          EXPECT_TRUE(on.dst.intact(on.stream.get()));
        });
      }
    }
  }
}

// Replays and direct calls in turn, of different sizes, with the ranks out of step.
TEST_P(RecordedCollectives, MixWithDirectCalls) {
  constexpr int64_t kCount = 5000;
  on_all_ranks(gpus(), [&](Operands& on) {
    const std::vector<int32_t> ones(kCount, 1);
    on.src.fill(ones.data(), kCount * 4, 0, on.stream.get());
    on.dst.fill(ones.data(), kCount * 4, 0, on.stream.get());
    const auto reduce = [&](int64_t count) {
      on.rank.all_reduce(on.src.data(), on.dst.data(), count, DType::kInt32, ReduceOp::kSum,
                         on.handle());
    };
    reduce(kCount);
    Graph graph(on.stream.get(), [&] {
      reduce(kCount);
      on.rank.barrier(on.handle());
      reduce(3);
    });
    for (int round = 0; round < 200; ++round) {
      if (round % on.rank.size() == on.rank.rank()) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
      graph.replay(on.stream.get());
      reduce(1 + round);
    }
    on.rank.wait(on.handle());
    const Buffer sums = on.result(kCount, DType::kInt32);
    for (int64_t i = 0; i < kCount; ++i) {
      int32_t sum = 0;
      std::memcpy(&sum, sums.at(i), sizeof sum);
      ASSERT_EQ(sum, on.rank.size());
    }
  });
}

TEST_P(RecordedCollectives, GathersAndScattersOfEveryMap) {
  for (int size = 2; size <= gpus(); ++size) {
    for (const ShardCase& test : shard_cases(size)) {
      const ReduceTest reduction =
          reduce_test(size, test.map.elements(), DType::kFloat16, ReduceOp::kSum);
      on_all_ranks(size, [&](Operands& on) {
        const int rank = on.rank.rank();
        const Buffer shard = shard_of(reduction.expected, test.map, rank);
        const Buffer& term = reduction.terms[static_cast<size_t>(rank)];
        GuardedMemory pieces;
        pieces.fill(shard.data(), Operands::bytes_of(shard), 0, on.stream.get());
        on.fill(term, Buffer(term.count(), term.type()));
        const auto work = [&] {
          on.rank.reduce_scatter(on.src.data(), pieces.data(), test.map, DType::kFloat16,
                                 ReduceOp::kSum, on.handle());
          on.rank.all_gather(pieces.data(), on.dst.data(), test.map, DType::kFloat16, on.handle());
        };
        work();
        Graph graph(on.stream.get(), work);
        on.dst.fill(Buffer(term.count(), term.type()).data(), Operands::bytes_of(term), 0,
                    on.stream.get());
        for (int round = 0; round < 10; ++round) graph.replay(on.stream.get());
        on.rank.wait(on.handle());
        EXPECT_TRUE(on.result(term.count(), term.type()) == reduction.expected) << test.name;
        EXPECT_TRUE(on.dst.intact(on.stream.get()));
        EXPECT_TRUE(pieces.intact(on.stream.get()));
      });
    }
  }
}

// A rank whose graph waits for a rank that has failed returns all the same.
TEST_P(RecordedCollectives, EndWhenTheGroupFails) {
  std::vector<Stream> streams = streams_of(2);
  const Group group = make_group(2);
  for (int round = 0; round < 2; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const auto thrown = run_ranks(group, [&](Communicator& rank) {
      Stream& stream = streams[static_cast<size_t>(rank.rank())];
      stream.make_current();
      Operands on{rank, stream, {}, {}};
      const Buffer zeros(100'000, DType::kInt32);
      on.fill(zeros, zeros);
      const auto work = [&] {
        rank.all_reduce(on.src.data(), on.dst.data(), zeros.count(), DType::kInt32, ReduceOp::kSum,
                        on.handle());
      };
      work();
      rank.wait(on.handle());
      Graph graph(stream.get(), work);
      if (rank.rank() == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        rank.abort(Error(ErrorCode::kDevice, "lost"));
      } else {
        graph.replay(stream.get());
      }
      rank.wait(on.handle());
    });
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    for (const auto& error : thrown) {
      EXPECT_THAT(message_of(error), testing::HasSubstr("rank 1 failed: lost"));
    }
    for (const auto& rank : group) rank->recover();
  }
}

INSTANTIATE_TEST_SUITE_P(Routes, RecordedCollectives,
                         testing::Values(int64_t{0}, int64_t{1} << 20, int64_t{64} << 20),
                         [](const auto& info) { return "direct" + std::to_string(info.param); });

}  // namespace
}  // namespace cleave::conformance
